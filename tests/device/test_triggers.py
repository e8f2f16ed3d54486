# SPDX-License-Identifier: MIT
"""The four triggers against what they promise; z-score and energy against floating point."""

from array import array

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from fakes_device import HeapLock, Random

from torpor.sense import change, energy, level, zscore
from torpor.sense.ring import Ring


def feed(trigger, values, rows=64, reported=()):
    """Push values one by one; return what fired() said each time, reporting after the indices given."""
    ring = Ring(rows, 1)
    said = []
    for i in range(len(values)):
        ring.push(array("h", [values[i]]))
        said.append(trigger.fired(ring))
        if i in reported:
            trigger.reported(ring)
    return said


def copied(trigger, fresh):
    """`fresh` with the state of `trigger`, through a buffer with something before and after."""
    buf = bytearray(b"\xee" * (trigger.STATE_BYTES + 2))
    assert trigger.save_into(buf, 1) == 1 + trigger.STATE_BYTES
    assert buf[0] == 0xEE and buf[-1] == 0xEE
    assert fresh.load_from(buf, 1) == 1 + trigger.STATE_BYTES
    return fresh


def moments(values):
    mean = sum(values) / len(values)
    return mean, (sum([(v - mean) ** 2 for v in values]) / len(values)) ** 0.5


class LevelTest(unittest.TestCase):
    def test_below_with_hysteresis(self):
        t = level.create((0, -1, 300, 50))
        said = feed(t, [400, 301, 300, 340, 350, 351, 320, 300])
        self.assertEqual(said, [False, False, True, True, True, False, False, True])

    def test_above_with_hysteresis(self):
        t = level.create((0, 1, -100, 10))
        said = feed(t, [-150, -101, -100, 0, -110, -111, -105, -100])
        self.assertEqual(said, [False, False, True, True, True, False, False, True])

    def test_whole_range(self):
        t = level.create((0, -1, 32767, 0))
        self.assertEqual(feed(t, [32767, -32768]), [True, True])
        t = level.create((0, 1, 32767, 0))
        self.assertEqual(feed(t, [32766, 32767, -32768]), [False, True, False])

    def test_second_channel(self):
        ring = Ring(2, 2)
        ring.push(array("h", [0, 500]))
        self.assertFalse(level.create((1, -1, 300, 0)).fired(ring))
        self.assertTrue(level.create((0, -1, 300, 0)).fired(ring))

    def test_state(self):
        for values in ([400], [300], [300, 340]):
            t = level.create((0, -1, 300, 50))
            last = feed(t, values)[-1]
            self.assertEqual(feed(copied(t, level.create((0, -1, 300, 50))), [345]), [last])

    def test_nothing_pushed_yet(self):
        self.assertFalse(level.create((0, -1, 300, 50)).fired(Ring(2, 1)))


class ChangeTest(unittest.TestCase):
    def test_falls(self):
        t = change.create((0, -1, 100))
        self.assertEqual(feed(t, [500, 401, 400, 300, 900]), [False, False, True, True, False])

    def test_rises(self):
        t = change.create((0, 1, 100))
        self.assertEqual(feed(t, [500, 599, 600, 300]), [False, False, True, False])

    def test_either(self):
        t = change.create((0, 0, 100))
        self.assertEqual(feed(t, [500, 600, 400, 450]), [False, True, True, False])

    def test_reported_takes_the_reference(self):
        t = change.create((0, -1, 100))
        said = feed(t, [500, 390, 300, 290, 289], reported=(1,))
        self.assertEqual(said, [False, True, False, True, True])

    def test_whole_range(self):
        t = change.create((0, 0, 65535))
        self.assertEqual(feed(t, [-32768, 32767, 32766]), [False, True, False])

    def test_state(self):
        for reference in (-32768, -1, 0, 32767):
            t = change.create((0, 0, 10))
            feed(t, [reference])
            ring = Ring(1, 1)
            ring.push(array("h", [max(-32768, min(32767, reference + 10))]))
            self.assertEqual(copied(t, change.create((0, 0, 10))).fired(ring), t.fired(ring))
        fresh = copied(change.create((0, 0, 10)), change.create((0, 0, 10)))
        self.assertEqual(feed(fresh, [500, 510]), [False, True])  # still without a reference


