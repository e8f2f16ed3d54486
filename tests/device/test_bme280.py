# SPDX-License-Identifier: MIT
"""The BME280 driver byte by byte, and its arithmetic against the data sheet's floating point formulas."""

import struct

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

import drivers.bme280
from drivers.bme280 import BME280
from fakes_device import HeapLock, RegisterBus, ScriptedBus

from torpor.errors import SensorError

ADDRESS = 0x76

# T1..T3, P1..P9, H1..H6. The first row's T and P are the worked example of Bosch's BMP280 data sheet
# (BST-BMP280-DS001, section 3.12); its humidity and the other rows are ordinary values.
CHIPS = (
    (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000, 75, 370, 0, 313, 50, 30),
    (28485, 26735, 50, 36738, -10635, 3024, 6980, -4, -7, 9900, -10230, 4285, 75, 353, 0, 340, 0, 30),
    (27917, 26128, 50, 37996, -10583, 3024, 8271, 38, -7, 9900, -10230, 4285, 0, 376, 0, 288, 50, 30),
)


def calibration(c):
    """The two calibration blocks of a chip, as its registers hold them: 26 bytes from 0x88, 7 from 0xE1."""
    first = struct.pack("<HhhHhhhhhhhhBB", *(c[:12] + (0, c[12])))
    h2, h3, h4, h5, h6 = c[13:]
    second = struct.pack("<hBBBBb", h2, h3, h4 >> 4 & 255, (h4 & 15) | (h5 & 15) << 4, h5 >> 4 & 255, h6)
    return first, second


def sample(t, p, h):
    """The data registers from 0xF7 for raw readings."""
    return bytes((p >> 12, p >> 4 & 255, p << 4 & 240, t >> 12, t >> 4 & 255, t << 4 & 240, h >> 8, h & 255))


def physical(c, t, p, h):
    """degC, %RH, hPa by the data sheet's double precision formulas (BST-BME280-DS002, section 8.1)."""
    t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9, h1, h2, h3, h4, h5, h6 = c
    fine = (t / 16384 - t1 / 1024) * t2 + (t / 131072 - t1 / 8192) ** 2 * t3
    v = fine / 2 - 64000
    w = v * v * p6 / 32768 + v * p5 * 2
    w = w / 4 + p4 * 65536
    v = (p3 * v * v / 524288 + p2 * v) / 524288
    v = (1 + v / 32768) * p1
    pascal = (1048576 - p - w / 4096) * 6250 / v
    pascal += (p9 * pascal * pascal / 2147483648 + pascal * p8 / 32768 + p7) / 16
    x = fine - 76800
    x = (h - (h4 * 64 + h5 / 16384 * x)) * (h2 / 65536 * (1 + h6 / 67108864 * x * (1 + h3 / 67108864 * x)))
    x *= 1 - h1 * x / 524288
    return fine / 5120, max(0, min(100, x)), pascal / 100


def begin(c=CHIPS[0], chip_id=0x60, status=b"\x00"):
    """The script of a constructor that goes well."""
    first, second = calibration(c)
    return [
        ("r", ADDRESS, 0xD0, bytes((chip_id,))),
        ("r", ADDRESS, 0xF3, status),
        ("r", ADDRESS, 0x88, first),
        ("r", ADDRESS, 0xE1, second),
        ("w", ADDRESS, 0xF5, b"\x00"),
    ]


def forced(data, ctrl_hum=b"\x01", ctrl_meas=b"\x25", busy=0):
    """The script of one measurement."""
    return (
        [("w", ADDRESS, 0xF2, ctrl_hum), ("w", ADDRESS, 0xF4, ctrl_meas)]
        + [("r", ADDRESS, 0xF3, b"\x08")] * busy
        + [("r", ADDRESS, 0xF3, b"\x00"), ("r", ADDRESS, 0xF7, data)]
    )


