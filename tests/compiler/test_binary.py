# SPDX-License-Identifier: MIT
"""Operators of two tensors: scales near where roundings flip, in place, and what is refused."""

import numpy as np
import pytest

from compiler.builder import Builder, oracle
from compiler.executors import execute
from torpor_host.compiler import compile_bytes
from torpor_host.errors import CompileError

A = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)


def model(name: str, a: float, b: float, y: float, zero: int = 0) -> bytes:
    m = Builder()
    x, w = m.tensor((1, 256), "int8", a, 1), m.tensor((1, 256), "int8", b, zero)
    z = m.tensor((1, 256), "int8", y, -3)
    m.operator(name, [x, w], [z], 2)
    return m.build([x, w], [z])


@pytest.mark.parametrize("name", ["SUB", "MUL", "PRELU"])
def test_quotients_near_short_fractions(name: str) -> None:
    """Scales whose float32 quotients are short binary fractions: a product may lie on a half."""
    other = np.random.default_rng(2).integers(-128, 128, size=(1, 256), dtype=np.int8)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a = np.float32(rng.uniform(0.01, 1))
        b = np.float32(a / np.float32((2 * int(rng.integers(1, 16)) + 1) / 16))
        y = np.float32(max(a, b) * np.float32(rng.choice([1.0, 1.5, 3.0])))
        data = model(name, float(a), float(b), float(y), int(rng.integers(-128, 128)))
        got = execute(compile_bytes(data, "m").image, [A, other], "reference")[0]
        assert np.array_equal(got, oracle(data, [A, other])[0].reshape(-1)), (a, b, y)


def test_what_does_not_fit_is_named() -> None:
    for data, words in (
        (model("SUB", 1.0, 1.0, 1e-7), "far below"),
        (model("MUL", 10.0, 10.0, 1e-3), "far below"),
        (model("MAXIMUM", 0.1, 0.1, 0.2), "differ in scale or zero point"),
        (model("PRELU", 100.0, 0.1, 1e-3), "far below"),
    ):
        with pytest.raises(CompileError, match=words) as caught:
            compile_bytes(data, "m")
        assert "layer 0 " in str(caught.value) and "; " in str(caught.value)
