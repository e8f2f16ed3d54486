# SPDX-License-Identifier: MIT
"""CONV_2D and DEPTHWISE_CONV_2D, int8, one scale or one per output channel."""

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
from .weights import (
    BIAS,
    CONSTANT_WEIGHTS,
    INT8_WEIGHTS,
    NOT_HYBRID,
    SYMMETRIC,
    channels_match,
    place,
    sums_fit,
)  # fmt: skip

_CONV, _DEPTHWISE = 2, 3


def _read(options: Any) -> dict[str, int | float]:
    return {
        "padding": options.Padding(),
        "stride_y": options.StrideH(),
        "stride_x": options.StrideW(),
        "dilation_y": options.DilationHFactor(),
        "dilation_x": options.DilationWFactor(),
        "activation": options.FusedActivationFunction(),
    }


def _geometry_ok(graph: Graph, op: Operator) -> bool:
    o = op.options
    if not window_ok(op, "stride_y", "stride_x", "dilation_y", "dilation_x"):
        return False
    x, w, y = graph.input(op, 0).shape, graph.input(op, 1).shape, graph.output(op).shape
    if not len(x) == len(w) == len(y) == 4 or x[0] != y[0]:
        return False
    p = int(o["padding"])
    return y[1:3] == tuple(
        output_size(p, x[i], w[i], int(o[f"stride_{a}"]), int(o[f"dilation_{a}"]))
        for i, a in ((1, "y"), (2, "x"))
    )


def _conv_channels(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 1).shape[3] == graph.input(op, 0).shape[3]


def _conv_out(graph: Graph, op: Operator) -> bool:
    return graph.output(op).shape[3] == graph.input(op, 1).shape[0]


def _depthwise_channels(graph: Graph, op: Operator) -> bool:
    x, w, y = graph.input(op, 0).shape, graph.input(op, 1).shape, graph.output(op).shape
    if op.options.get("multiplier", 0) not in (0, y[3] // x[3]):
        return False  # TensorFlow Lite Micro goes by the option
    return w[0] == 1 and w[3] == y[3] and y[3] % x[3] == 0


def conv_scratch(depth: int, direct: bool) -> int:
    """Bytes that a CONV_2D wants, as device/torpor/nn/conv.py says. depth: values in a window; direct: it is
    a pixel, read where it lies."""
    return (depth + 3) // 4 * 4 * (4 if direct else 5)


def _scratch_as(code: int) -> Callable[[Graph, Operator], int]:
    """As device/torpor/nn/conv.py says."""

    def scratch(graph: Graph, op: Operator) -> int:
        _, fh, fw, _ = graph.input(op, 1).shape
        c, n = graph.input(op, 0).shape[3], graph.output(op).shape[3]
        if code != _DEPTHWISE:
            return conv_scratch(fh * fw * c, fh == fw == 1)
        window = (fh * fw * c + 3) // 4 * 4
        return 3 * window + 12 * n if n == c else window

    return scratch


def rows(graph: Graph, op: Operator) -> Rows:
    x, w, y, o = graph.input(op, 0), graph.input(op, 1), graph.output(op), op.options
    stride, dilation, size = int(o["stride_y"]), int(o["dilation_y"]), w.shape[1]
    top = rows_above(op, x.shape[1], size, stride, dilation, y.shape[1])
    return Rows(stride, top, (size - 1) * dilation + 1)


def _overlap(graph: Graph, op: Operator) -> dict[int, int]:
    return {0: row_distance(graph.input(op, 0), graph.output(op), rows(graph, op))}


def _lower_as(code: int, axis: int) -> Callable[[Graph, Operator, Places], Record]:
    def lower(graph: Graph, op: Operator, places: Places) -> Record:
        x, w, y = graph.input(op, 0), graph.input(op, 1), graph.output(op)
        o = {k: int(v) for k, v in op.options.items()}
        (b, h, wd, c), (_, fh, fw, _), (_, oh, ow, n) = x.shape, w.shape, y.shape
        top = rows(graph, op).top
        left = padding_before(o["padding"], wd, fw, o["stride_x"], o["dilation_x"], ow)
        return Record(
            code,
            (places.arena(op.inputs[0]), places.arena(op.outputs[0]), places.scratch(),
             b, h, wd, c, oh, ow, n, fh, fw, o["stride_y"], o["stride_x"], o["dilation_y"], o["dilation_x"],
             top, left,
             *place(graph, op, places, axis),
             x.zero_point, y.zero_point, *activation_range(op, y)),
        )  # fmt: skip

    return lower


def _conv_macs(graph: Graph, op: Operator) -> int:
    _, fh, fw, c = graph.input(op, 1).shape
    return graph.output(op).count * fh * fw * c


def _depthwise_macs(graph: Graph, op: Operator) -> int:
    _, fh, fw, _ = graph.input(op, 1).shape
    return graph.output(op).count * fh * fw


def _read_depthwise(options: Any) -> dict[str, int | float]:
    return _read(options) | {"multiplier": options.DepthMultiplier()}


_GEOMETRY = Rule(
    _geometry_ok, "its shapes, strides and padding do not fit each other", "convert the model again"
)
_WEIGHTS = (OPTIONS, CONSTANT_WEIGHTS, NOT_HYBRID, INT8, COMPUTED, INT8_WEIGHTS, SYMMETRIC, BIAS, _GEOMETRY)

CONV_2D = Kind(
    name="CONV_2D",
    inputs=(2, 3),
    options="Conv2DOptions",
    read=_read,
    rules=(
        *_WEIGHTS,
        Rule(_conv_channels, "is a grouped convolution", "use DEPTHWISE_CONV_2D, or one CONV_2D per group"),
        Rule(_conv_out, "its output channels are not its weights'", "convert the model again"),
        channels_match(0),
        ACTIVATION,
        CLAMP,
        sums_fit(0),
    ),
    lower=_lower_as(_CONV, 0),
    macs=_conv_macs,
    scratch=_scratch_as(_CONV),
    overlap=_overlap,
)

DEPTHWISE_CONV_2D = Kind(
    name="DEPTHWISE_CONV_2D",
    inputs=(2, 3),
    options="DepthwiseConv2DOptions",
    read=_read_depthwise,
    rules=(
        *_WEIGHTS,
        Rule(
            _depthwise_channels,
            "its channels are no multiple of its input's, or not the one that it states",
            "convert the model again",
        ),
        channels_match(3),
        ACTIVATION,
        CLAMP,
        sums_fit(3),
    ),
    lower=_lower_as(_DEPTHWISE, 3),
    macs=_depthwise_macs,
    scratch=_scratch_as(_DEPTHWISE),
    overlap=_overlap,
)
