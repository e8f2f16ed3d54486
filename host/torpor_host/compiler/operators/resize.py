# SPDX-License-Identifier: MIT
"""RESIZE_NEAREST_NEIGHBOR, pixels taken by tables (TAKE), and RESIZE_BILINEAR, int8."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir import Graph, Operator
from .base import COMPUTED, INT8, OPTIONS, Kind, Places, Record, Rule, round_away
from .move import merged_takes, taken
from .parts import SAME

_BILINEAR = 26
_ONE = 1 << 10  # of a fraction


def _read(options: Any) -> dict[str, int | float]:
    return {"corners": int(options.AlignCorners()), "centers": int(options.HalfPixelCenters())}


def _sizes_ok(graph: Graph, op: Operator) -> bool:
    x, size, y = graph.input(op, 0).shape, graph.input(op, 1), graph.output(op).shape
    if size.data is None or size.dtype != "int32" or size.shape != (2,) or len(x) != 4:
        return False
    return y == (x[0], *(int(v) for v in size.data), x[3])


def _nearest(size: int, out: int, corners: bool, centers: bool) -> np.ndarray:
    """Which index of the input each of the output is. Source: GetNearestNeighbor, in float32."""
    step = (
        np.float32(size - 1) / np.float32(out - 1)
        if corners and out > 1
        else np.float32(size) / np.float32(out)
    )
    places = (np.arange(out, dtype=np.float32) + np.float32(0.5 if centers else 0)) * step
    if corners:
        found = np.array([round_away(float(p)) for p in places])
    else:
        found = np.floor(places).astype(np.int64)
    return np.minimum(found, size - 1)


def _nearest_maps(graph: Graph, op: Operator) -> list[np.ndarray]:
    x, y = graph.input(op, 0).shape, graph.output(op).shape
    flags = bool(op.options["corners"]), bool(op.options["centers"])
    return [np.arange(x[0]), *(_nearest(x[i], y[i], *flags) for i in (1, 2)), np.arange(x[3])]


def _lower_nearest(graph: Graph, op: Operator, places: Places) -> Record:
    axes, block = merged_takes(graph.input(op, 0).shape, _nearest_maps(graph, op))
    return taken(graph, op, places, axes, block)


def _between(size: int, out: int, corners: bool, centers: bool) -> np.ndarray:
    """int64 [out, 3]: lower and upper index of the input, and how far between, of 1024.
    Source: ResizeBilinearInteger and ComputeInterpolationValuesInteger, resize_bilinear.h."""
    step = (_ONE * size + out // 2) // out
    if corners and out > 1:
        step = (_ONE * (size - 1) + (out - 1) // 2) // (out - 1)
    at = np.arange(out, dtype=np.int64) * step
    if centers:
        at += step // 2 - _ONE // 2
    low = np.maximum(at, 0) // _ONE
    high = np.minimum((np.maximum(at, -_ONE + 1) + _ONE - 1) // _ONE, size - 1)
    # between a pixel and itself is that pixel, however far
    return np.stack([low, high, np.where(low == high, 0, at - _ONE * low)], axis=1)


def _tables(graph: Graph, op: Operator) -> list[np.ndarray]:
    x, y = graph.input(op, 0).shape, graph.output(op).shape
    flags = bool(op.options["corners"]), bool(op.options["centers"])
    return [_between(x[i], y[i], *flags) for i in (1, 2)]


def _within(graph: Graph, op: Operator) -> bool:
    """TensorFlow Lite Micro's steps of 1/1024 can add up to a pixel past the end, which it then reads."""
    sizes = graph.input(op, 0).shape[1:3]
    return all(
        (t[:, :2] < n).all() and (t[:, 2] >= 0).all() and (t[:, 0] <= t[:, 1]).all()
        for t, n in zip(_tables(graph, op), sizes, strict=True)
    )


def _lower_bilinear(graph: Graph, op: Operator, places: Places) -> Record:
    (b, h, w, c), (_, oh, ow, _) = graph.input(op, 0).shape, graph.output(op).shape
    rows, columns = _tables(graph, op)
    tables = (
        places.weights((t * np.array([step, step, 1])).astype("<i4"))
        for t, step in ((rows, w * c), (columns, c))
    )
    return Record(
        _BILINEAR,
        (places.arena(op.inputs[0]), places.arena(op.outputs[0]), b, h * w * c, c, oh, ow, *tables),
    )


def _kind(name: str, options: str, lower: Callable[[Graph, Operator, Places], Record], *rules: Rule) -> Kind:
    size = Rule(
        _sizes_ok, "its size is not an int32 constant that gives its output's shape", "make it a constant"
    )
    return Kind(
        name=name, inputs=(2, 2), options=options, read=_read, lower=lower,
        rules=(OPTIONS, INT8, COMPUTED, SAME, size, *rules),
    )  # fmt: skip


NEAREST = _kind("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", _lower_nearest)
BILINEAR = _kind(
    "RESIZE_BILINEAR", "ResizeBilinearOptions", _lower_bilinear,
    Rule(
        lambda g, o: not (o.options["corners"] and o.options["centers"]),
        "aligns corners and uses half-pixel centers at once", "use one of the two",
    ),
    Rule(
        _within, "enlarges so much that TensorFlow Lite Micro reads past its input",
        "enlarge in two steps, or with half_pixel_centers",
    ),
)  # fmt: skip
