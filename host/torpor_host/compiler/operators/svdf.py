# SPDX-License-Identifier: MIT
"""SVDF, int8, with a state of int8 or int16. Source: PrepareSvdf, svdf_common.cc of TensorFlow Lite Micro."""

from typing import Any

import numpy as np

from ..ir import Graph, Operator, Tensor
from .base import COMPUTED, INT8, OPTIONS, Kind, Places, Record, Rule, quantize_multiplier, sound_scale
from .weights import CONSTANT_WEIGHTS, INT8_WEIGHTS, NOT_HYBRID, SYMMETRIC

_CODE = 40
_INT32 = 1 << 31
_TIME, _BIAS, _STATE = 2, 3, 4
_SCHEME = "use the converter's int8 scheme"


def _read(options: Any) -> dict[str, int | float]:
    """The fused activation is not read: the integer kernel has none, its output's range does it."""
    return {"rank": options.Rank()}


def _single(tensor: Tensor) -> bool:
    q = tensor.quantization
    return q is not None and len(q.scales) == 1 and sound_scale(q.scales[0])


def _typed(graph: Graph, op: Operator) -> bool:
    time, bias, state = (graph.input(op, i) for i in (_TIME, _BIAS, _STATE))
    if not (time.data is not None and bias.data is not None and state.variable and state.data is None):
        return False
    if time.sparse or bias.dtype != "int32" or time.dtype != state.dtype:
        return False
    if not all(_single(t) for t in (graph.input(op, 1), time, bias, state)) or time.zero_point:
        return False
    if state.dtype == "int16":
        return state.zero_point == 0
    return state.dtype == "int8" and -128 <= state.zero_point <= 127


def _shapes(graph: Graph, op: Operator) -> bool:
    x, weights, time, bias, state = (graph.input(op, i) for i in range(5))
    rank = int(op.options["rank"])
    if len(x.shape) != 2 or len(weights.shape) != 2 or len(time.shape) != 2 or rank < 1:
        return False
    filters = weights.shape[0]
    return (
        filters % rank == 0
        and weights.shape[1] == x.shape[1]
        and time.shape[0] == filters
        and bias.shape == (filters // rank,)
        and state.shape == (x.shape[0], filters * time.shape[1])
        and graph.output(op).shape == (x.shape[0], filters // rank)
    )


def _scales(graph: Graph, op: Operator) -> tuple[np.float32, np.float32, np.float32, np.float32, np.float32]:
    return (
        graph.input(op, 0).scale, graph.input(op, 1).scale, graph.input(op, _STATE).scale,
        graph.input(op, _TIME).scale, graph.output(op).scale,
    )  # fmt: skip


def _bias_scale(graph: Graph, op: Operator) -> bool:
    _, _, state, time, _ = _scales(graph, op)
    return abs(float(graph.input(op, _BIAS).scale) - float(state * time)) < 1e-5


def _multipliers(graph: Graph, op: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (multiplier, shift) of the newest value and of the output, from float32 products."""
    x, weights, state, time, out = _scales(graph, op)
    with np.errstate(all="ignore"):
        return (
            quantize_multiplier(float(np.float32(np.float32(x * weights) / state))),
            quantize_multiplier(float(np.float32(np.float32(state * time) / out))),
        )


def _finite(graph: Graph, op: Operator) -> bool:
    x, weights, state, time, out = (float(s) for s in _scales(graph, op))
    return all(1e-12 < v < 1e12 for v in (x * weights, state * time, x * weights / state, state * time / out))


def _weights(graph: Graph, op: Operator, position: int) -> np.ndarray:
    data = graph.input(op, position).data
    assert data is not None
    return data.astype(np.int64)


def _folded(graph: Graph, op: Operator) -> np.ndarray:
    return -graph.input(op, 0).zero_point * _weights(graph, op, 1).sum(axis=1)


def _folded_out(graph: Graph, op: Operator) -> np.ndarray:
    """int32 as it wraps: so do the sums that start from it."""
    bias = _weights(graph, op, _BIAS)
    sums = _weights(graph, op, _TIME).sum(axis=1).reshape(len(bias), -1).sum(axis=1)
    whole: np.ndarray = bias - graph.input(op, _STATE).zero_point * sums
    return whole.astype("<i4")


def _sums_fit(graph: Graph, op: Operator) -> bool:
    """Sums over the input must fit. Those over time may wrap, which is defined where no shift goes up."""
    (_, up), (_, out_up) = _multipliers(graph, op)
    reach = np.abs(_weights(graph, op, 1)).sum(axis=1) * 255
    time = np.abs(_weights(graph, op, _TIME)).sum(axis=1) << (15 if _wide(graph, op) else 8)
    bias = _weights(graph, op, _BIAS)
    most = int((np.abs(bias) + time.reshape(len(bias), -1).sum(axis=1)).max())
    fits = int(reach.max()) << max(up, 0) < _INT32
    return fits and up <= 30 and out_up <= 30 and (out_up <= 0 or most << out_up < _INT32)


def _wide(graph: Graph, op: Operator) -> bool:
    return graph.input(op, _STATE).dtype == "int16"


def _lower(graph: Graph, op: Operator, places: Places) -> Record:
    x, weights, time, state = (graph.input(op, i) for i in (0, 1, _TIME, _STATE))
    assert weights.data is not None and time.data is not None
    newest, out = _multipliers(graph, op)
    return Record(
        _CODE,
        (
            places.arena(x.index), places.arena(op.outputs[0]), places.arena(state.index), *x.shape,
            graph.output(op).shape[1], int(op.options["rank"]), time.shape[1], int(_wide(graph, op)),
            places.weights(weights.data), places.weights(_folded(graph, op).astype("<i4")), *newest,
            state.zero_point, places.weights(time.data), places.weights(_folded_out(graph, op)), *out,
            graph.output(op).zero_point,
        ),
    )  # fmt: skip


def _macs(graph: Graph, op: Operator) -> int:
    return graph.input(op, 0).shape[0] * (graph.input(op, 1).count + graph.input(op, _TIME).count)


KIND = Kind(
    name="SVDF",
    inputs=(5, 5),
    options="SVDFOptions",
    read=_read,
    rules=(
        OPTIONS,
        CONSTANT_WEIGHTS,
        NOT_HYBRID,
        INT8,
        COMPUTED,
        INT8_WEIGHTS,
        SYMMETRIC,
        Rule(_typed, "its time weights, bias or state are not of the int8 scheme", _SCHEME),
        Rule(_shapes, "its shapes do not fit each other", "convert the model again"),
        Rule(_finite, "its scales are out of range", "calibrate again"),
        Rule(_bias_scale, "its bias does not have the scale of state times time weights", _SCHEME),
        Rule(_sums_fit, "its sums can overflow 32 bits", "calibrate again: its scales are out of range"),
    ),
    lower=_lower,
    macs=_macs,
    state=(_STATE,),
)