class Bme280Test(unittest.TestCase):
    def setUp(self):
        self.slept = 0
        self.sleep = drivers.bme280.sleep
        drivers.bme280.sleep = self.count

    def tearDown(self):
        drivers.bme280.sleep = self.sleep

    def count(self, seconds):
        self.slept += seconds

    def refuses(self, got, script):
        bus = ScriptedBus(script)
        with self.assertRaises(SensorError) as caught:
            BME280(bus, ADDRESS).measure()
        self.assertEqual(caught.exception.args, ("bme280", got))
        bus.done()

    def test_worked_example(self):
        # 25.08 degC and 1006.53 hPa are the data sheet's results for these readings.
        bus = ScriptedBus(begin() + forced(sample(519888, 415148, 30000)))
        chip = BME280(bus, ADDRESS)
        chip.measure()
        bus.done()
        self.assertEqual(chip.temperature, 2508)
        self.assertAlmostEqual(chip.pressure, 10065, delta=1)
        self.assertLess(0.009, self.slept)  # section 9.1: everything at x1 takes up to 9.3 ms
        self.assertLess(self.slept, 0.02)

    def test_measures_again(self):
        bus = ScriptedBus(begin() + 2 * forced(sample(519888, 415148, 30000), busy=2))
        chip = BME280(bus, ADDRESS)
        chip.measure()
        chip.measure()
        bus.done()

    def test_only_what_is_asked_for(self):
        skipped = sample(519888, 0x80000, 0x8000)
        bus = ScriptedBus(begin() + forced(skipped, ctrl_hum=b"\x00", ctrl_meas=b"\x21"))
        chip = BME280(bus, ADDRESS, False, False)
        chip.measure()
        bus.done()
        self.assertEqual((chip.temperature, chip.humidity, chip.pressure), (2508, 0, 0))

    def test_waits_for_the_calibration_after_power_on(self):
        script = begin()
        bus = ScriptedBus(script[:1] + [("r", ADDRESS, 0xF3, b"\x01")] * 3 + script[1:])
        BME280(bus, ADDRESS)
        bus.done()

    def test_against_floating_point(self):
        worst = [0, 0, 0]
        for c in CHIPS:
            chip = BME280(ScriptedBus(begin(c)), ADDRESS)
            compared = 0
            for t in range(300000, 720000, 17377):
                for p in range(150000, 900000, 43037):
                    for h in range(14000, 46000, 5801):
                        want = physical(c, t, p, h)
                        if not (-40 <= want[0] <= 85 and 300 <= want[2] <= 1100):
                            continue
                        compared += 1
                        bus = RegisterBus()
                        bus.put(0xF7, sample(t, p, h))
                        chip._i2c = bus
                        chip.measure()
                        got = (chip.temperature / 100, chip.humidity / 100, chip.pressure / 10)
                        worst = [max(w, abs(a - b)) for w, a, b in zip(worst, got, want)]
            self.assertLess(500, compared)
        self.assertLess(worst[0], 0.01)
        self.assertLess(worst[1], 0.1)
        self.assertLess(worst[2], 0.2)

    def test_negative_coefficients(self):
        # h4, h5 and h6 are signed and share bytes.
        c = CHIPS[0][:15] + (-300, -50, -30)
        chip = BME280(ScriptedBus(begin(c)), ADDRESS)
        self.assertEqual((chip._h4, chip._h5, chip._h6), (-300, -50, -30))

    def test_another_chip(self):
        self.refuses(0x58, begin(chip_id=0x58)[:1])  # BMP280
        self.refuses(0x61, begin(chip_id=0x61)[:1])  # BME680

    def test_no_answer(self):
        self.refuses("no answer", [("fail", ADDRESS, 0xD0, 19)])
        self.refuses("no answer", begin()[:4] + [("fail", ADDRESS, 0xF5, 19)])
        self.refuses("no answer", begin() + [("fail", ADDRESS, 0xF2, 116)])
        self.refuses("no answer", begin() + forced(b"")[:3] + [("fail", ADDRESS, 0xF7, 5)])

    def test_stuck_measuring(self):
        script = begin() + forced(b"")[:2] + [("r", ADDRESS, 0xF3, b"\x08")] * 10
        self.refuses("busy", script)
        self.assertLess(self.slept, 0.1)

    def test_stuck_copying(self):
        self.refuses("busy", begin()[:1] + [("r", ADDRESS, 0xF3, b"\x01")] * 10)

    def test_calibration_of_nothing(self):
        for byte in (b"\x00", b"\xff"):
            script = begin()[:2] + [("r", ADDRESS, 0x88, byte * 26), ("r", ADDRESS, 0xE1, byte * 7)]
            self.refuses("calibration", script)

    def test_skipped_although_asked_for(self):
        self.refuses(0x80000, begin() + forced(sample(0x80000, 415148, 30000)))
        self.refuses(0x80000, begin() + forced(sample(519888, 0x80000, 30000)))
        self.refuses(0x8000, begin() + forced(sample(519888, 415148, 0x8000)))

    def test_outside_the_operating_range(self):
        for raw, low, high in ((300000, -9999, -4001), (800000, 8501, 12000)):
            with self.assertRaises(SensorError) as caught:
                BME280(ScriptedBus(begin() + forced(sample(raw, 415148, 30000))), ADDRESS).measure()
            self.assertTrue(low <= caught.exception.args[1] <= high)
        with self.assertRaises(SensorError) as caught:
            BME280(ScriptedBus(begin() + forced(sample(519888, 900000, 30000))), ADDRESS).measure()
        self.assertLess(caught.exception.args[1], 3000)

    def test_humidity_is_held_to_0_and_100(self):
        for raw, want in ((0, 0), (65535, 10000)):
            chip = BME280(ScriptedBus(begin() + forced(sample(519888, 415148, raw))), ADDRESS)
            chip.measure()
            self.assertEqual(chip.humidity, want)

    def test_no_allocation(self):
        bus = RegisterBus()
        first, second = calibration(CHIPS[0])
        bus.put(0xD0, b"\x60")
        bus.put(0x88, first)
        bus.put(0xE1, second)
        bus.put(0xF7, sample(519888, 415148, 30000))
        chip = BME280(bus, ADDRESS)
        drivers.bme280.sleep = self.sleep  # the real one
        with HeapLock(self):
            for _ in range(2):
                chip.measure()
        self.assertEqual(chip.temperature, 2508)


if __name__ == "__main__":
    unittest.main()
