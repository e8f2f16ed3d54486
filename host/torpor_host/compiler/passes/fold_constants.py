# SPDX-License-Identifier: MIT
"""QUANTIZE, CAST, RESHAPE and its like of a constant are constants."""

from ..ir import Graph, Operator
from ..operators.ints import cast_array
from ..operators.quantize import quantize_array, requantize_table
from ..operators.reshape import ALIASES


def run(graph: Graph) -> None:
    graph.operators = [op for op in graph.operators if not _fold(graph, op)]


def _fold(graph: Graph, op: Operator) -> bool:
    if op.name not in ("QUANTIZE", "CAST", *ALIASES) or op.outputs[0] in graph.outputs:
        return False
    x, y = graph.input(op, 0), graph.output(op)
    if x.data is None:
        return False
    if op.name in ALIASES:
        y.data = x.data.reshape(y.shape)
    elif op.name == "CAST":
        y.data = cast_array(x.data, y.dtype).reshape(y.shape)
    elif x.dtype == "float32":
        y.data = quantize_array(x.data, y.scale, y.zero_point).reshape(y.shape)
    else:
        y.data = requantize_table(x, y)[x.data.astype("i4") + 128].reshape(y.shape)
    return True
