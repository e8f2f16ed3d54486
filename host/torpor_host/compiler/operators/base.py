# SPDX-License-Identifier: MIT
"""What every operator of the compiler is described by, and the arithmetic they share.

To add one: a module with a `KIND` in this package, named in `__init__`; a record and its kernel in
device/torpor/nn; a case in tests/compiler/builder.py. Nothing else changes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..ir import Graph, Operator, Tensor

ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}  # schema: ActivationFunctionType
SAME, VALID = 0, 1  # schema: Padding
INT8_LOW, INT8_HIGH = -128, 127
INT16_LOW, INT16_HIGH = -(1 << 15), (1 << 15) - 1


@dataclass(frozen=True)
class Record:
    """One operator record of the image: code and int32 arguments, as its device kernel documents them."""

    code: int
    args: tuple[int, ...]


class Places(Protocol):
    """Where an operator's memory lies; given to `lower` by image.py."""

    def arena(self, tensor: int) -> int: ...
    def weights(self, values: np.ndarray) -> int: ...
    def scratch(self) -> int: ...


Lowered = Record | list[Record]
Test = Callable[[Graph, Operator], bool]


@dataclass(frozen=True)
class Rule:
    """`test` holds for an operator that can be compiled; else `reason` says what it has, `fix` what helps."""

    test: Test
    reason: str
    fix: str = ""


@dataclass(frozen=True)
class Kind:
    """name: the schema's, or ours for operators that only passes make. inputs, outputs: how many, at least
    and at most. options: the schema's table, read by `read`. rules: checked in order, up to the first that
    fails. lower: the record or records, None for operators that a pass always removes.
    scratch: bytes it needs while it runs. in_place: for which inputs the
    output may take their memory, element by element. overlap: for which inputs the output may lie over rows
    that have been read, and how many bytes below the input it must then begin at least; such a kernel writes
    nothing of a row before it has read all of that row's input (see `row_distance`).
    state: which inputs are variables, kept from run to run.
    kept: bytes of a variable that the file does not name, and a pass makes the last input; zero at first.
    custom: the names of a CUSTOM operator's options, all of them needed.
    explain: (reason, fix) where a rule's fixed words would not do, after the rules.
    """

    name: str
    inputs: tuple[int, int]
    rules: tuple[Rule, ...]
    lower: Callable[[Graph, Operator, Places], Lowered] | None = None
    outputs: tuple[int, int] = (1, 1)
    options: str = ""
    read: Callable[[Any], dict[str, int | float]] = lambda options: {}
    macs: Callable[[Graph, Operator], int] = lambda graph, op: 0
    scratch: Callable[[Graph, Operator], int] = lambda graph, op: 0
    kept: Callable[[Graph, Operator], int] = lambda graph, op: 0
    in_place: tuple[int, ...] = field(default=())
    overlap: Callable[[Graph, Operator], dict[int, int]] = lambda graph, op: {}
    state: tuple[int, ...] = field(default=())
    explain: Callable[[Graph, Operator], tuple[str, str] | None] = lambda graph, op: None
    custom: tuple[str, ...] = ()


# ---- rules that several operators share


def int8_in_out(graph: Graph, op: Operator) -> bool:
    return _activation(graph.input(op, 0)) and _activation(graph.output(op))


def _activation(tensor: Tensor) -> bool:
    return tensor.dtype == "int8" and per_tensor(tensor)


def per_tensor(tensor: Tensor) -> bool:
    """One scale, positive and far from float32's limits, and a zero point that int8 can hold."""
    q = tensor.quantization
    if q is None or len(q.scales) != 1:
        return False
    return sound_scale(q.scales[0]) and INT8_LOW <= int(q.zero_points[0]) <= INT8_HIGH


def sound_scale(scale: np.floating) -> bool:
    return bool(1e-18 < float(scale) < 1e18)


def first_computed(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 0).data is None


def known_activation(graph: Graph, op: Operator) -> bool:
    return op.options.get("activation", 0) in ACTIVATIONS


