# SPDX-License-Identifier: MIT
"""A LOOKUP of what a LOOKUP gives is one LOOKUP; where others read the first's output too, both stay."""

from collections import Counter

import numpy as np

from ..ir import Graph, Operator


def run(graph: Graph) -> None:
    readers = Counter(graph.root(t) for t in graph.outputs)
    for op in graph.operators:
        readers.update(graph.root(t) for t in op.inputs if t >= 0)
    made: dict[int, Operator] = {}
    gone: set[int] = set()
    for op in graph.operators:
        if op.name != "LOOKUP" or op.table is None:
            continue
        source = graph.root(op.inputs[0])
        first = made.get(source)
        if first is not None and first.table is not None and readers[source] == 1:
            op.table = op.table[first.table.astype(np.int64) + 128]
            op.inputs = first.inputs
            gone.add(id(first))
        made[graph.root(op.outputs[0])] = op
    graph.operators = [op for op in graph.operators if id(op) not in gone]
