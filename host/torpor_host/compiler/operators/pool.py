# SPDX-License-Identifier: MIT
"""AVERAGE_POOL_2D and MAX_POOL_2D, int8; input and output share scale and zero point."""

from collections.abc import Callable
from typing import Any

from ..ir import Graph, Operator
from .base import (
    ACTIVATION,
    CLAMP,
    COMPUTED,
    INT8,
    OPTIONS,
    Kind,
    Places,
    Record,
    Rows,
    Rule,
    activation_range,
    output_size,
    padding_before,
    row_distance,
    rows_above,
    window_ok,
)  # fmt: skip

AVERAGE_CODE, _MAX = 4, 5


def _read(options: Any) -> dict[str, int | float]:
    return {
        "padding": options.Padding(),
        "stride_y": options.StrideH(),
        "stride_x": options.StrideW(),
        "filter_y": options.FilterHeight(),
        "filter_x": options.FilterWidth(),
        "activation": options.FusedActivationFunction(),
    }


def _geometry_ok(graph: Graph, op: Operator) -> bool:
    o = op.options
    if not window_ok(op, "stride_y", "stride_x", "filter_y", "filter_x"):
        return False
    x, y = graph.input(op, 0).shape, graph.output(op).shape
    if len(x) != 4 or len(y) != 4 or x[0] != y[0] or x[3] != y[3]:
        return False
    p = int(o["padding"])
    return y[1:3] == tuple(
        output_size(p, x[i], int(o[f"filter_{a}"]), int(o[f"stride_{a}"]), 1) for i, a in ((1, "y"), (2, "x"))
    )


def _same_scale(graph: Graph, op: Operator) -> bool:
    x, y = graph.input(op, 0), graph.output(op)
    return abs(float(x.scale) - float(y.scale)) <= 1e-6 and x.zero_point == y.zero_point


def rows(graph: Graph, op: Operator) -> Rows:
    x, y, o = graph.input(op, 0), graph.output(op), op.options
    stride, size = int(o["stride_y"]), int(o["filter_y"])
    return Rows(stride, rows_above(op, x.shape[1], size, stride, 1, y.shape[1]), size)


def _overlap(graph: Graph, op: Operator) -> dict[int, int]:
    return {0: row_distance(graph.input(op, 0), graph.output(op), rows(graph, op))}


def _lower_as(code: int) -> Callable[[Graph, Operator, Places], Record]:
    def lower(graph: Graph, op: Operator, places: Places) -> Record:
        x, y = graph.input(op, 0), graph.output(op)
        o = {k: int(v) for k, v in op.options.items()}
        (b, h, w, c), (_, oh, ow, _) = x.shape, y.shape
        top = rows(graph, op).top
        left = padding_before(o["padding"], w, o["filter_x"], o["stride_x"], 1, ow)
        return Record(
            code,
            (places.arena(op.inputs[0]), places.arena(op.outputs[0]), b, h, w, c, oh, ow, o["filter_y"],
             o["filter_x"], o["stride_y"], o["stride_x"], top, left, *activation_range(op, y)),
        )  # fmt: skip

    return lower


_RULES = (
    OPTIONS,
    INT8,
    COMPUTED,
    Rule(_geometry_ok, "its shapes, strides and padding do not fit each other", "convert the model again"),
    Rule(_same_scale, "its input and output differ in scale or zero point", "convert the model again"),
    ACTIVATION,
    CLAMP,
)


def _kind(name: str, code: int) -> Kind:
    return Kind(
        name=name, inputs=(1, 1), options="Pool2DOptions", read=_read, rules=_RULES, lower=_lower_as(code),
        overlap=_overlap,
    )  # fmt: skip


AVERAGE = _kind("AVERAGE_POOL_2D", AVERAGE_CODE)
MAX = _kind("MAX_POOL_2D", _MAX)
