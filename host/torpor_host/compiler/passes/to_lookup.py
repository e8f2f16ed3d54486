# SPDX-License-Identifier: MIT
"""An operator that maps one int8 to one int8 becomes a LOOKUP: 256 bytes of flash, and no arithmetic."""

from collections.abc import Callable

import numpy as np

from ..ir import Graph, Operator
from ..operators import div, logistic, reduce, unary
from ..operators.quantize import requantize_table


def _requantize(graph: Graph, op: Operator) -> np.ndarray:
    return requantize_table(graph.input(op, 0), graph.output(op))


# None: not of this operator, as it stands here
TABLES: dict[str, Callable[[Graph, Operator], np.ndarray | None]] = {
    "LOGISTIC": logistic.table,
    "QUANTIZE": _requantize,
    "DIV": div.table,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), reduce.table),
    **unary.TABLES,
}


def run(graph: Graph) -> None:
    for op in graph.operators:
        x, y = graph.input(op, 0), graph.output(op)
        if (
            op.name not in TABLES
            or x.data is not None
            or not x.dtype == y.dtype == "int8"
            or x.count != y.count
        ):
            continue
        table = TABLES[op.name](graph, op)
        if table is not None:
            op.name, op.table, op.inputs = "LOOKUP", table, op.inputs[:1]
