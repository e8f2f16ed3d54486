# SPDX-License-Identifier: MIT
"""RESHAPE, SQUEEZE, EXPAND_DIMS: the output is the input's memory in another shape. A pass removes them."""

from ..ir import Graph, Operator
from .base import SAME_SIZE, Kind, Rule


def _same_type(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 0).dtype == graph.output(op).dtype


def _same_but_ones(graph: Graph, op: Operator) -> bool:
    """Only axes of length 1 come or go."""
    x, y = graph.input(op, 0).shape, graph.output(op).shape
    return [n for n in x if n != 1] == [n for n in y if n != 1]


ALIASES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")  # by name: a pass makes them their input's memory

_TYPE = Rule(_same_type, "changes the type")
_ONES = Rule(_same_but_ones, "its shapes differ in more than axes of length 1", "convert the model again")

KIND = Kind(name="RESHAPE", inputs=(1, 2), rules=(_TYPE, SAME_SIZE))
SQUEEZE = Kind(name="SQUEEZE", inputs=(1, 1), rules=(_TYPE, SAME_SIZE, _ONES))
EXPAND_DIMS = Kind(name="EXPAND_DIMS", inputs=(2, 2), rules=(_TYPE, SAME_SIZE, _ONES))
