# SPDX-License-Identifier: MIT
"""Links the objects of clang for Xtensa (ESP32, S2, S3) to what an .mpy holds.

    block = link([elf.read(data), ...], "mpy_init")

The text: a jump to the entry, the literals, then the functions, since L32R reads backwards only. It goes to
IRAM, which can be read in words of 32 bits only, so constants of any other size are a block of their own.
Calls go through literals that hold addresses; these and the addresses of constants lie side by side, for the
loader to fix. What no loader provides is refused here, with its name.

Sources: Xtensa ISA reference (L32R, J); relocations R_XTENSA in binutils, include/elf/xtensa.h; MicroPython
py/persistentcode.c (mp_native_relocate) and tools/mpy_ld.py.
"""

import struct

from ..errors import TorporError
from . import elf
from .block import Block

NAME = "xtensawin"
_WORD, _OPERAND = 1, 20  # R_XTENSA_32: an address; R_XTENSA_SLOT0_OP: the operand of an instruction
_L32R, _REACH = 1, 1 << 18  # opcode, and how far back it reads
_JUMP, _JUMP_REACH = 6, 1 << 17
_FIX = "a module holds code and constants only: no variables, no tables of pointers"

Place = tuple[int, int]  # number of the file, number of its section
Spot = tuple[Place, int]  # a place and an offset in it


def link(files: list[elf.Elf], entry: str) -> Block:
    """Return what `entry` needs. Raises TorporError with the name of what can't be loaded."""
    return _Linker(files).link(entry)


def _refuse(what: str, fix: str = _FIX) -> TorporError:
    return TorporError(f"native module for {NAME}: {what}", fix=fix)


class _Linker:
    def __init__(self, files: list[elf.Elf]) -> None:
        self._files = files
        self._relocations: dict[Place, list[elf.Relocation]] = {}
        self._global: dict[str, Spot] = {}
        self._live: set[Place] = set()  # functions and constants
        self._text: dict[Place, int] = {}  # addresses in the text
        self._rodata: dict[Place, int] = {}  # and in the constants
        self._words: dict[int, int] = {}  # constants in literals: their addresses
        self._pointers: dict[Spot, int] = {}  # addresses in literals: theirs
        for number, file in enumerate(files):
            for symbol in file.defined():
                if symbol.name in self._global:
                    raise _refuse(f"{symbol.name} is defined twice", fix="rename one of them")
                assert symbol.section is not None
                self._global[symbol.name] = ((number, symbol.section), symbol.value)

    def _section(self, place: Place) -> elf.Section:
        return self._files[place[0]].sections[place[1]]

    def _relocations_of(self, place: Place) -> list[elf.Relocation]:
        if place not in self._relocations:
            self._relocations[place] = self._files[place[0]].relocations_of(place[1])
        return self._relocations[place]

    def _target(self, place: Place, relocation: elf.Relocation) -> Spot:
        """Where a relocation of a section of `place`'s file points to."""
        symbol = relocation.symbol
        if symbol.section is not None:
            return (place[0], symbol.section), symbol.value + relocation.addend
        if symbol.name not in self._global:
            raise _refuse(f"undefined symbol: {symbol.name}", fix="define it in device/kernels/runtime.c")
        found, value = self._global[symbol.name]
        return found, value + relocation.addend

    def _literal(self, spot: Spot) -> int | Spot:
        """The constant in a literal, or what it points to."""
        place, offset = spot
        for r in self._relocations_of(place):
            if r.offset == offset:
                if r.kind != _WORD:
                    raise _refuse(f"relocation {r.kind} in {self._section(place).name}")
                return self._target(place, r)
        value: int = struct.unpack_from("<I", self._section(place).data, offset)[0]
        return value

    def _operands(self, place: Place) -> list[tuple[int, int | Spot]]:
        """Offsets of the instructions of a function that load a literal, and what is in those."""
        found = []
        code = self._section(place).data
        for r in self._relocations_of(place):
            if r.kind != _OPERAND or code[r.offset] & 15 != _L32R:
                raise _refuse(f"relocation {r.kind} in {self._section(place).name}")
            found.append((r.offset, self._literal(self._target(place, r))))
        return found

    def _reach(self, place: Place) -> None:
        """Mark what lies in `place` and all that it needs."""
        todo = [place]
        while todo:
            at = todo.pop()
            if at in self._live:
                continue
            section = self._section(at)
            self._live.add(at)
            if section.name.startswith(".rodata"):
                if self._relocations_of(at):
                    raise _refuse(f"a table of pointers in {section.name}")
            elif section.name.startswith(".text"):
                todo += [value[0] for _, value in self._operands(at) if not isinstance(value, int)]
            else:
                raise _refuse(f"{section.size} bytes of {section.name}")

    def link(self, entry: str) -> Block:
        if entry not in self._global:
            raise _refuse(f"undefined symbol: {entry}", fix=f"define {entry}")
        self._reach(self._global[entry][0])
        functions = [p for p in sorted(self._live) if self._section(p).name.startswith(".text")]
        rodata = self._lay_out_rodata()
        to_text, to_rodata, end = self._lay_out_literals(functions)
        for place in functions:
            self._text[place] = end
            end += (self._section(place).size + 3) & ~3
        text = bytearray(end)
        for place in functions:
            self._write(text, place)
        for spot, at in self._pointers.items():
            base = self._text if spot[0] in self._text else self._rodata
            struct.pack_into("<I", text, at, base[spot[0]] + spot[1])
        for value, at in self._words.items():
            struct.pack_into("<I", text, at, value)
        text[0:3] = self._jump(self._text[self._global[entry][0]] + self._global[entry][1])
        return Block(bytes(text), rodata, 1, to_text, to_rodata)

    def _lay_out_rodata(self) -> bytes:
        out = bytearray()
        for place in sorted(p for p in self._live if self._section(p).name.startswith(".rodata")):
            section = self._section(place)
            out += bytes(-len(out) % section.align)
            self._rodata[place] = len(out)
            out += section.data
        return bytes(out)

    def _lay_out_literals(self, functions: list[Place]) -> tuple[int, int, int]:
        """Return how many point to text, how many to rodata, and where they all end. Each value lies once."""
        values = list(dict.fromkeys(value for place in functions for _, value in self._operands(place)))
        to_text = [v for v in values if not isinstance(v, int) and v[0] not in self._rodata]
        to_rodata = [v for v in values if not isinstance(v, int) and v[0] in self._rodata]
        words = [v for v in values if isinstance(v, int)]
        at = 4
        for spot in to_text + to_rodata:
            self._pointers[spot] = at
            at += 4
        for word in words:
            self._words[word] = at
            at += 4
        return len(to_text), len(to_rodata), at

    def _write(self, text: bytearray, place: Place) -> None:
        start, section = self._text[place], self._section(place)
        text[start : start + section.size] = section.data
        for offset, value in self._operands(place):
            at = start + offset
            literal = self._words[value] if isinstance(value, int) else self._pointers[value]
            back = ((at + 3) & ~3) - literal  # the operand counts words, from the next whole one
            if back > _REACH:
                raise _refuse("a literal is out of reach", fix="make the module smaller")
            struct.pack_into("<H", text, at + 1, -back >> 2 & 0xFFFF)

    def _jump(self, target: int) -> bytes:
        if target - 4 >= _JUMP_REACH:
            raise _refuse("the entry is out of reach", fix="make the module smaller")
        return (_JUMP | (target - 4) << 6).to_bytes(3, "little")
