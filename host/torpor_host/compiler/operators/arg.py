# SPDX-License-Identifier: MIT
"""ARG_MAX and ARG_MIN along one axis: int8 in, int32 out. Of equals, the first."""

from math import prod

from ..ir import Graph, Operator
from .base import COMPUTED, Kind, Places, Record, Rule, per_tensor

_CODES = {"ARG_MAX": 23, "ARG_MIN": 24}


def _axis(graph: Graph, op: Operator) -> int | None:
    axis, rank = graph.input(op, 1), len(graph.input(op, 0).shape)
    if axis.data is None or axis.dtype != "int32" or axis.count != 1:
        return None
    found = int(axis.data.reshape(-1)[0])
    return found % rank if -rank <= found < rank else None


def _shape_ok(graph: Graph, op: Operator) -> bool:
    axis, x = _axis(graph, op), graph.input(op, 0).shape
    assert axis is not None
    return graph.output(op).shape == x[:axis] + x[axis + 1 :]


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    axis, shape = _axis(graph, op), graph.input(op, 0).shape
    assert axis is not None
    return Record(
        _CODES[op.name],
        (places.arena(op.inputs[0]), places.arena(op.outputs[0]), prod(shape[:axis]), shape[axis],
         prod(shape[axis + 1 :])),
    )  # fmt: skip


_RULES = (
    Rule(
        lambda g, o: g.input(o, 0).dtype == "int8" and per_tensor(g.input(o, 0)),
        "its input is not int8 with one scale and zero point",
        "convert with full integer quantization: a representative dataset, TFLITE_BUILTINS_INT8",
    ),
    Rule(
        lambda g, o: g.output(o).dtype == "int32",
        "its output is not int32, the only type that TensorFlow Lite Micro has here",
        "set output_type=tf.int32",
    ),
    COMPUTED,
    Rule(lambda g, o: _axis(g, o) is not None, "its axis is not one int32 constant", "make it a constant"),
    Rule(_shape_ok, "its axis does not give its output's shape", "convert the model again"),
)
KINDS = tuple(Kind(name=name, inputs=(2, 2), rules=_RULES, lower=_lower) for name in _CODES)
