# SPDX-License-Identifier: MIT
"""The arena plan: what lives at one moment never overlaps, whatever the graph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.kinds import KINDS
from torpor_host.compiler import passes, plan, spec, tflite
from torpor_host.compiler.ir import Graph, Operator, Quantization, Tensor
from torpor_host.compiler.plan import Buffer


@st.composite
def lives(draw: st.DrawFn) -> list[Buffer]:
    n = draw(st.integers(1, 24))
    spans = [sorted((draw(st.integers(-1, 12)), draw(st.integers(-1, 12)))) for _ in range(n)]
    return [Buffer(i, 16 * draw(st.integers(1, 40)), a, b) for i, (a, b) in enumerate(spans)]


def overlap_free(buffers: list[Buffer], offsets: dict[int, int], size: int) -> None:
    for i, a in enumerate(buffers):
        start, end = offsets[a.root], offsets[a.root] + a.size_bytes
        assert start >= 0 and end <= size and start % plan.ALIGN_BYTES == 0
        for b in buffers[i + 1 :]:
            if a.meets(b):
                other = offsets[b.root]
                assert end <= other or other + b.size_bytes <= start, (a, b)


@settings(max_examples=150, deadline=None)
@given(lives())
def test_placement_never_overlaps(buffers: list[Buffer]) -> None:
    bound = plan.lower_bound(buffers)
    offsets, size = plan.place(buffers, bound)
    overlap_free(buffers, offsets, size)
    assert bound <= size <= sum(b.size_bytes for b in buffers)
    assert plan.place(buffers, bound) == (offsets, size)


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
    overlap_free(list(layout.buffers), layout.offsets, layout.arena_bytes)
    for i, op in enumerate(graph.operators):
        out = layout.offset(graph, op.outputs[0])
        for t in graph.computed_inputs(op):
            where = layout.offset(graph, t)
            size = graph.tensors[t].size_bytes
            apart = out + graph.output(op).size_bytes <= where or where + size <= out
            in_place = op.name in ("ADD", "SOFTMAX", "LOOKUP") and out == where
            assert apart or in_place, (op.name, i)


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
