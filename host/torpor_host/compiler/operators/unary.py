# SPDX-License-Identifier: MIT
"""TANH, RELU, RELU6, RELU_N1_TO_1, LEAKY_RELU, HARD_SWISH and ELU, int8. A pass makes each a LOOKUP.

`TABLES[name](graph, op)` is int8 [256]: what TensorFlow Lite Micro's int8 kernel gives for -128..127.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir import Graph, Operator
from .base import (
    COMPUTED,
    INT8,
    INT8_HIGH,
    INT8_LOW,
    OPTIONS,
    SAME_SIZE,
    Kind,
    Rule,
    quantize_multiplier,
    round_away,
)
from .fixed import divide_by_pot, fraction_and_shift, input_radius, requantize, tanh

_TANH_BITS = 4
_MOST_RATIO = 2.0**20  # input scale / output scale: beyond it TensorFlow Lite Micro's 32-bit values wrap
_CALIBRATE = "calibrate the model again"


def _clamped(values: list[int], low: int = INT8_LOW, high: int = INT8_HIGH) -> np.ndarray:
    return np.clip(np.array(values), low, high).astype(np.int8)


def _ratio(graph: Graph, op: Operator) -> float:
    """Input scale over output scale, divided in double as the PyPI wheel of TensorFlow Lite Micro does.

    Its sources of August 2026 divide in float32, which differs where the quotient is near a power of two.
    """
    return float(graph.input(op, 0).scale) / float(graph.output(op).scale)


def _steps(graph: Graph, op: Operator) -> range:
    """Every input, less its zero point."""
    zero = graph.input(op, 0).zero_point
    return range(-128 - zero, 128 - zero)


# ---- TANH


def _tanh_real(graph: Graph, op: Operator) -> float:
    return float(graph.input(op, 0).scale) * (1 << (31 - _TANH_BITS))


def _tanh(graph: Graph, op: Operator) -> np.ndarray:
    """Source: CalculateArithmeticOpData (tanh.cc) and reference_integer_ops::Tanh."""
    multiplier, shift = fraction_and_shift(_tanh_real(graph, op))
    radius = input_radius(_TANH_BITS, shift)
    out = []
    for x in _steps(graph, op):
        if abs(x) >= radius:
            out.append(INT8_LOW if x <= -radius else INT8_HIGH)
        else:
            out.append(divide_by_pot(tanh(requantize(x, multiplier, shift), _TANH_BITS), 24))
    return _clamped(out)


# ---- the RELUs


def _relu(graph: Graph, op: Operator) -> np.ndarray:
    """Source: CalculateReluOpData and ReluQuantized (activations_common.cc). RELU_N1_TO_1 is
    QuantizedReluX of TensorFlow Lite's activations.cc: Micro has no such kernel."""
    y = graph.output(op)
    multiplier, shift = quantize_multiplier(_ratio(graph, op))
    low, high = y.zero_point, INT8_HIGH
    if op.name == "RELU_N1_TO_1":
        one = round_away(min(float(np.float32(1) / y.scale), 2.0**30))
        low, high = max(INT8_LOW, y.zero_point - one), min(INT8_HIGH, y.zero_point + one)
    out = [requantize(x, multiplier, shift) + y.zero_point for x in _steps(graph, op)]
    return _clamped(out, low, high)


def _relu6(graph: Graph, op: Operator) -> np.ndarray:
    """A clamp, without requantization. Source: Relu6Prepare and Relu6Quantized (activations_common.cc)."""
    x = graph.input(op, 0)
    six = min(INT8_HIGH, x.zero_point + round_away(min(float(np.float32(6) / x.scale), 2.0**30)))
    return _clamped(list(range(-128, 128)), x.zero_point, six)


def _leaky_relu(graph: Graph, op: Operator) -> np.ndarray:
    """Source: CalculateOpDataLeakyRelu and QuantizeLeakyRelu; in double, as `_ratio`."""
    y = graph.output(op)
    identity = quantize_multiplier(_ratio(graph, op))
    alpha = _leak(graph, op)
    sloped = quantize_multiplier(abs(alpha))
    sign = -1 if alpha < 0 else 1
    out = [
        (requantize(s, *identity) if s >= 0 else sign * requantize(s, *sloped)) + y.zero_point
        for s in _steps(graph, op)
    ]
    return _clamped(out)


def _leak(graph: Graph, op: Operator) -> float:
    return float(graph.input(op, 0).scale) * op.options["alpha"] / float(graph.output(op).scale)


# ---- HARD_SWISH


