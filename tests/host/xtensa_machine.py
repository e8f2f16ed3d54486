# SPDX-License-Identifier: MIT
"""Runs a native module for Xtensa on QEMU's dc233c core, loaded as MicroPython loads it.

    runs = run(module, [(image, arena), ...], ESP32)
    runs[0].verdict, runs[0].arena, runs[0].instructions     of check, then of invoke

The core has what the ESP32s have (windows, loops, MAC16) but MULSH and MULUH, which xtensa_boot.s does.
Instructions are counted by the core's cycle counter under -icount; all that stand in for one count as one.
"""

import functools
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from torpor_host.kernels import elf, mpy, toolchain

# Words at 0x40001000 that tell the chips apart (device/kernels/xtensa.h)
ESP32, ESP32S3, ESP32S2, UNKNOWN = 0x00F01D83, 9, 0x000007C6, 0x12345678
NEEDED = ("qemu-system-xtensa", f"llvm-mc-{toolchain.LLVM}")
MISSING = [name for name in NEEDED if shutil.which(name) is None]

_ROM_WORD, _RESET = 0x1000, 0xFE000000
_BOOT, _FRAME, _CALLS, _STACK = 0x100000, 0x170000, 0x180000, 0x1FFF00
_TEXT, _RODATA, _CONTEXT, _OBJECTS, _DATA = 0x200000, 0x240000, 0x250000, 0x260000, 0x300000
_PRODUCT = _FRAME + 72
_ICOUNT_SHIFT, _CYCLE_NS = 7, 100  # an instruction takes 2**7 ns; the core counts at 10 MHz
_FUNCTIONS = {4: 0x600, 5: 0x600, 13: 0x610, 26: 0x620, 44: 0x600, 65: 0x630}  # of MicroPython's table
_CHECK, _INVOKE = 101, 102  # what the file's names 1 and 2 are at run time


@dataclass(frozen=True)
class Run:
    """check's answer, and the arena after invoke (unchanged where check refused); instructions of invoke."""

    verdict: int
    arena: bytes
    instructions: int


@functools.cache
def _boot() -> bytes:
    source = Path(__file__).with_name("xtensa_boot.s")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "boot.o")
        toolchain.run([toolchain.llvm("llvm-mc"), *mpy.ASSEMBLE, "-o", str(made), str(source)])
        file = elf.read(made.read_bytes())
    assert not file.relocations()
    return next(s.data for s in file.sections if s.name == ".text")


def load(module: bytes) -> dict[int, bytes]:
    """Return the module's memory, relocated. After mp_raw_code_load and mp_native_relocate."""
    block = mpy.read(module).block
    text = bytearray(block.text)
    for i in range(block.to_text + block.to_rodata):
        at = 4 * (block.first + i)
        (value,) = struct.unpack_from("<I", text, at)
        struct.pack_into("<I", text, at, value + (_TEXT if i < block.to_text else _RODATA))
    return {_TEXT: bytes(text), _RODATA: block.rodata}


def _runtime() -> dict[int, bytes]:
    """The function object, its context, names, objects and the runtime's table; the trap's trampolines."""
    table = [0] * 96
    for index, offset in _FUNCTIONS.items():
        table[index] = _BOOT + offset
    load_product = b""
    for register in range(16):
        at = _FRAME + 80 + 8 * register
        back = (_PRODUCT - ((at + 3) & ~3)) >> 2 & 0xFFFF
        load_product += (1 | register << 4 | back << 8).to_bytes(3, "little") + bytes(5)
    return {
        _CONTEXT: struct.pack("<4I", 0, _CONTEXT + 16, 0, _TEXT),
        _CONTEXT + 16: struct.pack("<4I", 0, 0, _CONTEXT + 32, _CONTEXT + 48),
        _CONTEXT + 32: struct.pack("<5H", 100, _CHECK, _INVOKE, _INVOKE + 1, _INVOKE + 2),
        _CONTEXT + 48: struct.pack("<I", _CONTEXT + 64),
        _CONTEXT + 64: struct.pack("<96I", *table),
        _FRAME: bytes(80) + load_product,
    }


