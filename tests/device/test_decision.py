# SPDX-License-Identifier: MIT
"""The decision against its definition, step by step and as a plain model over random scores."""

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from fakes_device import HeapLock, Random

from torpor.decision import Decision

HOUR = 3600
T0 = 1767225600  # 2026-01-01


def run(decision, scores, step_s=HOUR):
    """Feed scores (None = a quiet wake) `step_s` apart; return the changes."""
    said = []
    for i in range(len(scores)):
        now_s = T0 + i * step_s
        said.append(decision.quiet(now_s) if scores[i] is None else decision.update(scores[i], now_s))
    return said


class DecisionTest(unittest.TestCase):
    def test_below_with_hysteresis(self):
        said = run(Decision((-1, 0, 100, 1, 0)), [50, 1, 0, 50, 99, 100, 99, 1, 0])
        self.assertEqual(said, [0, 0, 1, 0, 0, -1, 0, 0, 1])

    def test_above_with_hysteresis(self):
        said = run(Decision((1, 100, 50, 1, 0)), [99, 100, 51, 50, 99, 100])
        self.assertEqual(said, [0, 1, 0, -1, 0, 1])

    def test_mean_is_exact(self):
        # Means -1/3 and 1/3 of a count: the first is at or below 0, the second is not.
        self.assertEqual(run(Decision((-1, 0, 100, 3, 0)), [2, 2, 2, -4, 1])[-2:], [1, 0])
        self.assertEqual(run(Decision((-1, 0, 100, 3, 0)), [2, 2, 2, -3]), [0, 0, 0, 0])

    def test_mean_of_what_there_is(self):
        self.assertEqual(run(Decision((-1, 0, 100, 4, 0)), [-10]), [1])
        self.assertEqual(run(Decision((-1, 0, 100, 4, 0)), [10, -10]), [0, 1])

    def test_active(self):
        d = Decision((-1, 0, 100, 1, 0))
        self.assertFalse(d.active)
        d.update(-5, T0)
        self.assertTrue(d.active)
        d.update(500, T0)
        self.assertFalse(d.active)

    def test_hold_off(self):
        d = Decision((1, 10, 5, 1, 2 * HOUR))
        self.assertEqual(run(d, [10, 0, 0, 10, 10]), [1, 0, -1, 0, 1])

    def test_hold_off_ends_when_the_clock_is_set_back(self):
        d = Decision((1, 10, 5, 1, 2 * HOUR))
        self.assertEqual(d.update(10, T0), 1)
        self.assertEqual(d.update(0, T0 - 1), -1)

    def test_first_change_never_waits(self):
        for now_s in (0, 1, T0):
            self.assertEqual(Decision((1, 10, 5, 1, 10 * HOUR)).update(10, now_s), 1)

    def test_quiet_ends_an_alarm(self):
        # Four cold scores, then warm and quiet: over by the fourth quiet wake, at the latest.
        said = run(Decision((-1, 0, 100, 4, 0)), [-500] * 4 + [None] * 5)
        self.assertEqual(said, [1, 0, 0, 0, 0, 0, 0, -1, 0])

    def test_quiet_lets_old_scores_go(self):
        # Without the quiet wakes the mean of (-500, -500, 400) would be an alarm.
        d = Decision((-1, -100, 0, 3, 0))
        run(d, [900, -500, -500])  # mean -33: no alarm
        self.assertEqual(run(d, [None, None, None, 400]), [0, 0, 0, 0])
        self.assertFalse(d.active)

    def test_quiet_never_starts_an_alarm(self):
        for args in ((-1, 0, 0, 1, 0), (1, 0, 0, 2, 0)):
            self.assertEqual(run(Decision(args), [None] * 3), [0, 0, 0])

    def test_quiet_waits_for_the_hold_off(self):
        said = run(Decision((-1, 0, 100, 1, 3 * HOUR)), [-5, None, None, None])
        self.assertEqual(said, [1, 0, 0, -1])

    def test_scores_saturate(self):
        d = Decision((1, 32767, 0, 1, 0))
        self.assertEqual(run(d, [10**6, -(10**6)]), [1, -1])

    def test_against_a_plain_model(self):
        random = Random(2)
        for _ in range(60):
            direction = random.between(0, 1) * 2 - 1
            off = random.between(-300, 300)
            on = off + direction * random.below(200)
            average, hold_off_s = random.between(1, 9), random.below(5) * HOUR
            d = Decision((direction, on, off, average, hold_off_s))
            past, active, changed_s = [], False, None
            for i in range(60):
                now_s = T0 + i * HOUR
                quiet = random.below(4) == 0
                past.append(off if quiet else random.between(-600, 600))
                mean = sum(past[-average:]) / len(past[-average:])
                want = 0
                if changed_s is None or now_s - changed_s >= hold_off_s:
                    if active and direction * mean <= direction * off:
                        want = -1
                    elif not active and not quiet and direction * mean >= direction * on:
                        want = 1
                if want:
                    active, changed_s = want == 1, now_s
                self.assertEqual(d.quiet(now_s) if quiet else d.update(past[-1], now_s), want)
                self.assertEqual(d.active, active)

    def test_state(self):
        args = (-1, 0, 100, 5, 3 * HOUR)
        scores = [300, -700, -20, 150, 90, None, 400, 800, 900, -900, -900, -900, None, 700, 900, 950]
        for cut in range(len(scores)):
            whole, first, second = Decision(args), Decision(args), Decision(args)
            want = run(whole, scores)
            said = run(first, scores[:cut])
            buf = bytearray(b"\xee" * (first.STATE_BYTES + 2))
            self.assertEqual(first.save_into(buf, 1), 1 + first.STATE_BYTES)
            self.assertEqual((buf[0], buf[-1]), (0xEE, 0xEE))
            self.assertEqual(second.load_from(buf, 1), 1 + first.STATE_BYTES)
            for i in range(cut, len(scores)):
                now_s = T0 + i * HOUR
                said.append(second.quiet(now_s) if scores[i] is None else second.update(scores[i], now_s))
            self.assertEqual(said, want)

    def test_state_bytes(self):
        self.assertEqual(Decision((1, 0, 0, 5, 0)).STATE_BYTES, 17)

    def test_state_that_can_not_be(self):
        for i, value in ((0, 2), (1, 6), (2, 5)):
            d = Decision((1, 10, 5, 5, HOUR))
            buf = bytearray(d.STATE_BYTES)
            buf[i] = value
            d.load_from(buf, 0)
            self.assertFalse(d.active)
            self.assertEqual(d.update(10, T0), 1)

    def test_a_flag_that_can_not_be_spoils_the_rest(self):
        whole = Decision((1, 10, 5, 2, HOUR))
        whole.update(0, T0)
        buf = bytearray(whole.STATE_BYTES)
        whole.save_into(buf, 0)
        for flag, first in ((0, 0), (2, 1)):  # mean of 0 and 15, below 10; of 15 alone
            buf[0] = flag
            d = Decision((1, 10, 5, 2, HOUR))
            d.load_from(buf, 0)
            self.assertEqual(d.update(15, T0 + HOUR), first)

    def test_state_of_zeros_is_as_new(self):
        d = Decision((1, 10, 5, 5, HOUR))
        d.load_from(bytes(d.STATE_BYTES), 0)
        self.assertEqual(d.update(10, T0), 1)

    def test_no_allocation(self):
        d = Decision((-1, 0, 100, 4, 2 * HOUR))
        buf = bytearray(d.STATE_BYTES)
        changes = 0
        with HeapLock(self):
            for i in range(48):
                score = (i % 12 - 6) * 100
                change = d.quiet(T0 + i * HOUR) if i % 5 == 0 else d.update(score, T0 + i * HOUR)
                if change:
                    changes += 1
                d.save_into(buf, 0)
        self.assertLess(2, changes)


if __name__ == "__main__":
    unittest.main()
