# SPDX-License-Identifier: MIT
"""The arena plan: what lives at one moment never overlaps, whatever the graph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.kinds import KINDS
from torpor_host.compiler import operators, passes, plan, spec, tflite
from torpor_host.compiler.ir import Graph, Operator, Quantization, Tensor
from torpor_host.compiler.plan import Buffer


@st.composite
def lives(draw: st.DrawFn) -> list[Buffer]:
    n = draw(st.integers(1, 24))
    spans = [sorted((draw(st.integers(-1, 12)), draw(st.integers(-1, 12)))) for _ in range(n)]
    return [Buffer(i, 16 * draw(st.integers(1, 40)), a, b) for i, (a, b) in enumerate(spans)]


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[Buffer], plan.Near]:
    """Layers in a row, some of which may write over their input; and what else lives meanwhile."""
    n = draw(st.integers(2, 12))
    buffers = [Buffer(i, 16 * draw(st.integers(1, 40)), i - 1, i) for i in range(n)]
    near = {}
    for i in range(1, n):
        apart = 16 * draw(st.integers(-4, 40))
        if apart < buffers[i].size_bytes:
            near[i, i - 1] = apart
    for k in range(draw(st.integers(0, 4))):
        first, last = sorted((draw(st.integers(-1, n)), draw(st.integers(-1, n))))
        buffers.append(Buffer(n + k, 16 * draw(st.integers(1, 9)), first, last))
    return buffers, near


def overlap_free(buffers: list[Buffer], offsets: dict[int, int], size: int, near: plan.Near) -> None:
    for i, a in enumerate(buffers):
        start, end = offsets[a.root], offsets[a.root] + a.size_bytes
        assert start >= 0 and end <= size and start % plan.ALIGN_BYTES == 0
        for b in buffers[i + 1 :]:
            if a.meets(b):
                other = offsets[b.root]
                above, below = (near.get(pair, 1 << 30) for pair in ((a.root, b.root), (b.root, a.root)))
                apart = end <= other or other + b.size_bytes <= start
                assert apart or start + above <= other or other + below <= start, (a, b)


@settings(max_examples=150, deadline=None)
@given(lives())
def test_placement_never_overlaps(buffers: list[Buffer]) -> None:
    bound = plan.lower_bound(buffers)
    offsets, size = plan.place(buffers, bound)
    overlap_free(buffers, offsets, size, {})
    assert bound <= size <= sum(b.size_bytes for b in buffers)
    assert plan.place(buffers, bound) == (offsets, size)


@settings(max_examples=150, deadline=None)
@given(chains())
def test_overlapping_chains(drawn: tuple[list[Buffer], plan.Near]) -> None:
    buffers, near = drawn
    bound = plan.lower_bound(buffers, near)
    offsets, size = plan.place(buffers, bound, near)
    overlap_free(buffers, offsets, size, near)
    assert bound <= size and bound <= plan.lower_bound(buffers)
    assert plan.place(buffers, bound, near) == (offsets, size)


def planned(kind: str, seed: int) -> tuple[Graph, plan.Plan]:
    case = KINDS[kind](np.random.default_rng(seed))
    graph = tflite.parse(case.model, "case")
    spec.accept(graph)
    for label, run in passes.PASSES:
        run(graph)
        spec.check(graph, label)
    return graph, plan.make(graph)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["network", "add", "conv", "depthwise_conv"])
def test_graphs_never_overlap(kind: str, seed: int) -> None:
    graph, layout = planned(kind, seed)
    overlap_free(list(layout.buffers), layout.offsets, layout.arena_bytes, layout.near)
    for i, op in enumerate(graph.operators):
        out = layout.offset(graph, op.outputs[0])
        for t in graph.computed_inputs(op):
            where = layout.offset(graph, t)
            size = graph.tensors[t].size_bytes
            apart = out + graph.output(op).size_bytes <= where or where + size <= out
            in_place = op.name in ("ADD", "SOFTMAX", "LOOKUP") and out == where
            distance = operators.KINDS[op.name].overlap(graph, op).get(op.inputs.index(t), 1 << 30)
            assert apart or in_place or out + distance <= where, (op.name, i)


def test_network_uses_its_chances() -> None:
    """LOGISTIC in place of ADD's output, RESHAPE an alias: neither costs memory."""
    graph, layout = planned("network", 0)
    names = [op.name for op in graph.operators]
    assert "RESHAPE" not in names and "LOGISTIC" not in names and "LOOKUP" in names
    gate = graph.operators[names.index("LOOKUP")]
    assert layout.offset(graph, gate.inputs[0]) == layout.offset(graph, gate.outputs[0])
    assert layout.arena_bytes == layout.lower_bound_bytes


