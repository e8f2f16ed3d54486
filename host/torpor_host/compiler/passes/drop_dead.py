# SPDX-License-Identifier: MIT
"""Operators that neither an output nor a variable depends on are dropped."""

from ..ir import Graph


def run(graph: Graph) -> None:
    needed = {graph.root(t) for t in graph.outputs}
    kept = []
    for op in reversed(graph.operators):
        if op.name == "ASSIGN_VARIABLE" or any(graph.root(t) in needed for t in op.outputs):
            needed.update(graph.root(t) for t in op.inputs if t >= 0)
            kept.append(op)
    graph.operators = kept[::-1]
