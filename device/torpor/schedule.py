# SPDX-License-Identifier: MIT
"""When to report. Small enough for every wake: the radio's code is imported only once due() says so.

    schedule = Schedule(heartbeat_s)
    if schedule.due(now_s, event): ...         # build a Reporter and report

Reported are the first wake, then every heartbeat_s seconds after it (a fixed phase: other reports don't
shift it), and each event at once. What can't be sent stays pending and is tried again, after more and more
wakes; what is sent then is the latest state.
"""

import struct

_STATE = "<IIHBB"
_MOST_RETRIES = 6


class Schedule:
    """heartbeat_s 0: no heartbeats.

    `counter` is the frame counter's copy, carried here for radio.reporter. load_from takes it up only where
    `warm` was set: right after a timer's or pin's wake, from retained memory. Any other copy may be older
    than the last frame and would repeat its counter; zeros make the counter go on from flash, and 255 as the
    last byte (counters.OLD) tells it that flash must know.
    """

    STATE_BYTES = 17

    def __init__(self, heartbeat_s):
        self.uplinks = 0
        self.failures = 0
        self.pending = False
        self.counter = bytearray(5)
        self.warm = False
        self._heartbeat_s = heartbeat_s
        self._next_s = 0  # 0: before the first wake
        self._retries = 0
        self._wait = 0  # wakes to let pass before the next try

    def due(self, now_s, event):
        """Call once a wake. event: 0, or what the decision said (-1 off, 1 on). True: report now."""
        every = self._heartbeat_s
        if every:
            ahead = self._next_s - now_s
            if self._next_s == 0 or ahead > every:  # first wake, or the clock was set back
                self._next_s = now_s + every
                self.pending = True
            elif ahead <= 0:
                self._next_s += every * (1 + -ahead // every)
                self.pending = True
        if event:
            self.pending = True
            self._wait = 0
        if not self.pending:
            return False
        if self._wait:
            self._wait -= 1
            return False
        return True

    def sent(self):
        self.uplinks += 1
        self.pending = False
        self._retries = self._wait = 0

    def failed(self):
        """Try again after 1, 2, 4 ... 32 wakes; an event cuts the wait short."""
        self.failures = min(self.failures + 1, 0xFFFF)
        self._retries = min(self._retries + 1, _MOST_RETRIES)
        self._wait = (1 << self._retries - 1) - 1

    def save_into(self, buf, off):
        flags = self._retries << 1 | self.pending
        struct.pack_into(_STATE, buf, off, self._next_s, self.uplinks, self.failures, flags, self._wait)
        off += 12
        for i in range(5):
            buf[off + i] = self.counter[i]
        return off + 5

    def load_from(self, buf, off):
        self._next_s, self.uplinks, self.failures, flags, self._wait = struct.unpack_from(_STATE, buf, off)
        self.pending = bool(flags & 1)
        self._retries = flags >> 1
        off += 12
        old = 0
        for i in range(5):
            v = buf[off + i]
            old = 255 if v else old
            self.counter[i] = v if self.warm else 0
        if not self.warm:
            self.counter[4] = old
        return off + 5
