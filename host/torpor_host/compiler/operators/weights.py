# SPDX-License-Identifier: MIT
"""What FULLY_CONNECTED, CONV_2D and DEPTHWISE_CONV_2D share: constant int8 weights, bias, requantization."""

import numpy as np

from ..ir import Graph, Operator, Tensor
from .base import Places, Rule, activation_range, quantize_multiplier, sound_scale
from .fixed import requantize

_INT32 = 1 << 31


def _constant_weights(graph: Graph, op: Operator) -> bool:
    weights = graph.optional_input(op, 1)
    return weights is not None and weights.data is not None and not weights.sparse


def _bias_ok(graph: Graph, op: Operator) -> bool:
    bias = graph.optional_input(op, 2)
    return bias is None or (bias.dtype == "int32" and bias.data is not None)


def _symmetric(graph: Graph, op: Operator) -> bool:
    q = graph.input(op, 1).quantization
    return q is not None and not q.zero_points.any() and all(sound_scale(s) for s in q.scales)


def _hybrid(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 0).dtype == "float32" and graph.input(op, 1).dtype == "int8"


CONSTANT_WEIGHTS = Rule(_constant_weights, "its weights are not dense constants", "freeze the model")
NOT_HYBRID = Rule(
    lambda graph, op: not _hybrid(graph, op),
    "hybrid (dynamic range): int8 weights, float32 activations",
    "convert with full integer quantization: a representative dataset, TFLITE_BUILTINS_INT8",
)
INT8_WEIGHTS = Rule(
    lambda graph, op: graph.input(op, 1).dtype == "int8",
    "its weights are not int8",
    "quantize weights to int8",
)
SYMMETRIC = Rule(
    _symmetric, "its weights are not symmetric (zero point 0)", "use the converter's int8 scheme"
)
BIAS = Rule(_bias_ok, "its bias is not a constant int32", "use the converter's int8 scheme")


def channels_match(axis: int) -> Rule:
    """Weights have one scale, or one per output channel along `axis`; the bias one value per channel."""

    def test(graph: Graph, op: Operator) -> bool:
        weights, bias = graph.input(op, 1), graph.optional_input(op, 2)
        q = weights.quantization
        assert q is not None
        units = weights.shape[axis]
        if bias is not None and bias.count != units:
            return False
        return len(q.scales) == 1 or (len(q.scales) == units and q.axis == axis)

    return Rule(test, "its scales or bias do not match the output channels", "convert the model again")


def _folded(graph: Graph, op: Operator, axis: int) -> tuple[np.ndarray, int]:
    """Return (bias - zero point * sum of the channel's weights, largest absolute sum any input can give)."""
    weights, bias = graph.input(op, 1), graph.optional_input(op, 2)
    assert weights.data is not None
    w = np.moveaxis(weights.data, axis, 0).reshape(weights.shape[axis], -1).astype(np.int64)
    b = np.zeros(len(w), dtype=np.int64)
    if bias is not None and bias.data is not None:
        b += bias.data.reshape(-1)
    zero = graph.input(op, 0).zero_point
    reach = np.abs(w).sum(axis=1) * max(127 - zero, zero + 128)
    folded = b - zero * w.sum(axis=1)
    # the folded bias is where the sum starts, so it and everything it can grow to must fit
    most = np.maximum(np.abs(b) + reach, np.abs(folded) + np.abs(w).sum(axis=1) * 128)
    return folded, int(most.max(initial=0))


def multipliers(graph: Graph, op: Operator) -> list[tuple[int, int]]:
    """Return (multiplier, shift) for the layer, or one for each channel, worked out in double.

    Source: PopulateConvolutionQuantizationParams, and GetQuantizedConvolutionMultipler as the PyPI wheel has
    it: the sources of August 2026 multiply the two scales of FULLY_CONNECTED in float32, which differs in a
    step of one output in some hundred thousand of int8, and in some hundred of int16.
    """
    q = graph.input(op, 1).quantization
    assert q is not None
    in_scale, out_scale = graph.input(op, 0).scale, float(graph.output(op).scale)
    return [quantize_multiplier(float(in_scale) * float(s) / out_scale) for s in q.scales]


def sums_fit(axis: int) -> Rule:
    """TensorFlow Lite Micro's 32-bit sums wrap; a model that can make them wrap is refused."""

    def test(graph: Graph, op: Operator) -> bool:
        _, most = _folded(graph, op, axis)
        left = max(0, *(s for _, s in multipliers(graph, op)))
        return left <= 30 and most << left < _INT32

    return Rule(test, "its sums can overflow 32 bits", "calibrate again: its scales or bias are out of range")


def _constant(
    graph: Graph, op: Operator, total: int, multiplier: int, shift: int
) -> tuple[int, tuple[int, int]]:
    """Return a small sum, multiplier and shift for a channel whose weights are all 0: its output is constant.

    Training leaves such channels behind; their biases near 2^30 would keep a layer from being plain.
    (c * 2^8) * 2^30 / 2^31 is c * 2^7 without a rest, and shifted right by 7 it is c.
    """
    low, high = activation_range(op, graph.output(op))
    zero = graph.output(op).zero_point
    value = min(max(requantize(total, multiplier, shift) + zero, low), high) - zero
    return value << 8, (1 << 30, -7)


def place(graph: Graph, op: Operator, places: Places, axis: int) -> tuple[int, ...]:
    """Put weights, bias, multipliers and shifts down; return their offsets and the step between channels."""
    weights: Tensor = graph.input(op, 1)
    assert weights.data is not None
    folded, _ = _folded(graph, op, axis)
    pairs = multipliers(graph, op)
    if len(pairs) > 1 and graph.output(op).dtype == "int8":
        still = np.flatnonzero(~np.moveaxis(weights.data, axis, 0).reshape(len(pairs), -1).any(axis=1))
        for i in still:
            folded[i], pairs[i] = _constant(graph, op, int(folded[i]), *pairs[i])
    # multiplier 0 gives 0 whatever the shift: one to the right, as a plain layer has (device/kernels/plain.h)
    pairs = [(m, s) if m else (0, -1) for m, s in pairs]
    return (
        places.weights(weights.data),
        places.weights(folded.astype("<i4")),
        places.weights(np.array([m for m, _ in pairs], dtype="<i4")),
        places.weights(np.array([s for _, s in pairs], dtype="<i4")),
        0 if len(pairs) == 1 else 1,
    )
