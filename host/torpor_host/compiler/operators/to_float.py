# SPDX-License-Identifier: MIT
"""CAST of int8 or int16 to float32, and the MUL by one constant that may follow it: the end of audio front
ends. A pass makes one TO_FLOAT of both."""

import math

from ..ir import Graph, Operator
from .add import read_activation
from .base import SAME_SIZE, Kind, Places, Record, Rule

_CODE = 76
_SMALL, _LARGE = 2.0**-90, 2.0**60  # beyond, results could leave float32's normal range
_TYPES = {"int8": 1, "int16": 2}


def casts_to_float(graph: Graph, op: Operator) -> bool:
    return graph.output(op).dtype == "float32"


def scales_float(graph: Graph, op: Operator) -> bool:
    """A MUL of float32, to be looked at by these rules."""
    return graph.output(op).dtype == "float32"


def factor(graph: Graph, op: Operator) -> float:
    """The constant of a MUL, NaN where there is none."""
    data = graph.input(op, 1).data
    return float(data.reshape(-1)[0]) if data is not None and data.size == 1 else math.nan


def _maker(graph: Graph, tensor: int) -> Operator | None:
    return next((o for o in graph.operators if tensor in o.outputs), None)


def _readers(graph: Graph, tensor: int) -> int:
    return sum(o.inputs.count(tensor) for o in graph.operators) + graph.outputs.count(tensor)


def _follows_cast(graph: Graph, op: Operator) -> bool:
    made = _maker(graph, op.inputs[0])
    return made is not None and made.name == "CAST" and _readers(graph, op.inputs[0]) == 1


def _factor_ok(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 1).dtype == "float32" and _SMALL <= abs(factor(graph, op)) <= _LARGE


CAST = Kind(
    name="CAST",
    inputs=(1, 1),
    rules=(
        Rule(
            lambda g, o: g.input(o, 0).dtype in _TYPES and g.input(o, 0).data is None,
            "casts to float32 from other types than int8 and int16",
            "end the model before it and convert in the application",
        ),
        SAME_SIZE,
    ),
)

MUL = Kind(
    name="MUL",
    inputs=(2, 2),
    options="MulOptions",
    read=read_activation,
    rules=(
        Rule(
            lambda g, o: _follows_cast(g, o) and o.options.get("activation", 0) == 0,
            "multiplies float32 that is no CAST's alone, or has a fused activation",
            "convert with full integer quantization",
        ),
        Rule(
            _factor_ok,
            "multiplies float32 by more than one constant",
            "convert with full integer quantization",
        ),
        SAME_SIZE,
    ),
)


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    x, y = graph.input(op, 0), graph.output(op)
    fraction, exponent = math.frexp(op.options["factor"])
    return Record(
        _CODE,
        (places.arena(x.index), places.arena(y.index), x.count, _TYPES[x.dtype], int(fraction * 2**24),
         exponent - 24),
    )  # fmt: skip


KIND = Kind(
    name="TO_FLOAT",
    inputs=(1, 1),
    rules=(Rule(lambda g, o: "factor" in o.options, "is an operator of our own"), SAME_SIZE),
    lower=_lower,
)
