# SPDX-License-Identifier: MIT
"""UNIDIRECTIONAL_SEQUENCE_LSTM, int8 with an int16 cell, without peepholes, projection or layer norm.

Source: unidirectional_sequence_lstm.cc, lstm_eval.cc and lstm_eval_common.cc of TensorFlow Lite Micro.
"""

import math
from typing import Any

import numpy as np

from ..ir import Graph, Operator, Tensor
from .base import COMPUTED, INT8, OPTIONS, Kind, Places, Record, Rule, quantize_multiplier, sound_scale

_CODE = 41
_INT32 = 1 << 31
_TANH = 4  # schema: ActivationFunctionType
_GATES = (1, 0, 2, 3)  # forget, input, cell, output: their place among the inputs
_WEIGHTS, _RECURRENT, _BIAS, _HIDDEN, _CELL = 1, 5, 12, 18, 19
_LEFT_OUT = (*range(9, 12), 16, 17, *range(20, 24))
_Q12, _Q15 = 2.0**-12, 2.0**-15
_SCHEME = "use the converter's int8 scheme (8x8_16)"


def sigmoid_table() -> np.ndarray:
    """1 / (1 + exp(-i / 24)) in Q16, uint16 [256], raised by half of what a straight line between two entries
    lies below the curve (step**2 / 8 of its second derivative); the last entry is the end of the scale.
    That gives each value of sigmoid_table_uint16, common.h: kernels interpolate between two entries.
    """
    step = 1 / 24
    values = []
    for i in range(256):
        s = 1 / (1 + math.exp(-i * step))
        curve = s * (1 - s) * (2 * s - 1)
        values.append(math.floor(65536 * (s + step * step / 16 * curve) + 0.5))
    values[255] = 65535
    return np.array(values, dtype="<u2")


def _read(options: Any) -> dict[str, int | float]:
    return {
        "activation": options.FusedActivationFunction(),
        "cell_clip": options.CellClip(),
        "time_major": int(options.TimeMajor()),
        "diagonal": int(options.DiagonalRecurrentTensors()),
    }


def _dims(graph: Graph, op: Operator) -> tuple[int, int, int, int]:
    """Return (batches, steps, depth, units)."""
    batches, steps, depth = graph.input(op, 0).shape
    if op.options["time_major"]:
        batches, steps = steps, batches
    return batches, steps, depth, graph.output(op).shape[2]


def _plain(graph: Graph, op: Operator) -> bool:
    return all(op.inputs[i] < 0 for i in _LEFT_OUT) and not op.options["diagonal"]


def _whole(graph: Graph, op: Operator) -> bool:
    return all(op.inputs[i] >= 0 for i in range(24) if i not in _LEFT_OUT)


def _single(tensor: Tensor) -> bool:
    q = tensor.quantization
    return q is not None and len(q.scales) == 1 and sound_scale(q.scales[0])


def _typed(graph: Graph, op: Operator) -> bool:
    for g in range(4):
        w, r, b = (graph.input(op, first + g) for first in (_WEIGHTS, _RECURRENT, _BIAS))
        for t in (w, r):
            if t.data is None or t.sparse or t.dtype != "int8" or not _single(t) or t.zero_point:
                return False
        if b.data is None or b.dtype != "int32" or b.sparse:
            return False
    return True


def _states(graph: Graph, op: Operator) -> bool:
    hidden, cell, out = graph.input(op, _HIDDEN), graph.input(op, _CELL), graph.output(op)
    if not all(t.variable and t.data is None and _single(t) for t in (hidden, cell)):
        return False
    return (
        (hidden.dtype, cell.dtype) == ("int8", "int16")
        and (hidden.scale, hidden.zero_point) == (out.scale, out.zero_point)
        and cell.zero_point == 0
    )


def _shapes(graph: Graph, op: Operator) -> bool:
    x, out = graph.input(op, 0), graph.output(op)
    if len(x.shape) != 3 or len(out.shape) != 3 or out.shape[:2] != x.shape[:2]:
        return False
    batches, _, depth, units = _dims(graph, op)
    hidden, cell = graph.input(op, _HIDDEN), graph.input(op, _CELL)
    if len(hidden.shape) != 2 or hidden.shape[1] != units:
        return False
    for g in range(4):
        shapes = [graph.input(op, first + g).shape for first in (_WEIGHTS, _RECURRENT, _BIAS)]
        if shapes != [(units, depth), (units, units), (units,)]:
            return False
    return hidden.count == cell.count == batches * units


def _power(graph: Graph, op: Operator) -> int | None:
    """log2 of the cell's scale, None where that is no whole number. Source: CheckedLog2."""
    exact = math.log2(float(graph.input(op, _CELL).scale))
    return round(exact) if abs(exact - round(exact)) < 1e-3 else None


def _power_ok(graph: Graph, op: Operator) -> bool:
    power = _power(graph, op)
    return power is not None and -27 <= power <= 2


