# SPDX-License-Identifier: MIT
"""Where each computed tensor lies in the arena, worked out once on the host.

Two tensors may share bytes when no moment needs both. The moment of operator i is i; inputs live from
before the first, outputs past the last, an operator's scratch for its moment. Aliases are one buffer, and an
element-wise operator writes over an input that nothing needs afterwards. An operator that goes through its
input row by row (`Kind.overlap`) may write its output over the rows that it has read: the output then begins
some bytes below the input, less than its own size (Blacker et al., "Diagonal Memory Optimisation for Machine
Learning on Micro-controllers"; the in-place depthwise convolution of MCUNet's TinyEngine is a case of it).

Packing intervals into the least memory is NP-hard (Dynamic Storage Allocation), so: first fit, that is each
buffer at the lowest gap that holds it, with the buffers in several fixed orders (larger first, longer first,
larger area first, ..), then seeded swaps of the best order while it exceeds the bound below. Larger-first is
TensorFlow Lite Micro's greedy planner; trying more orders is never worse. The same is done without overlaps,
and the smaller plan is taken: what is allowed in addition can mislead first fit.

Lower bound: the most bytes that are live at one moment, after in-place merging, an input and the output that
may overlap it counted as the least span that both can have. No plan can be below, and where both are equal it
is optimal. In a chain of overlapping operators each output begins lower than the one before, which no single
moment shows: there the plan may be optimal and yet above the bound.
"""

import random
from dataclasses import dataclass

from . import operators
from .ir import Graph

Near = dict[tuple[int, int], int]  # (output's root, input's root): bytes that the output must begin below it
ALIGN_BYTES = 16  # what SIMD loads of any board need; costs at most 15 bytes a tensor
_SWAPS = 400


@dataclass(frozen=True)
class Buffer:
    """`size_bytes` needed from moment `first` to moment `last`, both included."""

    root: int
    size_bytes: int
    first: int
    last: int

    def meets(self, other: "Buffer") -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Plan:
    """offsets: where each buffer lies, by its root; owner[r]: the root whose buffer root r is in; near: which
    buffers may overlap, see `overlaps`."""

    arena_bytes: int
    lower_bound_bytes: int
    offsets: dict[int, int]
    buffers: tuple[Buffer, ...]
    owner: dict[int, int]
    near: Near

    def offset(self, graph: Graph, tensor: int) -> int:
        return self.offsets[self.owner[graph.root(tensor)]] + graph.shift(tensor)

    def scratch(self, moment: int) -> int:
        """Arena offset of the scratch of operator number `moment`."""
        return self.offsets[_scratch_root(moment)]


def make(graph: Graph) -> Plan:
    buffers, owner = lifetimes(graph)
    near = overlaps(graph, buffers, owner)
    kept = sum(b.size_bytes for b in buffers if b.root == graph.state)  # first, for all of the time
    movable = [b for b in buffers if b.root != graph.state]
    bound = lower_bound(buffers, near)
    offsets, size = place(movable, bound - kept, near)
    if near and size > bound - kept:
        plain = place(movable, max(bound, lower_bound(buffers)) - kept)
        if plain[1] < size:
            offsets, size = plain
    offsets = {root: at + kept for root, at in offsets.items()}
    if graph.state is not None:
        offsets[graph.state] = 0
    return Plan(size + kept, bound, offsets, tuple(buffers), owner, near)


def _scratch_root(moment: int) -> int:
    return -1 - moment


def align(size: int) -> int:
    return (size + ALIGN_BYTES - 1) // ALIGN_BYTES * ALIGN_BYTES


def lifetimes(graph: Graph) -> tuple[list[Buffer], dict[int, int]]:
    """Return the buffers, and which buffer's root each storage root belongs to."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    size: dict[int, int] = {}
    end = len(graph.operators)

    def touch(tensor: int, moment: int) -> None:
        root = graph.root(tensor)
        first.setdefault(root, moment)
        last[root] = max(last.get(root, moment), moment)
        size[root] = max(size.get(root, 0), graph.shift(tensor) + graph.tensors[tensor].size_bytes)

    if graph.state is not None:
        touch(graph.state, -1)
        touch(graph.state, end)
    for t in graph.inputs:
        touch(t, -1)
    for i, op in enumerate(graph.operators):
        for t in graph.computed_inputs(op):
            touch(t, i)
        for t in op.outputs:
            touch(t, i)
    for t in graph.outputs:
        touch(t, end)
    owner = {root: root for root in size}
    for i in range(end):
        _merge_in_place(graph, i, first, last, size, owner)
    buffers = [Buffer(r, align(size[r]), first[r], last[r]) for r in sorted(size) if owner[r] == r]
    for i, op in enumerate(graph.operators):
        scratch = operators.KINDS[op.name].scratch(graph, op)
        if scratch:
            buffers.append(Buffer(_scratch_root(i), align(scratch), i, i))
    return buffers, owner


def _merge_in_place(
    graph: Graph,
    i: int,
    first: dict[int, int],
    last: dict[int, int],
    size: dict[int, int],
    owner: dict[int, int],
) -> None:
    """Let operator i's output take over the buffer of an input that ends with it."""
    op = graph.operators[i]
    out = graph.root(op.outputs[0])
    if owner[out] != out or first[out] != i or graph.output(op).size_bytes != size[out]:
        return  # already in place, written before, or a view of something larger
    for position in operators.KINDS[op.name].in_place:
        t = op.inputs[position]
        tensor = graph.tensors[t]
        if tensor.data is not None or tensor.size_bytes != graph.output(op).size_bytes:
            continue
        target = owner[graph.root(t)]
        if any(
            owner[graph.root(u)] == target
            and (graph.shift(u), graph.tensors[u].size_bytes) != (graph.shift(t), tensor.size_bytes)
            for u in graph.computed_inputs(op)
        ):
            continue  # another input is a part of it, to be read in another order
        if last[target] == i and target != out and size[target] == size[out]:
            last[target] = last[out]
            for root, owned in owner.items():
                if owned == out:
                    owner[root] = target
            return


