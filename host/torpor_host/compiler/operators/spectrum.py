# SPDX-License-Identifier: MIT
"""Audio to spectrum, int16: CUSTOM:SignalWindow, SignalFftAutoScale, SignalRfft, SignalEnergy."""

import math

import numpy as np

from ..ir import Graph, Operator
from .base import COMPUTED, SAME_SIZE, Kind, Places, Record, Rule

_WINDOW, _AUTO_SCALE, _RFFT, _ENERGY = range(50, 54)
_INT16 = 7  # schema: TensorType
_FULL = 32767  # 1 in kissfft's Q15
_LENGTHS = tuple(1 << k for k in range(2, 15))  # of an FFT
MOST_SHIFT = 31  # of 32 bits


def types(*names: str) -> Rule:
    """The computed inputs' and the outputs' types, as TensorFlow Lite Micro's Prepare wants them."""

    def test(graph: Graph, op: Operator) -> bool:
        found = [graph.tensors[t].dtype for t in (*graph.computed_inputs(op), *op.outputs)]
        return found == list(names)

    what = " and ".join((", ".join(names[:-1]), names[-1]))
    return Rule(
        test, f"its inputs and outputs are not {what}", "write it with TensorFlow Lite Micro's signal library"
    )


def options(*names: str) -> Rule:
    """`TensorFlow Lite Micro` finds options by position: one more or less and it reads another."""
    return Rule(
        lambda graph, op: op.has_options, f"its options are not {' and '.join(names)} alone",
        "write it with TensorFlow Lite Micro's signal library",
    )  # fmt: skip


def constant(graph: Graph, op: Operator, position: int, dtype: str = "int16") -> bool:
    """A constant vector."""
    t = graph.input(op, position)
    return t.data is not None and t.dtype == dtype and len(t.shape) == 1 and not t.sparse


def shift_ok(op: Operator, *names: str) -> bool:
    return all(0 <= op.options[name] <= MOST_SHIFT for name in names)


# ---- window


def _window_ok(graph: Graph, op: Operator) -> bool:
    return constant(graph, op, 1) and graph.input(op, 0).count % graph.input(op, 1).count == 0


def _window(graph: Graph, op: Operator, places: Places) -> Record:
    x, window = graph.input(op, 0), graph.input(op, 1)
    assert window.data is not None
    rows = x.count // window.count
    return Record(
        _WINDOW, (places.arena(x.index), places.arena(op.outputs[0]), rows, window.count,
                  places.weights(window.data), int(op.options["shift"])),
    )  # fmt: skip


# ---- automatic scale


def _auto_scale_ok(graph: Graph, op: Operator) -> bool:
    x, y, bits = graph.input(op, 0), graph.output(op), graph.tensors[op.outputs[1]]
    return len(x.shape) == 1 and x.shape == y.shape and bits.shape == ()


def _auto_scale(graph: Graph, op: Operator, places: Places) -> Record:
    y, bits = op.outputs
    return Record(
        _AUTO_SCALE,
        (places.arena(op.inputs[0]), places.arena(y), places.arena(bits), graph.input(op, 0).count),
    )


# ---- real FFT


def _q15(phases: np.ndarray) -> np.ndarray:
    """(cos, sin) of each phase, int16 [2n], rounded as kissfft's KISS_FFT_COS rounds."""
    pairs = [math.floor(0.5 + _FULL * f(float(p))) for p in phases for f in (math.cos, math.sin)]
    return np.array(pairs, dtype="<i2")


def twiddles(half: int) -> np.ndarray:
    """Those of a complex FFT of `half` points that radix 4 looks at. Source: kiss_fft_alloc."""
    return _q15(-2 * math.pi * np.arange(max(1, 3 * half // 4)) / half)


def unpacking_twiddles(half: int) -> np.ndarray:
    """Those that part an FFT of two interleaved halves of a real signal. Source: kiss_fftr_alloc."""
    return _q15(-math.pi * ((np.arange(half // 2) + 1) / half + 0.5))


def _rfft_ok(graph: Graph, op: Operator) -> bool:
    x, y, length = graph.input(op, 0), graph.output(op), int(op.options["fft_length"])
    if not x.shape or x.shape[:-1] != y.shape[:-1]:
        return False
    return x.shape[-1] <= length and y.shape[-1] == length + 2


def _rfft(graph: Graph, op: Operator, places: Places) -> Record:
    x, length = graph.input(op, 0), int(op.options["fft_length"])
    rows = x.count // x.shape[-1]
    return Record(
        _RFFT, (places.arena(x.index), places.arena(op.outputs[0]), rows, x.shape[-1], length,
                places.weights(twiddles(length // 2)), places.weights(unpacking_twiddles(length // 2))),
    )  # fmt: skip


# ---- energy


def _energy_ok(graph: Graph, op: Operator) -> bool:
    x, y = graph.input(op, 0), graph.output(op)
    if len(x.shape) != 1 or len(y.shape) != 1 or x.shape[0] != 2 * y.shape[0]:
        return False
    return 0 <= op.options["start_index"] < op.options["end_index"] <= y.shape[0]


def _energy(graph: Graph, op: Operator, places: Places) -> Record:
    return Record(
        _ENERGY, (places.arena(op.inputs[0]), places.arena(op.outputs[0]), graph.output(op).count,
                  int(op.options["start_index"]), int(op.options["end_index"])),
    )  # fmt: skip


KINDS = (
    Kind(
        name="CUSTOM:SignalWindow", inputs=(2, 2), custom=("shift",), lower=_window, in_place=(0,),
        rules=(
            options("shift"), COMPUTED, types("int16", "int16"), SAME_SIZE,
            Rule(
                _window_ok, "its window is not a constant that divides its input", "give it a window's length"
            ),
            Rule(lambda g, o: shift_ok(o, "shift"), "its shift is not 0 to 31"),
        ),
    ),
    Kind(
        name="CUSTOM:SignalFftAutoScale", inputs=(1, 1), outputs=(2, 2), lower=_auto_scale, in_place=(0,),
        rules=(
            COMPUTED, types("int16", "int16", "int32"),
            Rule(_auto_scale_ok, "its input and output are not vectors of one length, and a scalar"),
        ),
    ),
    Kind(
        name="CUSTOM:SignalRfft", inputs=(1, 1), custom=("T", "fft_length"), lower=_rfft,
        rules=(
            options("T", "fft_length"), COMPUTED,
            Rule(lambda g, o: o.options["T"] == _INT16, "computes in int32 or float32", "use int16"),
            types("int16", "int16"),
            Rule(
                lambda g, o: o.options["fft_length"] in _LENGTHS,
                f"its length is not a power of 2 from {_LENGTHS[0]} to {_LENGTHS[-1]}",
                "pad to such a length",
            ),
            Rule(
                _rfft_ok, "its input is longer than fft_length, or its output not fft_length / 2 + 1 pairs"
            ),
        ),
    ),
    Kind(
        name="CUSTOM:SignalEnergy", inputs=(1, 1), custom=("end_index", "start_index"), lower=_energy,
        in_place=(0,),
        rules=(
            options("end_index", "start_index"), COMPUTED, types("int16", "uint32"),
            Rule(_energy_ok, "its start_index and end_index do not lie within its vectors"),
        ),
    ),
)  # fmt: skip
