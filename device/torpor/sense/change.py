# SPDX-License-Identifier: MIT
"""Trigger: fires while a channel has moved since the last report. args: (channel, direction, amount).

direction -1: fallen by at least `amount`; +1: risen; 0: either. The first row seen is the first reference;
`reported(ring)` makes the newest row the next one. State: 3 bytes, whether there is a reference, and it.
"""


class Trigger:
    STATE_BYTES = 3

    def __init__(self, args):
        self._channel, self._direction, self._amount = args
        self._known = False
        self._reference = 0

    def fired(self, ring):
        if not self._known:
            self.reported(ring)
            return False
        moved = ring.at(0, self._channel) - self._reference
        if self._direction:
            return moved * self._direction >= self._amount
        return moved >= self._amount or -moved >= self._amount

    def reported(self, ring):
        if ring.count:
            self._reference = ring.at(0, self._channel)
            self._known = True

    def save_into(self, buf, off):
        buf[off] = self._known
        buf[off + 1] = self._reference & 255
        buf[off + 2] = self._reference >> 8 & 255
        return off + 3

    def load_from(self, buf, off):
        self._known = buf[off] == 1
        v = buf[off + 1] | buf[off + 2] << 8
        self._reference = v - 65536 if v > 32767 else v
        return off + 3


def create(args):
    return Trigger(args)
