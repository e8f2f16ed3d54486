# SPDX-License-Identifier: MIT
"""Reductions, resizing, TRANSPOSE_CONV and DIV: what becomes of them, their edges, refusals."""

from typing import Any

import numpy as np
import pytest

from compiler.builder import VALID, Builder, oracle
from compiler.executors import execute
from torpor_host.compiler import compile_bytes, image
from torpor_host.errors import CompileError

ALL = np.arange(-128, 128, dtype=np.int8)


def names(data: bytes) -> list[str]:
    return [op.name for op in image.read(compile_bytes(data, "m").image, "m").operators]


def same(data: bytes, inputs: list[np.ndarray]) -> None:
    want = oracle(data, inputs)[0]
    got = execute(compile_bytes(data, "m").image, inputs, "reference")[0]
    assert got.dtype == want.dtype and np.array_equal(got, want.reshape(-1))


def reduction(name: str, shape: tuple[int, ...], axes: Any, out: tuple[int, ...], **tensors: Any) -> bytes:
    b = Builder()
    x = b.tensor(shape, "int8", 0.1, 3)
    axis = b.tensor(np.shape(axes), tensors.get("axis_type", "int32"), data=np.array(axes))
    y = b.tensor(out, "int8", tensors.get("y_scale", 0.1), tensors.get("y_zero", 3))
    b.operator(name, [x, axis], [y], 2, keepDims=len(shape) == len(out))
    return b.build([x], [y])


def test_axes_of_length_one_cost_nothing() -> None:
    for name in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
        assert names(reduction(name, (1, 1, 1, 256), [1, 2], (1, 256))) == []
    table = reduction("MEAN", (1, 1, 1, 256), [1, 2], (1, 256), y_scale=0.07, y_zero=-9)
    assert names(table) == ["LOOKUP"]
    same(table, [ALL.reshape(1, 1, 1, 256)])


def test_mean_over_an_image_is_one_record() -> None:
    data = reduction("MEAN", (1, 9, 7, 40), [1, 2], (1, 40), y_scale=0.04)
    assert names(data) == ["REDUCE_SUM"]
    rng = np.random.default_rng(3)
    same(data, [rng.integers(-128, 128, size=(1, 9, 7, 40), dtype=np.int8)])
    same(data, [np.full((1, 9, 7, 40), -128, dtype=np.int8)])


def test_equals_give_the_first() -> None:
    b = Builder()
    x = b.tensor((2, 5), "int8", 0.1, 0)
    y = b.tensor((2,), "int32")
    b.operator("ARG_MAX", [x, b.tensor((), "int32", data=np.array(-1))], [y], outputType=2)
    data = np.array([[-128] * 5, [3, 7, 7, -1, 7]], dtype=np.int8)
    model = b.build([x], [y])
    same(model, [data])
    assert execute(compile_bytes(model, "m").image, [data], "reference")[0].tolist() == [0, 1]


def division(scales: tuple[float, float, float], zero: int, n: int = 256, constant: Any = None) -> bytes:
    b = Builder()
    x = b.tensor((n,), "int8", scales[0], 5)
    shape = (n,) if constant is None else np.shape(constant)
    w = b.tensor(shape, "int8", scales[1], zero, constant if constant is None else np.array(constant))
    y = b.tensor((n,), "int8", scales[2], -3)
    b.operator("DIV", [x, w], [y], 2)
    return b.build([x] if constant is not None else [x, w], [y])


@pytest.mark.parametrize(
    ("scales", "zero"), [((1, 0.5, 1 / 128), 3), ((1, 0.9, 1 / 128), -128), ((1, 0.1, 1 / 70), 0)]
)
def test_every_quotient(scales: tuple[float, float, float], zero: int) -> None:
    """All 65,536 pairs; divisors of zero too, which tflite-micro leaves to its arithmetic."""
    a, b = (np.ascontiguousarray(v.reshape(-1)) for v in np.meshgrid(ALL, ALL))
    same(division(scales, zero, 65536), [a, b])


def test_division_by_one_constant_is_a_table() -> None:
    for zero, constant in ((0, 127), (-128, 127), (0, -3), (100, 99)):
        data = division((1.0, 0.5, 1 / 90), zero, constant=[constant])
        assert names(data) == ["LOOKUP"]
        same(data, [ALL])


def resize(name: str, size: tuple[int, int], out: tuple[int, int], **options: bool) -> bytes:
    b = Builder()
    x = b.tensor((1, *size, 3), "int8", 0.1, 0)
    y = b.tensor((1, *out, 3), "int8", options.pop("y_scale", 0.1), 0)
    b.operator(name, [x, b.tensor((2,), "int32", data=np.array(out))], [y], 3, **options)
    return b.build([x], [y])


def test_nearest_neighbours_are_taken() -> None:
    assert names(resize("RESIZE_NEAREST_NEIGHBOR", (3, 4), (6, 8))) == ["TAKE"]


