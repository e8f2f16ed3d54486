# SPDX-License-Identifier: MIT
"""Weights that are not kept in RAM: seen where they lie (rom), or read anew before each use (stream).

Both are loaders of an Image, called as load(kind, size, start, count): `count` values of `size` bytes,
typecode `kind`, from byte `start` of the image. What they return can be indexed, and has a buffer for ulab.
"""

import gc

from .image import zeros

_KINDS = "bhHi"


class Rom:
    """block: the whole image as a buffer: bytes, or a memoryview of a file in ROMFS.

    MicroPython's memoryviews can't be cast to signed bytes, so there int8 values are a uctypes array, which
    can be indexed and no more. int32 values are few, may lie anywhere in ROMFS, and are read.
    """

    def __init__(self, block, read):
        self._block = block
        self._read = read
        try:
            import uctypes

            self._uctypes = uctypes
            self._address = uctypes.addressof(block)
        except ImportError:
            self._uctypes = None

    def load(self, kind, size, start, count):
        u = self._uctypes
        if u is None:
            return self._block[start : start + count * size].cast(kind)
        if size > 1:
            return self._read(kind, size, start, count)
        return u.struct(self._address + start, (u.ARRAY, count | u.INT8))


class Stream:
    """One buffer for each type, as large as the record with most of it needs, and reused.

    Every record is bound twice, with next() before: first to measure, then, after allocate(), to use the
    buffers. `reads` is then (start, view) of each piece that the record takes.
    """

    def __init__(self, read, fill):
        self._read = read
        self._fill = fill
        self._most = [0] * len(_KINDS)
        self._views = None
        self.next()

    def next(self):
        """Begin a record."""
        self._at = [0] * len(_KINDS)
        self.reads = []

    def size_bytes(self):
        return self._most[0] + 2 * (self._most[1] + self._most[2]) + 4 * self._most[3]

    def allocate(self):
        gc.collect()
        self._views = [memoryview(zeros(kind, most)) for kind, most in zip(_KINDS, self._most)]  # noqa: B905 (MicroPython)

    def load(self, kind, size, start, count):
        i = _KINDS.find(kind)
        at = self._at[i]
        self._at[i] = at + count
        if self._views is None:
            self._most[i] = max(self._most[i], at + count)
            return self._read(kind, size, start, count)
        view = self._views[i][at : at + count]
        self._fill(start, view, count * size, "weights")
        self.reads.append((start, view))
        return view


def fill(t):
    """Read what one record needs: a step of Model.run. Allocates nothing but what the file does."""
    stream, reads = t
    for start, view in reads:
        stream.seek(start)
        stream.readinto(view)
