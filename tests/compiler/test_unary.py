# SPDX-License-Identifier: MIT
"""Functions of one int8: tables over all 256 inputs, their rules, and chains that become one table."""

import numpy as np
import pytest

from compiler.builder import Builder, oracle
from compiler.cases_unary import ALL, KINDS
from compiler.executors import execute
from torpor_host.compiler import compile_bytes, image
from torpor_host.errors import CompileError

SCALES = 60  # of each operator; all 256 inputs each


def model(name: str, scales: tuple[float, int, float, int], **options: float) -> bytes:
    b = Builder()
    x, y = b.tensor((256,), "int8", *scales[:2]), b.tensor((256,), "int8", *scales[2:])
    b.operator(name, [x], [y], 1, **options)
    return b.build([x], [y])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_all_inputs_over_many_scales(kind: str) -> None:
    for seed in range(SCALES):
        case = KINDS[kind](np.random.default_rng([11, seed]))
        got = execute(compile_bytes(case.model, kind).image, case.inputs, "reference")[0]
        assert np.array_equal(got, oracle(case.model, case.inputs)[0].reshape(-1)), case.label


@pytest.mark.parametrize(("name", "ratio"), [("RELU", 5 / 8), ("LEAKY_RELU", 9 / 16)])
def test_quotients_are_taken_in_double(name: str, ratio: float) -> None:
    """Scales whose float32 quotient is a short binary fraction and whose true quotient is not."""
    options = {"alpha": 0.3} if name == "LEAKY_RELU" else {}
    for seed in range(40):
        scale = np.float32(np.random.default_rng(seed).uniform(0.01, 1))
        data = model(name, (float(scale), 3, float(np.float32(scale / np.float32(ratio))), -5), **options)
        got = execute(compile_bytes(data, name).image, [ALL], "reference")[0]
        assert np.array_equal(got, oracle(data, [ALL])[0]), scale


@pytest.mark.parametrize(("scale", "out_scale"), [(0.05, 0.05), (0.05, 0.0125), (0.003, 0.006)])
def test_relu_n1_to_1_is_quantize_then_clamp(scale: float, out_scale: float) -> None:
    """tflite-micro has no RELU_N1_TO_1, but its QUANTIZE requantizes alike."""
    got = execute(
        compile_bytes(model("RELU_N1_TO_1", (scale, 4, out_scale, -9)), "m").image, [ALL], "reference"
    )
    wide = oracle(model("QUANTIZE", (scale, 4, out_scale, -9)), [ALL])[0]
    one = round(float(np.float32(1) / np.float32(out_scale)))
    assert np.array_equal(got[0], np.clip(wide.astype(int), max(-128, -9 - one), min(127, -9 + one)))


def test_what_does_not_fit_is_named() -> None:
    for name, scales, words in (
        ("TANH", (0.1, 0, 1 / 256, 0), "1/128 with zero point 0"),
        ("TANH", (100.0, 0, 1 / 128, 0), "out of range"),
        ("RELU6", (0.1, 0, 0.05, -128), "would ignore"),
        ("RELU", (1e6, 0, 1e-6, 0), "too far apart"),
        ("HARD_SWISH", (1.0, 0, 0.001, 0), "16-bit sums"),
        ("ELU", (1e6, 0, 1e-6, 0), "too far apart"),
    ):
        with pytest.raises(CompileError, match=words) as caught:
            compile_bytes(model(name, scales), "m")
        assert f"layer 0 {name} (version 1)" in str(caught.value)
    with pytest.raises(CompileError, match="alpha"):
        compile_bytes(model("LEAKY_RELU", (0.1, 0, 0.1, 0), alpha=float("nan")), "m")


def names(data: bytes) -> list[str]:
    return [op.name for op in image.read(compile_bytes(data, "m").image, "m").operators]


def test_a_chain_is_one_table() -> None:
    assert names(KINDS["unary_chain"](np.random.default_rng(0)).model) == ["LOOKUP"]


def test_a_table_that_others_read_stays() -> None:
    b = Builder()
    x, t, r, y = (b.tensor((256,), "int8", 1 / 128, 0) for _ in range(4))
    b.operator("TANH", [x], [t])
    b.operator("RELU", [t], [r])
    b.operator("ADD", [t, r], [y], 2)
    data = b.build([x], [y, t])
    assert names(data) == ["LOOKUP", "LOOKUP", "ADD"]
    for got, want in zip(
        execute(compile_bytes(data, "m").image, [ALL], "reference"), oracle(data, [ALL], 2), strict=True
    ):
        assert np.array_equal(got, want)
