# SPDX-License-Identifier: MIT
"""A CAST to float32 and the MUL by a constant that alone reads it are one TO_FLOAT; so is the CAST alone."""

from ..ir import Graph
from ..operators.to_float import casts_to_float, factor


def run(graph: Graph) -> None:
    by_input = {op.inputs[0]: op for op in graph.operators if op.name == "MUL" and casts_to_float(graph, op)}
    gone: set[int] = set()
    for op in graph.operators:
        if op.name != "CAST" or not casts_to_float(graph, op):
            continue
        op.name, op.options = "TO_FLOAT", {"factor": 1.0}
        scaled = by_input.get(op.outputs[0])
        if scaled is not None:
            op.options = {"factor": factor(graph, scaled)}
            op.outputs = scaled.outputs
            gone.add(id(scaled))
    graph.operators = [op for op in graph.operators if id(op) not in gone]
