# SPDX-License-Identifier: MIT
"""As much of ELF as the module linker reads: sections and the relocations that the linker kept.

Source: System V ABI, chapter 4 (object files), and its 64-bit form.
"""

import struct
from dataclasses import dataclass

X86_64, ARM, RISCV = 62, 40, 243
_ALLOCATED = 2
_RELA, _REL, _NOBITS = 4, 9, 8


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
    for name, kind, flags, address, offset, length, _, info, _, entry in headers:
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
            )
        )
    return Elf(machine, tuple(sections), wide)
