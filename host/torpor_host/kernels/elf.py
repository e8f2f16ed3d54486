# SPDX-License-Identifier: MIT
"""As much of ELF as the module linkers read: sections, symbols and relocations.

Source: System V ABI, chapter 4 (object files), and its 64-bit form.
"""

import struct
from dataclasses import dataclass

X86_64, ARM, RISCV, XTENSA = 62, 40, 243, 94
_ALLOCATED = 2
_SYMBOLS, _RELA, _REL, _NOBITS = 2, 4, 9, 8
_ABSOLUTE = 0xFF00  # section numbers from here on are none


@dataclass(frozen=True)
class Section:
    name: str
    kind: int
    allocated: bool
    address: int
    data: bytes
    size: int
    target: int  # of relocations: the index of the section that they are for
    entry_size: int
    link: int = 0  # of relocations: the symbols' section; of symbols: their names'
    align: int = 1


@dataclass(frozen=True)
class Symbol:
    """section: its index, None for what is defined elsewhere."""

    name: str
    value: int
    section: int | None
    visible: bool  # to other files


@dataclass(frozen=True)
class Relocation:
    """At `offset` of a section: something of the address of `symbol`, plus `addend`."""

    offset: int
    kind: int
    symbol: Symbol
    addend: int


@dataclass(frozen=True)
class Elf:
    machine: int
    sections: tuple[Section, ...]
    wide: bool

    def relocations(self) -> list[int]:
        """Return the types of all relocations of what is loaded."""
        found = []
        for section in self.sections:
            if section.kind not in (_RELA, _REL) or not self.sections[section.target].allocated:
                continue
            for at in range(0, section.size, section.entry_size):
                if self.wide:
                    found.append(struct.unpack_from("<Q", section.data, at + 8)[0] & 0xFFFFFFFF)
                else:
                    found.append(struct.unpack_from("<I", section.data, at + 4)[0] & 0xFF)
        return found

    def symbols(self, table: int) -> list[Symbol]:
        """Return the symbols in section number `table` of a file of 32 bits."""
        section, names = self.sections[table], self.sections[self.sections[table].link].data
        found = []
        for name, value, _, info, _, place in struct.iter_unpack("<IIIBBH", section.data):
            text = names[name : names.index(b"\0", name)].decode()
            found.append(Symbol(text, value, place if 0 < place < _ABSOLUTE else None, info >> 4 != 0))
        return found

    def relocations_of(self, index: int) -> list[Relocation]:
        """Return the relocations of section number `index` of a file of 32 bits."""
        found = []
        for section in self.sections:
            if section.kind == _RELA and section.target == index:
                symbols = self.symbols(section.link)
                for offset, info, addend in struct.iter_unpack("<IIi", section.data):
                    found.append(Relocation(offset, info & 0xFF, symbols[info >> 8], addend))
        return found

    def defined(self) -> list[Symbol]:
        """Return what other files may refer to."""
        tables = [i for i, section in enumerate(self.sections) if section.kind == _SYMBOLS]
        return [s for i in tables for s in self.symbols(i) if s.visible and s.section is not None]


def read(data: bytes) -> Elf:
    """Read a little-endian ELF file of 32 or 64 bits, as the linker wrote it."""
    assert data[:4] == b"\x7fELF" and data[5] == 1
    wide = data[4] == 2
    (machine,) = struct.unpack_from("<H", data, 18)
    (table,) = struct.unpack_from("<Q", data, 40) if wide else struct.unpack_from("<I", data, 32)
    size, count, names_at = struct.unpack_from("<HHH", data, 58 if wide else 46)
    headers = [
        struct.unpack_from("<IIQQQQIIQQ" if wide else "<10I", data, table + i * size) for i in range(count)
    ]
    names = headers[names_at][4]
    sections = []
    for name, kind, flags, address, offset, length, link, info, align, entry in headers:
        end = data.index(b"\0", names + name)
        sections.append(
            Section(
                name=data[names + name : end].decode(),
                kind=kind,
                allocated=bool(flags & _ALLOCATED),
                address=address,
                data=b"" if kind == _NOBITS else data[offset : offset + length],
                size=length,
                target=info,
                entry_size=entry,
                link=link,
                align=max(align, 1),
            )
        )
    return Elf(machine, tuple(sections), wide)
