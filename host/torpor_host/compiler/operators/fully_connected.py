# SPDX-License-Identifier: MIT
"""FULLY_CONNECTED, int8, one scale or one per unit."""

from typing import Any

from ..ir import Graph, Operator
from .base import ACTIVATION, CLAMP, COMPUTED, INT8, OPTIONS, Kind, Places, Record, Rule, activation_range
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

_CODE = 1


def _read(options: Any) -> dict[str, int | float]:
    return {"activation": options.FusedActivationFunction(), "format": options.WeightsFormat()}


def _dims(graph: Graph, op: Operator) -> tuple[int, int, int]:
    """Return (batches, depth, units)."""
    units, depth = graph.input(op, 1).shape
    return graph.output(op).count // units, depth, units


def _shapes(graph: Graph, op: Operator) -> bool:
    weights, out = graph.input(op, 1), graph.output(op)
    if len(weights.shape) != 2 or not out.shape or out.shape[-1] != weights.shape[0]:
        return False
    batches, depth, _ = _dims(graph, op)
    return graph.input(op, 0).count == batches * depth


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    weights, bias, mul, shift, step = place(graph, op, places, 0)
    out = graph.output(op)
    return Record(
        _CODE,
        (places.arena(op.inputs[0]), places.arena(op.outputs[0]), *_dims(graph, op), weights, bias, mul,
         shift, step, out.zero_point, *activation_range(op, out)),
    )  # fmt: skip


def _macs(graph: Graph, op: Operator) -> int:
    batches, depth, units = _dims(graph, op)
    return batches * depth * units


KIND = Kind(
    name="FULLY_CONNECTED",
    inputs=(2, 3),
    options="FullyConnectedOptions",
    read=_read,
    rules=(
        OPTIONS,
        Rule(lambda g, o: o.options["format"] == 0, "has shuffled weights", "use the default weights format"),
        CONSTANT_WEIGHTS,
        NOT_HYBRID,
        INT8,
        COMPUTED,
        INT8_WEIGHTS,
        SYMMETRIC,
        BIAS,
        Rule(_shapes, "its shapes do not fit each other", "convert the model again"),
        channels_match(0),
        ACTIVATION,
        CLAMP,
        sums_fit(0),
    ),
    lower=_lower,
    macs=_macs,
)
