# SPDX-License-Identifier: MIT
"""The viper loops on processors with words of 32 bits, as boards have: the bytes of the reference kernels."""

from array import array

import numpy as np
import pytest

from compiler.executors import execute
from compiler.kinds import KINDS
from compiler.viper_machine import PROCESSORS, Loops, installed
from torpor.nn.fixed import scale
from torpor_host.compiler import compile_bytes
from torpor_host.compiler.image import read

CASES = 2  # of each kind
_LOOPED = frozenset((1, 2, 3, 6, 8))  # records that viper_kernels.py has loops for


@pytest.mark.parametrize("processor", PROCESSORS)
def test_random_models(processor: str) -> None:
    with installed(processor) as loops:
        for index, kind in enumerate(sorted(KINDS)):
            for seed in range(CASES):
                case = KINDS[kind](np.random.default_rng([seed, 32, index]))
                image = compile_bytes(case.model, kind).image
                if not _LOOPED & {op.code for op in read(image, kind).operators}:
                    continue
                want = execute(image, case.inputs, "reference")
                for got, wanted in zip(execute(image, case.inputs, "viper", "ram"), want, strict=True):
                    assert got.tobytes() == wanted.tobytes(), f"{kind} seed {seed}: {case.label}"
        for name in loops.functions:
            assert loops.calls[name] > 5, f"{name} was hardly tried"


@pytest.mark.parametrize("processor", PROCESSORS)
def test_requantization(processor: str) -> None:
    """All right shifts and some left ones; sums at the ends of int32, at halves, and next to them."""
    dice = np.random.default_rng(8)
    shifts = [*range(-31, 8)]
    units, rows = len(shifts), 60
    multipliers = dice.integers(1 << 30, 1 << 31, units)
    multipliers[::5] = 1 << 30
    multipliers[1::5] = (1 << 31) - 1
    sums, bias = np.zeros((rows, units), "<i4"), dice.integers(-(1 << 20), 1 << 20, units).astype("<i4")
    table = array("H", bytes(8 * units))
    for u, (m, s) in enumerate(zip(multipliers.tolist(), shifts, strict=True)):
        # as in TFLM, the zero point is added within 32 bits: room for it where nothing is shifted down
        most = ((1 << 31) - 1 >> s) - 256 if s >= 0 else (1 << 31) - 1
        factor = m / 2**31 * 2.0**s
        values = dice.integers(-most - 1, most + 1, rows)
        halves = np.rint((dice.integers(-130, 130, rows) + 0.5) / factor) + dice.integers(-1, 2, rows)
        values = np.where(dice.integers(0, 3, rows) > 0, np.clip(halves, -most - 1, most), values)
        values[:4] = -most - 1, most, 0, -1
        sums[:, u] = values.astype("i8") - bias[u]  # wraps where the sum comes back
        table[4 * u : 4 * u + 4] = array("H", (m & 0xFFFF, m >> 16, max(0, -s), max(0, s)))
    arena = bytearray(rows * units + 3)
    at = array("i", (3, rows * units, units, 5 + 128, -128 + 128, 127 + 128, 1))
    Loops(processor).functions["finish"](
        bytearray(sums.tobytes()), bytearray(bias.tobytes()), table, arena, at
    )
    got = np.frombuffer(arena, "i1", offset=3).reshape(rows, units)
    for u, (m, s) in enumerate(zip(multipliers.tolist(), shifts, strict=True)):
        for k in range(rows):
            acc = (int(sums[k, u]) + int(bias[u]) + (1 << 31)) % (1 << 32) - (1 << 31)
            want = min(127, max(-128, scale(acc, m, s) + 5))
            assert got[k, u] == want, f"{acc} * {m} with shift {s}"