class ZscoreTest(unittest.TestCase):
    def test_waits_for_the_window(self):
        t = zscore.create((0, 4, 300))
        self.assertEqual(feed(t, [0, 0, 0, 32767, 0, 0]), [False] * 6)

    def test_constant_channel(self):
        # No spread: the floor of one count means a step of 3 counts is z = 3.
        t = zscore.create((0, 4, 300))
        self.assertEqual(feed(t, [9] * 5 + [11]), [False] * 6)
        self.assertEqual(feed(zscore.create((0, 4, 300)), [9] * 5 + [12]), [False] * 5 + [True])
        self.assertEqual(feed(zscore.create((0, 4, 300)), [9] * 5 + [6]), [False] * 5 + [True])

    def test_against_floating_point(self):
        random = Random(3)
        near = decided = 0
        for window in (2, 3, 8, 24, 63, 200):
            for spread in (1, 3, 40, 2000, 60000):
                for z in (100, 250, 300, 800):
                    t = zscore.create((0, window, z))
                    ring = Ring(window + 1, 1)
                    centre = random.between(-2000, 2000)
                    half = spread // 2
                    past = [
                        max(-32768, min(32767, centre + random.between(-half, half))) for _ in range(window)
                    ]
                    for v in past:
                        ring.push(array("h", [v]))
                    mean, sd = moments(past)
                    sd = max(sd, 1)
                    edge = z / 100 * sd * (0.5 + random.below(1000) / 1000)  # around the threshold
                    x = max(-32768, min(32767, int(mean + edge * (1 if random.below(2) else -1))))
                    ring.push(array("h", [x]))
                    ratio = abs(x - mean) / sd / (z / 100)
                    if abs(ratio - 1) < 0.003:
                        near += 1  # too near to call with 12 bits
                    else:
                        decided += 1
                        self.assertEqual(t.fired(ring), ratio > 1, (window, spread, z, past, x, ratio))
        self.assertLess(near, decided // 10)

    def test_outlier_beyond_all_scales(self):
        t = zscore.create((0, 8, 800))
        self.assertTrue(feed(t, [0, 1] * 4 + [32767], rows=9)[-1])
        self.assertTrue(feed(zscore.create((0, 8, 800)), [0, 1] * 4 + [-32768], rows=9)[-1])

    def test_keeps_no_state(self):
        t = zscore.create((0, 4, 300))
        self.assertEqual((t.STATE_BYTES, t.save_into(None, 5), t.load_from(None, 5)), (0, 5, 5))


class EnergyTest(unittest.TestCase):
    def test_waits_for_the_window(self):
        t = energy.create((0, 4, 1))
        self.assertEqual(feed(t, [0, 900, 0, 900]), [False, False, False, True])

    def test_about_the_mean(self):
        # A large constant is not energy.
        self.assertFalse(feed(energy.create((0, 4, 1)), [30000] * 4)[-1])
        self.assertTrue(feed(energy.create((0, 4, 1)), [30000, 30002] * 2)[-1])

    def test_exactly_at_the_threshold(self):
        self.assertTrue(feed(energy.create((0, 4, 100)), [-100, 100] * 2)[-1])
        self.assertFalse(feed(energy.create((0, 4, 101)), [-100, 100] * 2)[-1])

    def test_against_floating_point(self):
        random = Random(11)
        near = decided = 0
        for window in (1, 2, 7, 24, 64, 200):
            for spread in (3, 30, 1000, 20000, 65535):
                for percent in (40, 80, 95, 105, 130, 300):
                    half = spread // 2
                    values = [random.between(-half, half) for _ in range(window)]
                    rms = moments(values)[1]
                    threshold = max(1, int(rms * percent / 100))
                    t = energy.create((0, window, threshold))
                    said = feed(t, values, rows=window)[-1]
                    if abs(rms / threshold - 1) < 0.003:
                        near += 1
                    else:
                        decided += 1
                        self.assertEqual(said, rms > threshold, (window, values, threshold))
        self.assertLess(near, decided // 10)

    def test_keeps_no_state(self):
        t = energy.create((0, 4, 300))
        self.assertEqual((t.STATE_BYTES, t.save_into(None, 5), t.load_from(None, 5)), (0, 5, 5))


class NoAllocationTest(unittest.TestCase):
    def test_all(self):
        parts = (
            level.create((0, -1, 300, 50)),
            change.create((0, 0, 10)),
            zscore.create((0, 24, 300)),
            energy.create((0, 24, 40)),
        )
        ring = Ring(25, 1)
        row = ring.row()
        buf = bytearray(16)
        fired = 0
        with HeapLock(self):
            for n in range(60):
                row[0] = n * n * 7 % 500
                ring.push(row)
                for t in parts:
                    if t.fired(ring):
                        fired += 1
                        t.reported(ring)
                    t.save_into(buf, 0)
        self.assertLess(60, fired)


if __name__ == "__main__":
    unittest.main()
