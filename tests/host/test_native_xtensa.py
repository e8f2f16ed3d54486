# SPDX-License-Identifier: MIT
"""The carried module for ESP32, S2 and S3: loaded as MicroPython does and run on an emulated Xtensa core, it
gives the bytes of tflite-micro, with MAC16 and without. What its linker refuses."""

import functools
import io
import struct
from pathlib import Path

import numpy as np
import pytest
import xtensa_machine as machine

from compiler import builder
from compiler.builder import oracle
from compiler.kinds import KINDS
from torpor.nn.image import Image
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes, compile_file
from torpor_host.compiler.image import record_codes
from torpor_host.errors import TorporError
from torpor_host.kernels import carried, mpy, toolchain, xtensa
from torpor_host.kernels.block import Block

needs_qemu = pytest.mark.skipif(
    bool(machine.MISSING), reason=f"needs {', '.join(machine.MISSING)} (qemu-system-misc, llvm-22)"
)
needs_clang = pytest.mark.skipif(not toolchain.llvm_version(), reason=f"needs {toolchain.LLVM_PACKAGES}")
CHIPS = {"ESP32": machine.ESP32, "ESP32-S2": machine.ESP32S2}


def arena_of(image: bytes, inputs: list[np.ndarray]) -> bytes:
    info = Image(io.BytesIO(image))
    arena = bytearray(info.ram_bytes)
    arena[: info.state_bytes] = bytes(Model(image, "reference").state)  # as the variables are at first
    for (_, offset, size, *_), x in zip(info.inputs, inputs, strict=True):
        arena[offset : offset + size] = x.tobytes()
    return bytes(arena)


def output_of(image: bytes, arena: bytes) -> bytes:
    _, offset, size, *_ = Image(io.BytesIO(image)).outputs[0]
    return arena[offset : offset + size]


def module() -> bytes:
    return carried.path(xtensa.NAME).read_bytes()


def compile_case(kind: str, *seed: int) -> tuple[str, bytes, list[np.ndarray], bytes]:
    """Return a label, an image, its inputs, and what tflite-micro makes of them."""
    case = KINDS[kind](np.random.default_rng([*seed, sorted(KINDS).index(kind)]))
    image = compile_bytes(case.model, kind).image
    return f"{kind} {seed} {case.label}", image, case.inputs, oracle(case.model, case.inputs)[0].tobytes()


@functools.cache
def some_of_each() -> list[tuple[str, bytes, list[np.ndarray], bytes]]:
    """More of those that MAC16 computes."""
    often = {"conv": 30, "fully_connected": 20, "depthwise_conv": 40}
    return [compile_case(kind, 78, seed) for kind in sorted(KINDS) for seed in range(often.get(kind, 3))]


@needs_qemu
@pytest.mark.parametrize("chip", CHIPS)
def test_every_operator(chip: str) -> None:
    cases = some_of_each()
    runs = machine.run(module(), [(i, arena_of(i, x)) for _, i, x, _ in cases], CHIPS[chip])
    computed = set()
    for (label, image, _, want), got in zip(cases, runs, strict=True):
        assert got.verdict <= 0, label
        if got.verdict == 0:  # else they leave it to the reference kernels
            assert output_of(image, got.arena) == want, label
            computed.add(label.split()[0])
    assert computed >= set(builder.KINDS)


@needs_qemu
def test_the_small_module() -> None:
    cases = [compile_case(kind, 79) for kind in sorted(KINDS)]
    known = [
        c for c in cases if set(record_codes(c[1])) <= mpy.SMALL_CODES and not Image(io.BytesIO(c[1])).states
    ]
    small = carried.path(xtensa.NAME, small=True).read_bytes()
    runs = machine.run(small, [(i, arena_of(i, x)) for _, i, x, _ in known], machine.ESP32)
    for (label, image, _, want), got in zip(known, runs, strict=True):
        assert got.verdict == 0 and output_of(image, got.arena) == want, label
    assert len(known) > 8


@needs_qemu
def test_check_refuses() -> None:
    _, image, inputs, _ = compile_case("network", 1)
    arena = arena_of(image, inputs)
    (at,) = struct.unpack_from("<I", image, 28)
    cases, wants = [(image, arena), (image, arena[:-1])], [0, 16]
    for value in (len(arena), -1):
        cases.append((image[: at + 4] + struct.pack("<i", value) + image[at + 8 :], arena))
        wants.append(at)
    cases.append((image[:at] + struct.pack("<H", 999) + image[at + 2 :], arena))
    wants.append(-at)
    runs = machine.run(module(), cases, machine.ESP32)
    assert [r.verdict for r in runs] == wants
    assert [r.arena == a for r, (_, a) in zip(runs, cases, strict=True)] == [False] + [True] * 4


