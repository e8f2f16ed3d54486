# SPDX-License-Identifier: MIT
"""Layers of weights in two widths: int16 activations with int8 weights (16x8), int8 with int4 weights (8x4).

CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED; the last is a 1x1 convolution of a row of its batches.
int4 weights stay two a byte in flash.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..ir import Graph, Operator
from . import conv, fully_connected
from .base import INT8, Kind, Places, Record, Rule, activation_range, padding_before
from .variants import INT16, INT16_FIX, either, has_int16, swapped
from .weights import BIAS, INT8_WEIGHTS, multipliers, sums_fit

_CONV4, _DEPTHWISE4, _CONV16, _DEPTHWISE16 = range(80, 84)
_INT32, _MOST_SUM = 1 << 31, 1 << 47
_MOST_WIDE_SHIFT = 7
_BIAS_BITS = 24
_INT32_TYPE = 2  # schema: TensorType.INT32


def _has_int4(graph: Graph, op: Operator) -> bool:
    weights = graph.optional_input(op, 1)
    return weights is not None and weights.dtype == "int4" and not has_int16(graph, op)


def _is_wide(graph: Graph, op: Operator) -> bool:
    """Sums of 64 bits, rounded once? Without a bias an option says; DEPTHWISE_CONV_2D knows no other."""
    bias = graph.optional_input(op, 2)
    if op.name == "DEPTHWISE_CONV_2D":
        return True
    return bias.dtype == "int64" if bias is not None else op.options.get("bias_type") != _INT32_TYPE


def _bias16_ok(graph: Graph, op: Operator) -> bool:
    bias = graph.optional_input(op, 2)
    if bias is None:
        return True
    return bias.data is not None and bias.dtype in ("int64",) + (() if _is_wide(graph, op) else ("int32",))


def reduced(multiplier: int) -> int:
    """The 15 bits of a Q31 multiplier that sums of 64 bits are scaled by. Source:
    MultiplyByQuantizedMultiplier(int64_t, ..), TensorFlow Lite's common.cc."""
    return (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF


def _most(graph: Graph, op: Operator, axis: int) -> int:
    """The largest absolute sum that any int16 input can give."""
    weights, bias = graph.input(op, 1), graph.optional_input(op, 2)
    assert weights.data is not None
    w = np.moveaxis(weights.data, axis, 0).reshape(weights.shape[axis], -1).astype(np.int64)
    sums = [int(n) << 15 for n in np.abs(w).sum(axis=1)]
    if bias is not None and bias.data is not None:
        sums = [n + abs(int(b)) for n, b in zip(sums, bias.data.reshape(-1), strict=True)]
    return max(sums)


def _sums16_fit(axis: int) -> Rule:
    """What wraps in TensorFlow Lite Micro is refused: sums, what they scale to, too large a shift."""

    def test(graph: Graph, op: Operator) -> bool:
        most, pairs = _most(graph, op, axis), multipliers(graph, op)
        left = max(0, *(s for _, s in pairs))
        if not _is_wide(graph, op):
            return left <= 30 and most << left < _INT32
        if most >= _MOST_SUM or left > _MOST_WIDE_SHIFT:
            return False
        return all((most * reduced(m) >> (15 - s)) + 1 < _INT32 for m, s in pairs)

    return Rule(
        test, "its sums, or what they scale to, can overflow",
        "give it an int64 bias, or calibrate again: its scales or bias are out of range",
    )  # fmt: skip


def _put_bias(graph: Graph, op: Operator, places: Places, units: int) -> int:
    """Two int32 a unit: its low 24 bits, and the rest. An int64 bias needs them, and any other may be so."""
    bias = graph.optional_input(op, 2)
    values = np.zeros(units, np.int64) if bias is None or bias.data is None else bias.data.reshape(-1)
    values = values.astype(np.int64)
    pairs = np.stack([values & ((1 << _BIAS_BITS) - 1), values >> _BIAS_BITS], axis=1)
    return places.weights(pairs.astype("<i4"))


def pack_int4(values: np.ndarray) -> np.ndarray:
    """int8 -8..7 -> uint8, two a byte, the low half first, as in the .tflite."""
    halves = np.append(values.reshape(-1), np.zeros(values.size % 2, np.int8)).astype(np.uint8) & 15
    return (halves[::2] | halves[1::2] << 4).astype(np.uint8)


def _window(graph: Graph, op: Operator) -> tuple[int, ...]:
    """The record from `batches` to `padding left`."""
    x, w, y = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    if op.name == "FULLY_CONNECTED":
        units, depth = w.shape
        rows = y.count // units
        return (1, 1, rows, depth, 1, rows, units, 1, 1, 1, 1, 1, 1, 0, 0)
    o = {k: int(v) for k, v in op.options.items()}
    (b, h, wd, c), (_, fh, fw, _), (_, oh, ow, n) = x.shape, w.shape, y.shape
    return (
        b, h, wd, c, oh, ow, n, fh, fw, o["stride_y"], o["stride_x"], o["dilation_y"], o["dilation_x"],
        padding_before(o["padding"], h, fh, o["stride_y"], o["dilation_y"], oh),
        padding_before(o["padding"], wd, fw, o["stride_x"], o["dilation_x"], ow),
    )  # fmt: skip


def _lower_as(code: int, axis: int) -> Callable[[Graph, Operator, Places], Record]:
    def lower(graph: Graph, op: Operator, places: Places) -> Record:
        x, w, y = graph.input(op, 0), graph.input(op, 1), graph.output(op)
        assert w.data is not None
        pairs = multipliers(graph, op)
        wide = code >= _CONV16 and _is_wide(graph, op)
        if wide:
            pairs = [(reduced(m), s) for m, s in pairs]
        return Record(
            code,
            (places.arena(x.index), places.arena(y.index), *_window(graph, op),
             places.weights(pack_int4(w.data) if code < _CONV16 else w.data),
             _put_bias(graph, op, places, w.shape[axis]),
             places.weights(np.array([m for m, _ in pairs], dtype="<i4")),
             places.weights(np.array([s for _, s in pairs], dtype="<i4")),
             int(len(pairs) > 1), int(wide), x.zero_point, y.zero_point, *activation_range(op, y)),
        )  # fmt: skip

    return lower


_INT8_WEIGHTS16 = Rule(
    INT8_WEIGHTS.test, "its activations are int16 and its weights not int8", INT16_FIX,
)  # fmt: skip
_BIAS16 = Rule(
    _bias16_ok, "its bias is not a constant int64 (CONV_2D and FULLY_CONNECTED: or int32)",
    "convert with the default int64 biases of 16x8",
)  # fmt: skip
_ONE_SCALE = Rule(
    lambda g, o: g.input(o, 1).quantization is not None and len(g.input(o, 1).quantization.scales) == 1,  # type: ignore[union-attr]
    "has int4 weights with a scale per unit, which TensorFlow Lite Micro does not run",
    "quantize its weights with one scale, or as int8, or write it as a 1x1 CONV_2D",
)


def _widened(kind: Kind, code: int, axis: int, *more: Rule) -> Kind:
    four = swapped(kind, {INT8_WEIGHTS.reason: None}, _lower_as(code, axis), *more)
    sixteen = swapped(
        kind,
        {
            INT8.reason: INT16,
            INT8_WEIGHTS.reason: _INT8_WEIGHTS16,
            BIAS.reason: _BIAS16,
            sums_fit(axis).reason: _sums16_fit(axis),
        },
        _lower_as(code + _CONV16 - _CONV4, axis),
    )
    both = either(either(kind, _has_int4, four), has_int16, sixteen)
    if kind.name == "DEPTHWISE_CONV_2D":
        return both
    return replace(both, read=lambda o: {**kind.read(o), "bias_type": o.QuantizedBiasType()})


KINDS = (
    _widened(conv.CONV_2D, _CONV4, 0),
    _widened(conv.DEPTHWISE_CONV_2D, _DEPTHWISE4, 3),
    _widened(fully_connected.KIND, _CONV4, 0, _ONE_SCALE),
)
