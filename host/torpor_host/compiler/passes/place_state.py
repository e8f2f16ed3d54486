# SPDX-License-Identifier: MIT
"""All variables become parts of one tensor, the state, which the plan puts at the arena's start.

A value that is read is the variable's own memory where nothing writes it while the value is in use, and a
value that is assigned is computed right there where nobody needs the old bytes any more; else it is a copy.
Moments are positions in the list of operators.
"""

import numpy as np

from ..ir import Graph, Operator, Tensor

_ALIGN_BYTES = 16


def run(graph: Graph) -> None:
    used = sorted(_variables(graph))
    if not used:
        return
    state = Tensor(0, "state", (), "int8", variable=True)
    graph.state = home = graph.add(state)
    initial = np.zeros(0, dtype=np.int8)
    for v in used:
        at = -len(initial) % _ALIGN_BYTES + len(initial)
        first = graph.tensors[v].initial
        assert first is not None
        initial = np.concatenate([initial, np.zeros(at - len(initial), dtype=np.int8), first])
        graph.storage[v], graph.shifts[v] = home, at
    state.shape, state.initial = (len(initial),), initial
    views = [op for op in graph.operators if op.name == "READ_VARIABLE" and _can_view(graph, op)]
    for op in views:
        graph.storage[op.outputs[0]] = op.inputs[0]
    for op in graph.operators:
        if op.name == "ASSIGN_VARIABLE":
            _compute_there(graph, op)
    graph.operators = [op for op in graph.operators if not any(op is view for view in views)]


def _variables(graph: Graph) -> set[int]:
    touched = {t for op in graph.operators for t in (*op.inputs, *op.outputs) if t >= 0}
    return {v for t in touched if graph.tensors[v := graph.root(t)].variable}


def _variable(graph: Graph, t: int) -> int:
    """The variable whose memory t is, or -1."""
    while t != graph.state:
        if graph.tensors[t].variable:
            return t
        following = graph.storage.get(t, t)
        if following == t:
            return -1
        t = following
    return -1


def _last_use(graph: Graph, root: int) -> int:
    uses = [i for i, op in enumerate(graph.operators) for t in op.inputs if t >= 0 and graph.root(t) == root]
    return max(uses, default=-1)


def _writes(graph: Graph, variable: int) -> list[int]:
    """The moments that change the variable."""
    return [
        i
        for i, op in enumerate(graph.operators)
        if any(_variable(graph, t) == variable for t in op.outputs) and op.name != "READ_VARIABLE"
    ]


def _is_output(graph: Graph, root: int) -> bool:
    return any(graph.root(t) == root for t in graph.outputs)


def _can_view(graph: Graph, op: Operator) -> bool:
    """No write between reading and the value's last use; an output must outlive reset() and the next run."""
    value, moment = op.outputs[0], graph.operators.index(op)
    last = _last_use(graph, value)
    return not _is_output(graph, value) and not any(
        moment < write <= last for write in _writes(graph, op.inputs[0])
    )


def _compute_there(graph: Graph, op: Operator) -> None:
    """Let the assigned value be computed in the variable's memory, if the old bytes are not missed."""
    variable, value = _variable(graph, op.outputs[0]), op.inputs[0]
    root, moment = graph.root(value), graph.operators.index(op)
    made = [i for i, other in enumerate(graph.operators) if root in other.outputs]
    if not made or made[0] > moment or _is_output(graph, root) or graph.tensors[root].variable:
        return  # an input, a constant, an output, or already in the state
    if graph.shift(value) or graph.tensors[root].size_bytes != graph.tensors[variable].size_bytes:
        return
    start, end = made[0], _last_use(graph, root)
    if any(start <= write <= end and write != moment for write in _writes(graph, variable)):
        return
    for i, other in enumerate(graph.operators):
        old = any(t >= 0 and _variable(graph, t) == variable for t in other.inputs)
        if old and start <= i <= moment:
            return
    graph.storage[root] = variable