def overlaps(graph: Graph, buffers: list[Buffer], owner: dict[int, int]) -> Near:
    """Return which pairs of buffers may overlap though both live at one moment, and from what distance on.

    The moment must be the input's last and the output's first, so that what else lies in the two buffers is
    not needed any more or not yet; and the operator must read nothing else from the input's buffer.
    """
    by_root = {b.root: b for b in buffers}
    near: Near = {}
    for i, op in enumerate(graph.operators):
        out = owner[graph.root(op.outputs[0])]
        read = [owner[graph.root(t)] for t in graph.computed_inputs(op)]
        if len(op.outputs) > 1 or by_root[out].first != i:
            continue
        for position, distance in operators.KINDS[op.name].overlap(graph, op).items():
            t = op.inputs[position]
            source = owner[graph.root(t)]
            if by_root[source].last != i or source == out or read.count(source) > 1:
                continue
            apart = distance + graph.shift(op.outputs[0]) - graph.shift(t)
            if align(apart) < by_root[out].size_bytes:
                near[out, source] = align(apart)
    return near


def lower_bound(buffers: list[Buffer], near: Near | None = None) -> int:
    """Return the bytes that any plan needs at least."""
    size = {b.root: b.size_bytes for b in buffers}
    shared: dict[int, int] = {}  # bytes that one of a pair saves at the moment of both, at most
    for b in buffers:
        saved = [
            size[out] + size[source] - max(size[out], size[source] + max(apart, 0))
            for (out, source), apart in (near or {}).items()
            if out == b.root
        ]
        if saved:
            shared[b.first] = shared.get(b.first, 0) + sum(saved)
    return max(
        (
            sum(b.size_bytes for b in buffers if b.first <= m <= b.last) - shared.get(m, 0)
            for m in {b.first for b in buffers}
        ),
        default=0,
    )


def _first_fit(order: list[Buffer], near: Near) -> tuple[dict[int, int], int]:
    placed: list[tuple[int, Buffer]] = []
    top = 0
    for buffer in order:
        at = 0
        # between a pair's two ends, both excluded, this buffer can't begin
        taken = [
            (
                offset - near.get((buffer.root, other.root), buffer.size_bytes),
                offset + near.get((other.root, buffer.root), other.size_bytes),
            )
            for offset, other in placed
            if buffer.meets(other)
        ]
        for low, high in sorted(taken):
            if low >= at:
                break
            at = max(at, high)
        placed.append((at, buffer))
        top = max(top, at + buffer.size_bytes)
    return {b.root: offset for offset, b in placed}, top


def place(buffers: list[Buffer], bound: int, near: Near | None = None) -> tuple[dict[int, int], int]:
    """Return (offset by root, arena bytes). The same buffers always give the same plan."""
    near = near or {}
    keys = (
        lambda b: (-b.size_bytes, b.first, b.root),
        lambda b: (b.first - b.last, -b.size_bytes, b.root),
        lambda b: (-b.size_bytes * (b.last - b.first + 1), b.root),
        lambda b: (b.first, -b.size_bytes, b.root),
        lambda b: (-b.last, -b.size_bytes, b.root),
    )
    best: tuple[dict[int, int], int] = ({}, 0)
    best_order: list[Buffer] = []
    for key in keys:
        order = sorted(buffers, key=key)
        found = _first_fit(order, near)
        if not best_order or found[1] < best[1]:
            best, best_order = found, order
    dice = random.Random(len(buffers))
    swaps = _SWAPS if 2 < len(buffers) <= 200 else 0
    for _ in range(swaps):
        if best[1] <= bound:
            break
        order = list(best_order)
        i, j = dice.randrange(len(order)), dice.randrange(len(order))
        order[i], order[j] = order[j], order[i]
        found = _first_fit(order, near)
        if found[1] <= best[1]:
            best, best_order = found, order
    return best
