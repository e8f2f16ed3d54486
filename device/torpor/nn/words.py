# SPDX-License-Identifier: MIT
"""int16 and int32 in an arena of int8, little endian, of any alignment; and views of tensors of them.

    put16(arena, p, -3)
    get16(arena, p) == -3

None allocates where the value is a small integer.
"""

import struct


def get16(arena, p):
    """Return the int16 at arena[p:]."""
    return (arena[p] & 255) | arena[p + 1] << 8


def put16(arena, p, value):
    """Write the low 16 bits of `value` to arena[p:]."""
    arena[p] = ((value & 255) ^ 128) - 128
    arena[p + 1] = ((value >> 8 & 255) ^ 128) - 128


def get32(arena, p):
    """Return the int32 at arena[p:]."""
    return (arena[p] & 255) | (arena[p + 1] & 255) << 8 | (arena[p + 2] & 255) << 16 | arena[p + 3] << 24


def put32(arena, p, value):
    """Write the low 32 bits of `value` to arena[p:]."""
    arena[p] = ((value & 255) ^ 128) - 128
    arena[p + 1] = ((value >> 8 & 255) ^ 128) - 128
    arena[p + 2] = ((value >> 16 & 255) ^ 128) - 128
    arena[p + 3] = ((value >> 24 & 255) ^ 128) - 128


class View:
    """A tensor in the arena, read and written like array(typecode); `.raw` is its memoryview of bytes.

    typecode: "h", "i" or "f"; item_bytes: 2 or 4.
    """

    def __init__(self, raw, typecode, item_bytes):
        self.raw = raw
        self._format = "<" + typecode
        self._bytes = item_bytes

    def __len__(self):
        return len(self.raw) // self._bytes

    def _at(self, i):
        if not 0 <= i < len(self):
            raise IndexError(i)
        return i * self._bytes

    def __getitem__(self, i):
        return struct.unpack_from(self._format, self.raw, self._at(i))[0]

    def __setitem__(self, i, value):
        struct.pack_into(self._format, self.raw, self._at(i), value)
