# SPDX-License-Identifier: MIT
"""GATHER (constant indices) and MIRROR_PAD, int8: blocks taken by a table for each axis."""

from typing import Any

import numpy as np

from ..ir import Graph, Operator
from .base import COMPUTED, INT8, OPTIONS, Kind, Places, Record, Rule
from .move import AXES, merged_takes, taken
from .parts import SAME

_AGAIN = "convert the model again"
_REFLECT, _SYMMETRIC = 0, 1


def _gather_axis(graph: Graph, op: Operator) -> int | None:
    rank = len(graph.input(op, 0).shape)
    axis = int(op.options["axis"])
    return axis % rank if -rank <= axis < rank else None


def _indices(graph: Graph, op: Operator) -> np.ndarray | None:
    tensor = graph.input(op, 1)
    if tensor.data is None or tensor.dtype != "int32":
        return None
    return tensor.data.astype(np.int64)


def _indices_ok(graph: Graph, op: Operator) -> bool:
    axis, index = _gather_axis(graph, op), _indices(graph, op)
    if axis is None or index is None or index.size < 1:
        return False
    x, y = graph.input(op, 0).shape, graph.output(op).shape
    if y != (*x[:axis], *graph.input(op, 1).shape, *x[axis + 1 :]):
        return False
    return bool((index >= 0).all() and (index < x[axis]).all())


def _gather_maps(graph: Graph, op: Operator) -> list[np.ndarray]:
    axis, index = _gather_axis(graph, op), _indices(graph, op)
    assert axis is not None and index is not None
    maps = [np.arange(n) for n in graph.input(op, 0).shape]
    maps[axis] = index.reshape(-1)
    return maps


def _paddings(graph: Graph, op: Operator) -> np.ndarray | None:
    p = graph.input(op, 1)
    if p.data is None or p.dtype not in ("int32", "int64") or p.shape != (len(graph.input(op, 0).shape), 2):
        return None
    return p.data.astype(np.int64)


def _mirror_ok(graph: Graph, op: Operator) -> bool:
    p = _paddings(graph, op)
    x, y = graph.input(op, 0).shape, graph.output(op).shape
    if p is None or not x or len(x) != len(y):
        return False
    most = [n - (op.options["mode"] == _REFLECT) for n in x]
    if any(not (0 <= a <= m and 0 <= b <= m) for (a, b), m in zip(p.tolist(), most, strict=True)):
        return False
    return y == tuple(n + a + b for n, (a, b) in zip(x, p.tolist(), strict=True))


def _mirror_maps(graph: Graph, op: Operator) -> list[np.ndarray]:
    """Which index of the input each index of the output is. Source: GetInputDimension, mirror_pad.cc."""
    p = _paddings(graph, op)
    assert p is not None
    mode = "reflect" if op.options["mode"] == _REFLECT else "symmetric"
    shape = graph.input(op, 0).shape
    return [
        np.pad(np.arange(n), (int(a), int(b)), mode=mode) if a or b else np.arange(n)  # type: ignore[call-overload]
        for n, (a, b) in zip(shape, p.tolist(), strict=True)
    ]


def _maps(graph: Graph, op: Operator) -> list[np.ndarray]:
    return _gather_maps(graph, op) if op.name == "GATHER" else _mirror_maps(graph, op)


def _few_axes(graph: Graph, op: Operator) -> bool:
    axes, _ = merged_takes(graph.input(op, 0).shape, _maps(graph, op))
    return len(axes) <= AXES


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    axes, block = merged_takes(graph.input(op, 0).shape, _maps(graph, op))
    return taken(graph, op, places, axes, block)


_FEW_AXES = Rule(_few_axes, "takes along more than 4 axes", "reshape its input to fewer axes")


def _read_gather(options: Any) -> dict[str, int | float]:
    return {"axis": options.Axis(), "batch_dims": options.BatchDims()}


def _read_mirror(options: Any) -> dict[str, int | float]:
    return {"mode": options.Mode()}


GATHER = Kind(
    name="GATHER",
    inputs=(2, 2),
    options="GatherOptions",
    read=_read_gather,
    rules=(
        OPTIONS, INT8, COMPUTED, SAME,
        Rule(lambda g, o: o.options["batch_dims"] == 0, "gathers per batch", "use batch_dims=0"),
        Rule(_indices_ok, "its indices are not int32 constants within its axis", "make them constants"),
        _FEW_AXES,
    ),
    lower=_lower,
)  # fmt: skip

MIRROR_PAD = Kind(
    name="MIRROR_PAD",
    inputs=(2, 2),
    options="MirrorPadOptions",
    read=_read_mirror,
    rules=(
        OPTIONS, INT8, COMPUTED, SAME,
        Rule(lambda g, o: o.options["mode"] in (_REFLECT, _SYMMETRIC), "its mode is unknown", _AGAIN),
        Rule(_mirror_ok, "its paddings are not constants that the input can mirror", "pad by less"),
        _FEW_AXES,
    ),
    lower=_lower,
)  # fmt: skip
