# SPDX-License-Identifier: MIT
"""MEAN, SUM, REDUCE_MAX and REDUCE_MIN, int8, over any constant axes.

Each of at most two runs of axes that stay and two that go is one record. Over axes of length 1 they are a
function of one int8, and a pass makes them a LOOKUP.
"""

from math import prod
from typing import Any

import numpy as np

from ..ir import Graph, Operator
from .base import (
    COMPUTED,
    INT8,
    INT8_HIGH,
    INT8_LOW,
    OPTIONS,
    Kind,
    Places,
    Record,
    Rule,
    quantize_multiplier,
)
from .fixed import requantize
from .move import strides_of
from .parts import SAME

_TOTAL, _LARGEST, _LEAST = 20, 21, 22
_RUNS = 2
_INT32 = 1 << 31
_CALIBRATE = "calibrate the model again"


def _axes(graph: Graph, op: Operator) -> set[int] | None:
    """Source: ResolveAxis, reduce.h: negative ones count from the end, repeated ones count once."""
    axis, rank = graph.input(op, 1), len(graph.input(op, 0).shape)
    if axis.data is None or axis.dtype != "int32" or axis.count < 1:
        return None
    found = [int(v) for v in axis.data.reshape(-1)]
    return {v % rank for v in found} if all(-rank <= v < rank for v in found) else None


def _known(graph: Graph, op: Operator) -> set[int]:
    found = _axes(graph, op)
    assert found is not None
    return found


def _shape_ok(graph: Graph, op: Operator) -> bool:
    axes, x, y = _known(graph, op), graph.input(op, 0).shape, graph.output(op).shape
    kept = tuple(n for i, n in enumerate(x) if i not in axes)
    return y in (kept, tuple(1 if i in axes else n for i, n in enumerate(x)))


def _runs(graph: Graph, op: Operator) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """((size, stride) of what stays, of what goes), neighbours of one kind as one run."""
    axes, shape = _known(graph, op), graph.input(op, 0).shape
    merged: list[tuple[bool, int, int]] = []
    for i, (n, stride) in enumerate(zip(shape, strides_of(shape), strict=True)):
        if n == 1:
            continue
        if merged and merged[-1][0] == (i in axes):
            merged[-1] = (i in axes, merged[-1][1] * n, stride)
        else:
            merged.append((i in axes, n, stride))
    kept, gone = ([(n, s) for k, n, s in merged if k is which] for which in (False, True))
    return kept, gone


def _few_runs(graph: Graph, op: Operator) -> bool:
    return max(map(len, _runs(graph, op))) <= _RUNS


def _values(graph: Graph, op: Operator) -> int:
    """How many become one."""
    return prod(n for n, _ in _runs(graph, op)[1])


def _scale(graph: Graph, op: Operator) -> tuple[int, int]:
    """(multiplier, shift) of a sum. Source: PrepareMeanOrSumHelper (reduce_common.cc) and QuantizedMeanOrSum
    (reduce.h), which puts 1/count into the multiplier and cuts what does not fit."""
    multiplier, shift = quantize_multiplier(float(graph.input(op, 0).scale) / float(graph.output(op).scale))
    if op.name == "MEAN":
        count = _values(graph, op)
        by = min(count.bit_length() - 1, 32, 31 + shift)
        multiplier = (multiplier << by) // count
        shift -= by
    return multiplier, shift


def _sums_fit(graph: Graph, op: Operator) -> bool:
    zero = graph.input(op, 0).zero_point
    _, shift = _scale(graph, op)
    most = _values(graph, op) * max(127 - zero, zero + 128, 128)
    return shift <= 30 and most << max(shift, 0) < _INT32


def table(graph: Graph, op: Operator) -> np.ndarray | None:
    """int8 [256] where nothing but axes of length 1 go."""
    if _values(graph, op) != 1:
        return None
    if op.name in _EXTREMES:
        return np.arange(-128, 128, dtype=np.int8)
    x, y = graph.input(op, 0), graph.output(op)
    multiplier, shift = _scale(graph, op)
    out = [requantize(q - x.zero_point, multiplier, shift) + y.zero_point for q in range(-128, 128)]
    return np.clip(np.array(out), INT8_LOW, INT8_HIGH).astype(np.int8)


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    x, y = graph.input(op, 0), graph.output(op)
    kept, gone = ([(1, 0)] * (_RUNS - len(runs)) + runs for runs in _runs(graph, op))
    shape = (*(n for n, _ in kept), *(s for _, s in kept), *(n for n, _ in gone), *(s for _, s in gone))
    where = (places.arena(x.index), places.arena(y.index), *shape)
    if op.name in _EXTREMES:
        return Record(_EXTREMES[op.name], where)
    start = -x.zero_point * _values(graph, op)
    return Record(_TOTAL, (*where, start, *_scale(graph, op), y.zero_point))


def _read(options: Any) -> dict[str, int | float]:
    return {"keep_dims": int(options.KeepDims())}


_EXTREMES = {"REDUCE_MAX": _LARGEST, "REDUCE_MIN": _LEAST}
_RULES = (
    OPTIONS,
    INT8,
    COMPUTED,
    Rule(lambda g, o: _axes(g, o) is not None, "its axes are not int32 constants", "make its axes constants"),
    Rule(_shape_ok, "its axes do not give its output's shape", "convert the model again"),
    Rule(_few_runs, "reduces more than two separate runs of axes", "transpose its input before it"),
)
_SUMS = Rule(_sums_fit, "its sums can overflow 32 bits", _CALIBRATE)


def _kind(name: str, rule: Rule) -> Kind:
    return Kind(
        name=name, inputs=(2, 2), options="ReducerOptions", read=_read, rules=(*_RULES, rule), lower=_lower
    )


KINDS = (_kind("MEAN", _SUMS), _kind("SUM", _SUMS), _kind("REDUCE_MAX", SAME), _kind("REDUCE_MIN", SAME))