@needs_qemu
def test_mac16_only_on_chips_that_have_it() -> None:
    """The S2 would stop at such an instruction, and so would a chip that nobody knows yet."""
    _, image, inputs, want = compile_case("conv", 5)
    case = [(image, arena_of(image, inputs))]
    runs = {chip: machine.run(module(), case, chip)[0] for chip in (*CHIPS.values(), machine.ESP32S3, 0x1234)}
    assert all(output_of(image, r.arena) == want for r in runs.values())
    for fast in (machine.ESP32, machine.ESP32S3):
        for slow in (machine.ESP32S2, 0x1234):
            assert runs[fast].instructions < runs[slow].instructions


# instructions per multiplication: bounds of what tools/bench/xtensa.py prints
@needs_qemu
@pytest.mark.parametrize(("chip", "most"), [("ESP32", 5), ("ESP32-S2", 10)])
def test_keyword_model(chip: str, most: float, shared_data: Path) -> None:
    x = np.load(shared_data / "inputs" / "kws" / "kws01_open.npz")["X"][:1]
    want = np.load(shared_data / "expected" / "kws_ref_model_kws01_open.npz")["out"][:1]
    compiled = compile_file(shared_data / "models" / "mlperf_tiny" / "kws_ref_model.tflite")
    got = machine.run(module(), [(compiled.image, arena_of(compiled.image, [x]))], CHIPS[chip])[0]
    assert got.verdict == 0 and output_of(compiled.image, got.arena) == want.tobytes()
    per_mac = got.instructions / compiled.report["macs"]
    print(f"{chip}: {got.instructions:,} instructions, {per_mac:.2f} per MAC")
    assert per_mac < most


@needs_qemu
def test_deep_dense_model(shared_data: Path) -> None:
    """Rows of 640: more than are widened at a time."""
    expected = np.load(shared_data / "expected" / "ad01_int8_ad_windows_open.npz")
    compiled = compile_file(shared_data / "models" / "mlperf_tiny" / "ad01_int8.tflite")
    x = expected["inp"].astype(np.int8)[:2]
    cases = [(compiled.image, arena_of(compiled.image, [row])) for row in x]
    for got, want in zip(machine.run(module(), cases, machine.ESP32), expected["out"], strict=False):
        assert output_of(compiled.image, got.arena) == want.astype(np.int8).tobytes()


def link(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Block:
    (tmp_path / "some.c").write_text(source)
    monkeypatch.setattr(toolchain, "sources_dir", lambda: tmp_path)
    monkeypatch.setattr(mpy, "SOURCES", ("some.c",))
    return mpy.compile_code(mpy.TARGETS[xtensa.NAME])


@needs_clang
def test_addresses_are_left_to_the_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call and a table: one literal with the address of each, and the table apart from the code."""
    block = link(
        "static const unsigned char table[] = {3, 1, 4, 1, 5};"
        "__attribute__((noinline)) int f(int i) { return table[i] * 1234567; }"
        "int unused(void) { return f(1); }"
        "int mpy_init(int i) { return f(i) + 1; }",
        tmp_path,
        monkeypatch,
    )
    assert (block.first, block.to_text, block.to_rodata) == (1, 1, 1)
    assert block.rodata == bytes((3, 1, 4, 1, 5))
    called, table, constant = struct.unpack_from("<3i", block.text, 4)
    assert 16 <= called < len(block.text) and called % 4 == 0 and table == 0 and constant == 1234567
    data = mpy.wrap(block, mpy.TARGETS[xtensa.NAME])
    assert mpy.read(data).block == block and data[:4].hex() == "4d062b1f"
    assert data.endswith(b"\x03\x02\x01" + b"\x06\x01" + b"\xff")


@needs_clang
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("int count; int mpy_init(void) { return ++count; }", "4 bytes of .bss"),
        ("int count = 3; int mpy_init(void) { return ++count; }", "4 bytes of .data"),
        ("int other(int); int mpy_init(void) { return other(1); }", "undefined symbol: other"),
        ("int f(void) { return 1; }", "undefined symbol: mpy_init"),
        (
            "int f(long long a) { return 3; } double mpy_init(double a, double b) { return a * b; }",
            "__muldf3",
        ),
        (
            "static int a(void) { return 1; } static int b(void) { return 2; }"
            "int (*const table[])(void) = {a, b}; int mpy_init(int i) { return table[i](); }",
            "a table of pointers in .rodata",
        ),
    ],
)
def test_refused(source: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TorporError, match=f"xtensawin: {words}|{words}"):
        link(source, tmp_path, monkeypatch)


@needs_clang
def test_two_definitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "sources_dir", lambda: tmp_path)
    monkeypatch.setattr(mpy, "SOURCES", ("a.c", "b.c"))
    for name in mpy.SOURCES:
        (tmp_path / name).write_text("int mpy_init(void) { return 1; }")
    with pytest.raises(TorporError, match="mpy_init is defined twice"):
        mpy.compile_code(mpy.TARGETS[xtensa.NAME])


def test_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert toolchain.llvm_version() == ""
    with pytest.raises(TorporError, match="clang-22 is missing"):
        mpy.compile_code(mpy.TARGETS[xtensa.NAME])
