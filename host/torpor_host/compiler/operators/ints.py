# SPDX-License-Identifier: MIT
"""Integers without a scale: CAST, and ADD, MUL, DIV, MAXIMUM, MINIMUM of int32 with ADD's broadcasting."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..ir import ITEM_BYTES, NUMPY, Graph, Operator
from .add import AXES, BROADCAST, axes_of
from .base import SAME_SIZE, Kind, Lowered, Places, Record, Rule

_CAST = 70
_CODES = {"ADD": 71, "MUL": 72, "DIV": 73, "MAXIMUM": 74, "MINIMUM": 75}
_DTYPES = {"int8": 1, "int16": 2, "int32": 3, "uint32": 3}  # uint32 only keeps or loses bits: as int32


# ---- CAST


def _cast_types(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 0).dtype in _DTYPES and graph.output(op).dtype in _DTYPES


def _cast(graph: Graph, op: Operator, places: Places) -> Record:
    x, y = graph.input(op, 0), graph.output(op)
    return Record(
        _CAST,
        (places.arena(x.index), places.arena(y.index), y.count, _DTYPES[x.dtype], _DTYPES[y.dtype]),
    )


def cast_array(data: np.ndarray, dtype: str) -> np.ndarray:
    """`data` as C's static_cast makes it: the low bits."""
    return data.astype(NUMPY[dtype])


def keeps_bits(graph: Graph, op: Operator) -> bool:
    """A CAST that changes no byte."""
    return ITEM_BYTES[graph.input(op, 0).dtype] == ITEM_BYTES[graph.output(op).dtype]


CAST = Kind(
    name="CAST",
    inputs=(1, 1),
    rules=(
        Rule(
            _cast_types, "casts other types than int8, int16, int32 and uint32",
            "end the model before it and convert in the application",
        ),
        SAME_SIZE,
        Rule(
            lambda g, o: g.input(o, 0).data is None or o.outputs[0] not in g.outputs,
            "makes a constant an output", "drop that output",
        ),
    ),
    lower=_cast,
)  # fmt: skip


# ---- two int32


def is_int32(graph: Graph, op: Operator) -> bool:
    return graph.output(op).dtype == "int32"


def _plain(graph: Graph, op: Operator) -> bool:
    tensors = (graph.input(op, 0), graph.input(op, 1), graph.output(op))
    return all(t.dtype == "int32" and t.quantization is None and not t.sparse for t in tensors)


def _divisor_ok(graph: Graph, op: Operator) -> bool:
    """0, and -1 below the least int32, stop TensorFlow Lite Micro with a signal."""
    data = graph.input(op, 1).data
    return data is not None and not np.isin(data, (0, -1)).any()


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    axes = axes_of(graph, op)
    assert axes is not None
    axes = [(1, 0, 0)] * (AXES - len(axes)) + axes
    order = [1, 0] if graph.input(op, 0).data is not None else [0, 1]
    a, b = (graph.input(op, i) for i in order)
    return Record(
        _CODES[op.name],
        (places.arena(a.index), places.arena(b.index) if b.data is None else places.weights(b.data),
         places.arena(op.outputs[0]), int(b.data is not None), *(n for n, _, _ in axes),
         *(axis[1 + order[0]] for axis in axes), *(axis[1 + order[1]] for axis in axes)),
    )  # fmt: skip


_RULES = (
    Rule(_plain, "its inputs and output are not int32 without a scale", "convert the model again"),
    *BROADCAST,
    Rule(lambda g, o: o.options.get("activation", 0) == 0, "has a fused activation", "make it a layer"),
)
_DIVISOR = Rule(_divisor_ok, "its divisor is not a constant, or is 0 or -1", "divide by a constant")


def with_int32(kind: Kind) -> Kind:
    """`kind`, which also takes int32 where its output is int32."""

    def where(wanted: bool, rule: Rule) -> Rule:
        return replace(rule, test=lambda graph, op: is_int32(graph, op) != wanted or rule.test(graph, op))

    def lower(graph: Graph, op: Operator, places: Places) -> Lowered:
        of_kind: Callable[[Graph, Operator, Places], Lowered] | None = kind.lower
        assert of_kind is not None
        return _lower(graph, op, places) if is_int32(graph, op) else of_kind(graph, op, places)

    own = (*_RULES, _DIVISOR) if kind.name == "DIV" else _RULES
    rules = (*(where(False, rule) for rule in kind.rules), *(where(True, rule) for rule in own))
    return replace(kind, rules=rules, lower=lower)
