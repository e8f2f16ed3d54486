# SPDX-License-Identifier: MIT
"""PAD and PADV2, int8, with constant paddings; PAD pads with the output's zero point."""

import numpy as np

from ..ir import Graph, Operator
from .base import COMPUTED, INT8, Kind, Places, Record, Rule, per_tensor

_CODE = 9
_AXES = 4


def _paddings_ok(graph: Graph, op: Operator) -> bool:
    p = graph.input(op, 1)
    rank = len(graph.input(op, 0).shape)
    if p.data is None or p.dtype not in ("int32", "int64") or p.data.size != 2 * rank or rank < 1:
        return False
    return bool((p.data >= 0).all() and (p.data < 1 << 24).all())


def paddings(graph: Graph, op: Operator) -> np.ndarray:
    """int [axes, 2]: before, after."""
    data = graph.input(op, 1).data
    assert data is not None
    return data.reshape(-1, 2).astype(np.int64)


def _shape_ok(graph: Graph, op: Operator) -> bool:
    padded = tuple(
        int(n + b + a) for n, (b, a) in zip(graph.input(op, 0).shape, paddings(graph, op), strict=True)
    )
    return padded == graph.output(op).shape


def _axes(graph: Graph, op: Operator) -> list[tuple[int, int, int]]:
    """(size, before, after) outermost first; an axis without padding joins the one before it."""
    merged: list[tuple[int, int, int]] = []
    for n, (before, after) in zip(graph.input(op, 0).shape, paddings(graph, op).tolist(), strict=True):
        if merged and not before and not after:
            size, b, a = merged[-1]
            merged[-1] = (size * n, b * n, a * n)
        else:
            merged.append((n, before, after))
    return merged


def _value_ok(graph: Graph, op: Operator) -> bool:
    """TensorFlow Lite Micro wants the value in the output's scale and zero point."""
    v = graph.input(op, 2)
    if v.data is None or v.dtype != "int8" or v.count != 1 or not per_tensor(v):
        return False
    return v.scale == graph.output(op).scale and v.zero_point == graph.output(op).zero_point


def _value(graph: Graph, op: Operator) -> int:
    data = graph.input(op, 2).data if op.name == "PADV2" else None
    return graph.output(op).zero_point if data is None else int(data.reshape(-1)[0])


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    axes = _axes(graph, op)
    axes = [(1, 0, 0)] * (_AXES - len(axes)) + axes
    return Record(
        _CODE,
        (places.arena(op.inputs[0]), places.arena(op.outputs[0]), _value(graph, op),
         *(n for n, _, _ in axes), *(b for _, b, _ in axes), *(a for _, _, a in axes)),
    )  # fmt: skip


def _overlap(graph: Graph, op: Operator) -> dict[int, int]:
    """Rows of the innermost axis: what is written up to the last row that reads, less what that one reads."""
    *outer, (size, before, after) = _axes(graph, op)
    rows = 0
    for n, b, a in outer:
        rows = rows * (b + n + a) + b + n - 1
    written = (rows + 1) * (before + size + after)
    return {0: written - graph.input(op, 0).count + size}


_RULES = (
    INT8,
    COMPUTED,
    Rule(_paddings_ok, "its paddings are not constants, two for each axis", "make the paddings constants"),
    Rule(_shape_ok, "its paddings do not give its output's shape", "convert the model again"),
    Rule(lambda g, o: len(_axes(g, o)) <= _AXES, "pads more than 4 axes", "reshape before padding"),
)
KIND = Kind(name="PAD", inputs=(2, 2), rules=_RULES, lower=_lower, overlap=_overlap)
PADV2 = Kind(
    name="PADV2",
    inputs=(3, 3),
    rules=(
        Rule(
            _value_ok,
            "its value is not a constant in its output's scale and zero point",
            "pad with a constant, or with PAD",
        ),
        *_RULES,
    ),
    lower=_lower,
    overlap=_overlap,
)
