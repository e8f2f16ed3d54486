# SPDX-License-Identifier: MIT
"""LOGISTIC, int8. A pass makes it a LOOKUP."""

import numpy as np

from ..ir import Graph, Operator
from .base import COMPUTED, INT8, SAME_SIZE, Kind, Rule
from .fixed import divide_by_pot, fraction_and_shift, input_radius, logistic, requantize

_INTEGER_BITS = 4


def _real(graph: Graph, op: Operator) -> float:
    return float(graph.input(op, 0).scale) * (1 << (31 - _INTEGER_BITS))


def table(graph: Graph, op: Operator) -> np.ndarray:
    """int8 [256]. Source: LogisticPrepare and reference_integer_ops::Logistic, TensorFlow Lite Micro."""
    multiplier, shift = fraction_and_shift(_real(graph, op))
    radius = input_radius(_INTEGER_BITS, shift)
    zero = graph.input(op, 0).zero_point
    out = []
    for q in range(-128, 128):
        x = q - zero
        if x <= -radius:
            out.append(-128)
        elif x >= radius:
            out.append(127)
        else:
            y = logistic(requantize(x, multiplier, shift), _INTEGER_BITS)
            out.append(min(divide_by_pot(y, 23) - 128, 127))
    return np.array(out, dtype=np.int8)


KIND = Kind(
    name="LOGISTIC",
    inputs=(1, 1),
    rules=(
        INT8,
        COMPUTED,
        SAME_SIZE,
        Rule(lambda g, o: g.output(o).zero_point == -128, "its output's zero point is not -128"),
        Rule(lambda g, o: 1 < _real(g, o) < 2.0**30, "its input's scale is out of range", "calibrate again"),
    ),
)
