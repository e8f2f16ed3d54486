# SPDX-License-Identifier: MIT
"""Random models of every operator: each executor gives the bytes of tflite-micro."""

import numpy as np
import pytest

from compiler.builder import oracle
from compiler.executors import KERNELS, execute
from compiler.kinds import KINDS
from torpor_host.compiler import compile_bytes

CASES = 11  # of each kind, in the default run
SOAK_CASES = 300


def check(kind: str, seed: int) -> None:
    case = KINDS[kind](np.random.default_rng([seed, sorted(KINDS).index(kind)]))
    compiled = compile_bytes(case.model, f"{kind} {seed}")
    want = oracle(case.model, case.inputs, len(compiled.report["outputs"]))
    for kernels in KERNELS:
        for i, (got, wanted) in enumerate(
            zip(execute(compiled.image, case.inputs, kernels), want, strict=True)
        ):
            assert got.dtype == wanted.dtype
            wrong = np.flatnonzero(got.view("u1") != wanted.reshape(-1).view("u1"))
            assert not len(wrong), (
                f"{kind} seed {seed} {kernels}: {case.label}: {len(wrong)} of {got.size} differ in output {i}"
            )


@pytest.mark.parametrize("seed", range(CASES))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_parity(kind: str, seed: int) -> None:
    check(kind, seed)


@pytest.mark.soak
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_parity_soak(kind: str) -> None:
    for seed in range(CASES, CASES + SOAK_CASES):
        check(kind, seed)
