# SPDX-License-Identifier: MIT
"""SUB, MUL, MAXIMUM, MINIMUM, PRELU, int8, with ADD's broadcasting; one side may be a constant."""

from ..ir import Graph, Operator
from .add import BROADCAST, SECOND_INT8, SMALL, Scale, read_activation, record, sum_scales
from .base import (
    ACTIVATION,
    CLAMP,
    COMPUTED,
    INT8,
    INT8_HIGH,
    INT8_LOW,
    Kind,
    Places,
    Record,
    Rule,
    activation_range,
    quantize_multiplier,
)

_SUB, _SUB_FROM, _MUL, _MAXIMUM, _MINIMUM, _PRELU = range(14, 20)
_ONE: Scale = (0, 0)  # where a kernel does not scale
_MOST_SHIFT = 14  # products reach 2**16; shifted further they would wrap in 32 bits


def _sub(graph: Graph, op: Operator, places: Places) -> Record:
    """Source: CalculateOpDataSub, which scales as ADD does."""
    clamp = activation_range(op, graph.output(op))
    return record(graph, op, places, (_SUB, _SUB_FROM), sum_scales(graph, op), clamp)


def _product(graph: Graph, op: Operator) -> Scale:
    """Source: CalculateOpDataMul, CalculatePreluParams: in double."""
    a, b, y = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    return quantize_multiplier(float(a.scale) * float(b.scale) / float(y.scale))


def _identity(graph: Graph, op: Operator) -> Scale:
    return quantize_multiplier(float(graph.input(op, 0).scale) / float(graph.output(op).scale))


def _mul(graph: Graph, op: Operator, places: Places) -> Record:
    clamp = activation_range(op, graph.output(op))
    return record(graph, op, places, (_MUL, _MUL), (_ONE, _ONE, _product(graph, op)), clamp)


def _extreme(graph: Graph, op: Operator, places: Places) -> Record:
    code = _MAXIMUM if op.name == "MAXIMUM" else _MINIMUM
    return record(graph, op, places, (code, code), (_ONE, _ONE, _ONE), (INT8_LOW, INT8_HIGH))


def _prelu(graph: Graph, op: Operator, places: Places) -> Record:
    scales = (_identity(graph, op), _product(graph, op), _ONE)
    return record(graph, op, places, (_PRELU, _PRELU), scales, (INT8_LOW, INT8_HIGH))


def _same_quantization(graph: Graph, op: Operator) -> bool:
    tensors = [graph.input(op, 0), graph.input(op, 1), graph.output(op)]
    return all(t.scale == tensors[0].scale and t.zero_point == tensors[0].zero_point for t in tensors)


PRODUCT = Rule(
    lambda g, o: _product(g, o)[1] <= _MOST_SHIFT, "its output scale is far below its inputs'",
    "calibrate the model again",
)  # fmt: skip
_SAME = Rule(
    _same_quantization, "its inputs and output differ in scale or zero point",
    "convert with a current TensorFlow, or put QUANTIZE before it",
)  # fmt: skip

KINDS = (
    Kind(
        name="SUB", inputs=(2, 2), options="SubOptions", read=read_activation, lower=_sub, in_place=(0, 1),
        rules=(INT8, SECOND_INT8, *BROADCAST, SMALL, ACTIVATION, CLAMP),
    ),
    Kind(
        name="MUL", inputs=(2, 2), options="MulOptions", read=read_activation, lower=_mul, in_place=(0, 1),
        rules=(INT8, SECOND_INT8, *BROADCAST, PRODUCT, ACTIVATION, CLAMP),
    ),
    Kind(
        name="MAXIMUM", inputs=(2, 2), lower=_extreme, in_place=(0, 1),
        rules=(INT8, SECOND_INT8, *BROADCAST, _SAME),
    ),
    Kind(
        name="MINIMUM", inputs=(2, 2), lower=_extreme, in_place=(0, 1),
        rules=(INT8, SECOND_INT8, *BROADCAST, _SAME),
    ),
    Kind(
        name="PRELU", inputs=(2, 2), lower=_prelu, in_place=(0,),
        rules=(
            INT8, COMPUTED, SECOND_INT8, *BROADCAST, PRODUCT,
            Rule(
                lambda g, o: _identity(g, o)[1] <= _MOST_SHIFT, "its output scale is far below its input's",
                "calibrate the model again",
            ),
        ),
    ),
)  # fmt: skip
