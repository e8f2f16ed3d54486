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
may overlap it counted as the least span that both can have (each pair by itself: a union of sets has at least
their sum less what each pair has in common). No plan can be below, and where both are equal it is optimal. In
a chain of overlapping operators each output begins lower than the one before, which no single moment shows:
there the plan may be optimal and yet above the bound.
"""

import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from . import operators
from .ir import Graph
from .operators.parts import moved_inputs, moved_outputs

Near = dict[tuple[int, int], int]  # (output's root, input's root): bytes that the output must begin below it
ALIGN_BYTES = 16  # what SIMD loads of any board need; costs at most 15 bytes a tensor
_SWAPS = 400
_NOWHERE = -(1 << 30)  # above all that is read


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
    apart = lower_bound(buffers) - kept
    if near and size > apart:
        plain = place(movable, apart)
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

    The one, "source", must be written to the end before the other, "out", is begun. Then whatever is written
    to out must lie below all of source that is read after that; and below what is read at that very moment,
    but for the rows that the operator allows (`Kind.overlap`), if it reads source only once.
    """
    writes: dict[int, list[tuple[int, int]]] = {}  # buffer: (moment, end of what is written)
    reads: dict[int, list[tuple[int, int]]] = {}  # buffer: (moment, start of what is read)
    touched: dict[int, list[int]] = {}
    allowed: dict[tuple[int, int, int], int] = {}  # (moment, out, source): bytes below

    def note(accesses: dict[int, list[tuple[int, int]]], t: int, moment: int, at: int) -> None:
        accesses.setdefault(owner[graph.root(t)], []).append((moment, at))

    for t in graph.inputs:
        note(writes, t, -1, _end(graph, t))
        touched.setdefault(owner[graph.root(t)], []).append(-1)
    for i, op in enumerate(graph.operators):
        for t in moved_inputs(graph, op):
            note(reads, t, i, graph.shift(t))
        for t in moved_outputs(graph, op):
            note(writes, t, i, _end(graph, t))
        for t in (*graph.computed_inputs(op), *op.outputs):
            touched.setdefault(owner[graph.root(t)], []).append(i)
        read = [owner[graph.root(t)] for t in graph.computed_inputs(op)]
        for position, distance in operators.KINDS[op.name].overlap(graph, op).items():
            t = op.inputs[position]
            pair = owner[graph.root(op.outputs[0])], owner[graph.root(t)]
            if read.count(pair[1]) == 1:
                allowed[i, *pair] = distance + graph.shift(op.outputs[0]) - graph.shift(t)
    for t in graph.outputs:
        note(reads, t, len(graph.operators), graph.shift(t))
        touched.setdefault(owner[graph.root(t)], []).append(len(graph.operators))
    # what outlives its uses is kept for the next run
    within = [b for b in buffers if b.root in writes and (b.first, b.last) == _ends(touched[b.root])]
    near: Near = {}
    for out in within:
        for source in within:
            if not out.meets(source) or writes[source.root][-1][0] >= out.first:
                continue
            apart = max(
                _apart(i, end, reads.get(source.root, []), allowed.get((i, out.root, source.root)))
                for i, end in writes[out.root]
            )
            if align(apart) < out.size_bytes:
                near[out.root, source.root] = align(apart)
    return near


def _ends(moments: list[int]) -> tuple[int, int]:
    return min(moments), max(moments)


def _end(graph: Graph, tensor: int) -> int:
    return graph.shift(tensor) + graph.tensors[tensor].size_bytes


def _apart(moment: int, end: int, reads: list[tuple[int, int]], allowed: int | None) -> int:
    """Return how far below a buffer another must begin that is written up to `end` at this moment."""
    now = [end - start for i, start in reads if i == moment] if allowed is None else [allowed]
    return max(now + [end - start for i, start in reads if i > moment], default=_NOWHERE)


def lower_bound(buffers: list[Buffer], near: Near | None = None) -> int:
    """Return the bytes that any plan needs at least."""
    return max([*live_bytes(buffers, near).values(), *(b.size_bytes for b in buffers)], default=0)


def live_bytes(buffers: list[Buffer], near: Near | None = None) -> dict[int, int]:
    """Return the bytes that any plan needs at least at each moment when a buffer begins to live."""
    by_root = {b.root: b for b in buffers}
    moments = sorted({b.first for b in buffers})
    live = dict.fromkeys(moments, 0)
    for b in buffers:
        for m in moments[bisect_left(moments, b.first) : bisect_right(moments, b.last)]:
            live[m] += b.size_bytes
    for (out_root, source_root), apart in (near or {}).items():  # no pair can share more than this
        out, source = by_root[out_root], by_root[source_root]
        shared = min(source.size_bytes, out.size_bytes, out.size_bytes - apart)
        last = min(out.last, source.last)
        for m in moments[bisect_left(moments, out.first) : bisect_right(moments, last)]:
            live[m] -= shared
    return live


_Conflicts = dict[int, list[tuple[int, int, int]]]


def _conflicts(buffers: list[Buffer], near: Near) -> _Conflicts:
    """For each buffer the others it meets: (root, how far below that it must begin, or how far above)."""
    return {
        b.root: [
            (o.root, near.get((b.root, o.root), b.size_bytes), near.get((o.root, b.root), o.size_bytes))
            for o in buffers
            if o is not b and b.meets(o)
        ]
        for b in buffers
    }


def _first_fit(order: list[Buffer], conflicts: _Conflicts, most: int) -> tuple[dict[int, int], int]:
    """Return (offset by root, arena bytes); once these pass `most` it is given up."""
    offsets: dict[int, int] = {}
    top = 0
    for buffer in order:
        at = 0
        # between these two, both excluded, the buffer can't begin
        taken = [
            (offsets[o] - below, offsets[o] + above)
            for o, below, above in conflicts[buffer.root]
            if o in offsets
        ]
        for low, high in sorted(taken):
            if low >= at:
                break
            at = max(at, high)
        offsets[buffer.root] = at
        top = max(top, at + buffer.size_bytes)
        if top > most:
            break
    return offsets, top


def place(buffers: list[Buffer], bound: int, near: Near | None = None) -> tuple[dict[int, int], int]:
    """Return (offset by root, arena bytes). The same buffers always give the same plan."""
    conflicts = _conflicts(buffers, near or {})
    whole = sum(b.size_bytes for b in buffers)
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
        found = _first_fit(order, conflicts, best[1] if best_order else whole)
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
        found = _first_fit(order, conflicts, best[1])
        if found[1] <= best[1]:
            best, best_order = found, order
    return best
