# SPDX-License-Identifier: MIT
"""State that outlives sleep and power cuts: two slots, the older one is always the one overwritten.

    slots = Slots(hal.retained, len(payload))
    if not slots.load_into(payload): ...       # first start, or nothing valid was found
    slots.commit(payload)                      # each wake

A slot is `<II` CRC-32 and sequence number, then the payload; the CRC covers sequence number and payload.
A commit that is cut short spoils only the slot it was writing, so the state before it is still found.
"""

import struct

from ..compat import const, crc32
from ..errors import StoreError

HEAD_BYTES = 8
_HEAD = const(8)


def newer(a, b):
    """Is sequence number a after b? Both count modulo 2**32 (serial number arithmetic, RFC 1982)."""
    return 0 < (a - b) & 0xFFFFFFFF < 0x80000000


class Slots:
    """Two slots at the start of a memory region with .size, .read_into(buf) and .write(off, buf).

    read_into fills buf with the region's first len(buf) bytes. Raises StoreError(need, have) in bytes when
    two slots don't fit.
    """

    def __init__(self, region, payload_bytes):
        self.payload_bytes = payload_bytes
        self._region = region
        self._bytes = _HEAD + payload_bytes
        self._head = bytearray(_HEAD)
        self._sequence = memoryview(self._head)[4:]
        self._next = -1  # slot to overwrite; -1 = not read yet
        self._low = self._high = 0  # newest sequence number, halved so that it stays a small integer
        if region is not None and region.size < 2 * self._bytes:
            raise StoreError(2 * self._bytes, region.size)

    def load_into(self, payload):
        """Copy the newest valid state into payload (bytearray of payload_bytes). False: there is none."""
        newest = self._find()
        if newest is None:
            return False
        payload[:] = newest[_HEAD : self._bytes]
        return True

    def commit(self, payload):
        """Write payload over the older slot. Raises StoreError(slot) when it can't be written.

        Allocates nothing (in memory; files.py opens a file), except that on 32-bit ports the CRC, a
        number above 2**30, makes crc32 return a heap integer of 16 bytes, twice.
        """
        if len(payload) != self.payload_bytes:
            raise StoreError(len(payload), self.payload_bytes)
        if self._next < 0:
            self._find()
        low, high = self._low + 1, self._high
        if low == 0x10000:
            low, high = 0, (high + 1) & 0xFFFF
        struct.pack_into("<HH", self._head, 4, low, high)
        struct.pack_into("<I", self._head, 0, crc32(payload, crc32(self._sequence)))
        try:
            self._write(self._next, payload)
        except OSError:
            raise StoreError(self._next)  # a board keeps no cause
        # Only now: after a failed write the same slot, which may be spoilt, is tried again.
        self._low, self._high = low, high
        self._next ^= 1

    def _find(self):
        newest, sequence = None, 0
        self._next = 0
        for slot, image in enumerate(self._images()):
            if image is None:
                continue
            crc, low, high = struct.unpack_from("<IHH", image, 0)
            if crc32(memoryview(image)[4 : self._bytes]) != crc:
                continue
            if newest is None or newer(high << 16 | low, sequence):
                newest, sequence = image, high << 16 | low
                self._next = 1 - slot
        self._low, self._high = sequence & 0xFFFF, sequence >> 16
        return newest

    def _images(self):
        """Both slots as buffers, None for one that can't be read."""
        both = bytearray(2 * self._bytes)
        self._region.read_into(both)
        view = memoryview(both)
        return view[: self._bytes], view[self._bytes :]

    def _write(self, slot, payload):
        off = slot * self._bytes
        self._region.write(off, self._head)
        self._region.write(off + _HEAD, payload)
