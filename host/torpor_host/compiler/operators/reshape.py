# SPDX-License-Identifier: MIT
"""RESHAPE: the output is its input's memory under another shape. A pass removes it."""

from ..ir import Graph, Operator
from .base import SAME_SIZE, Kind, Rule


def _same_type(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 0).dtype == graph.output(op).dtype


KIND = Kind(name="RESHAPE", inputs=(1, 2), rules=(Rule(_same_type, "changes the type"), SAME_SIZE))
