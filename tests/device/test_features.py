# SPDX-License-Identifier: MIT
"""Features against their definition, dew point and hours against the formulas in floating point."""

import math
from array import array

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from fakes_device import HeapLock, Random

from torpor.dsp import dewpoint, hours
from torpor.dsp.features import Features
from torpor.sense.ring import Ring

ONE = 65536  # mul_q16 of one step per count
NOON_UTC = 1767268800  # 2026-01-01 12:00:00


def ring_of(*columns):
    """Ring of channels as given, oldest first."""
    ring = Ring(len(columns[0]), len(columns))
    for values in zip(*columns):
        ring.push(array("h", values))
    return ring


def fill(specs, ring=None, now_s=NOON_UTC, zero_point=0, utc_offset_s=0):
    out = array("b", [0] * len(specs))
    Features(specs, utc_offset_s).fill(ring, now_s, out, zero_point)
    return list(out)


class KindsTest(unittest.TestCase):
    def test_value_change_minimum_maximum(self):
        ring = ring_of([50, -20, 30, 10], [0, 1, 2, 3])
        specs = (
            (0, 0, 0, 0, ONE),
            (0, 0, 2, 0, ONE),
            (0, 1, 3, 0, ONE),
            (1, 0, 1, 0, ONE),
            (1, 0, 3, 0, ONE),
            (2, 0, 2, 0, ONE),
            (2, 0, 4, 0, ONE),
            (3, 0, 2, 0, ONE),
            (3, 0, 4, 0, ONE),
            (3, 0, 1, 0, ONE),
        )
        self.assertEqual(fill(specs, ring), [10, -20, 0, -20, -40, 10, -20, 30, 50, 10])
        self.assertEqual(Features(specs).needs, 4)

    def test_needs(self):
        for spec, rows in (
            ((0, 0, 0, 0, 1), 1),
            ((0, 0, 5, 0, 1), 6),
            ((1, 0, 3, 0, 1), 4),
            ((2, 0, 6, 0, 1), 6),
            ((3, 0, 1, 0, 1), 1),
            ((4, 0, 1, 0, 1), 1),
            ((5, 0, 0, 0, 1), 0),
            ((6, 0, 9, 0, 1), 0),
        ):
            self.assertEqual(Features((spec,)).needs, rows)

    def test_unknown_kind(self):
        self.assertRaises(ValueError, Features, ((7, 0, 0, 0, 1),))

    def test_too_short_a_history(self):
        with self.assertRaises(IndexError):
            fill(((1, 0, 3, 0, ONE),), ring_of([1, 2, 3]))

    def test_quantisation(self):
        # q = clamp(round-half-up((x - mean) * mul / 65536) + zero point): against exact rationals.
        random = Random(5)
        for _ in range(400):
            x, mean = random.between(-32768, 32767), random.between(-5000, 5000)
            mul = random.between(-60000, 60000) if random.below(2) else random.between(-3000000, 3000000)
            zero_point = random.between(-128, 127)
            want = ((x - mean) * mul + 32768) // 65536 + zero_point
            want = max(-128, min(127, want))
            self.assertEqual(fill(((0, 0, 0, mean, mul),), ring_of([x]), zero_point=zero_point), [want])

    def test_halves_round_up(self):
        half = (0, 0, 0, 0, ONE // 2)
        for x, want in ((1, 1), (-1, 0), (3, 2), (-3, -1)):
            self.assertEqual(fill((half,), ring_of([x])), [want])

    def test_writes_only_its_inputs(self):
        out = array("b", [99] * 4)
        Features(((0, 0, 0, 0, ONE),)).fill(ring_of([5]), 0, out, -3)
        self.assertEqual(list(out), [2, 99, 99, 99])

    def test_hours_are_local(self):
        # mul 6554 = 0.1: 1000 becomes 100.
        specs = ((5, 0, 0, 0, 6554), (6, 0, 0, 0, 6554))
        self.assertEqual(fill(specs), [0, -100])
        self.assertEqual(fill(specs, utc_offset_s=6 * 3600), [-100, 0])
        self.assertEqual(fill(specs, utc_offset_s=-6 * 3600), [100, 0])
        self.assertEqual(fill(specs, utc_offset_s=-12 * 3600), [0, 100])
        self.assertEqual(fill(specs, utc_offset_s=12 * 3600), [0, 100])

    def test_dew_point_takes_humidity_from_age(self):
        # 20 degC at 50 %: the dew point is 9.26 degC, 10.74 K below.
        ring = ring_of([5000], [2000])
        self.assertEqual(fill(((4, 1, 0, 1000, ONE),), ring), [74])

    def test_no_allocation(self):
        specs = tuple((kind, 0, 1 if kind == 4 else 3, 100, 500) for kind in range(7))
        features = Features(specs, -32400)
        ring = ring_of([300, 200, 100, 50], [5000, 6000, 7000, 8000])
        out = array("b", [0] * 7)
        with HeapLock(self):
            for _ in range(3):
                features.fill(ring, NOON_UTC, out, -5)
        self.assertNotEqual(list(out), [0] * 7)


class DewPointTest(unittest.TestCase):
    def test_against_floating_point(self):
        worst = 0
        for t in range(-4000, 5001, 61):
            for h in range(500, 10001, 87):
                g = math.log(h / 10000) + 17.625 * t / 100 / (243.04 + t / 100)
                want = t / 100 - 243.04 * g / (17.625 - g)
                worst = max(worst, abs(dewpoint.depression(t, h) / 100 - want))
        self.assertLess(worst, 0.02)

    def test_saturated_air(self):
        for t in range(-4000, 5001, 500):
            self.assertLessEqual(dewpoint.depression(t, 10000), 1)

    def test_values_no_sensor_gives(self):
        for t in (-32768, -24304, 32767):
            for h in (-32768, 0, 1, 32767):
                self.assertLessEqual(0, dewpoint.depression(t, h))


class HoursTest(unittest.TestCase):
    def test_against_sine(self):
        for second in range(-86400, 2 * 86400, 613):
            angle = 2 * math.pi * second / 86400
            self.assertAlmostEqual(hours.sine(second), 1000 * math.sin(angle), delta=9.5)
            self.assertAlmostEqual(hours.cosine(second), 1000 * math.cos(angle), delta=9.5)

    def test_full_hours_are_rounded_sines(self):
        for hour in range(24):
            want = 1000 * math.sin(2 * math.pi * hour / 24)
            self.assertAlmostEqual(hours.sine(3600 * hour), want, delta=0.51)


if __name__ == "__main__":
    unittest.main()
