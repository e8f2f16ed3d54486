# SPDX-License-Identifier: MIT
"""What leaves every byte as it is needs no operator: RESHAPE and its like, PAD by nothing, CAST between types
of one size, identities.

The output becomes an alias of the input's memory.
"""

import numpy as np

from ..ir import Graph, Operator
from ..operators.ints import keeps_bits
from ..operators.pad import paddings
from ..operators.reshape import ALIASES

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
    if op.name in ALIASES:
        return True
    if op.name == "CAST":
        return keeps_bits(graph, op)
    if op.name in ("PAD", "PADV2"):
        return not paddings(graph, op).any()
    if op.name == "QUANTIZE":
        x, y = graph.input(op, 0), graph.output(op)
        return x.dtype == y.dtype and x.scale == y.scale and x.zero_point == y.zero_point
    return op.name == "LOOKUP" and op.table is not None and bool((op.table == _IDENTITY).all())
