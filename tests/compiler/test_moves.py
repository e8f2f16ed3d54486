# SPDX-License-Identifier: MIT
"""Operators that move bytes: what is copied, what is only looked at, and what is refused."""

import numpy as np
import pytest

from compiler.builder import Builder, oracle
from compiler.cases_move import KINDS
from compiler.executors import execute
from torpor_host.compiler import compile_bytes, image, plan, spec, tflite, views
from torpor_host.compiler.operators.move import Part
from torpor_host.compiler.passes import PASSES
from torpor_host.errors import CompileError

Q = (1 / 256, -128)


def names(data: bytes) -> list[str]:
    return [op.name for op in image.read(compile_bytes(data, "m").image, "m").operators]


def same(data: bytes, *inputs: np.ndarray) -> None:
    compiled = compile_bytes(data, "m")
    want = oracle(data, list(inputs), len(compiled.report["outputs"]))
    for got, wanted in zip(execute(compiled.image, list(inputs), "reference"), want, strict=True):
        assert np.array_equal(got, wanted.reshape(-1))


def halves(axis: int, n: int) -> tuple[bytes, np.ndarray]:
    """tanh(x) is split in two, and each half TANHed again."""
    b = Builder()
    whole, half = ((2 * n, 16), (n, 16)) if axis == 0 else ((n, 32), (n, 16))
    x, s = b.tensor(whole, "int8", 0.05, 0), b.tensor(whole, "int8", 1 / 128, 0)
    parts = [b.tensor(half, "int8", 1 / 128, 0) for _ in range(4)]
    b.operator("TANH", [x], [s])
    b.operator("SPLIT", [b.tensor((1,), "int32", data=np.array([axis])), s], parts[:2], numSplits=2)
    b.operator("TANH", [parts[0]], [parts[2]])
    b.operator("TANH", [parts[1]], [parts[3]])
    return b.build([x], parts[2:]), np.arange(-16 * n, 16 * n).astype(np.int8).reshape(whole)


def test_parts_along_the_outermost_axis_are_views() -> None:
    data, x = halves(0, 3)
    assert names(data) == ["LOOKUP"] * 3
    same(data, x)


def test_parts_along_an_inner_axis_are_copied() -> None:
    data, x = halves(1, 3)
    assert names(data) == ["LOOKUP", "COPY", "COPY", "LOOKUP", "LOOKUP"]
    same(data, x)


def test_an_alias_read_before_its_tensor_is_joined() -> None:
    """As in microWakeWord's models: what was reshaped is used, then joined with something else."""
    b = Builder()
    x, h, y = (
        b.tensor((1, 16), "int8", 0.1, 0),
        b.tensor((1, 16), "int8", 0.1, 0),
        b.tensor((1, 16), "int8", 0.1, 0),
    )
    flat, whole = b.tensor((16,), "int8", 0.1, 0), b.tensor((1, 32), "int8", 0.1, 0)
    z = b.tensor((16,), "int8", 0.1, 0)
    b.operator("RELU", [x], [h])
    b.operator("RESHAPE", [h, b.tensor((1,), "int32", data=np.array([16]))], [flat])
    b.operator("LEAKY_RELU", [flat], [z], alpha=0.5)
    b.operator("RESHAPE", [z, b.tensor((2,), "int32", data=np.array([1, 16]))], [y])
    b.operator("CONCATENATION", [h, y], [whole], axis=1)
    data = b.build([x], [whole])
    assert names(data) == ["LOOKUP", "LOOKUP"]
    same(data, np.arange(-8, 8).astype(np.int8).reshape(1, 16))


def test_concatenation_is_computed_in_place() -> None:
    b = Builder()
    x, y = b.tensor((1, 16), "int8", 0.1, 0), b.tensor((1, 32), "int8", 0.1, 0)
    parts = [b.tensor((1, 16), "int8", 0.1, 0) for _ in range(2)]
    b.operator("RELU", [x], [parts[0]])
    b.operator("LEAKY_RELU", [x], [parts[1]], alpha=0.5)
    b.operator("CONCATENATION", parts, [y], axis=1)
    data = b.build([x], [y])
    assert names(data) == ["LOOKUP", "LOOKUP"]
    assert compile_bytes(data, "m").report["arena_bytes"] == 48
    same(data, np.arange(-8, 8).astype(np.int8).reshape(1, 16))


