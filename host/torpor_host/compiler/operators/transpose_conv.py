# SPDX-License-Identifier: MIT
"""TRANSPOSE_CONV, int8, as ordinary convolutions: one for each phase of its strides.

Output rows that lie a multiple of the stride apart see the same rows of the filter, at neighbouring rows of
the input. So they are a CONV_2D of stride 1 with those filter rows, last first; its result is copied to its
places (COPY). No product with an inserted zero is ever made, and the kernels are those of CONV_2D.
Source of what is computed: reference_integer_ops::TransposeConv, transpose_conv.h.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

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
    Rule,
    activation_range,
    padding_before,
    window_ok,
)  # fmt: skip
from .conv import conv_scratch
from .move import COPY
from .weights import (
    BIAS,
    CONSTANT_WEIGHTS,
    INT8_WEIGHTS,
    NOT_HYBRID,
    SYMMETRIC,
    channels_match,
    multipliers,
    sums_fit,
)  # fmt: skip

_CONV = 2
_MOST_PHASES = 64


def _as_conv(op: Operator) -> Operator:
    """The same with CONV_2D's order of inputs: input, weights, bias; the output's shape comes first here."""
    _, weights, x, *bias = op.inputs
    return replace(op, inputs=(x, weights, *bias))


def _of_conv(rule: Rule) -> Rule:
    return Rule(lambda graph, op: rule.test(graph, _as_conv(op)), rule.reason, rule.fix)


@dataclass(frozen=True)
class _Phase:
    """Along one axis: output indexes first, first + stride ..: `count` of them; filter indexes `taps`, in the
    order in which they meet the input; how far before the input the first of them starts."""

    first: int
    count: int
    taps: tuple[int, ...]
    before: int


def _phases(out: int, filter_size: int, stride: int, padding: int) -> list[_Phase]:
    before = padding_before(padding, out, filter_size, stride, 1, -(-out // stride))
    found = []
    for rest in range(stride):
        first = (rest - before) % stride
        count = -(-(out - first) // stride)
        taps = tuple(range(rest, filter_size, stride))[::-1]
        if count > 0:
            found.append(_Phase(first, count, taps, len(taps) - 1 - (first + before - rest) // stride))
    return found


def _pairs(graph: Graph, op: Operator) -> Iterator[tuple[_Phase, _Phase]]:
    y, w, o = graph.output(op).shape, graph.input(op, 1).shape, op.options
    padding = int(o["padding"])
    for down in _phases(y[1], w[1], int(o["stride_y"]), padding):
        for across in _phases(y[2], w[2], int(o["stride_x"]), padding):
            yield down, across


def _parts(graph: Graph, op: Operator) -> tuple[int, int]:
    """Bytes of scratch: one phase's output, where that is not the whole, and what a convolution wants."""
    n, c = graph.output(op).shape[3], graph.input(op, 2).shape[3]
    pairs = list(_pairs(graph, op))
    batch = graph.output(op).shape[0]
    result = 0 if _alone(op) else max(batch * down.count * across.count * n for down, across in pairs)
    taps = max(1, *(len(down.taps) * len(across.taps) for down, across in pairs))
    window = conv_scratch(taps * c, direct=False)  # here a 1x1 may be padded
    return -(-result // 16) * 16, window


def _alone(op: Operator) -> bool:
    return op.options["stride_y"] == op.options["stride_x"] == 1


def _lower(graph: Graph, op: Operator, places: Places) -> list[Record]:
    conv = _as_conv(op)
    y = graph.output(op)
    pairs = [(m, s) if m else (0, -1) for m, s in multipliers(graph, conv, single_float=False)]  # as `place`
    scales = (
        *(places.weights(np.array(v, dtype="<i4")) for v in zip(*pairs, strict=True)),
        int(len(pairs) > 1),
    )
    scratch, out = places.scratch(), places.arena(y.index)
    records = []
    for down, across in _pairs(graph, op):
        to = out if _alone(op) else scratch
        window = scratch + _parts(graph, op)[0]
        records.append(_phase(graph, conv, places, (down, across), (to, window), scales))
        if not _alone(op):
            records.append(_spread(op, y.shape, (down, across), scratch, out))
    return records


def _phase(
    graph: Graph,
    conv: Operator,
    places: Places,
    phases: tuple[_Phase, _Phase],
    where: tuple[int, int],
    scales: tuple[int, ...],
) -> Record:
    """The convolution of one phase, its result at where[0]; where[1] is for windows."""
    x, weights, y = graph.input(conv, 0), graph.input(conv, 1), graph.output(conv)
    bias = graph.optional_input(conv, 2)
    assert weights.data is not None
    down, across = phases
    n = y.shape[3]
    taps = weights.data[:, down.taps][:, :, across.taps]
    if not taps.size:  # a stride wider than the filter: what only the bias reaches
        taps = np.zeros((n, 1, 1, x.shape[3]), dtype=np.int8)
    folded = -x.zero_point * taps.astype(np.int64).sum(axis=(1, 2, 3))
    if bias is not None and bias.data is not None:
        folded += bias.data.reshape(-1)
    to, window = where
    return Record(
        _CONV,
        (places.arena(x.index), to, window, *x.shape, down.count, across.count, n, *taps.shape[1:3],
         1, 1, 1, 1, down.before, across.before, places.weights(taps), places.weights(folded.astype("<i4")),
         *scales, x.zero_point, y.zero_point, *activation_range(conv, y)),
    )  # fmt: skip


def _spread(
    op: Operator, shape: tuple[int, ...], phases: tuple[_Phase, _Phase], scratch: int, out: int
) -> Record:
    """Copy one phase's result to its places."""
    down, across = phases
    b, h, w, n = shape
    row = across.count * n
    step_y, step_x = int(op.options["stride_y"]), int(op.options["stride_x"])
    return Record(
        COPY,
        (scratch, out + (down.first * w + across.first) * n, 0, b, down.count, across.count, n,
         down.count * row, row, n, 1, h * w * n, step_y * w * n, step_x * n, 1),
    )  # fmt: skip


def _macs(graph: Graph, op: Operator) -> int:
    (b, _, _, n), c = graph.output(op).shape, graph.input(op, 2).shape[3]
    return sum(
        b * down.count * across.count * len(down.taps) * len(across.taps) * c * n
        for down, across in _pairs(graph, op)
    )


def _geometry_ok(graph: Graph, op: Operator) -> bool:
    if not window_ok(op, "stride_y", "stride_x"):
        return False
    x, w, y = graph.input(op, 2).shape, graph.input(op, 1).shape, graph.output(op).shape
    return len(x) == len(w) == len(y) == 4 and x[0] == y[0] and x[3] == w[3] and y[3] == w[0]


def _shape_constant(graph: Graph, op: Operator) -> bool:
    shape = graph.input(op, 0)
    if shape.data is None or shape.dtype != "int32":
        return False
    return tuple(int(v) for v in shape.data.reshape(-1)) == graph.output(op).shape


def _read(options: Any) -> dict[str, int | float]:
    return {
        "padding": options.Padding(),
        "stride_y": options.StrideH(),
        "stride_x": options.StrideW(),
        "activation": options.FusedActivationFunction(),
    }


KIND = Kind(
    name="TRANSPOSE_CONV",
    inputs=(3, 4),
    options="TransposeConvOptions",
    read=_read,
    rules=(
        OPTIONS,
        Rule(_shape_constant, "its output's shape is not constant", "fix the batch size at 1"),
        *(_of_conv(r) for r in (CONSTANT_WEIGHTS, NOT_HYBRID, INT8, COMPUTED, INT8_WEIGHTS, SYMMETRIC, BIAS)),
        Rule(_geometry_ok, "its shapes and strides do not fit each other", "convert the model again"),
        Rule(
            lambda g, o: prod(int(o.options[k]) for k in ("stride_y", "stride_x")) <= _MOST_PHASES,
            f"its strides make more than {_MOST_PHASES} phases", "enlarge in two steps",
        ),
        _of_conv(channels_match(0)),
        ACTIVATION,
        CLAMP,
        _of_conv(sums_fit(0, single_float=False)),
    ),
    lower=_lower,
    macs=_macs,
    scratch=lambda graph, op: sum(_parts(graph, op)),
)  # fmt: skip
