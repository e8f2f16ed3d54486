# SPDX-License-Identifier: MIT
"""SOFTMAX over the last axis, int8. exp is tabulated: differences to the largest are only -255..0."""

from typing import Any

import numpy as np

from ..ir import Graph, Operator
from .base import COMPUTED, INT8, OPTIONS, Kind, Places, Record, Rule, quantize_multiplier
from .fixed import exp_negative, high_mul, input_radius

_CODE = 7
_INTEGER_BITS = 5
_MOST_TERMS = 4095


def _rescale(graph: Graph, op: Operator) -> tuple[int, int]:
    """(multiplier, left shift) of a difference. Source: PreprocessSoftmaxScaling, quantization_util.cc."""
    real = (
        float(np.float32(op.options["beta"])) * float(graph.input(op, 0).scale) * (1 << (31 - _INTEGER_BITS))
    )
    return quantize_multiplier(min(real, float((1 << 31) - 1)))


def _coarse_enough(graph: Graph, op: Operator) -> bool:
    beta = float(op.options["beta"])
    return 0 < beta < 1e6 and beta * float(graph.input(op, 0).scale) * (1 << (31 - _INTEGER_BITS)) > 1


def exponentials(multiplier: int, left_shift: int) -> np.ndarray:
    """int32 [256]: exp of the differences -255..0 as Q0, 0 for those that TensorFlow Lite Micro skips."""
    least = -input_radius(_INTEGER_BITS, left_shift)
    return np.array(
        [
            exp_negative(high_mul(d << left_shift, multiplier), _INTEGER_BITS) if d >= least else 0
            for d in range(-255, 1)
        ],
        dtype="<i4",
    )


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    x = graph.input(op, 0)
    depth = x.shape[-1]
    table = places.weights(exponentials(*_rescale(graph, op)))
    return Record(_CODE, (places.arena(x.index), places.arena(op.outputs[0]), x.count // depth, depth, table))


def _read(options: Any) -> dict[str, int | float]:
    return {"beta": options.Beta()}


FEW = Rule(lambda g, o: g.input(o, 0).shape[-1] <= _MOST_TERMS, f"has more than {_MOST_TERMS} classes")
OUTPUT = Rule(
    lambda g, o: g.output(o).zero_point == -128 and g.output(o).scale == np.float32(1 / 256),
    "its output's scale is not 1/256 with zero point -128", "convert the model again",
)  # fmt: skip
COARSE = Rule(_coarse_enough, "its input's scale times beta is out of range", "calibrate the model again")

KIND = Kind(
    name="SOFTMAX",
    inputs=(1, 1),
    options="SoftmaxOptions",
    read=_read,
    rules=(
        OPTIONS,
        INT8,
        COMPUTED,
        Rule(lambda g, o: len(g.input(o, 0).shape) >= 1, "its input has no axis"),
        Rule(lambda g, o: g.input(o, 0).shape == g.output(o).shape, "its input and output differ in shape"),
        FEW,
        OUTPUT,
        COARSE,
    ),
    lower=_lower,
    in_place=(0,),
)  # fmt: skip
