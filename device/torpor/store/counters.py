# SPDX-License-Identifier: MIT
"""A counter that never hands out a value twice, whatever happens to the power.

    counter = Counter(FileSlots(hal.flash_dir + "/count", 4))
    counter.load_from(schedule.counter, 0)     # a copy from retained memory; zeros after a cold start
    value = counter.next()

An encrypted frame needs a counter that only rises: a value used twice breaks AES-CCM's secrecy, and
receivers reject what falls behind (bthome-ble 3: all but values below 100). So flash always holds
a *reservation*: a number above every value handed out. It is written once per `block` values; a cold start
goes on from it and wastes at most `block` values. Where flash holds no reservation any more, though a copy
shows that values were handed out, there is nothing to go on from: next() refuses for good, until the node
gets a new key and its state files are removed.
"""

import struct

from ..errors import StoreError

_LAST = 0xFFFFFFFF
OLD = 255  # in place of the values left: this copy says that values were handed out, not which


class Counter:
    """`store` holds 4-byte payloads (store.files.FileSlots); it is read and written by next() alone."""

    STATE_BYTES = 5  # value u32, values left in the reservation u8

    def __init__(self, store, block=64):
        if not 0 < block < OLD:
            raise StoreError(block, OLD - 1)
        self.value = 0  # the next one to hand out
        self.reserved = 0  # flash holds this or more; value == reserved: none left
        self._used = False  # flash must hold a reservation
        self._store = store
        self._block = block
        self._buffer = bytearray(4)

    def next(self):
        """Return a value (0..2**32-1) that was never returned before. Raises StoreError: none was taken."""
        if self.value >= self.reserved:
            self._reserve()
        value = self.value
        self.value = value + 1
        return value

    def _reserve(self):
        start = self.value
        if self._store.load_into(self._buffer):
            start = max(start, struct.unpack("<I", self._buffer)[0])
        elif self._used:
            raise StoreError(OLD)  # lost: any value could be one that was sent
        if start > _LAST - self._block:
            raise StoreError(start, _LAST)
        struct.pack_into("<I", self._buffer, 0, start + self._block)
        self._store.commit(self._buffer)
        self.value, self.reserved = start, start + self._block

    def save_into(self, buf, off):
        struct.pack_into("<IB", buf, off, self.value, self.reserved - self.value)
        return off + 5

    def load_from(self, buf, off):
        """Take up a copy made by save_into *since the last next()*; an older one would repeat values.

        Retained memory after a timer's or pin's wake qualifies; a checkpoint in flash does not: pass zeros,
        or, when it is the copy of a counter that was used, OLD as its last byte.
        """
        self.value, left = struct.unpack_from("<IB", buf, off)
        self._used = left == OLD
        self.reserved = self.value + (0 if left == OLD else left)
        return off + 5
