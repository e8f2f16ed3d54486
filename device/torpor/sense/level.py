# SPDX-License-Identifier: MIT
"""Trigger: fires on every wake while a channel is beyond a level.

args: (channel, direction, threshold, hysteresis). direction -1: fires from x <= threshold until
x > threshold + hysteresis; +1: from x >= threshold until x < threshold - hysteresis. State: 1 byte, whether
it is firing.
"""


class Trigger:
    STATE_BYTES = 1

    def __init__(self, args):
        self._channel, self._direction, self._threshold, self._hysteresis = args
        self._firing = False

    def fired(self, ring):
        if ring.count:
            margin = (ring.at(0, self._channel) - self._threshold) * self._direction
            self._firing = margin >= (-self._hysteresis if self._firing else 0)
        return self._firing

    def reported(self, ring):
        pass

    def save_into(self, buf, off):
        buf[off] = self._firing
        return off + 1

    def load_from(self, buf, off):
        self._firing = buf[off] == 1
        return off + 1


def create(args):
    return Trigger(args)