def test_a_view_that_would_cost_memory_is_a_copy() -> None:
    """16 bytes of 1024 are needed to the end: better copied than 1024 kept through the widest layer."""
    b = Builder()
    x, s = b.tensor((64, 16), "int8", 0.05, 0), b.tensor((64, 16), "int8", *Q)
    small, wide = b.tensor((1, 16), "int8", *Q), b.tensor((66, 18), "int8", *Q)
    b.operator("LOGISTIC", [x], [s])
    at, size = (b.tensor((2,), "int32", data=np.array(v)) for v in ([0, 0], [1, 16]))
    b.operator("SLICE", [s, at, size], [small])
    b.operator("PAD", [s, b.tensor((2, 2), "int32", data=np.ones((2, 2)))], [wide])
    last = b.tensor((66, 18), "int8", *Q)
    corner = b.tensor((66, 18), "int8", *Q)
    b.operator("SOFTMAX", [wide], [corner], beta=1.0)
    b.operator("PAD", [corner, b.tensor((2, 2), "int32", data=np.zeros((2, 2)))], [last])
    data = b.build([x], [small, last])
    report = compile_bytes(data, "m").report
    assert report["arena_bytes"] <= 1024 + 1200 + 16
    same(data, np.arange(1024).astype(np.int8).reshape(64, 16))


@pytest.mark.parametrize("kind", ["branches", "concatenation", "split", "pack", "unpack", "slice_"])
def test_views_never_share_what_lives_together(kind: str) -> None:
    """Each tensor's bytes, from its first use to its last, are nobody's but those it is a part of."""
    made = 0
    for seed in range(25):
        graph = tflite.parse(KINDS[kind](np.random.default_rng([3, seed])).model, "m")
        spec.accept(graph)
        for _, run in PASSES:
            run(graph)
        before = plan.lower_bound(plan.lifetimes(graph)[0])
        views.run(graph)
        layout = plan.make(graph)
        assert layout.lower_bound_bytes <= before
        made += sum(graph.shifts.values()) > 0
        for t in graph.tensors:
            if graph.tensors[t].data is None and graph.root(t) in layout.owner:
                root = layout.owner[graph.root(t)]
                size = next(b.size_bytes for b in layout.buffers if b.root == root)
                assert graph.shift(t) % plan.ALIGN_BYTES == 0
                assert graph.shift(t) + graph.tensors[t].size_bytes <= size
    assert made or kind == "slice_", "no seed made a view"


def test_axes_merge_where_memory_runs_on() -> None:
    part = Part(0, 1, (2, 1, 3, 4, 5), (60, 60, 20, 5, 1), (60, 9, 20, 5, 1))
    assert part.axes() == [(120, 1, 1)] and part.is_block
    assert Part(0, 1, (2, 3), (1, 2), (3, 1)).axes() == [(2, 1, 3), (3, 2, 1)]
    assert Part(0, 1, (1, 1), (0, 0), (0, 0)).is_block


def moved(name: str, second: object, out: tuple[int, ...], scale: float = 0.1, **options: object) -> bytes:
    b = Builder()
    x, y = b.tensor((4, 6), "int8", 0.1, 0), b.tensor(out, "int8", scale, 0)
    more = [] if second is None else [b.tensor(np.shape(second), "int32", data=np.array(second))]
    if name == "STRIDED_SLICE":
        more += [
            b.tensor((2,), "int32", data=np.array([4, 6])),
            b.tensor((2,), "int32", data=np.array([1, 1])),
        ]
    inputs = [x, x] if name == "CONCATENATION" else [x, *more]
    b.operator(name, inputs, [y], 1, **options)
    return b.build([x], [y])


def test_what_does_not_fit_is_named() -> None:
    for data, words in (
        (moved("TRANSPOSE", [0, 0], (4, 6)), "permutation"),
        (moved("TRANSPOSE", [1, 0], (6, 4), 0.2), "differ in scale or zero point"),
        (moved("CONCATENATION", None, (8, 6), 0.2, axis=0), "differ in scale or zero point"),
        (moved("CONCATENATION", None, (9, 6), axis=0), "do not add up"),
        (moved("CONCATENATION", None, (8, 6), axis=2), "do not add up"),
        (moved("CONCATENATION", None, (8, 6), axis=0, fusedActivationFunction=1), "fused activation"),
        (moved("GATHER", [0, 4], (2, 6)), "within its axis"),
        (moved("GATHER", [0, 1], (2, 6), batchDims=1), "per batch"),
        (moved("MIRROR_PAD", [[4, 0], [0, 0]], (8, 6), mode=0), "can mirror"),
        (moved("STRIDED_SLICE", [0, 0], (4, 6), ellipsisMask=1), "ellipsis"),
        (moved("STRIDED_SLICE", [1, 0], (4, 6)), "that fit"),
        (moved("EXPAND_DIMS", [0], (6, 4)), "axes of length 1"),
    ):
        with pytest.raises(CompileError, match=words) as caught:
            compile_bytes(data, "m")
        text = str(caught.value)
        assert "layer 0 " in text and "; " in text
