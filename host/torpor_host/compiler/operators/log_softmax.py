# SPDX-License-Identifier: MIT
"""LOG_SOFTMAX over the last axis, int8. All that depends on one difference is tabulated."""

import numpy as np

from ..ir import Graph, Operator
from .base import COMPUTED, INT8, Kind, Places, Record, Rule, quantize_multiplier
from .fixed import divide_by_pot, input_radius, requantize
from .softmax import exponentials

_CODE = 25
_INTEGER_BITS, _SUM_BITS = 5, 12
_MOST_TERMS = 4095


def _real(graph: Graph, op: Operator) -> float:
    return float(graph.input(op, 0).scale) * (1 << (31 - _INTEGER_BITS))


def _rescale(graph: Graph, op: Operator) -> tuple[int, int]:
    """(multiplier, left shift) of a difference. Source: PreprocessSoftmaxScaling, quantization_util.cc."""
    return quantize_multiplier(min(_real(graph, op), float((1 << 31) - 1)))


def _reverse(multiplier: int, left_shift: int) -> tuple[int, int]:
    """(multiplier, shift) back to a difference. Source: PreprocessLogSoftmaxScalingExp."""
    return quantize_multiplier((1 << (31 - left_shift)) / multiplier)


def differences(multiplier: int, left_shift: int) -> np.ndarray:
    """int32 [256]: the differences -255..0 in Q5, 0 for those below what TensorFlow Lite Micro looks at."""
    least = -input_radius(_INTEGER_BITS, left_shift)
    return np.array(
        [requantize(d, multiplier, left_shift) if d >= least else 0 for d in range(-255, 1)], dtype="<i4"
    )


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    x = graph.input(op, 0)
    depth = x.shape[-1]
    scale = _rescale(graph, op)
    terms = [divide_by_pot(int(e), _SUM_BITS) for e in exponentials(*scale)]
    return Record(
        _CODE,
        (places.arena(x.index), places.arena(op.outputs[0]), x.count // depth, depth,
         places.weights(np.array(terms, dtype="<i4")), places.weights(differences(*scale)),
         -input_radius(_INTEGER_BITS, scale[1]) - 1, *_reverse(*scale)),
    )  # fmt: skip


KIND = Kind(
    name="LOG_SOFTMAX",
    inputs=(1, 1),
    rules=(
        INT8,
        COMPUTED,
        Rule(
            lambda g, o: g.input(o, 0).shape == g.output(o).shape and len(g.input(o, 0).shape) >= 1,
            "input and output differ in shape", "convert the model again",
        ),
        Rule(
            lambda g, o: g.output(o).zero_point == 127 and g.output(o).scale == np.float32(16 / 256),
            "its output's scale is not 1/16 with zero point 127", "convert the model again",
        ),
        # the way back is a multiplier below 1: PreprocessLogSoftmaxScalingExp checks it
        Rule(lambda g, o: _real(g, o) > 2, "its input's scale is out of range", "calibrate the model again"),
        Rule(
            lambda g, o: g.input(o, 0).shape[-1] <= _MOST_TERMS, f"sums more than {_MOST_TERMS} exponentials",
            "split the axis",
        ),
    ),
    lower=_lower,
    in_place=(0,),
)  # fmt: skip