def _pairs(graph: Graph, op: Operator) -> list[tuple[int, int]]:
    """Return (multiplier, shift) in the record's order; scales of sums are float32 products."""
    found = []
    for first, x in ((_WEIGHTS, graph.input(op, 0)), (_RECURRENT, graph.input(op, _HIDDEN))):
        for g in _GATES:
            product = np.float32(x.scale * graph.input(op, first + g).scale)
            found.append(quantize_multiplier(float(product) / _Q12))
    found.append(quantize_multiplier(_Q15 * _Q15 / float(graph.input(op, _CELL).scale)))
    found.append(quantize_multiplier(_Q15 * _Q15 / float(graph.input(op, _HIDDEN).scale)))
    return found


def _stacked(
    graph: Graph, op: Operator, first: int, x: Tensor, biased: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return (weights int8 [units, 4, n], bias int64 [units, 4] with x's zero point folded in)."""
    found = [graph.input(op, first + g).data for g in _GATES]
    weights = np.stack([d for d in found if d is not None], axis=1)
    bias = -x.zero_point * weights.astype(np.int64).sum(axis=2)
    if biased:
        given = [graph.input(op, _BIAS + g).data for g in _GATES]
        bias += np.stack([d for d in given if d is not None], axis=1)
    return weights, bias


def _both(graph: Graph, op: Operator) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    return (
        _stacked(graph, op, _WEIGHTS, graph.input(op, 0), biased=True),
        _stacked(graph, op, _RECURRENT, graph.input(op, _HIDDEN), biased=False),
    )


def _sums_fit(graph: Graph, op: Operator) -> bool:
    pairs = _pairs(graph, op)
    for i, (weights, bias) in enumerate(_both(graph, op)):
        # folded and not, what a sum starts from and what it can grow to
        most = np.abs(bias).max(axis=0) + 256 * np.abs(weights.astype(np.int64)).sum(axis=2).max(axis=0)
        for reach, (_, shift) in zip(most, pairs[4 * i : 4 * i + 4], strict=True):
            if shift > 30 or int(reach) << max(shift, 0) >= _INT32:
                return False
    return all(shift <= 0 for _, shift in pairs[8:])


def _clip(graph: Graph, op: Operator) -> int:
    """Source: CreateLstmCellStateInfo."""
    clip = float(op.options["cell_clip"])
    return int(min(clip / float(graph.input(op, _CELL).scale), 32767.0)) if clip > 0 else 0


def _clip_ok(graph: Graph, op: Operator) -> bool:
    """A clip below one step would hold the cell at 0, which the record can't say."""
    clip = float(op.options["cell_clip"])
    return not clip > 0 or _clip(graph, op) > 0


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    (weights, bias), (again, again_bias) = _both(graph, op)
    power = _power(graph, op)
    assert power is not None
    up = power + 12  # Q12 is what the table is for
    return Record(
        _CODE,
        (
            places.arena(op.inputs[0]), places.arena(op.outputs[0]), places.arena(op.inputs[_HIDDEN]),
            places.arena(op.inputs[_CELL]), *_dims(graph, op), int(op.options["time_major"]),
            places.weights(weights), places.weights(bias.astype("<i4")),
            places.weights(again), places.weights(again_bias.astype("<i4")),
            places.weights(np.array(_pairs(graph, op), dtype="<i4")), _clip(graph, op),
            3 << max(up, 0), max(-up, 0), graph.output(op).zero_point, places.weights(sigmoid_table()),
        ),
    )  # fmt: skip


def _macs(graph: Graph, op: Operator) -> int:
    batches, steps, depth, units = _dims(graph, op)
    return batches * steps * units * 4 * (depth + units)


KIND = Kind(
    name="UNIDIRECTIONAL_SEQUENCE_LSTM",
    inputs=(1, 24),
    options="UnidirectionalSequenceLSTMOptions",
    read=_read,
    rules=(
        OPTIONS,
        Rule(lambda g, o: len(o.inputs) == 24, "does not have 24 inputs", "convert the model again"),
        Rule(_plain, "has peepholes, a projection, layer norm or diagonal weights", "use Keras' plain LSTM"),
        Rule(_whole, "its input gate, a bias or a state is left out", "use Keras' plain LSTM"),
        INT8,
        COMPUTED,
        Rule(_typed, "its weights or biases are not of the int8 scheme", _SCHEME),
        Rule(_states, "its states are not int8 with the output's scale, and int16 around 0", _SCHEME),
        Rule(_shapes, "its shapes do not fit each other", "convert the model again"),
        Rule(lambda g, o: o.options["activation"] == _TANH, "its cell is not activated by TANH", "use TANH"),
        Rule(_power_ok, "its cell's scale is not a power of 2 up to 4", _SCHEME),
        Rule(_clip_ok, "its cell clip is below one step of the cell", "clip higher, or not at all"),
        Rule(_sums_fit, "its sums can overflow 32 bits", "calibrate again: its scales are out of range"),
    ),
    lower=_lower,
    macs=_macs,
    state=(_HIDDEN, _CELL),
)
