# SPDX-License-Identifier: MIT
"""Trigger: fires when the newest value is far from its recent past. args: (channel, window, z_times_100).

    |x - mean| >= z * max(sd, 1 count)

over the `window` rows before the newest; sd is their population standard deviation. A spread below one count
is the converter's, not the world's, hence the floor: a constant channel fires on a step of z counts, never on
nothing. Silent until the window is full. Keeps no state of its own: the ring is its memory.

No root and no float: squares are compared. Deviations are taken times `window` (so the mean is exact), then
shifted until the window's largest fits into 12 bits, which is a relative error below 0.1 % and keeps every
product below 2^30 for 2 <= window <= 4096 and 100 <= z_times_100 <= 800.
"""


class Trigger:
    STATE_BYTES = 0

    def __init__(self, args):
        self._channel, self._window, z = args
        self._z2 = (z * z + 50) // 100  # z squared, times 100
        self._limit = 4000
        while (self._limit + 1) ** 2 * self._window >= 1 << 30:  # + 1: a shift takes -1.5 to -2
            self._limit -= 1

    def fired(self, ring):
        n = self._window
        if ring.count <= n:
            return False
        channel = self._channel
        base = ring.at(1, channel)  # deviations are small, values may not be
        total = 0
        low = high = 0
        for age in range(2, n + 1):
            d = ring.at(age, channel) - base
            total += d
            if d < low:
                low = d
            elif d > high:
                high = d
        widest = max(n * high - total, total - n * low)
        shift = n >> 12  # one count is n here: its square is to stay below 2^24
        while widest >> shift > self._limit:
            shift += 1
        squares = 0
        for age in range(1, n + 1):
            d = n * (ring.at(age, channel) - base) - total >> shift
            squares += d * d
        d = n * (ring.at(0, channel) - base) - total
        d = (d if d >= 0 else -d) >> shift
        d = min(d, 32767)  # more than 8 sd, since sd <= 4000: the answer is the same, and the square fits
        variance = max(squares // n, (n >> shift) * (n >> shift))
        return d * d >= variance // 100 * self._z2 + variance % 100 * self._z2 // 100

    def reported(self, ring):
        pass

    def save_into(self, buf, off):
        return off

    def load_from(self, buf, off):
        return off


def create(args):
    return Trigger(args)