def transposed(stride: int, size: int, **changes: Any) -> bytes:
    b = Builder()
    out = changes.get("out", (size - 1) * stride + 3)
    x = b.tensor((1, size, size, 8), "int8", 0.1, 3)
    w = b.tensor((4, 3, 3, 8), "int8", 0.01, 0, np.ones((4, 3, 3, 8), dtype=np.int8))
    shape = b.tensor((4,), "int32", data=None if changes.get("dynamic") else np.array([1, out, out, 4]))
    y = b.tensor((1, out, out, 4), "int8", 0.1, 0)
    b.operator("TRANSPOSE_CONV", [shape, w, x], [y], 1, padding=VALID, strideH=stride, strideW=stride)
    return b.build([x] if not changes.get("dynamic") else [x, shape], [y])


def test_transposed_convolutions_are_convolutions() -> None:
    assert names(transposed(1, 5)) == ["CONV_2D"]
    assert names(transposed(2, 5)) == ["CONV_2D", "COPY"] * 4
    report = compile_bytes(transposed(2, 16), "m").report
    pixels = 16 * 16 * 9  # each of the filter's taps, for each pixel of the input, edges aside
    assert 0.9 < report["macs"] / (pixels * 8 * 4) < 1.2, "no products with zeros between"


def refused(data: bytes) -> str:
    with pytest.raises(CompileError) as caught:
        compile_bytes(data, "m.tflite")
    assert str(caught.value).startswith("m.tflite: layer 0 ") and "; " in str(caught.value)
    return str(caught.value)


def arg_max(x_type: str, y_type: str, out: tuple[int, ...]) -> bytes:
    b = Builder()
    x = b.tensor((1, 4, 3), x_type, 0.1, 0)
    y = b.tensor(out, y_type)
    b.operator("ARG_MAX", [x, b.tensor((1,), "int32", data=np.array([1]))], [y])
    return b.build([x], [y])


def log_softmax(x_scale: float, y_scale: float) -> bytes:
    b = Builder()
    x, y = b.tensor((1, 4), "int8", x_scale, 0), b.tensor((1, 4), "int8", y_scale, 127)
    b.operator("LOG_SOFTMAX", [x], [y])
    return b.build([x], [y])


def quantize(source: str, target: str, ratio: float, zero: int = 0) -> bytes:
    b = Builder()
    x, y = b.tensor((4,), source, 0.1, zero), b.tensor((4,), target, 0.1 / ratio, 0)
    b.operator("QUANTIZE", [x], [y])
    return b.build([x], [y])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (reduction("MEAN", (1, 3, 4), [1], (1, 4), axis_type="int64"), "axes are not int32 constants"),
        (reduction("MEAN", (1, 3, 4), [3], (1, 4)), "axes are not int32 constants"),
        (reduction("MEAN", (1, 3, 4), [1], (1, 3)), "do not give its output's shape"),
        (reduction("MEAN", (2, 3, 2, 3, 2), [1, 3], (2, 2, 2)), "two separate runs"),
        (reduction("SUM", (1, 300, 4), [1], (1, 4), y_scale=1e-7), "overflow 32 bits"),
        (reduction("REDUCE_MAX", (1, 3, 4), [1], (1, 4), y_scale=0.2), "differ in scale"),
        (arg_max("int8", "int64", (1, 3)), "output is not int32"),
        (arg_max("int16", "int32", (1, 3)), "input is not int8"),
        (arg_max("int8", "int32", (1, 4)), "does not give its output's shape"),
        (log_softmax(0.1, 0.1), "not 1/16"),
        (log_softmax(1e-9, 1 / 16), "out of range"),
        (resize("RESIZE_BILINEAR", (2, 2), (4, 4), alignCorners=True, halfPixelCenters=True), "at once"),
        (resize("RESIZE_BILINEAR", (2, 2), (65, 4)), "reads past its input"),
        (resize("RESIZE_NEAREST_NEIGHBOR", (2, 2), (4, 4), y_scale=0.2), "differ in scale"),
        (transposed(9, 3), "more than 64 phases"),
        (transposed(2, 3, dynamic=True), "shape is not constant"),
        (division((1.0, 1.0, 1 / 30), 0), "more than 31 bits"),
        (division((1.0, 0.1, 1e-7), 0), "far below"),
        (division((1.0, 1.0, 1 / 128), 0, constant=[0]), "constant zero"),
        (quantize("int8", "int32", 2.0**22), "too far apart"),
        (quantize("int32", "int8", 2.0), "too far apart"),
        (quantize("int32", "int8", 2.0**-20, 3), "too far apart"),
        (quantize("int16", "uint8", 1.0), "its output is neither int8"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(data: bytes, words: str) -> None:
    assert words in refused(data)
