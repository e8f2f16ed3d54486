# SPDX-License-Identifier: MIT
"""What leaves every byte as it is needs no operator: RESHAPE, PAD by nothing, a LOOKUP that is the identity.

The output becomes an alias of the input's memory.
"""

import numpy as np

from ..ir import Graph, Operator
from ..operators.pad import paddings

_IDENTITY = np.arange(-128, 128, dtype=np.int8)


def run(graph: Graph) -> None:
    kept = []
    for op in graph.operators:
        if _is_noop(graph, op):
            graph.storage[op.outputs[0]] = graph.root(op.inputs[0])
        else:
            kept.append(op)
    graph.operators = kept


def _is_noop(graph: Graph, op: Operator) -> bool:
    if graph.input(op, 0).data is not None:
        return False
    if op.name == "RESHAPE":
        return True
    if op.name == "PAD":
        return not paddings(graph, op).any()
    return op.name == "LOOKUP" and op.table is not None and bool((op.table == _IDENTITY).all())
