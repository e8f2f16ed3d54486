# SPDX-License-Identifier: MIT
"""Trigger: fires while a channel is agitated. args: (channel, window, rms).

    sqrt(mean((x - mean)^2)) >= rms     over the newest `window` rows, in counts of the channel, rms >= 1

Silent until the window is full. Keeps no state of its own: the ring is its memory. No root and no float:
squares are compared. Deviations are taken times `window` (so the mean is exact) and shifted by an amount
fixed at construction, so that the threshold's own square, times the window, is just below 2^30: a relative
error below 0.1 % of rms up to a window of 64, and no product reaches 2^30 for window <= 4096.
"""


class Trigger:
    STATE_BYTES = 0

    def __init__(self, args):
        self._channel, self._window, rms = args
        self._shift = 0
        while self._window * (self._window * rms >> self._shift) ** 2 >= 1 << 30:
            self._shift += 1
        self._enough = self._window * (self._window * rms >> self._shift) ** 2

    def fired(self, ring):
        n = self._window
        if ring.count < n:
            return False
        channel = self._channel
        base = ring.at(0, channel)
        total = 0
        for age in range(1, n):
            total += ring.at(age, channel) - base
        left = self._enough
        for age in range(n):
            d = n * (ring.at(age, channel) - base) - total >> self._shift
            if d > 32767 or d < -32767:  # its square alone is 2^30: enough
                return True
            left -= d * d
            if left <= 0:
                return True
        return False

    def reported(self, ring):
        pass

    def save_into(self, buf, off):
        return off

    def load_from(self, buf, off):
        return off


def create(args):
    return Trigger(args)
