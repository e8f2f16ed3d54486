# SPDX-License-Identifier: MIT
"""Native modules (.mpy 6.3) from C: compile, link at address 0, refuse, wrap.

    data = build(TARGETS["armv6m"])
    module = read(data)            # .target, .names, .code

A module is one block of position-independent code and constants, made with PyPI's `ziglang` alone. Whatever
a loader would have to fix (a global offset table, variables, pointers in tables) is refused here, with its
name, rather than on a board. Only the module for Xtensa, made by other tools (see xtensa.py), has addresses
that the loader fixes.
Source of the format: MicroPython py/persistentcode.c, py/emitglue.h, tools/mpy_ld.py.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import TorporError
from . import elf, toolchain, xtensa
from .block import Block

NAME = "torpor_native"
NAMES = (f"{NAME}.c", "check", "invoke", "check_step", "step")  # in the order of the enum in module.c
CODES = frozenset({*range(1, 27), 28, 29, 31, 40, 41, *range(50, 59), *range(70, 77), *range(80, 95)})
SMALL_CODES = frozenset({*range(1, 10), 12, 13})  # SMALL_FAMILIES in families.h
SMALL_FLAGS = ("-DTORPOR_SMALL",)
SOURCES = (*toolchain.KERNELS, "module.c", "runtime.c")
FLAGS = (
    *toolchain.COMMON, "-fno-builtin", "-fomit-frame-pointer", "-ffunction-sections", "-fno-jump-tables",
    "-fno-stack-protector", "-fno-sanitize=all", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables",
)  # fmt: skip
FAST = ("dense.c", "conv.c")  # where the time goes; the rest is compiled for size
LINK = ("-static", "--emit-relocs", "--gc-sections", "--no-relax", "--build-id=none")
_VERSION, _SUB_VERSION, _SMALL_INT_BITS = 6, 3, 31
_FUNCTION_TABLE = b"\0"  # a constant object: the runtime's own
_NATIVE_VIPER = 2  # kind of code, less that of bytecode
# Scope flags. The list of relocations may be empty: some ports keep the code alive through it.
_RELOCATED, _HAS_RODATA = 0x10, 0x20
# Opcodes in that list: a run of words to which an address is added, from a given word or from the next on.
_RUN_TO_TEXT, _RUN_TO_RODATA, _NEXT_RUN_TO_RODATA, _END = 3, 7, 6, 0xFF

# MicroPython py/persistentcode.h, MP_NATIVE_ARCH_*
_ARCHITECTURES = (
    "without native code", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc", "rv64imc",
)  # fmt: skip


def architecture(number: int) -> str:
    """Return the name of an architecture number of .mpy files."""
    return _ARCHITECTURES[number] if number < len(_ARCHITECTURES) else f"architecture {number}"


@dataclass(frozen=True)
class Target:
    """`number` is the architecture in the header of an .mpy (MicroPython py/persistentcode.h)."""

    name: str
    number: int
    flags: tuple[str, ...]


_THUMB = "thumb-freestanding-eabi"
TARGETS = {
    t.name: t
    for t in (
        Target("x64", 2, ("-target", "x86_64-freestanding-none", "-fPIC", "-mno-red-zone")),
        Target("armv6m", 4, ("-target", _THUMB, "-mcpu=cortex_m0plus", "-fropi")),
        Target("armv7m", 5, ("-target", _THUMB, "-mcpu=cortex_m3", "-fropi")),
        Target("armv7emsp", 7, ("-target", _THUMB + "hf", "-mcpu=cortex_m4+vfp4d16sp", "-fropi")),
        Target(
            "rv32imc",
            11,
            ("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c", "-fPIC", "-mno-relax"),
        ),
        Target(xtensa.NAME, 10, ("--target=xtensa",)),
    )
}
# llc crashes on functions where the processor has coprocessors; as long as it writes objects itself, it
# misplaces literals, so llvm-mc does.
XTENSA_FLAGS = ("-mcpu=esp32", "-mattr=-coprocessor")
LLC = ("-march=xtensa", *XTENSA_FLAGS, "-O2", "--function-sections")
ASSEMBLE = ("-triple=xtensa", *XTENSA_FLAGS, "-filetype=obj")

# Relocations that stand for an absolute address or an entry of a table, by the ABIs' numbers.
_REFUSED = {
    elf.X86_64: {1: "64", 9: "GOTPCREL", 10: "32", 11: "32S", 26: "GOTPC32", 41: "GOTPCRELX",
                 42: "REX_GOTPCRELX"},
    elf.ARM: {2: "ABS32", 26: "GOT_BREL", 43: "MOVW_ABS_NC", 44: "MOVT_ABS", 47: "THM_MOVW_ABS_NC",
              48: "THM_MOVT_ABS", 96: "GOT_PREL"},
    elf.RISCV: {1: "32", 2: "64", 20: "GOT_HI20", 26: "HI20", 27: "LO12_I", 28: "LO12_S"},
}  # fmt: skip


def compile_code(target: Target, small: bool = False) -> Block:
    """Return the code and constants of the module. Raises TorporError: no compiler, or not relocatable.

    small: of the one that knows SMALL_CODES only.
    """
    flags = (*target.flags, *FLAGS, *(SMALL_FLAGS if small else ()))
    with tempfile.TemporaryDirectory(prefix="torpor-mpy-") as folder:
        if target.name == xtensa.NAME:
            return _compile_xtensa(flags, Path(folder))
        return Block(_compile_zig(target, flags, Path(folder)))


def _compile_zig(target: Target, flags: tuple[str, ...], scratch: Path) -> bytes:
    folder = toolchain.sources_dir()
    objects = [Path(name).with_suffix(".o").name for name in SOURCES]
    for source, made in zip(SOURCES, objects, strict=True):
        compiler = [*toolchain.zig(), "cc", *flags, "-O2" if source in FAST else "-Os"]
        toolchain.run([*compiler, "-c", "-o", made, str(folder / source)], scratch)
    link = ["ld.lld", *LINK, "-T", str(folder / "module.ld"), "-o", "module.elf", *objects]
    toolchain.run([*toolchain.zig(), *link], scratch)
    return _code_of(elf.read((scratch / "module.elf").read_bytes()), target)


def _compile_xtensa(flags: tuple[str, ...], scratch: Path) -> Block:
    clang, llc, assembler = toolchain.llvm("clang"), toolchain.llvm("llc"), toolchain.llvm("llvm-mc")
    files = []
    for source in SOURCES:
        compiler = [clang, *flags, "-O2" if source in FAST else "-Os", "-emit-llvm", "-S"]
        toolchain.run([*compiler, "-o", "a.ll", str(toolchain.sources_dir() / source)], scratch)
        toolchain.run([llc, *LLC, "-o", "a.s", "a.ll"], scratch)
        toolchain.run([assembler, *ASSEMBLE, "-o", "a.o", "a.s"], scratch)
        files.append(elf.read((scratch / "a.o").read_bytes()))
    return xtensa.link(files, "mpy_init")


def _code_of(file: elf.Elf, target: Target) -> bytes:
    code = b""
    for section in file.sections:
        if not section.allocated or not section.size:
            continue
        if section.name != ".text" or section.address:
            raise TorporError(
                f"native module for {target.name}: {section.size} bytes of {section.name}",
                fix="a module holds code and constants only: no variables, no tables of pointers",
            )
        code = section.data
    for kind in file.relocations():
        if kind in _REFUSED[file.machine]:
            raise TorporError(
                f"native module for {target.name}: relocation {_REFUSED[file.machine][kind]}",
                fix="address everything relative to the program counter",
            )
    return code + bytes(-len(code) % 4)


def wrap(block: Block, target: Target, names: tuple[str, ...] = NAMES) -> bytes:
    """Return the .mpy file of a block of code."""
    out = bytearray((ord("M"), _VERSION, target.number << 2 | _SUB_VERSION, _SMALL_INT_BITS))
    out += _vuint(len(names)) + _vuint(1)
    for name in names:
        out += _vuint(len(name) << 1) + name.encode() + b"\0"
    out += _FUNCTION_TABLE
    out += _vuint(len(block.text) << 3 | _NATIVE_VIPER) + block.text
    if block.rodata:
        out += _vuint(_RELOCATED | _HAS_RODATA) + _vuint(len(block.rodata)) + block.rodata
    else:
        out += _vuint(_RELOCATED)
    if block.to_text:
        out += bytes((_RUN_TO_TEXT,)) + _vuint(block.first << 1) + _vuint(block.to_text)
        if block.to_rodata:
            out += bytes((_NEXT_RUN_TO_RODATA,)) + _vuint(block.to_rodata)
    elif block.to_rodata:
        out += bytes((_RUN_TO_RODATA,)) + _vuint(block.first << 1) + _vuint(block.to_rodata)
    return bytes(out + bytes((_END,)))


def build(target: Target, small: bool = False) -> bytes:
    """Return the module for one architecture as an .mpy file. Raises TorporError."""
    return wrap(compile_code(target, small), target)


@dataclass(frozen=True)
class Module:
    target: Target
    names: tuple[str, ...]
    block: Block

    @property
    def code(self) -> bytes:
        return self.block.text


def read(data: bytes) -> Module:
    """Return what is in a file that `wrap` wrote. Raises TorporError for any other."""
    numbers = {t.number: t for t in TARGETS.values()}
    target = numbers.get(data[2] >> 2) if len(data) > 4 else None
    if target is None or data[:2] != bytes((ord("M"), _VERSION)) or data[3] != _SMALL_INT_BITS:
        raise TorporError("not a native module of .mpy version 6", fix="run: python tools/build_native.py")
    count, at = _read_vuint(data, 4)
    _, at = _read_vuint(data, at)
    names = []
    for _ in range(count):
        size, at = _read_vuint(data, at)
        names.append(data[at : at + (size >> 1)].decode())
        at += (size >> 1) + 1
    size, at = _read_vuint(data, at + len(_FUNCTION_TABLE))
    text = data[at : at + (size >> 3)]
    module = Module(target, tuple(names), _read_rest(text, data, at + len(text)))
    if wrap(module.block, target, module.names) != data:
        raise TorporError("a native module of another form", fix="run: python tools/build_native.py")
    return module


def _read_rest(text: bytes, data: bytes, at: int) -> Block:
    """Read what follows the text in the file."""
    rodata, first, to_text, to_rodata = b"", 0, 0, 0
    flags, at = _read_vuint(data, at)
    if flags & _HAS_RODATA:
        size, at = _read_vuint(data, at)
        rodata = data[at : at + size]
        at += size
    while at < len(data) and (code := data[at]) in (_RUN_TO_TEXT, _RUN_TO_RODATA, _NEXT_RUN_TO_RODATA):
        at += 1
        if code != _NEXT_RUN_TO_RODATA:
            start, at = _read_vuint(data, at)
            first = start >> 1
        count, at = _read_vuint(data, at)
        to_text, to_rodata = (count, to_rodata) if code == _RUN_TO_TEXT else (to_text, count)
    return Block(text, rodata, first, to_text, to_rodata)


def _vuint(value: int) -> bytes:
    """Groups of 7 bits, the highest first; all but the last have bit 7."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | (value & 0x7F))
    return bytes(reversed(out))


def _read_vuint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while at < len(data):
        value = value << 7 | (data[at] & 0x7F)
        at += 1
        if not data[at - 1] & 0x80:
            break
    return value, at
