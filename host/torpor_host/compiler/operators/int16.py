# SPDX-License-Identifier: MIT
"""What a 16x8 model needs around its layers of weights: QUANTIZE, DEQUANTIZE, PAD, pools, ADD, SUB, MUL, RELU
of int16. Each takes int16 as well as what its own module takes. Zero points are 0."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..ir import Graph, Operator, Tensor
from . import add, binary, pad, pool, quantize, unary
from .base import (
    COMPUTED,
    INT8,
    INT8_HIGH,
    INT8_LOW,
    INT16_HIGH,
    INT16_LOW,
    SAME_SIZE,
    Kind,
    Places,
    Record,
    Rule,
    activation_range,
    per_tensor,
    quantize_multiplier,
)
from .variants import INT16, INT16_FIX, either, has_int16, swapped, symmetric16

_REQUANTIZE, _QUANTIZE, _DEQUANTIZE, _AVERAGE, _ADD, _SUB, _SUB_FROM, _MUL = 84, 85, 86, 87, 89, 90, 91, 92
_MOST_RATIO = 2.0**14  # of scales: beyond it TensorFlow Lite Micro's 32-bit values wrap
_LEFT_SHIFT = 15
_MOST_WINDOW = 65535
_CALIBRATE = "calibrate the model again"


# ---- QUANTIZE, DEQUANTIZE, RELU


def _quantized(tensor: Tensor) -> bool:
    return symmetric16(tensor) or (tensor.dtype == "int8" and per_tensor(tensor))


def _ratio(graph: Graph, op: Operator) -> float:
    return float(graph.input(op, 0).scale) / float(graph.output(op).scale)


def _requantize(graph: Graph, op: Operator, places: Places, low: int, high: int) -> Record:
    x, y = graph.input(op, 0), graph.output(op)
    sizes = (1 if x.dtype == "int8" else 2, 1 if y.dtype == "int8" else 2)
    return Record(
        _REQUANTIZE,
        (places.arena(x.index), places.arena(y.index), x.count, *sizes, x.zero_point,
         *quantize_multiplier(_ratio(graph, op)), y.zero_point, low, high),
    )  # fmt: skip


def _parts(scale: np.float32) -> tuple[int, int]:
    """(mantissa of 24 bits, exponent) of a float32."""
    fraction, exponent = math.frexp(float(scale))
    return int(fraction * (1 << 24)), exponent - 24


def _quantize(graph: Graph, op: Operator, places: Places) -> Record:
    x, y = graph.input(op, 0), graph.output(op)
    if x.dtype != "float32":
        limits = (INT8_LOW, INT8_HIGH) if y.dtype == "int8" else (INT16_LOW, INT16_HIGH)
        return _requantize(graph, op, places, *limits)
    return Record(_QUANTIZE, (places.arena(x.index), places.arena(y.index), x.count, *_parts(y.scale)))


def _dequantize(graph: Graph, op: Operator, places: Places) -> Record:
    x, y = graph.input(op, 0), graph.output(op)
    return Record(_DEQUANTIZE, (places.arena(x.index), places.arena(y.index), x.count, *_parts(x.scale)))


_NEAR = Rule(
    lambda g, o: g.input(o, 0).dtype == "float32" or _ratio(g, o) < _MOST_RATIO,
    "its scales are too far apart", _CALIBRATE,
)  # fmt: skip
QUANTIZE = replace(
    quantize.QUANTIZE,
    rules=(
        Rule(
            lambda g, o: g.input(o, 0).dtype == "float32" or _quantized(g.input(o, 0)),
            "quantizes something other than float32, int8, or int16 with one scale and zero point 0",
            INT16_FIX,
        ),
        Rule(
            lambda g, o: _quantized(g.output(o)),
            "its output is neither int8 with one scale nor int16 with one scale and zero point 0", INT16_FIX,
        ),
        COMPUTED,
        SAME_SIZE,
        _NEAR,
    ),
    lower=_quantize,
)  # fmt: skip
DEQUANTIZE = replace(
    quantize.DEQUANTIZE,
    rules=(
        Rule(
            lambda g, o: symmetric16(g.input(o, 0)),
            "dequantizes int16 that has no single scale with zero point 0", INT16_FIX,
        ),
        COMPUTED,
        Rule(lambda g, o: g.output(o).dtype == "float32", "its output is not float32", INT16_FIX),
        SAME_SIZE,
    ),
    lower=_dequantize,
)  # fmt: skip


def _relu(graph: Graph, op: Operator, places: Places) -> Record:
    """Source: ReluQuantized: as QUANTIZE, clamped. RELU6 looks at one scale only, which its rule sees to."""
    real = {"RELU": 1, "RELU6": 3}[op.name]  # schema: ActivationFunctionType
    clamp = activation_range(replace(op, options={"activation": real}), graph.output(op))
    return _requantize(graph, op, places, *clamp)


# ---- PAD, pools


def _pad(graph: Graph, op: Operator, places: Places) -> Record:
    """As of bytes, two for each value; the zero point is 0 in both."""
    assert pad.KIND.lower is not None
    record = pad.KIND.lower(graph, op, places)
    assert isinstance(record, Record)
    a = list(record.args)
    for last in (6, 10, 14):  # of the sizes, of what lies before, of what lies behind
        a[last] *= 2
    return replace(record, args=tuple(a))


def _pad_overlap(graph: Graph, op: Operator) -> dict[int, int]:
    return {position: 2 * values for position, values in pad.KIND.overlap(graph, op).items()}


def _pool_as(kind: Kind) -> Kind:
    def lower(graph: Graph, op: Operator, places: Places) -> Record:
        assert kind.lower is not None
        record = kind.lower(graph, op, places)
        assert isinstance(record, Record)
        return replace(record, code=record.code + _AVERAGE - pool.AVERAGE_CODE)

    small = Rule(
        lambda g, o: o.options["filter_y"] * o.options["filter_x"] <= _MOST_WINDOW,
        f"its window has more than {_MOST_WINDOW} values", "pool in two steps",
    )  # fmt: skip
    return swapped(kind, {INT8.reason: INT16}, lower, small)


# ---- ADD, SUB, MUL


def _sum_scales(graph: Graph, op: Operator) -> tuple[add.Scale, add.Scale, add.Scale]:
    """As add.sum_scales, of int16."""
    a, b, y = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    twice = 2.0 * float(max(a.scale, b.scale))
    return (
        quantize_multiplier(float(a.scale) / twice),
        quantize_multiplier(float(b.scale) / twice),
        quantize_multiplier(twice / ((1 << _LEFT_SHIFT) * float(y.scale))),
    )


def _product(graph: Graph, op: Operator) -> add.Scale:
    a, b, y = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    return quantize_multiplier(float(a.scale) * float(b.scale) / float(y.scale))


def _binary_as(codes: tuple[int, int]) -> Callable[[Graph, Operator, Places], Record]:
    def lower(graph: Graph, op: Operator, places: Places) -> Record:
        one: add.Scale = (0, 0)
        scales = (one, one, _product(graph, op)) if op.name == "MUL" else _sum_scales(graph, op)
        record = add.record(graph, op, places, codes, scales, activation_range(op, graph.output(op)))
        return replace(record, args=(*record.args[:16], _LEFT_SHIFT, *record.args[17:]))

    return lower


_SECOND16 = Rule(
    lambda g, o: symmetric16(g.input(o, 1)), "its second input is not int16 with one scale and zero point 0",
    INT16_FIX,
)  # fmt: skip
_SMALL16 = Rule(
    lambda g, o: all(shift <= 0 for _, shift in _sum_scales(g, o)), add.SMALL.reason, add.SMALL.fix
)
_PRODUCT16 = Rule(lambda g, o: _product(g, o)[1] <= 0, binary.PRODUCT.reason, binary.PRODUCT.fix)


def _of(name: str, kinds: tuple[Kind, ...]) -> Kind:
    return next(kind for kind in kinds if kind.name == name)


_SUM_RULES = {INT8.reason: INT16, add.SECOND_INT8.reason: _SECOND16, add.SMALL.reason: _SMALL16}
_PRODUCT_RULES = {
    INT8.reason: INT16, add.SECOND_INT8.reason: _SECOND16, binary.PRODUCT.reason: _PRODUCT16
}  # fmt: skip
_SUB_KIND, _MUL_KIND = _of("SUB", binary.KINDS), _of("MUL", binary.KINDS)
_RELU_KIND, _RELU6_KIND = _of("RELU", unary.KINDS), _of("RELU6", unary.KINDS)

KINDS = (
    either(quantize.QUANTIZE, has_int16, QUANTIZE),
    either(quantize.DEQUANTIZE, has_int16, DEQUANTIZE),
    either(
        pad.KIND, has_int16,
        replace(swapped(pad.KIND, {INT8.reason: INT16}, _pad), overlap=_pad_overlap),
    ),
    either(pool.AVERAGE, has_int16, _pool_as(pool.AVERAGE)),
    either(pool.MAX, has_int16, _pool_as(pool.MAX)),
    either(add.KIND, has_int16, swapped(add.KIND, _SUM_RULES, _binary_as((_ADD, _ADD)))),
    either(_SUB_KIND, has_int16, swapped(_SUB_KIND, _SUM_RULES, _binary_as((_SUB, _SUB_FROM)))),
    either(_MUL_KIND, has_int16, swapped(_MUL_KIND, _PRODUCT_RULES, _binary_as((_MUL, _MUL)))),
    either(
        _RELU_KIND, has_int16,
        swapped(_RELU_KIND, {INT8.reason: INT16, "its scales are too far apart": _NEAR}, _relu),
    ),
    either(_RELU6_KIND, has_int16, swapped(_RELU6_KIND, {INT8.reason: INT16}, _relu)),
)  # fmt: skip