def lookups(uses: list[tuple[int, int]], outputs: tuple[int, ...]) -> Graph:
    """A graph of LOOKUPs: (input, output) pairs over 16-byte tensors; tensor 0 is its input."""
    q = Quantization(np.array([0.1], dtype=np.float32), np.array([0]))
    count = 1 + max(max(u) for u in uses)
    tensors = {i: Tensor(i, f"t{i}", (16,), "int8", q) for i in range(count)}
    table = np.zeros(256, dtype=np.int8)
    ops = [Operator(i, "LOOKUP", 1, (x,), (y,), table=table) for i, (x, y) in enumerate(uses)]
    return Graph("g", tensors, ops, (0,), outputs)


def test_in_place_only_when_nothing_needs_the_input_afterwards() -> None:
    chain = plan.make(lookups([(0, 1), (1, 2), (2, 3)], (3,)))
    assert chain.arena_bytes == 16
    fork = lookups([(0, 1), (0, 2)], (1, 2))
    layout = plan.make(fork)
    assert layout.arena_bytes == 32
    assert layout.offset(fork, 0) != layout.offset(fork, 1)
    kept = lookups([(0, 1), (1, 2)], (1, 2))
    layout = plan.make(kept)
    assert layout.offset(kept, 1) != layout.offset(kept, 2)


def windows(stride: int, rows: int, out_rows: int, c: int, n: int) -> Graph:
    """One 3 x 1 MAX_POOL_2D or, for c != n, CONV_2D of [1, rows, 1, c]."""
    q = Quantization(np.array([0.1], dtype=np.float32), np.array([0]))
    tensors = {
        0: Tensor(0, "x", (1, rows, 1, c), "int8", q),
        1: Tensor(1, "y", (1, out_rows, 1, n), "int8", q),
        2: Tensor(2, "w", (n, 3, 1, c), "int8", q, np.zeros((n, 3, 1, c), dtype=np.int8)),
    }
    options: dict[str, int | float] = dict.fromkeys(("stride_x", "dilation_y", "dilation_x", "filter_x"), 1)
    options |= {"padding": 0, "stride_y": stride, "filter_y": 3}
    name, inputs = ("MAX_POOL_2D", (0,)) if c == n else ("CONV_2D", (0, 2))
    return Graph("g", tensors, [Operator(0, name, 1, inputs, (1,), options)], (0,), (1,))


@pytest.mark.parametrize(
    ("graph", "apart"),
    [
        (windows(1, 12, 10, 16, 16), 16),  # one row ahead
        (windows(3, 30, 10, 16, 16), 16),  # the first row is where it is closest
        (windows(1, 12, 10, 16, 32), 32 * 10 - 16 * 9),  # output rows are larger: the last one
        (windows(2, 21, 10, 16, 32), 32),
    ],
)
def test_distance_of_overlapping_rows(graph: Graph, apart: int) -> None:
    layout = plan.make(graph)
    assert layout.near == {(1, 0): apart}
    assert layout.offset(graph, 0) - layout.offset(graph, 1) == apart


def test_nothing_lies_over_an_input_that_is_needed_later() -> None:
    graph = windows(1, 12, 10, 16, 16)
    graph.outputs = (1, 0)
    layout = plan.make(graph)
    assert not layout.near and layout.arena_bytes == 16 * 22


def test_first_fit_alone_is_beaten() -> None:
    """Sizes where larger-first leaves a gap; the other orders and the swaps close it."""
    buffers = [
        Buffer(0, 32, 0, 1),
        Buffer(1, 64, 1, 2),
        Buffer(2, 48, 2, 3),
        Buffer(3, 32, 3, 4),
        Buffer(4, 16, 0, 4),
    ]
    _, size = plan.place(buffers, plan.lower_bound(buffers))
    assert size == plan.lower_bound(buffers)
