# SPDX-License-Identifier: MIT
"""QUANTIZE (float32 to int8; int8 to int32 and back; int8 to int8 becomes a LOOKUP) and DEQUANTIZE
(int8 to float32)."""

import numpy as np

from ..ir import ITEM_BYTES, NUMPY, Graph, Operator, Tensor
from .base import SAME_SIZE, Kind, Places, Record, Rule, per_tensor, quantize_multiplier
from .fixed import requantize

_QUANTIZE, _DEQUANTIZE, _REQUANTIZE = 10, 11, 31
# how far left a step of the input may be shifted within 32 bits
_MOST_SHIFT = {"int8": 20, "int32": 0}


def quantize_array(x: np.ndarray, scale: np.float32, zero_point: int, dtype: str = "int8") -> np.ndarray:
    """float32 [...] to int8 or int16, as TensorFlow Lite Micro's AffineQuantize: division in float32, halves
    away from zero. Beyond them it saturates, infinities too (there the C code's conversion is undefined)."""
    with np.errstate(over="ignore"):
        ratio = np.asarray(x, dtype=np.float32) / np.float32(scale)
    wide = np.clip(ratio, np.float32(-1e6), np.float32(1e6)).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(wide) + 0.5), wide).astype(np.int64)
    limits = np.iinfo(dtype)
    return np.clip(rounded + zero_point, limits.min, limits.max).astype(NUMPY[dtype])


def requantize_table(x: Tensor, y: Tensor) -> np.ndarray:
    """[256], of y's type, from one scale and zero point to another. Source: reference_ops::Requantize."""
    multiplier, shift = _effective(x, y)
    limits = np.iinfo(NUMPY[y.dtype])
    out = [requantize(q - x.zero_point, multiplier, shift) + y.zero_point for q in range(-128, 128)]
    return np.clip(np.array(out), limits.min, limits.max).astype(NUMPY[y.dtype])


def _effective(x: Tensor, y: Tensor) -> tuple[int, int]:
    return quantize_multiplier(float(x.scale) / float(y.scale))


def _key(x: np.ndarray | np.float32) -> np.ndarray:
    """float32 to int64 that sorts alike, as torpor.nn.floats.key."""
    bits = np.asarray(x, dtype="<f4").view("<i4").astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _unkey(keys: np.ndarray) -> np.ndarray:
    bits = np.where(keys < 0, -keys | 0x80000000, keys)
    return bits.astype("<u4").view("<f4")


def thresholds(scale: np.float32, zero_point: int) -> np.ndarray:
    """int32 [255]: keys of the least float32 that quantize to -127..127, bisected on quantize_array."""
    goals = np.arange(-127, 128)
    top = int(_key(np.float32(np.inf)))
    low = np.full(255, -top, dtype=np.int64)  # -inf: quantizes to -128
    high = np.full(255, top, dtype=np.int64)
    while (high - low > 1).any():
        middle = (low + high) >> 1
        reached = quantize_array(_unkey(middle), scale, zero_point) >= goals
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle)
    return high.astype("<i4")


def dequantize_table(scale: np.float32, zero_point: int) -> np.ndarray:
    """float32 [256] for -128..127: the product in double, rounded once. Source: reference_ops::Dequantize."""
    return (np.float64(scale) * (np.arange(-128, 128) - zero_point)).astype("<f4")


def _lower_quantize(graph: Graph, op: Operator, places: Places) -> Record:
    x, y = graph.input(op, 0), graph.output(op)
    if x.dtype != "float32":
        return Record(
            _REQUANTIZE,
            (places.arena(x.index), places.arena(y.index), x.count, ITEM_BYTES[x.dtype], ITEM_BYTES[y.dtype],
             x.zero_point, *_effective(x, y), y.zero_point),
        )  # fmt: skip
    table = places.weights(thresholds(y.scale, y.zero_point))
    return Record(_QUANTIZE, (places.arena(x.index), places.arena(y.index), x.count, table))


def _lower_dequantize(graph: Graph, op: Operator, places: Places) -> Record:
    x, y = graph.input(op, 0), graph.output(op)
    table = places.weights(dequantize_table(x.scale, x.zero_point).view("<i4"))
    return Record(_DEQUANTIZE, (places.arena(x.index), places.arena(y.index), x.count, table))


def _types_ok(graph: Graph, op: Operator) -> bool:
    x, y = graph.input(op, 0), graph.output(op)
    if (x.dtype, y.dtype) not in (
        ("float32", "int8"),
        ("int8", "int8"),
        ("int8", "int32"),
        ("int32", "int8"),
    ):
        return False
    return per_tensor(y) and (x.dtype == "float32" or per_tensor(x))


def _ratio_ok(graph: Graph, op: Operator) -> bool:
    """Nothing leaves 32 bits on the way: in TensorFlow Lite Micro it would wrap."""
    x, y = graph.input(op, 0), graph.output(op)
    if x.dtype == "float32":
        return True
    if x.dtype == "int32" and x.zero_point:
        return False
    return _effective(x, y)[1] <= _MOST_SHIFT[x.dtype]


def _constant_ok(graph: Graph, op: Operator) -> bool:
    x = graph.input(op, 0)
    return x.data is None or (x.dtype != "int32" and op.outputs[0] not in graph.outputs)


_INT8_FIX = "convert with inference_input_type and inference_output_type int8"

QUANTIZE = Kind(
    name="QUANTIZE",
    inputs=(1, 1),
    rules=(
        Rule(
            _types_ok,
            "quantizes other than float32 to int8, or between int8 and int32 of one scale and zero point",
            _INT8_FIX,
        ),
        SAME_SIZE,
        Rule(_ratio_ok, "its scales are too far apart", "calibrate the model again"),
        Rule(_constant_ok, "its input is a constant", "let the converter fold constants"),
    ),
    lower=_lower_quantize,
)

DEQUANTIZE = Kind(
    name="DEQUANTIZE",
    inputs=(1, 1),
    rules=(
        Rule(
            lambda g, o: g.input(o, 0).dtype == "int8" and per_tensor(g.input(o, 0)),
            "dequantizes something other than int8 with one scale", _INT8_FIX,
        ),
        Rule(lambda g, o: g.input(o, 0).data is None, "dequantizes constants: float16 weights?", _INT8_FIX),
        Rule(lambda g, o: g.output(o).dtype == "float32", "its output is not float32", _INT8_FIX),
        SAME_SIZE,
    ),
    lower=_lower_dequantize,
)  # fmt: skip
