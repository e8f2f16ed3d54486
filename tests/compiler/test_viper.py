# SPDX-License-Identifier: MIT
"""The viper kernels in a real MicroPython: random models of every operator, and the published ones."""

from pathlib import Path

import numpy as np
import pytest

from compiler.builder import oracle
from compiler.executors import on_micropython
from compiler.kinds import KINDS
from compiler.test_models import MODELS, inputs_of
from compiler.test_models import oracle as model_oracle
from torpor_host.compiler import compile_bytes, compile_file

CASES = 8  # of each kind
SOAK_CASES = 200


def check(kinds: list[str], seeds: range) -> None:
    cases = [
        KINDS[k](np.random.default_rng([seed, 4, sorted(KINDS).index(k)])) for k in kinds for seed in seeds
    ]
    compiled = [compile_bytes(case.model, case.label) for case in cases]
    found = on_micropython([(c.image, case.inputs) for c, case in zip(compiled, cases, strict=True)], "viper")
    for case, c, got in zip(cases, compiled, found, strict=True):
        for a, b in zip(got, oracle(case.model, case.inputs, len(c.report["outputs"])), strict=True):
            assert a.tobytes() == b.tobytes(), case.label


def test_random_models() -> None:
    check(sorted(KINDS), range(CASES))


@pytest.mark.soak
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_random_models_soak(kind: str) -> None:
    check([kind], range(CASES, CASES + SOAK_CASES))


@pytest.mark.parametrize("name", MODELS)
def test_published_models(name: str, shared_data: Path) -> None:
    path = shared_data / "models" / MODELS[name][0] / f"{name}.tflite"
    x = inputs_of(name, shared_data)[:4]
    image = compile_file(path).image
    got = on_micropython([(image, [row]) for row in x], "viper")
    assert np.array_equal(np.stack([y[0] for y in got]), model_oracle(path, x))
