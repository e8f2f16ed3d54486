# SPDX-License-Identifier: MIT
"""Spectrum to features: CUSTOM:SignalFilterBank, SignalFilterBankSquareRoot,
SignalFilterBankSpectralSubtraction (which keeps an estimate of the noise from run to run), SignalPCAN and
SignalFilterBankLog. Limits keep every sum below 2**61, so that 64-bit MicroPython needs no heap integer."""

import numpy as np

from ..ir import Graph, Operator
from .base import COMPUTED, Kind, Places, Record, Rule
from .spectrum import constant, options, shift_ok, types

_FILTER_BANK, _SQUARE_ROOT, _SUBTRACTION, _PCAN, _LOG = range(54, 59)
_MOST_WIDTH = 8192  # of a channel: two of them times 2**15 times 2**32 is 2**61
_MOST_WEIGHT = 1 << 28  # of a smoothing: two of them times 2**32 is 2**61
_MOST_LOG_SCALE = 2954  # times 65536 * ln(2**32) stays below 2**32
_GAINS = 125  # of PCAN's table: 4 for each of 31 octaves, 2 before them, and one
_SEGMENTS = 128
_AGAIN = "write it with TensorFlow Lite Micro's signal library"


def _vectors(graph: Graph, op: Operator) -> bool:
    """Channels: the computed inputs and the outputs are vectors of one length, a scalar of bits aside."""
    shapes = {graph.tensors[t].shape for t in (*graph.computed_inputs(op), *op.outputs)} - {()}
    return len(shapes) == 1 and len(next(iter(shapes))) == 1


VECTORS = Rule(_vectors, "its inputs and outputs are not vectors of one length", _AGAIN)


# ---- filter bank


def _tables(graph: Graph, op: Operator) -> list[np.ndarray]:
    """weights, unweights, where each channel starts in the spectrum and in those, how wide it is."""
    found = [graph.input(op, i).data for i in range(1, 6)]
    return [data for data in found if data is not None]


def _bank_ok(graph: Graph, op: Operator) -> bool:
    x, n = graph.input(op, 0), int(op.options["num_channels"])
    if not all(constant(graph, op, i) for i in range(1, 6)):
        return False
    if len(x.shape) != 1 or graph.output(op).shape != (n,):
        return False
    weights, unweights, starts, firsts, widths = _tables(graph, op)
    if min(len(starts), len(firsts), len(widths)) < n + 1 or min(weights.min(), unweights.min()) < 0:
        return False
    return all(
        0 <= width <= _MOST_WIDTH and start >= 0 and start + width <= x.count
        and first >= 0 and first + width <= min(len(weights), len(unweights))
        for start, first, width in zip(*(t[: n + 1].tolist() for t in (starts, firsts, widths)), strict=True)
    )  # fmt: skip


def _bank(graph: Graph, op: Operator, places: Places) -> Record:
    n = int(op.options["num_channels"])
    weights, unweights, *bands = _tables(graph, op)
    common = min(len(weights), len(unweights))
    tables = (weights[:common], unweights[:common], *(t[: n + 1] for t in bands))
    return Record(
        _FILTER_BANK, (places.arena(op.inputs[0]), places.arena(op.outputs[0]), graph.input(op, 0).count, n,
                       common, *(places.weights(t) for t in tables)),
    )  # fmt: skip


# ---- square root


def _root(graph: Graph, op: Operator, places: Places) -> Record:
    x, bits = op.inputs
    y = op.outputs[0]
    return Record(
        _SQUARE_ROOT, (places.arena(x), places.arena(bits), places.arena(y), graph.output(op).count)
    )


# ---- spectral subtraction

_WEIGHTS = (
    "smoothing", "one_minus_smoothing", "alternate_smoothing", "alternate_one_minus_smoothing",
    "min_signal_remaining",
)  # fmt: skip
_BITS = ("smoothing_bits", "spectral_subtraction_bits")


def _subtraction(graph: Graph, op: Operator, places: Places) -> Record:
    y, noise = op.outputs
    return Record(
        _SUBTRACTION,
        (places.arena(op.inputs[0]), places.arena(y), places.arena(noise), places.arena(op.inputs[1]),
         graph.output(op).count, *(int(op.options[name]) for name in (*_WEIGHTS, *_BITS)),
         int(op.options["clamping"] != 0)),
    )  # fmt: skip


# ---- gain control


