# SPDX-License-Identifier: MIT
"""SOFTMAX, LOGISTIC and TANH of int16, by tables between whose entries the kernels interpolate."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..ir import Graph, Operator
from . import logistic, softmax, unary
from .base import INT8, Kind, Places, Record, Rule, quantize_multiplier, round_away
from .variants import INT16, either, has_int16, swapped

_SOFTMAX, _SIGMOID = 93, 94
_STEPS = 512
_MOST_TERMS = 65535
_CALIBRATE = "calibrate the model again"
_AGAIN = "convert the model again"


def interpolated(function: Callable[[float], float], low: float, high: float) -> np.ndarray:
    """int16 [513] of Q15 values at equal steps from `low` to `high`, each moved by half of what the straight
    line to the next is off in the middle. In float32, as a board does it; `function` is rounded from double.
    Source: LUTPopulateInt16 (TensorFlow Lite's common.h)."""
    f = np.float32
    step = f(f(f(high) - f(low)) / f(_STEPS))
    half = f(step / f(2))
    unit = f(2.0 / 65535)
    inverse = f(f(65536) / f(f(unit * f(32767)) - f(unit * f(-32768))))

    def value(x: np.float32) -> np.float32:
        return f(function(float(x)))

    def rounded(x: np.float32) -> np.float32:
        return f(round_away(float(x)))

    out = []
    for i in range(_STEPS):
        at = f(f(low) + f(f(i) * step))
        this, middle = value(at), value(f(at + half))
        following = value(f(f(low) + f(f(i + 1) * step)))
        sample = rounded(f(this * inverse))
        between = rounded(f(f(f(following * inverse) + sample) / f(2)))
        bias = rounded(f(f(between - rounded(f(middle * inverse))) / f(2)))
        out.append(int(min(max(f(sample - bias), f(-32768)), f(32767))))
    out.append(int(min(max(rounded(f(value(f(high)) * inverse)), f(-32768)), f(32767))))
    return np.array(out, dtype="<i2")


def exponentials() -> np.ndarray:
    """exp from -10 to 0. Source: InitializeLutForInt16, softmax_common.cc."""
    scale = np.float32(10.0) / np.float32(65535)
    return interpolated(math.exp, float(scale * np.float32(-65535)), float(scale * np.float32(0)))


def inverses() -> np.ndarray:
    """1 / (1 + x) from 0 to 1."""
    scale = np.float32(1.0) / np.float32(65535)

    def inverse(x: float) -> float:
        return float(np.float32(1) / np.float32(np.float32(1) + np.float32(x)))

    return interpolated(inverse, float(scale * np.float32(0)), float(scale * np.float32(65535)))


def sigmoids() -> np.ndarray:
    """uint16 [256]: logistic(i / 24), Q16, each raised by half of what the straight line to the next is off
    in the middle; 65535 ends it. That gives all of sigmoid_table_uint16 (TensorFlow Lite's common.h)."""

    def exact(i: float) -> float:
        return 65536 / (1 + math.exp(-i / 24))

    bent = [exact(i) + (exact(i + 0.5) - (exact(i) + exact(i + 1)) / 2) / 2 for i in range(255)]
    return np.array([*(round(v) for v in bent), 65535], dtype="<u2")


def _difference(graph: Graph, op: Operator) -> tuple[int, int]:
    """(multiplier, shift) of a difference, such that 65535 is 10. Source: CalculateSoftmaxParams."""
    beta = float(np.float32(op.options["beta"]))
    return quantize_multiplier(float(graph.input(op, 0).scale) * beta / (10.0 / 65535.0))


def _softmax(graph: Graph, op: Operator, places: Places) -> Record:
    x = graph.input(op, 0)
    depth = x.shape[-1]
    return Record(
        _SOFTMAX,
        (places.arena(x.index), places.arena(op.outputs[0]), x.count // depth, depth,
         *_difference(graph, op), places.weights(exponentials()), places.weights(inverses())),
    )  # fmt: skip


def _beta_ok(graph: Graph, op: Operator) -> bool:
    return 0 < float(op.options["beta"]) < 1e6 and _difference(graph, op)[1] <= 14


def _near_2_15(graph: Graph, op: Operator) -> bool:
    """As near as the strictest of TensorFlow Lite Micro's three checks asks for."""
    return abs(float(graph.output(op).scale) * 32768 - 1) <= 0.0006


def _input_scale(graph: Graph, op: Operator) -> tuple[int, int]:
    """(multiplier, right shift) to 1 / (3 * 4096). Source: CalculateArithmeticOpDataLogistic, tanh.cc."""
    scale = float(graph.input(op, 0).scale)
    power = round(math.log2(scale)) + 12
    exact = abs(math.log2(scale) - round(math.log2(scale))) < 1e-3
    if exact and 0 <= power <= (1 if op.name == "TANH" else 0):
        return 3 << power, 0
    shift, real = 0, scale * 4096.0 * 3.0
    while real <= 32767.0 / 2.0 and shift <= 30:
        shift += 1
        real *= 2.0
    return int(real), shift


def _sigmoid(graph: Graph, op: Operator, places: Places) -> Record:
    x = graph.input(op, 0)
    return Record(
        _SIGMOID,
        (places.arena(x.index), places.arena(op.outputs[0]), x.count, int(op.name == "TANH"),
         *_input_scale(graph, op), places.weights(sigmoids())),
    )  # fmt: skip


_Q15 = Rule(_near_2_15, "its int16 output's scale is not 1/32768", _AGAIN)
_SCALE = Rule(lambda g, o: _input_scale(g, o)[0] <= 32767, "its int16 input's scale is above 2.6", _CALIBRATE)
_TANH = next(kind for kind in unary.KINDS if kind.name == "TANH")


def _curve(kind: Kind) -> Kind:
    rules: dict[str, Rule | None] = {rule.reason: None for rule in kind.rules if "scale" in rule.reason}
    rules |= {rule.reason: None for rule in kind.rules if "zero point is" in rule.reason}
    wide = swapped(kind, rules | {INT8.reason: INT16}, _sigmoid, _Q15, _SCALE)
    return replace(either(kind, has_int16, wide), in_place=(0,))


KINDS = (
    either(
        softmax.KIND, has_int16,
        swapped(
            softmax.KIND,
            {
                INT8.reason: INT16,
                softmax.FEW.reason: Rule(
                    lambda g, o: g.input(o, 0).shape[-1] <= _MOST_TERMS,
                    f"has more than {_MOST_TERMS} classes",
                ),
                softmax.OUTPUT.reason: _Q15,
                softmax.COARSE.reason: Rule(_beta_ok, softmax.COARSE.reason, softmax.COARSE.fix),
            },
            _softmax,
        ),
    ),
    _curve(logistic.KIND),
    _curve(_TANH),
)  # fmt: skip
