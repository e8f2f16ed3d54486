# SPDX-License-Identifier: MIT
"""What the node spent, by cause, exact to the microjoule over its life.

    ledger = Ledger(args)                # costs in uJ in the order of CAUSES, sleep power in uW and nW
    ledger.spend(SENSE)
    ledger.sleep(3600)

The costs come from the board's profile by way of node.bin (tag 9): this counts events and seconds, it
measures nothing. Kept as whole joules and microjoules, so that every number stays below 2**30.
"""

import struct
from array import array

from ..compat import const

CAUSES = ("boot", "sense", "trigger", "features", "infer", "radio", "flash", "sleep")
BOOT = const(0)
SENSE = const(1)
TRIGGER = const(2)
FEATURES = const(3)
INFER = const(4)
RADIO = const(5)
FLASH = const(6)
SLEEP = const(7)

_CAUSES = const(8)
_JOULE = const(1000000)  # in microjoules
_SMALL = const(1000000000)  # < 2**30: a small integer on every port


class Ledger:
    """args: 9 integers >= 0: uJ per boot, sense, ... flash, then the uW and nW (0..999) of sleep."""

    STATE_BYTES = 50  # 6 per cause, 2 for the nanojoules carried

    def __init__(self, args):
        self._cost_j = array("i", [a // _JOULE for a in args[:8]])
        self._cost_uj = array("i", [a % _JOULE for a in args[:8]])
        self._nw = args[8]
        self._j = array("i", [0] * _CAUSES)
        self._uj = array("i", [0] * _CAUSES)
        self._nj = 0  # of sleep, below 1000
        # How many events or seconds fit into one step of small-integer arithmetic.
        self._step = array("i", [min(_JOULE, _SMALL // (uj + 1)) for uj in self._cost_uj])

    def spend(self, cause, count=1):
        """Book `count` events of a cause (BOOT .. FLASH)."""
        while count > 0:
            n = min(count, self._step[cause])
            self._add(cause, self._cost_j[cause] * n, self._cost_uj[cause] * n)
            count -= n

    def sleep(self, seconds):
        """Book `seconds` of deep sleep."""
        while seconds > 0:
            n = min(seconds, self._step[SLEEP])
            self._nj += self._nw * n
            self._add(SLEEP, self._cost_j[SLEEP] * n, self._cost_uj[SLEEP] * n)
            self._add(SLEEP, 0, self._nj // 1000)
            self._nj %= 1000
            seconds -= n

    def _add(self, cause, joules, microjoules):
        microjoules += self._uj[cause]
        self._j[cause] += joules + microjoules // _JOULE
        self._uj[cause] = microjoules % _JOULE

    def microjoules(self, cause):
        """Return what one cause took, in uJ; may exceed 2**30."""
        return self._j[cause] * _JOULE + self._uj[cause]

    def total_uj(self):
        """Return what all causes took, in uJ; may exceed 2**30."""
        return sum([self.microjoules(c) for c in range(_CAUSES)])

    def save_into(self, buf, off):
        """48 bytes `<IH` per cause: J (below 2**24) | uJ >> 16 << 24, uJ & 0xFFFF; then `<H` nJ."""
        for c in range(_CAUSES):
            j, uj = self._j[c], self._uj[c]
            # In smaller pieces than <IH, but the same bytes: the joint word could exceed 2**30.
            struct.pack_into("<HBBH", buf, off, j & 0xFFFF, j >> 16 & 0xFF, uj >> 16, uj & 0xFFFF)
            off += 6
        struct.pack_into("<H", buf, off, self._nj)
        return off + 2

    def load_from(self, buf, off):
        for c in range(_CAUSES):
            low, high, top, rest = struct.unpack_from("<HBBH", buf, off)
            self._j[c] = high << 16 | low
            self._uj[c] = top << 16 | rest
            off += 6
        self._nj = buf[off] | buf[off + 1] << 8
        return off + 2
