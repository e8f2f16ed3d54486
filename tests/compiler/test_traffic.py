# SPDX-License-Identifier: MIT
"""What records are said to read and write, and lifetimes found from that, held to the reference kernels."""

import io
from array import array

import numpy as np
import pytest

from compiler.builder import Rng
from compiler.kinds import KINDS
from torpor.nn import reference
from torpor.nn.image import Image, zeros
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes, memory, traffic
from torpor_host.compiler.image import CODES, read

CASES = 4  # of each kind
SPARSE = {2, 3, 4, 5, 13, 26, 40, 53, 54, 80, 81, 82, 83, 87, 88}  # need not read all of their input


class Spy:
    """An arena that notes which bytes are read before they are written, and which are written."""

    def __init__(self, arena: array) -> None:
        self._arena = arena
        self.read = np.zeros(len(arena), bool)
        self.written = np.zeros(len(arena), bool)

    def __len__(self) -> int:
        return len(self._arena)

    def __getitem__(self, i: int) -> int:
        assert 0 <= i < len(self._arena)
        if not self.written[i]:
            self.read[i] = True
        return self._arena[i]

    def __setitem__(self, i: int, value: int) -> None:
        assert 0 <= i < len(self._arena)
        self.written[i] = True
        self._arena[i] = value


def claimed(code: int, args: tuple[int, ...], weights: bytes, size: int) -> dict[str, np.ndarray]:
    found = {use: np.zeros(size, bool) for use in (traffic.READ, traffic.WRITE, traffic.SCRATCH)}
    for access in traffic.accesses(code, args, weights):
        assert 0 <= access.start < access.stop <= size
        found[access.use][access.bytes()] = True
    return found


def cases(kind: str) -> "list[tuple[str, bytes, list[np.ndarray], Rng]]":
    found = []
    for seed in range(CASES):
        rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
        case = KINDS[kind](rng)
        found.append((f"{seed}: {case.label}", compile_bytes(case.model, kind).image, case.inputs, rng))
    return found


def weights_of(blob: bytes) -> bytes:
    return blob[int.from_bytes(blob[32:36], "little") :]


def spoil(model: Model, plan: memory.Layout, moment: int, dice: Rng) -> None:
    """Fill what no box holds before record number `moment` runs."""
    arena = memoryview(model._kept.obj).cast("B")
    dead = np.ones(len(arena), bool)
    for box in plan.boxes:
        if box.first < moment <= box.last:
            dead[box.at : box.at + box.size_bytes] = False
    np.frombuffer(arena, np.uint8)[dead] = dice.integers(0, 256, size=int(dead.sum()))


MET: set[int] = set()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_table_says_what_kernels_do(kind: str) -> None:
    for label, blob, inputs, _ in cases(kind):
        image = Image(io.BytesIO(blob))
        arena = zeros("b", image.ram_bytes)
        for (_, offset, size, *_), x in zip(image.inputs, inputs, strict=True):
            arena[offset : offset + size] = array("b", x.tobytes())
        for at, size, first in image.states:
            for i in range(size):
                arena[at + i] = first if isinstance(first, int) else first[i]
        for number, (code, args) in enumerate(image.operators()):
            what = f"{label}, record {number} {CODES[code]}"
            spy = Spy(arena)
            kernel, bound = reference.bind(code, args, image, spy)
            kernel(bound)
            said = claimed(code, args, weights_of(blob), len(arena))
            assert not (spy.read & ~said["read"]).any(), f"{what} reads what it is not said to"
            assert code in SPARSE or (spy.read | ~said["read"]).all(), f"{what} leaves something unread"
            assert (spy.written | ~said["write"]).all(), f"{what} leaves something unwritten"
            assert not (spy.written & ~said["write"] & ~said["scratch"]).any(), f"{what} writes elsewhere"
            MET.add(code)


def test_all_codes_are_met() -> None:
    assert traffic.codes() == set(CODES)
    if len(MET) > 10:  # this file has run as a whole
        assert set(CODES) == MET


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_dead_matters_to_nobody(kind: str) -> None:
    """Between two records every byte is filled with dice that no box of the memory map holds then."""
    for label, blob, inputs, rng in cases(kind):
        plan = memory.lay_out(blob, kind)
        outputs = []
        for spoiled in (False, True):
            model = Model(blob, "reference")
            for view, x in zip(model.inputs, inputs, strict=True):
                memoryview(getattr(view, "raw", view)).cast("B")[:] = x.tobytes()
            for moment, (kernel, args) in enumerate(model._steps):
                if spoiled:
                    spoil(model, plan, moment, rng)
                kernel(args)
            if spoiled:
                spoil(model, plan, len(model._steps), rng)
            outputs.append([bytes(getattr(view, "raw", view)) for view in model.outputs])
        assert outputs[0] == outputs[1], label
        assert max(plan.live_bytes) <= plan.arena_bytes == read(blob, kind).arena_bytes