def _elf(segments: dict[int, bytes]) -> bytes:
    """An executable for QEMU's loader."""
    headers, body = b"", b""
    start = 52 + 32 * len(segments)
    for at, data in segments.items():
        headers += struct.pack("<8I", 1, start + len(body), at, at, len(data), len(data), 7, 4)
        body += data
    head = struct.pack("<HHIIIIIHHHHHH", 2, elf.XTENSA, 1, _RESET, 52, 0, 0, 52, 32, len(segments), 40, 0, 0)
    return b"\x7fELF\1\1\1" + bytes(9) + head + headers + body


def run(module: bytes, cases: list[tuple[bytes, bytes]], chip: int, limit_s: float = 60) -> list[Run]:
    """Check and invoke every (image, arena), all in one run of the machine."""
    memory = {**load(module), **_runtime(), _BOOT: _boot(), _ROM_WORD: struct.pack("<I", chip)}
    memory[_RESET] = _boot()[0x800:]
    calls = [(_TEXT, _CONTEXT, 0, 0, 0)]
    arenas, at = [], _DATA
    for _, arena in cases:
        memory[at] = arena
        arenas.append(at)
        at += (len(arena) + 31) & ~15
    end = at
    for number, (image, arena) in enumerate(cases):
        memory[at] = image
        objects = _OBJECTS + 32 * number
        memory[objects] = struct.pack("<6I", at, len(image), arenas[number], len(arena), objects, objects + 8)
        calls += [(name, _CONTEXT, 2, 0, objects + 16) for name in (_CHECK, _INVOKE)]
        at += (len(image) + 31) & ~15
    head = struct.pack("<8I", _STACK, len(calls), _CALLS, 32 + 32 * len(calls), _DATA, end - _DATA, 0, 0)
    memory[_CALLS] = head + b"".join(struct.pack("<8I", *call, 0, 0, 0) for call in calls)
    memory[_STACK - 16] = struct.pack("<4I", 0, _STACK + 64, 0, 0)
    out = _start(_elf(memory), limit_s)
    results = [struct.unpack_from("<3i", out, 32 + 32 * i + 20) for i in range(len(calls))]
    arena_bytes = out[32 + 32 * len(calls) :]
    assert len(arena_bytes) == end - _DATA
    runs = []
    for number, (_, arena) in enumerate(cases):
        checked, invoked = results[1 + 2 * number], results[2 + 2 * number]
        first = arenas[number] - _DATA
        runs.append(Run(checked[0], arena_bytes[first : first + len(arena)], _count(*invoked[1:])))
    return runs


def _count(cycles: int, traps: int) -> int:
    return round((cycles - (traps and traps * _trap_cycles())) * _CYCLE_NS / (1 << _ICOUNT_SHIFT))


@functools.cache
def _trap_cycles() -> float:
    """What a trap takes more than the instruction that it stands in for."""
    many = 1000
    entry, mulsh, retw = "36 41 00", "20 22 b2", "90 00 00"  # MULSH a2, a2, a2
    took = []
    for count in (0, many):
        code = bytes.fromhex(entry + mulsh * count + retw)
        head = struct.pack("<8I", _STACK, 2, _CALLS, 96, 0, 0, 0, 0)
        calls = struct.pack("<8I", _TEXT, *([0] * 7)) * 2
        out = _start(_elf({**_runtime(), _BOOT: _boot(), _RESET: _boot()[0x800:], _TEXT: code,
                           _CALLS: head + calls}), 60)  # fmt: skip
        took.append(struct.unpack_from("<i", out, 64 + 24)[0])
    return (took[1] - took[0]) / many - (1 << _ICOUNT_SHIFT) / _CYCLE_NS


def _start(program: bytes, limit_s: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "program.elf")
        path.write_bytes(program)
        # One instruction at a time: in blocks of several, QEMU 7.2 multiplies with old values of m0.
        command = ["qemu-system-xtensa", "-M", "sim", "-cpu", "dc233c", "-m", "64", "-nographic", "-monitor",
                   "none", "-serial", "none", "-singlestep", "-semihosting", "-icount",
                   f"shift={_ICOUNT_SHIFT},sleep=off", "-kernel", str(path)]  # fmt: skip
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False
        )
    if done.returncode:
        raise RuntimeError(f"QEMU: {done.returncode}, address and access {done.stderr.hex(' ', 4)}")
    return done.stdout