def _pcan(graph: Graph, op: Operator, places: Places) -> Record:
    x, noise, _ = op.inputs
    gains = graph.input(op, 2).data
    assert gains is not None
    return Record(
        _PCAN, (places.arena(x), places.arena(noise), places.arena(op.outputs[0]), graph.output(op).count,
                places.weights(gains[:_GAINS]), int(op.options["snr_shift"])),
    )  # fmt: skip


# ---- logarithm


def log_table() -> np.ndarray:
    """int16 [129]: how far log2(1 + i / 128) is above i / 128, times 65536. Source: kLogLut, log.cc."""
    i = np.arange(_SEGMENTS + 1) / _SEGMENTS
    return np.floor(65536 * (np.log2(1 + i) - i) + 0.5).astype("<i2")


def _log(graph: Graph, op: Operator, places: Places) -> Record:
    return Record(
        _LOG, (places.arena(op.inputs[0]), places.arena(op.outputs[0]), graph.output(op).count,
               int(op.options["output_scale"]), int(op.options["input_correction_bits"]),
               places.weights(log_table())),
    )  # fmt: skip


_SUBTRACTION_OPTIONS = (*_WEIGHTS, *_BITS, "clamping", "num_channels")
KINDS = (
    Kind(
        name="CUSTOM:SignalFilterBank", inputs=(6, 6), custom=("num_channels",), lower=_bank,
        macs=lambda g, o: 2 * int(_tables(g, o)[4][: int(o.options["num_channels"]) + 1].sum()),
        rules=(
            options("num_channels"), COMPUTED, types("uint32", "uint64"),
            Rule(
                _bank_ok, "its tables are not constants, reach beyond its input, or hold weights below 0",
                _AGAIN,
            ),
        ),
    ),
    Kind(
        name="CUSTOM:SignalFilterBankSquareRoot", inputs=(2, 2), lower=_root,
        rules=(
            COMPUTED, types("uint64", "int32", "uint32"), VECTORS,
            Rule(lambda g, o: g.input(o, 1).shape == (), "its scale bits are no scalar", _AGAIN),
        ),
    ),
    Kind(
        name="CUSTOM:SignalFilterBankSpectralSubtraction", inputs=(1, 1), outputs=(2, 2),
        custom=_SUBTRACTION_OPTIONS, lower=_subtraction, in_place=(0,),
        kept=lambda g, o: g.output(o).size_bytes, state=(1,),
        rules=(
            options(*_SUBTRACTION_OPTIONS), COMPUTED, types("uint32", "uint32", "uint32"), VECTORS,
            Rule(
                lambda g, o: g.output(o).shape == (o.options["num_channels"],),
                "its vectors do not have num_channels values", _AGAIN,
            ),
            Rule(lambda g, o: shift_ok(o, *_BITS), f"its {' or '.join(_BITS)} are not 0 to 31"),
            Rule(
                lambda g, o: all(0 <= o.options[name] <= _MOST_WEIGHT for name in _WEIGHTS),
                "a weight of its smoothing is below 0 or above 2**28", "use fewer spectral_subtraction_bits",
            ),
        ),
    ),
    Kind(
        name="CUSTOM:SignalPCAN", inputs=(3, 3), custom=("snr_shift",), lower=_pcan, in_place=(0, 1),
        rules=(
            options("snr_shift"), COMPUTED, types("uint32", "uint32", "uint32"), VECTORS,
            Rule(
                lambda g, o: constant(g, o, 2) and g.input(o, 2).count >= _GAINS,
                f"its table of gains is not a constant of {_GAINS} int16", _AGAIN,
            ),
            Rule(lambda g, o: shift_ok(o, "snr_shift"), "its snr_shift is not 0 to 31"),
        ),
    ),
    Kind(
        name="CUSTOM:SignalFilterBankLog", inputs=(1, 1), custom=("input_correction_bits", "output_scale"),
        lower=_log,
        rules=(
            options("input_correction_bits", "output_scale"), COMPUTED, types("uint32", "int16"), VECTORS,
            Rule(
                lambda g, o: shift_ok(o, "input_correction_bits"), "its input_correction_bits are not 0 to 31"
            ),
            Rule(
                lambda g, o: 0 <= o.options["output_scale"] <= _MOST_LOG_SCALE,
                f"its output_scale is not 0 to {_MOST_LOG_SCALE}: TensorFlow Lite Micro would wrap",
                "scale it down",
            ),
        ),
    ),
)  # fmt: skip
