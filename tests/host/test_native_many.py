# SPDX-License-Identifier: MIT
"""Native reductions, resizing, DIV, QUANTIZE of int32, signal operators, plain integers: the bytes of
tflite-micro, and damaged records."""

import struct
from pathlib import Path

import numpy as np
import pytest

from compiler import cases_div, cases_reduce, cases_resize, cases_signal
from compiler.builder import oracle
from host import test_native_fuzz
from host.test_native import native
from torpor.errors import ImageError
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes
from torpor_host.kernels import library

KINDS = {
    **cases_div.KINDS,
    **cases_reduce.KINDS,
    **cases_signal.KINDS,
    "resize_bilinear": cases_resize.KINDS["resize_bilinear"],
}


def image(kind: str, seed: int) -> bytes:
    return compile_bytes(KINDS[kind](np.random.default_rng([seed, len(kind)])).model, kind).image


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_parity(kind: str) -> None:
    for seed in range(24):
        case = KINDS[kind](np.random.default_rng([seed, 77]))
        compiled = compile_bytes(case.model, kind)
        outputs = len(compiled.report["outputs"])
        want = [y.tobytes() for y in oracle(case.model, case.inputs, outputs)]
        got = native(compiled.image, case.inputs)
        assert got == want, f"{kind} seed {seed}: {case.label}"


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_native_fuzz, "IMAGES", [image(k, s) for k in sorted(KINDS) for s in range(4)])


@pytest.mark.usefixtures("images")
def test_refuses_what_the_reference_refuses() -> None:
    rng = np.random.default_rng(4)
    counts = {True: 0, False: 0}
    for i in range(600):
        data = test_native_fuzz.mutated(rng)
        arena_bytes = sum(struct.unpack_from("<II", data, 16))
        if arena_bytes > 1 << 20:
            continue
        good = True
        try:
            Model(data, "reference")
        except ImageError as e:
            good = False
            if e.args[1] < struct.unpack_from("<I", data, 28)[0]:
                continue  # header and tensors: Image alone reads them
        found = library.module().check(data, bytearray(arena_bytes))
        counts[good] += 1
        assert found < 0 or (found == 0) == good, f"case {i}: native says {found}"
    assert min(counts.values()) > 100


@pytest.mark.usefixtures("images")
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    refused, _, run = test_native_fuzz.run_corpus(tmp_path, 5, 4000)
    assert refused > 500 and run > 500