COMPUTED = Rule(first_computed, "its first input is a constant", "let the converter fold constants")
INT8 = Rule(
    int8_in_out,
    "its input or output is not int8 with one scale and zero point",
    "convert with full integer quantization: a representative dataset, TFLITE_BUILTINS_INT8",
)
OPTIONS = Rule(lambda graph, op: op.has_options, "its options are missing", "convert the model again")
ACTIVATION = Rule(
    known_activation, "has a fused activation other than NONE, RELU, RELU6, RELU_N1_TO_1", "make it a layer"
)
SAME_SIZE = Rule(
    lambda graph, op: graph.input(op, 0).count == graph.output(op).count, "input and output differ in size"
)


# ---- quantized arithmetic, as TensorFlow Lite does it on the host


def round_away(value: float) -> int:
    """std::round: halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def quantize_multiplier(value: float) -> tuple[int, int]:
    """Return (Q31 multiplier, shift) of a positive real. Source: QuantizeMultiplier, quantization_util.cc."""
    if value == 0:
        return 0, 0
    fraction, shift = math.frexp(value)
    multiplier = round_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def activation_range(op: Operator, output: Tensor) -> tuple[int, int]:
    """Return the clamp of the fused activation. Source: CalculateActivationRangeQuantized, kernel_util.cc."""
    real = {"NONE": (None, None), "RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
    low, high = real[ACTIVATIONS[int(op.options.get("activation", 0))]]
    q_low, q_high = (INT16_LOW, INT16_HIGH) if output.dtype == "int16" else (INT8_LOW, INT8_HIGH)
    if low is not None:
        q_low = max(q_low, _quantized(low, output))
    if high is not None:
        q_high = min(q_high, _quantized(high, output))
    return q_low, q_high


def _quantized(real: float, output: Tensor) -> int:
    with np.errstate(over="ignore"):
        return output.zero_point + round_away(min(float(np.float32(real) / output.scale), 2.0**40))


def clamp_holds(graph: Graph, op: Operator) -> bool:
    """The activation's range must meet what the output can represent."""
    low, high = activation_range(op, graph.output(op))
    return low <= high


CLAMP = Rule(clamp_holds, "its activation leaves nothing of the output's range", "calibrate the model again")


MAX_WINDOW = 65535  # of a stride, filter or dilation


def window_ok(op: Operator, *names: str) -> bool:
    """Padding is SAME or VALID, and each option named is a length."""
    return op.options["padding"] in (SAME, VALID) and all(1 <= op.options[n] <= MAX_WINDOW for n in names)


def padding_before(padding: int, size: int, filter_size: int, stride: int, dilation: int, out: int) -> int:
    """Return the padding above or left; what is odd goes below or right. Source: TensorFlow's padding.h."""
    if padding != SAME:
        return 0
    return max(0, (out - 1) * stride + (filter_size - 1) * dilation + 1 - size) // 2


def rows_above(op: Operator, size: int, filter_size: int, stride: int, dilation: int, out: int) -> int:
    """Return the padding above: `top` where a pass has made it explicit (a band of an image has it only at
    the image's own edge), else what the schema gives. What lies below the input is always padding."""
    if "top" in op.options:
        return int(op.options["top"])
    return padding_before(int(op.options["padding"]), size, filter_size, stride, dilation, out)


@dataclass(frozen=True)
class Rows:
    """Row oy of the output needs rows oy * stride - top .. oy * stride - top + reach of the input."""

    stride: int
    top: int
    reach: int


def row_distance(x: Tensor, y: Tensor, rows: Rows) -> int:
    """Return how many bytes below x [batches, h, w, c] the output y [batches, oh, ow, n] must begin, so that
    whatever is written for rows up to oy lies below all that row oy or a later one still reads. Source:
    Blacker et al., Diagonal Memory Optimisation.
    """
    row_in, row_out = x.size_bytes // (x.shape[0] * x.shape[1]), y.size_bytes // (y.shape[0] * y.shape[1])
    return max(
        (b * y.shape[1] + oy + 1) * row_out - (b * x.shape[1] + max(0, oy * rows.stride - rows.top)) * row_in
        for b in (0, y.shape[0] - 1)  # it grows or shrinks evenly from one image to the next
        for oy in range(y.shape[1])
    )


def output_size(padding: int, size: int, filter_size: int, stride: int, dilation: int) -> int:
    """Source: ComputeOutSize in TensorFlow Lite's padding.h."""
    if padding == SAME:
        return (size + stride - 1) // stride
    return (size + stride - 1 - (filter_size - 1) * dilation) // stride
