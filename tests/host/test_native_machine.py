# SPDX-License-Identifier: MIT
"""The carried modules for Cortex-M and RISC-V, run on emulated processors: the bytes of tflite-micro."""

import io
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from compiler.builder import oracle
from compiler.kinds import KINDS
from compiler.native_machine import Machine
from torpor.nn.image import Image
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes, compile_file
from torpor_host.compiler.image import record_codes
from torpor_host.kernels import carried, mpy

ARCHITECTURES = ("armv6m", "armv7m", "armv7emsp", "rv32imc")
CASES = 3


def run(machine: Machine, image: bytes, inputs: list[np.ndarray]) -> list[bytes]:
    """Return the outputs."""
    info = Image(io.BytesIO(image))
    assert machine.check(image, info.ram_bytes) == 0
    arena = bytearray(info.ram_bytes)
    arena[: info.state_bytes] = bytes(Model(image, "reference").state)  # as the variables are at first
    for (_, offset, size, _, _, _), x in zip(info.inputs, inputs, strict=True):
        arena[offset : offset + size] = x.tobytes()
    after = machine.invoke(image, bytes(arena))
    return [after[offset : offset + size] for _, offset, size, _, _, _ in info.outputs]


@cache  # for four architectures
def case(kind: str, seed: int) -> tuple[bytes, list[np.ndarray], list[bytes], str]:
    """An image, inputs, what tflite-micro makes of them, a label."""
    made = KINDS[kind](np.random.default_rng([77, seed, sorted(KINDS).index(kind)]))
    compiled = compile_bytes(made.model, kind)
    want = oracle(made.model, made.inputs, len(compiled.report["outputs"]))
    return compiled.image, made.inputs, [y.tobytes() for y in want], made.label


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_operator(architecture: str) -> None:
    machine = Machine(architecture)
    for kind in sorted(KINDS):
        for seed in range(CASES):
            image, inputs, want, label = case(kind, seed)
            assert run(machine, image, inputs) == want, (kind, seed, label)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_small_module_and_single_records(architecture: str) -> None:
    """Runs what it knows, each record with no more of the weights than its window has; refuses the rest."""
    machine = Machine(architecture, carried.path(architecture, small=True).read_bytes())
    runs = 0
    for kind in sorted(KINDS):
        image, inputs, want, label = case(kind, 0)
        info = Image(io.BytesIO(image))
        if machine.check(image, info.ram_bytes):
            assert not set(record_codes(image)) <= mpy.SMALL_CODES, (kind, label)
            continue
        if info.states:  # which have to be filled first
            continue
        runs += 1
        assert run(machine, image, inputs) == want, (kind, label)
        arena = bytearray(info.ram_bytes)
        for (_, offset, size, *_), x in zip(info.inputs, inputs, strict=True):
            arena[offset : offset + size] = x.tobytes()
        after = machine.stream(image, bytes(arena))
        assert [after[offset : offset + size] for _, offset, size, *_ in info.outputs] == want, (kind, label)
    assert runs > 10


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_check_refuses(architecture: str) -> None:
    machine = Machine(architecture)
    image = compile_bytes(KINDS["network"](np.random.default_rng(1)).model, "network").image
    ram = sum(struct.unpack_from("<II", image, 16))
    (at,) = struct.unpack_from("<I", image, 28)
    assert machine.check(image, ram) == 0 and machine.check(image, ram - 1) == 16
    for value, want in ((ram, at), (-1, at)):
        other = bytearray(image)
        struct.pack_into("<i", other, at + 4, value)
        assert machine.check(bytes(other), ram) == want
    other = bytearray(image)
    struct.pack_into("<H", other, at, 999)
    assert machine.check(bytes(other), ram) == -at


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_keyword_model(architecture: str, shared_data: Path) -> None:
    x = np.load(shared_data / "inputs" / "kws" / "kws01_open.npz")["X"][:1]
    want = np.load(shared_data / "expected" / "kws_ref_model_kws01_open.npz")["out"][:1]
    compiled = compile_file(shared_data / "models" / "mlperf_tiny" / "kws_ref_model.tflite")
    machine = Machine(architecture)
    assert run(machine, compiled.image, [x]) == [want.tobytes()]
    per_mac = machine.instructions / compiled.report["macs"]
    print(f"{architecture}: {machine.instructions:,} instructions, {per_mac:.2f} per MAC")
    assert per_mac < 25
