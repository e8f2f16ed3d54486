# SPDX-License-Identifier: MIT
"""ADD, int8, with broadcasting; one side may be a constant."""

from typing import Any

from ..ir import Graph, Operator
from .base import (
    ACTIVATION,
    CLAMP,
    INT8,
    Kind,
    Places,
    Record,
    Rule,
    activation_range,
    per_tensor,
    quantize_multiplier,
)

_CODE = 6
LEFT_SHIFT = 20
AXES = 4


def _second_int8(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 1).dtype == "int8" and per_tensor(graph.input(op, 1))


def _strides(shape: tuple[int, ...], out: tuple[int, ...]) -> list[int] | None:
    """Strides of `shape` along each axis of `out`, 0 where it is broadcast; None if it can't be."""
    full = (1,) * (len(out) - len(shape)) + shape
    if len(full) != len(out):
        return None
    strides, step = [0] * len(out), 1
    for i in range(len(out) - 1, -1, -1):
        if full[i] not in (1, out[i]):
            return None
        strides[i] = 0 if full[i] == 1 else step
        step *= full[i]
    return strides


def axes_of(graph: Graph, op: Operator) -> list[tuple[int, int, int]] | None:
    """Return (size, stride of a, stride of b) outermost first, axes merged where memory runs on."""
    out = graph.output(op).shape
    a, b = (_strides(graph.input(op, i).shape, out) for i in (0, 1))
    if a is None or b is None:
        return None
    merged: list[tuple[int, int, int]] = []
    for size, sa, sb in zip(out, a, b, strict=True):
        if size == 1:
            continue
        if merged and merged[-1][1] == sa * size and merged[-1][2] == sb * size:
            merged[-1] = (merged[-1][0] * size, sa, sb)
        else:
            merged.append((size, sa, sb))
    return merged


def _broadcast_shape(graph: Graph, op: Operator) -> bool:
    out = graph.output(op).shape
    ranks = max(len(graph.input(op, 0).shape), len(graph.input(op, 1).shape))
    axes = axes_of(graph, op)
    if axes is None or ranks != len(out):
        return False
    return all(size == 1 or sa or sb for size, sa, sb in axes)


def _few_axes(graph: Graph, op: Operator) -> bool:
    axes = axes_of(graph, op)
    return axes is not None and len(axes) <= AXES


def sum_scales(graph: Graph, op: Operator) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(multiplier, shift) of a, b and the output. Source: CalculateOpDataAdd, TensorFlow Lite Micro."""
    a, b, y = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    twice = 2.0 * float(max(a.scale, b.scale))
    return (
        quantize_multiplier(float(a.scale) / twice),
        quantize_multiplier(float(b.scale) / twice),
        quantize_multiplier(twice / ((1 << LEFT_SHIFT) * float(y.scale))),
    )


def _small_multipliers(graph: Graph, op: Operator) -> bool:
    return all(shift <= 0 for _, shift in sum_scales(graph, op))


Scale = tuple[int, int]


def record(
    graph: Graph,
    op: Operator,
    places: Places,
    codes: tuple[int, int],
    scales: tuple[Scale, Scale, Scale],
    clamp: tuple[int, int],
) -> Record:
    """The record of an operator of two tensors, a constant second. codes: as given, with its inputs swapped.
    scales: (multiplier, shift) of a, b and the output."""
    axes = axes_of(graph, op)
    assert axes is not None
    axes = [(1, 0, 0)] * (AXES - len(axes)) + axes
    order = [1, 0] if graph.input(op, 0).data is not None else [0, 1]
    a, b = (graph.input(op, i) for i in order)
    y = graph.output(op)
    return Record(
        codes[order[0]],
        (places.arena(a.index), places.arena(b.index) if b.data is None else places.weights(b.data),
         places.arena(y.index), int(b.data is not None), *(n for n, _, _ in axes),
         *(axis[1 + order[0]] for axis in axes), *(axis[1 + order[1]] for axis in axes), LEFT_SHIFT,
         a.zero_point, *scales[order[0]], b.zero_point, *scales[order[1]],
         y.zero_point, *scales[2], *clamp),
    )  # fmt: skip


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    clamp = activation_range(op, graph.output(op))
    return record(graph, op, places, (_CODE, _CODE), sum_scales(graph, op), clamp)


def read_activation(options: Any) -> dict[str, int | float]:
    return {"activation": options.FusedActivationFunction()}


SECOND_INT8 = Rule(_second_int8, "its second input is not int8 with one scale and zero point", INT8.fix)
BROADCAST = (
    Rule(
        lambda g, o: any(g.input(o, i).data is None for i in (0, 1)),
        "both its inputs are constants", "let the converter fold constants",
    ),
    Rule(_broadcast_shape, "its inputs' shapes do not broadcast to its output's"),
    Rule(_few_axes, "broadcasts along more than 4 alternating axes", "reshape its inputs to fewer axes"),
)  # fmt: skip
SMALL = Rule(_small_multipliers, "its output scale is far below its inputs'", "calibrate the model again")

KIND = Kind(
    name="ADD",
    inputs=(2, 2),
    options="AddOptions",
    read=read_activation,
    rules=(INT8, SECOND_INT8, *BROADCAST, SMALL, ACTIVATION, CLAMP),
    lower=_lower,
    in_place=(0, 1),
)
