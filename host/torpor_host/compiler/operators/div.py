# SPDX-License-Identifier: MIT
"""DIV, int8, with ADD's broadcasting; one side may be a constant. By or of one constant it is a LOOKUP.

TensorFlow Lite Micro divides by a fixed-point reciprocal of the divisor, which has 256 values: a table.
A computed divisor may equal its zero point: quotients then are the largest of the wrong sign, as there.
"""

import numpy as np

from ..ir import Graph, Operator, Tensor
from .add import BROADCAST, SECOND_INT8, read_activation, record
from .base import ACTIVATION, CLAMP, INT8, Kind, Places, Record, Rule, activation_range, quantize_multiplier
from .fixed import divide_by_pot, high_mul, reciprocal

_DIV, _DIV_INTO = 28, 29
_MOST_SHIFT = 22  # above it results would be shifted up, which TensorFlow Lite Micro does not
_WORD = 31
_OF_ZERO = -1515870788


def _scale(graph: Graph, op: Operator) -> tuple[int, int]:
    """Source: CalculateOpDataDiv; in double, as the PyPI wheel divides, where the sources of August 2026 have
    float32: that differs where a quotient is near a half."""
    a, b, y = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    return quantize_multiplier(float(a.scale) / (float(b.scale) * float(y.scale)))


def _distances(b: Tensor) -> np.ndarray:
    """How far from zero a divisor can be."""
    values = np.arange(-128, 128) if b.data is None else b.data.reshape(-1).astype(np.int64)
    return np.abs(values - b.zero_point)


def reciprocals() -> np.ndarray:
    """int32 [256]: of 0..255, as a fraction with the bits above its point taken off. Source: GetReciprocal,
    common.h. That of 0 is what its sums wrap to."""
    shifted = [(v << (32 - v.bit_length())) - (1 << 31) for v in range(1, 256)]
    return np.array([_OF_ZERO, *(reciprocal(v) for v in shifted)], dtype="<i4")


def _quotients(graph: Graph, op: Operator, a: np.ndarray, b: int) -> np.ndarray:
    """int8: int8 values `a`, divided by int8 `b`. As torpor.nn.div."""
    table, (multiplier, shift) = reciprocals(), _scale(graph, op)
    low, high = activation_range(op, graph.output(op))
    out = []
    for v in a.tolist():
        n, d = v - graph.input(op, 0).zero_point, b - graph.input(op, 1).zero_point
        n, d = (-n, -d) if d < 0 else (n, d)
        room = _WORD - (n if n >= 0 else ~n).bit_length()
        q = high_mul(high_mul(n << room, int(table[d])), multiplier)
        out.append(divide_by_pot(q, d.bit_length() - 1 + room - shift) + graph.output(op).zero_point)
    return np.clip(np.array(out), low, high).astype(np.int8)


def _is_table(graph: Graph, op: Operator) -> bool:
    b = graph.input(op, 1)
    return b.data is not None and b.count == 1 and graph.input(op, 0).count == graph.output(op).count


def table(graph: Graph, op: Operator) -> np.ndarray | None:
    """int8 [256] where the divisor is one constant."""
    if not _is_table(graph, op):
        return None
    data = graph.input(op, 1).data
    assert data is not None
    return _quotients(graph, op, np.arange(-128, 128), int(data.reshape(-1)[0]))


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    clamp = activation_range(op, graph.output(op))
    made = record(graph, op, places, (_DIV, _DIV_INTO), ((0, 0), (0, 0), _scale(graph, op)), clamp)
    return Record(made.code, (*made.args, places.weights(_with_bits())))


def _with_bits() -> np.ndarray:
    """int32 [512]: reciprocals of 0..255, then how many bits each of 0..255 has."""
    return np.concatenate([reciprocals(), np.array([v.bit_length() for v in range(256)], dtype="<i4")])


def _no_zero(graph: Graph, op: Operator) -> bool:
    b = graph.input(op, 1)
    return b.data is None or bool((_distances(b) > 0).all())


def _shifts_fit(graph: Graph, op: Operator) -> bool:
    """The last shift is at most 31. It is largest for a dividend of 0 or -1 and the largest divisor; the
    kernel wants it to fit for any divisor."""
    most = int(_distances(graph.input(op, 1)).max()) if _is_table(graph, op) else 255
    return _scale(graph, op)[1] >= most.bit_length() - 1


KIND = Kind(
    name="DIV",
    inputs=(2, 2),
    options="DivOptions",
    read=read_activation,
    rules=(
        INT8,
        SECOND_INT8,
        *BROADCAST,
        Rule(_no_zero, "divides by a constant zero", "take the zeros out of its divisor"),
        Rule(
            lambda g, o: _scale(g, o)[1] <= _MOST_SHIFT, "its output scale is far below its inputs'",
            "calibrate the model again",
        ),
        Rule(
            _shifts_fit,
            "its output scale is so coarse that TensorFlow Lite Micro shifts quotients near 0 by more than "
            "31 bits, which gives any value",
            "multiply by the reciprocal, or divide outside the model",
        ),
        ACTIVATION,
        CLAMP,
    ),
    lower=_lower,
    in_place=(0, 1),
)  # fmt: skip
