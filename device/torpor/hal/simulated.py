# SPDX-License-Identifier: MIT
"""The chip of the virtual board: virtual time, replayed sensors, a virtual radio, retained memory.

Runs under MicroPython on the virtual board and under CPython in tests. The board puts a module
`virtual_chip` into sys.modules:

    world        host folder with world.bin (what the sensors see), air.bin (what the radio sent), rtc.bin
    flash        folder for state files, "/flash" on the virtual board
    restart      True: each sleep ends the process, as a real deep sleep loses all RAM; False: sleep returns
    mac          6 bytes; battery_mv int; retained_bytes int; radio_fails: callable(now_s) -> bool or None

File formats: docs/architecture.md, "The virtual board".
"""

import struct
import sys

import virtual_chip

from ..errors import LinkError, SensorError
from . import COLD, TIMER

WORLD_ENDED = 0  # exit codes of the process, read by the virtual board
DEEP_SLEEP = 10

_RTC = "<4sIIH"  # magic, seconds, wakes, size of the retained memory that follows
_RTC_BYTES = 14
_NO_READING = -32768
_RSSI_DBM = -60


class _Retained:
    """RAM that outlives deep sleep but not a loss of power: it goes to rtc.bin with the clock."""

    def __init__(self, size):
        self.size = size
        self.data = bytearray(size)

    def read_into(self, buf):
        for i in range(len(buf)):
            buf[i] = self.data[i]

    def write(self, off, buf):
        for i in range(len(buf)):
            self.data[off + i] = buf[i]


class Hal:
    def __init__(self):
        self._folder = virtual_chip.world
        self._world = open(self._folder + "/world.bin", "rb")
        magic, self.start_s, self._step_s, self._channels, _ = struct.unpack("<4sIIHH", self._world.read(16))
        if magic != b"TPWD":
            raise SensorError("world", 0)
        self._world.seek(0, 2)
        rows = (self._world.tell() - 16) // (2 * self._channels)
        self.end_s = self.start_s + rows * self._step_s
        self._sample = bytearray(2 * self._channels)
        self._air = None
        self._record = bytearray(15)
        self.flash_dir = virtual_chip.flash
        self.mac = virtual_chip.mac
        self.retained = _Retained(virtual_chip.retained_bytes)
        self._now_s = self.start_s
        self._reason = COLD
        self.wakes = 0
        self._wake_up()

    def _wake_up(self):
        try:
            with open(self._folder + "/rtc.bin", "rb") as f:
                head = f.read(_RTC_BYTES)
                if len(head) == _RTC_BYTES:
                    magic, self._now_s, self.wakes, size = struct.unpack(_RTC, head)
                    if (
                        magic == b"TPRT"
                        and size == self.retained.size
                        and f.readinto(self.retained.data) == size
                    ):
                        self._reason = TIMER
                        return
        except OSError:
            pass
        self._now_s = self.start_s

    def _power_down(self, code):
        """Write what the chip's always-on domain keeps, then stop the processor."""
        with open(self._folder + "/rtc.bin", "wb") as f:
            f.write(struct.pack(_RTC, b"TPRT", self._now_s, self.wakes, self.retained.size))
            f.write(self.retained.data)
        sys.exit(code)

    def close(self):
        self._world.close()
        if self._air:
            self._air.close()

    def now_s(self):
        return self._now_s

    def wake_reason(self):
        return self._reason

    def battery_mv(self):
        return virtual_chip.battery_mv

    def sleep(self, seconds, pins=()):
        self._now_s += seconds
        self.wakes += 1
        self._reason = TIMER
        if self._now_s >= self.end_s:
            self._power_down(WORLD_ENDED)
        if virtual_chip.restart:
            self._power_down(DEEP_SLEEP)

    def read_world(self, row):
        """Fill row (array('h')) with what the sensors see now; the last sample holds until the next one."""
        index = (self._now_s - self.start_s) // self._step_s
        self._world.seek(16 + index * len(self._sample))
        if self._world.readinto(self._sample) != len(self._sample):
            raise SensorError("world", index)
        s = self._sample
        for i in range(self._channels):
            v = s[2 * i] | s[2 * i + 1] << 8
            if v > 32767:
                v -= 65536
            if v == _NO_READING:
                raise SensorError("world", index)
            row[i] = v

    def air(self, payload):
        """Send one advertising payload into the virtual air. Raises LinkError(1) when the radio is down."""
        fails = virtual_chip.radio_fails
        if fails is not None and fails(self._now_s):
            raise LinkError(1)
        if self._air is None:
            self._air = open(self._folder + "/air.bin", "ab")
        struct.pack_into("<BBIhb6s", self._record, 0, 0xA5, len(payload), self._now_s, 0, _RSSI_DBM, self.mac)
        self._air.write(self._record)
        self._air.write(payload)
        self._air.flush()
