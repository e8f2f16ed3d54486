# SPDX-License-Identifier: MIT
"""What need not be copied: a part of a tensor that is used where it lies, a part written where it belongs.

SPLIT along the outermost axis gives views of its input; CONCATENATION's inputs are computed into its output.
A view keeps the whole tensor alive, so each is made only if the least memory that any plan needs does not
grow. Views begin at multiples of 16 bytes, as every tensor does.
"""

from . import plan
from .ir import Graph, Operator
from .operators.move import Part
from .operators.parts import PARTS


def run(graph: Graph) -> None:
    best = _bound(graph)
    for op in graph.operators:
        if op.name not in PARTS:
            continue
        before = dict(graph.storage), dict(graph.shifts)
        for part in PARTS[op.name](graph, op):
            _link(graph, op, part)
        if (graph.storage, graph.shifts) == before:
            continue
        bound = _bound(graph)
        if bound[0] > best[0] or bound[1] > best[1]:
            graph.storage, graph.shifts = before
        else:
            best = bound


def _bound(graph: Graph) -> tuple[int, int]:
    """With overlaps of inputs and outputs, which a view may rule out, and without."""
    buffers, owner = plan.lifetimes(graph)
    return plan.lower_bound(buffers, plan.overlaps(graph, buffers, owner)), plan.lower_bound(buffers)


def _link(graph: Graph, op: Operator, part: Part) -> None:
    """Make the smaller of a part's two tensors a view of the other, where that is one run of bytes."""
    source, target = graph.tensors[part.source], graph.tensors[part.target]
    roots = graph.root(part.source), graph.root(part.target)
    if source.data is not None or not part.is_block or roots[0] == roots[1] or graph.state in roots:
        return  # what the state holds when is for place_state to say
    joins = len(op.inputs) > 1 and op.name in ("PACK", "CONCATENATION")
    inner, outer, shift = (source, target, part.to) if joins else (target, source, part.at)
    root = graph.root(inner.index)
    whole = graph.shift(inner.index) == 0 and graph.tensors[root].size_bytes == inner.size_bytes
    if whole and (shift + graph.shift(outer.index)) % plan.ALIGN_BYTES == 0:
        graph.storage[root] = outer.index
        graph.shifts[root] = shift
