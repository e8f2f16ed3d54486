# SPDX-License-Identifier: MIT
"""LOOKUP, which passes make of every operator that is a function of one int8: int8 [256] tables."""

from ..ir import Graph, Operator
from .base import INT8, SAME_SIZE, Kind, Places, Record, Rule

_CODE = 8


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    assert op.table is not None
    x = graph.input(op, 0)
    return Record(
        _CODE, (places.arena(x.index), places.arena(op.outputs[0]), x.count, places.weights(op.table))
    )


def _has_table(graph: Graph, op: Operator) -> bool:
    return op.table is not None and op.table.dtype == "int8" and op.table.shape == (256,)


KIND = Kind(
    name="LOOKUP",
    inputs=(1, 1),
    rules=(Rule(_has_table, "is an operator of our own"), INT8, SAME_SIZE),
    lower=_lower,
    in_place=(0,),
)
