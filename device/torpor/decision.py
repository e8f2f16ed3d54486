# SPDX-License-Identifier: MIT
"""From scores to an alarm that neither flickers nor sticks: moving average, hysteresis, hold-off.

    decision = Decision((-1, 0, 100, 2, 3600))
    decision.update(score, now_s)                # -1 alarm off, 0 no change, 1 alarm on

is an alarm that goes on at a mean of two scores <= 0.00 degC, off at >= 1.00, not twice within an hour.
"""


class Decision:
    """args: (direction, on, off, average, hold_off_s), scores and levels in counts.

    direction 1: on when the mean of the last `average` scores (fewer at first) is >= on, off when it is
    <= off (off <= on); -1: on when it is <= on, off when it is >= off (on <= off). After a change the next
    one waits until `hold_off_s` have passed; scores keep entering the mean meanwhile. A clock that was set
    back ends the wait. The mean is compared as a sum: exact, no division. Scores saturate to int16.
    average: 1..255.

    State: 7 + 2 * average bytes: active, scores held, place of the next, second of the last change (uint32,
    0 = never), scores as int16. On a 32-bit board `now_s` is no small integer: one heap object a call.
    """

    def __init__(self, args):
        self._direction, self._on, self._off, self._average, self._hold_off_s = args
        self.STATE_BYTES = 7 + 2 * self._average
        self.active = False
        self._count = 0
        self._next = 0
        self._changed_s = 0  # never
        self._scores = bytearray(2 * self._average)  # int16, little endian: its state as it stands

    def update(self, score, now_s):
        """Take in one score. Returns 1 when the alarm goes on, -1 when it goes off, 0 otherwise."""
        self._take(score)
        return self._judge(now_s)

    def quiet(self, now_s):
        """The trigger did not fire, so the model did not run: counts as one score of exactly `off`.

        So an alarm ends at the latest with the `average`-th quiet wake in a row (or when the hold-off has
        passed), and old scores leave the mean while nothing happens. Returns -1 or 0, never 1: no alarm goes
        on without a score.
        """
        self._take(self._off)
        return self._judge(now_s) if self.active else 0

    def _take(self, score):
        score = 32767 if score > 32767 else -32768 if score < -32768 else score
        i = 2 * self._next
        self._scores[i] = score & 255
        self._scores[i + 1] = score >> 8 & 255
        self._next += 1
        if self._next == self._average:
            self._next = 0
        if self._count < self._average:
            self._count += 1

    def _judge(self, now_s):
        if self._changed_s and 0 <= now_s - self._changed_s < self._hold_off_s:
            return 0
        total = 0
        for i in range(0, 2 * self._count, 2):
            v = self._scores[i] | self._scores[i + 1] << 8
            total += v - 65536 if v > 32767 else v
        if self.active:
            if (total - self._off * self._count) * self._direction > 0:
                return 0
        elif (total - self._on * self._count) * self._direction < 0:
            return 0
        self.active = not self.active
        self._changed_s = now_s
        return 1 if self.active else -1

    def save_into(self, buf, off):
        buf[off] = self.active
        buf[off + 1] = self._count
        buf[off + 2] = self._next
        off += 3
        v = self._changed_s
        for _ in range(4):
            buf[off] = v & 255
            v >>= 8
            off += 1
        for i in range(len(self._scores)):
            buf[off + i] = self._scores[i]
        return off + len(self._scores)

    def load_from(self, buf, off):
        """Read the state back. Counts that can't be (another layout) leave it as new: off, no scores."""
        whole = buf[off] < 2 and buf[off + 1] <= self._average and buf[off + 2] < self._average
        self.active = whole and buf[off] == 1
        self._count = buf[off + 1] if whole else 0
        self._next = buf[off + 2] if whole else 0
        v = buf[off + 3] | buf[off + 4] << 8 | buf[off + 5] << 16 | buf[off + 6] << 24
        self._changed_s = v if whole else 0
        off += 7
        for i in range(len(self._scores)):
            self._scores[i] = buf[off + i]
        return off + len(self._scores)
