# SPDX-License-Identifier: MIT
"""BTHome v2 frames: the advertising payload of a legacy BLE advertisement, plain or encrypted.

    frame = Frame(mac, key)             # key: 16 bytes, or None
    frame.begin()
    frame.add(0x02, 2150)               # 21.50 degC: integers, in the object's own unit
    payload = frame.finish(counter)     # at most 31 bytes

Source: bthome.io/format and /encryption; object table checked against PyPI `bthome-ble` in tests.
"""

import struct

from ..compat import const
from ..errors import NodeError

_MOST = const(31)  # legacy advertising payload, Bluetooth Core 5.4 vol 6 part B 2.3.1
_INFO = const(7)  # offset of the device information byte
_PACKET = const(8)  # the packet id object, then the others
_OBJECTS = const(10)
_TRAILER = const(8)  # counter and tag of an encrypted frame
_SIGNED = const(0x80)

# Version 2, and bit 2, "sends at irregular times": else receivers call a silent node unavailable.
PLAIN = 0x44
ENCRYPTED = 0x45

# Width in bytes of object id 0, 1, 2 ...; 0x80 = signed; 0 = no number of fixed width.
_WIDTHS = (
    b"\x01\x01\x82\x02\x03\x03\x02\x02\x82\x01\x03\x03\x02\x02\x02\x01"
    b"\x01\x01\x02\x02\x02\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
    b"\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x04\x82"
    b"\x02\x02\x03\x02\x02\x82\x01\x02\x02\x02\x02\x03\x04\x04\x04\x04"
    b"\x04\x02\x02\x00\x00\x04\x02\x81\x81\x81\x82\x84\x84\x82\x02\x02"
    b"\x01\x02\x84\x84\x01\x01"
)


class Frame:
    """mac: 6 bytes in the order they are read aloud. One Frame serves all frames of a node."""

    def __init__(self, mac, key=None):
        self.encrypted = key is not None
        self._buf = bytearray(_MOST)
        # AD structures: flags (LE general discoverable, BR/EDR not supported); service data of UUID 0xFCD2.
        self._buf[:_INFO] = b"\x02\x01\x06\x00\x16\xd2\xfc"
        self._buf[_INFO] = ENCRYPTED if self.encrypted else PLAIN
        self._limit = _MOST - _TRAILER if self.encrypted else _MOST
        self._end = self._last = 0
        if self.encrypted:
            from ..compat import aes_ecb

            self._encrypt = aes_ecb(key)
            self._nonce = bytearray(13)  # mac, UUID, device information, counter
            self._nonce[:6] = mac
            self._nonce[6:9] = self._buf[5:8]
        self.begin()

    def begin(self):
        """Start a frame: empty but for the packet id, which finish() fills in."""
        self._end = _OBJECTS
        self._last = 0

    def add(self, object_id, value):
        """Append an object, ids ascending. value: integer in the object's unit (0x02: 0.01 degC).

        False: the value is outside the object's range, and left out, since a receiver would take a clamped
        number for a measurement. Raises NodeError(object_id) for an id that is unknown, below the one
        before, or for which there is no room.
        """
        width = _WIDTHS[object_id] if 0 < object_id < len(_WIDTHS) else 0
        signed = width & _SIGNED
        width &= 7
        end = self._end + width
        if not width or object_id < self._last or end + 1 > self._limit:
            raise NodeError(object_id)
        bits = 8 * width
        if signed:
            if not -1 << bits - 1 <= value < 1 << bits - 1:
                return False
        elif not 0 <= value < 1 << bits:
            return False
        self._buf[self._end] = object_id
        for i in range(end, self._end, -1):
            self._buf[i] = value >> 8 * (i - self._end - 1) & 255
        self._end = end + 1
        self._last = object_id
        return True

    def finish(self, counter):
        """Return the payload as a view, valid until the next begin(). counter: 0..2**32-1, rising.

        Its low byte is the packet id, by which receivers know repetitions.
        """
        buf, end = self._buf, self._end
        buf[_PACKET] = 0
        buf[_PACKET + 1] = counter & 255
        if self.encrypted:
            from .ccm import seal

            struct.pack_into("<I", self._nonce, 9, counter)
            struct.pack_into("<I", buf, end, counter)
            seal(self._encrypt, self._nonce, buf, _PACKET, end, end + 4)
            end += _TRAILER
        buf[3] = end - 4
        return memoryview(buf)[:end]
