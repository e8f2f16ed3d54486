# SPDX-License-Identifier: MIT
"""Sources: what they ask of the HAL, which channels they give in which order, and that reading is quiet."""

from array import array

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from fakes_device import Hal, HeapLock, RegisterBus
from test_bme280 import CHIPS, calibration, sample

from torpor.errors import SensorError
from torpor.sense import adc, bme280, replay


def bus():
    b = RegisterBus()
    first, second = calibration(CHIPS[0])
    b.put(0xD0, b"\x60")
    b.put(0x88, first)
    b.put(0xE1, second)
    b.put(0xF7, sample(519888, 415148, 30000))
    return b


class Bme280SourceTest(unittest.TestCase):
    def read(self, mask):
        hal = Hal(bus())
        source = bme280.create((0, 21, 22, 100000, 0x77, mask), hal)
        self.assertEqual(hal.asked, [("i2c", 0, 21, 22, 100000, 0x77, mask)])
        row = array("h", [-1] * source.channels)
        source.read_into(row)
        return list(row), hal.bus.registers

    def test_mask_names_the_channels_in_order(self):
        (t, h, p), registers = self.read(7)
        self.assertEqual(t, 2508)
        self.assertTrue(0 < h < 10000)
        self.assertTrue(10060 < p < 10070)
        self.assertEqual((registers[0xF2], registers[0xF4]), (1, 0x25))
        for mask, want in ((1, [t]), (2, [h]), (4, [p]), (3, [t, h]), (5, [t, p]), (6, [h, p])):
            self.assertEqual(self.read(mask)[0], want)

    def test_what_is_not_asked_for_is_not_measured(self):
        registers = self.read(1)[1]
        self.assertEqual((registers[0xF2], registers[0xF4]), (0, 0x21))
        registers = self.read(3)[1]
        self.assertEqual((registers[0xF2], registers[0xF4]), (1, 0x21))

    def test_another_chip(self):
        b = bus()
        b.put(0xD0, b"\x58")
        with self.assertRaises(SensorError):
            bme280.create((0, 21, 22, 100000, 0x76, 7), Hal(b))

    def test_no_allocation(self):
        source = bme280.create((0, 21, 22, 100000, 0x76, 7), Hal(bus()))
        row = array("h", [0] * 3)
        with HeapLock(self):
            source.read_into(row)
        self.assertEqual(row[0], 2508)


class AdcSourceTest(unittest.TestCase):
    def read(self, args, readings):
        hal = Hal(readings=readings)
        source = adc.create(args, hal)
        self.assertEqual((source.channels, hal.asked), (1, [("adc", args[0])]))
        row = array("h", [0])
        source.read_into(row)
        return row[0]

    def test_mean_is_rounded(self):
        self.assertEqual(self.read((4, 1, 1, 1), (1234,)), 1234)
        self.assertEqual(self.read((4, 4, 1, 1), (10, 10, 11, 11)), 11)  # 10.5
        self.assertEqual(self.read((4, 4, 1, 1), (10, 10, 10, 11)), 10)  # 10.25

    def test_scale(self):
        self.assertEqual(self.read((4, 1, 2, 1), (1650,)), 3300)  # a divider by two
        self.assertEqual(self.read((4, 1, 1, 3), (500,)), 167)  # 166.7
        self.assertEqual(self.read((4, 1, 10, 1), (750,)), 7500)

    def test_saturates(self):
        self.assertEqual(self.read((4, 1, 100, 1), (3000,)), 32767)
        self.assertEqual(self.read((4, 1, -100, 1), (3000,)), -32768)

    def test_no_allocation(self):
        source = adc.create((4, 16, 3, 2), Hal(readings=(100, 200)))
        row = array("h", [0])
        with HeapLock(self):
            source.read_into(row)
        self.assertEqual(row[0], 225)


class ReplaySourceTest(unittest.TestCase):
    def test_reads_the_world(self):
        source = replay.create((3,), Hal(world=(1, -2, 3)))
        row = array("h", [0] * source.channels)
        source.read_into(row)
        self.assertEqual(list(row), [1, -2, 3])


if __name__ == "__main__":
    unittest.main()