def _high_mul16(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul of int16: halves away from zero. b is never -32768."""
    product = a * b
    nudge = 1 << 14 if product >= 0 else 1 - (1 << 14)
    return int((product + nudge) / (1 << 15))


def _saturate16(x: int) -> int:
    return max(-(1 << 15), min((1 << 15) - 1, x))


def _multiplier16(value: float) -> tuple[int, int]:
    """(Q15 multiplier, shift). Source: DownScaleInt32ToInt16Multiplier."""
    multiplier, shift = quantize_multiplier(value)
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1), shift


def _swish_scales(graph: Graph, op: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """(multiplier, shift) of the output and of the "relu-ish" factor. Source: HardSwishPrepare; quotients
    in double, as `_ratio`."""
    fine = float(graph.input(op, 0).scale) / 128
    return _multiplier16(fine / float(graph.output(op).scale)), _multiplier16(fine / (3 / 32768))


def _swish_scales_ok(graph: Graph, op: Operator) -> bool:
    (_, out_shift), (_, shift) = _swish_scales(graph, op)
    return -14 <= out_shift <= 0 and -14 <= shift <= 30


def _hard_swish(graph: Graph, op: Operator) -> np.ndarray:
    """Source: reference_ops::HardSwish (hard_swish.h), all in int16."""
    (out_multiplier, out_shift), (multiplier, shift) = _swish_scales(graph, op)
    zero = graph.output(op).zero_point
    out = []
    for x in _steps(graph, op):
        fine = x * 128
        factor = fine
        if shift > 0:
            factor = _saturate16(factor << (shift - 1))
        factor = _high_mul16(factor, multiplier)
        if shift > 0:
            factor = _saturate16(factor << 1)
        elif shift < 0:
            factor = divide_by_pot(factor, -shift)
        factor = (factor + (1 << 15)) >> 1
        product = factor * _high_mul16(fine, out_multiplier)
        result = divide_by_pot(int(product / (1 << 15)), -out_shift) + zero
        out.append((result + (1 << 15)) % (1 << 16) - (1 << 15))  # int16_t wraps
    return _clamped(out)


# ---- ELU


def _elu(graph: Graph, op: Operator) -> np.ndarray:
    """Source: PopulateLookupTable (elu.cc), in float32 on the board too. exp is rounded from double: a libm
    whose expf errs by more than half a unit could differ by one step where that decides a rounding."""
    x, y = graph.input(op, 0), graph.output(op)
    inverse = np.float32(1) / y.scale
    out = []
    for step in _steps(graph, op):
        value = x.scale * np.float32(step)
        if value < 0:
            value = np.float32(np.float32(math.exp(float(value))) - np.float32(1))
        rescaled = np.float32(round_away(float(value * inverse)))
        out.append(int(rescaled + np.float32(y.zero_point)))
    return _clamped(out)


TABLES: dict[str, Callable[[Graph, Operator], np.ndarray]] = {
    "TANH": _tanh,
    "RELU": _relu,
    "RELU_N1_TO_1": _relu,
    "RELU6": _relu6,
    "LEAKY_RELU": _leaky_relu,
    "HARD_SWISH": _hard_swish,
    "ELU": _elu,
}


# ---- rules


def _same_quantization(graph: Graph, op: Operator) -> bool:
    x, y = graph.input(op, 0), graph.output(op)
    return x.scale == y.scale and x.zero_point == y.zero_point


def _leak_ok(graph: Graph, op: Operator) -> bool:
    return math.isfinite(_leak(graph, op)) and abs(_leak(graph, op)) < _MOST_RATIO


_RATIO = Rule(lambda graph, op: _ratio(graph, op) < _MOST_RATIO, "its scales are too far apart", _CALIBRATE)


def _kind(name: str, *rules: Rule) -> Kind:
    return Kind(name=name, inputs=(1, 1), rules=(INT8, COMPUTED, SAME_SIZE, *rules))


def _read_alpha(options: Any) -> dict[str, int | float]:
    return {"alpha": options.Alpha()}


KINDS = (
    _kind(
        "TANH",
        Rule(
            lambda g, o: g.output(o).zero_point == 0 and g.output(o).scale == np.float32(1 / 128),
            "its output's scale is not 1/128 with zero point 0",
            "convert the model again",
        ),
        Rule(lambda g, o: 1 < _tanh_real(g, o) < 2.0**30, "its input's scale is out of range", _CALIBRATE),
    ),
    _kind("RELU", _RATIO),
    _kind("RELU_N1_TO_1", _RATIO),
    _kind(
        "RELU6",
        Rule(
            _same_quantization,
            "its input and output differ in scale or zero point, which TensorFlow Lite Micro would ignore",
            "fuse it into the layer before it",
        ),
    ),
    Kind(
        name="LEAKY_RELU",
        inputs=(1, 1),
        options="LeakyReluOptions",
        read=_read_alpha,
        rules=(
            OPTIONS,
            INT8,
            COMPUTED,
            SAME_SIZE,
            _RATIO,
            Rule(_leak_ok, "its alpha is not finite or far too large", "use a slope between 0 and 1"),
        ),
    ),
    _kind(
        "HARD_SWISH",
        Rule(_swish_scales_ok, "its input's and output's scales do not fit its 16-bit sums", _CALIBRATE),
    ),
    _kind("ELU", _RATIO),
)
