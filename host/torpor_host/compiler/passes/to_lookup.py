# SPDX-License-Identifier: MIT
"""An operator that maps one int8 to one int8 becomes a LOOKUP: 256 bytes of flash, and no arithmetic."""

from collections.abc import Callable

import numpy as np

from ..ir import Graph, Operator
from ..operators import logistic, unary
from ..operators.quantize import requantize_table


def _requantize(graph: Graph, op: Operator) -> np.ndarray:
    return requantize_table(graph.input(op, 0), graph.output(op))


TABLES: dict[str, Callable[[Graph, Operator], np.ndarray]] = {
    "LOGISTIC": logistic.table,
    "QUANTIZE": _requantize,
    **unary.TABLES,
}


def run(graph: Graph) -> None:
    for op in graph.operators:
        if op.name not in TABLES or graph.input(op, 0).data is not None:
            continue
        if graph.input(op, 0).dtype == graph.output(op).dtype == "int8":
            op.table = TABLES[op.name](graph, op)
            op.name = "LOOKUP"
