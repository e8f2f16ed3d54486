# SPDX-License-Identifier: MIT
"""Link: BLE advertising, the whole frame in one legacy advertisement. args: () or (interval_ms, events).

100 ms is the shortest interval that every controller allows for what can't be connected to (Bluetooth 4.2,
vol. 6 part B, 4.4.2.2; 20 ms since 5.0); a scanner that listens a third of the time then misses all of 8
events about once in 25 times. The processor stays awake for interval * events: on an ESP32 that, not the
radio, is what a report costs.
"""

from ..compat import const
from ..errors import LinkError

_INTERVAL_MS = const(100)
_EVENTS = const(8)
_LONGEST = const(31)  # bytes of AD structures in a legacy advertisement (vol. 6 part B, 2.3.1.3)


class Link:
    """`mac` is the radio's address, most significant byte first. Raises LinkError(code)."""

    def __init__(self, args, hal):
        self._hal = hal
        self._interval_ms, self._events = args or (_INTERVAL_MS, _EVENTS)
        self.mac = hal.mac

    def send(self, adv_payload):
        if len(adv_payload) > _LONGEST:
            raise LinkError(len(adv_payload))
        self._hal.advertise(adv_payload, self._interval_ms, self._events)


def create(args, hal):
    return Link(args, hal)
