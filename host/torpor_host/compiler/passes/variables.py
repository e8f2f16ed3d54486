# SPDX-License-Identifier: MIT
"""Named variables become tensors: VAR_HANDLE and CALL_ONCE go, what they said is in `Tensor.initial`.

READ_VARIABLE reads the variable's tensor; ASSIGN_VARIABLE makes a tensor of its own that lies in the
variable's memory, so that every operator has an output and no tensor is written twice.
"""

import numpy as np

from ..ir import Graph, Operator, Tensor
from ..operators import KINDS, variables


def run(graph: Graph) -> None:
    names = variables.handles(graph)
    made: dict[str, int] = {}
    for name, v in variables.of(graph).items():
        copy = Tensor(0, name, v.value.shape, v.value.dtype, v.value.quantization)
        copy.variable, copy.initial = True, v.initial
        made[name] = graph.add(copy)
    kept = []
    for op in graph.operators:
        if op.name in ("VAR_HANDLE", "CALL_ONCE"):
            continue
        if op.name == "READ_VARIABLE":
            op.inputs = (made[names[op.inputs[0]]],)
        elif op.name == "ASSIGN_VARIABLE":
            op.inputs, op.outputs = (op.inputs[1],), (_target(graph, made[names[op.inputs[0]]]),)
        else:
            _own_state(graph, op)
        kept.append(op)
    graph.operators = kept


def _target(graph: Graph, variable: int) -> int:
    """A new tensor in the memory of `variable`."""
    v = graph.tensors[variable]
    index = graph.add(Tensor(0, v.name, v.shape, v.dtype, v.quantization))
    graph.storage[index] = variable
    return index


def _own_state(graph: Graph, op: Operator) -> None:
    """The variable tensors of an operator start as interpreter.reset() leaves them. Source: ResetTensorData,
    micro_interpreter_graph.cc."""
    kept = KINDS[op.name].kept(graph, op)
    if kept:
        hidden = Tensor(0, f"state of layer {op.layer}", (kept,), "int8", variable=True)
        op.inputs = (*op.inputs, graph.add(hidden))
    for position in KINDS[op.name].state:
        t = graph.input(op, position)
        zero = t.zero_point if t.dtype == "int8" and t.quantization is not None else 0
        t.initial = np.full(t.size_bytes, zero, dtype=np.int8)
