# SPDX-License-Identifier: MIT
"""Node.step() on a chip of this file's own: what it does on each wake, and that a restart changes nothing."""

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

import os
import struct
import sys
from array import array

from torpor.errors import LinkError, SensorError
from torpor.hal import COLD, RESET, TIMER
from torpor.node import DECISION, ENERGY, FIELDS, MODEL, NODE, REPORT, SOURCE, TRIGGERS, Node

COSTS = (1000, 200, 10, 50, 300, 40000, 2000, 30, 500)
LAYOUT = 0x1234
HOUR = 3600


def fresh_folder():
    try:
        import tempfile

        return tempfile.mkdtemp()
    except ImportError:
        import time

        name = (os.getenv("TMPDIR") or "/tmp") + "/torpor-node-%d" % time.time_ns()
        os.mkdir(name)
        return name


class Region:
    def __init__(self, size):
        self.size = size
        self.data = bytearray(size)

    def read_into(self, buf):
        for i in range(len(buf)):
            buf[i] = self.data[i]

    def write(self, off, buf):
        for i in range(len(buf)):
            self.data[off + i] = buf[i]


class Chip:
    """A HAL whose sensors see `rows` (one per hour), whose radio keeps its payloads in `sent`."""

    mac = b"\xc2\x00\x00\x00\x00\x01"

    def __init__(self, rows, folder, retained_bytes=2048):
        self.rows = rows
        self.flash_dir = folder
        self.retained = Region(retained_bytes) if retained_bytes else None
        self.t0 = 1_735_689_600
        self.t = self.t0
        self.reason = COLD
        self.sent = []
        self.radio_down = False

    def now_s(self):
        return self.t

    def wake_reason(self):
        return self.reason

    def battery_mv(self):
        return 2900

    def read_world(self, row):
        value = self.rows[(self.t - self.t0) // HOUR % len(self.rows)]
        if value is None:
            raise SensorError("world", 0)
        row[0] = value

    def air(self, payload):
        if self.radio_down:
            raise LinkError(1)
        self.sent.append((self.t, bytes(payload)))

    def sleep(self, seconds, pins=()):
        self.t += seconds
        self.reason = TIMER

    def power_cut(self):
        self.reason = COLD
        for i in range(self.retained.size):
            self.retained.data[i] = 0xA5


def records(average=1, hold_off_s=0, encrypt=0, checkpoint_every=24, triggers=True):
    """A node that alarms when the temperature itself is at or below 0.00 degC; no model."""
    r = {
        NODE: [("simulated", (HOUR, 0, 4, 1, checkpoint_every, 1))],
        SOURCE: [("replay", (1,))],
        MODEL: [("", (0, 0, 0, 0))],
        DECISION: [("threshold", (-1, 0, 100, average, hold_off_s))],
        REPORT: [("virtual", (24 * HOUR, encrypt))],
        FIELDS: [("", (0x02, 0, 0, 1, 1)), ("", (0x18, 2, 0, 1, 1))],
        ENERGY: [("", COSTS)],
    }
    if triggers:
        r[TRIGGERS] = [("level", (0, -1, 500, 100)), ("change", (0, -1, 300))]
    return r


def weather(n, seed=7):
    """A cold, noisy sawtooth with a few failed readings: crosses every threshold, both ways."""
    rows = []
    for i in range(n):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        value = 800 - 90 * (i % 13) + 40 * (i % 29) + (seed >> 16) % 200 - 100
        rows.append(None if seed % 53 == 0 else value)
    return rows


def alarm_bits(chip):
    """(time, alarm) per frame: plain BTHome, the last object is 0x18."""
    return [(t, p[-1]) for t, p in chip.sent]


class TestStep(unittest.TestCase):
    def setUp(self):
        self.folder = fresh_folder()

    def run_hours(self, node, chip, hours):
        for _ in range(hours):
            chip.sleep(node.step())

    def test_alarm_and_heartbeats(self):
        chip = Chip([1500] * 10 + [400, 200, -50, -200, 50, 150, 300, 900] + [1500] * 30, self.folder)
        node = Node(records(), LAYOUT, chip)
        self.run_hours(node, chip, 48)
        bits = [((t - chip.t0) // HOUR, b) for t, b in alarm_bits(chip)]
        self.assertEqual(bits, [(0, 0), (12, 1), (15, 0), (24, 0)])
        self.assertEqual(node.schedule.uplinks, 4)
        self.assertEqual(node.wakes, 48)

    def test_wakes_on_the_hour(self):
        chip = Chip([1500], self.folder)
        chip.t += 1234
        node = Node(records(), LAYOUT, chip)
        self.assertEqual(node.step(), HOUR - 1234)

    def test_sensor_failure_is_counted_and_survived(self):
        chip = Chip([1500, None, None, -100, -100], self.folder)
        node = Node(records(), LAYOUT, chip)
        self.run_hours(node, chip, 5)
        self.assertEqual(node.sensor_failures, 2)
        self.assertEqual(node.alarm(), 1)

    def test_absent_sensor_at_every_wake_is_survived(self):
        """Deep sleep builds the driver anew at each wake, and it may find no chip."""
        chip = Chip([1500] * 3 + [-100] * 9, self.folder)
        made = records()
        made[SOURCE] = [("replay", (1,))]
        sense = __import__("torpor.sense.replay", None, None, ("create",))
        create = sense.create

        def absent(args, hal):
            raise SensorError("bme280", "no answer")

        sense.create = absent
        try:
            for _ in range(5):
                node = Node(made, LAYOUT, chip)
                chip.sleep(node.step())
        finally:
            sense.create = create
        self.assertEqual((node.wakes, node.sensor_failures, node.alarm()), (5, 5, 0))
        node = Node(made, LAYOUT, chip)  # plugged in again
        self.run_hours(node, chip, 3)
        self.assertEqual(node.alarm(), 1)

    def test_radio_down_keeps_the_event(self):
        chip = Chip([1500] * 3 + [-100] * 20, self.folder)
        node = Node(records(), LAYOUT, chip)
        self.run_hours(node, chip, 3)
        chip.radio_down = True
        self.run_hours(node, chip, 4)
        self.assertEqual(len(chip.sent), 1)
        self.assertTrue(node.schedule.failures > 0)
        chip.radio_down = False
        self.run_hours(node, chip, 8)
        self.assertEqual(alarm_bits(chip)[-1][1], 1)

    def test_without_triggers_each_wake_is_scored(self):
        chip = Chip([1500, 1500, -100], self.folder)
        node = Node(records(triggers=False), LAYOUT, chip)
        self.run_hours(node, chip, 3)
        self.assertEqual(node.alarm(), 1)

    def test_ledger_counts_what_happened(self):
        chip = Chip([1500] * 10, self.folder)
        node = Node(records(), LAYOUT, chip)
        self.run_hours(node, chip, 10)
        spent = [node.ledger.microjoules(c) for c in range(8)]
        nanojoules = 10 * HOUR * (30 * 1000 + 500)
        self.assertEqual(spent, [10 * 1000, 10 * 200, 10 * 10, 0, 0, 40000, 0, nanojoules // 1000])

    def test_retained_memory_too_small_goes_to_flash(self):
        chip = Chip([1500] * 3, self.folder, retained_bytes=64)
        node = Node(records(), LAYOUT, chip)
        self.run_hours(node, chip, 3)
        chip.power_cut()
        again = Node(records(), LAYOUT, chip)
        self.assertEqual((again.restored, again.wakes), (True, 3))
        self.assertEqual(again.ledger.microjoules(6), 3 * COSTS[6])

    def test_new_configuration_starts_afresh(self):
        chip = Chip([1500] * 3, self.folder)
        node = Node(records(), LAYOUT, chip)
        self.run_hours(node, chip, 3)
        again = Node(records(), LAYOUT + 1, chip)
        self.assertEqual((again.restored, again.wakes), (False, 0))

    def test_missing_key_is_a_fault_not_a_crash(self):
        chip = Chip([1500] * 3, self.folder)
        node = Node(records(encrypt=1), LAYOUT, chip)
        self.run_hours(node, chip, 3)
        self.assertEqual(chip.sent, [])
        self.assertTrue(node.faults > 0)


class TestRestart(unittest.TestCase):
    """Every sleep a deep sleep, RAM lost: same frames, counters, ledger and state as the run that never
    restarted."""

    def compare(self, **options):
        rows = weather(400)
        folders = (fresh_folder(), fresh_folder())
        chips = [Chip(rows, f) for f in folders]
        for f in folders:
            with open(f + "/key.bin", "wb") as key:
                key.write(bytes(range(16)))
        node = Node(records(**options), LAYOUT, chips[0])
        for _ in range(400):
            chips[0].sleep(node.step())
        for _ in range(400):
            again = Node(records(**options), LAYOUT, chips[1])
            chips[1].sleep(again.step())
        self.assertEqual(chips[0].sent, chips[1].sent)
        self.assertEqual(node.payload, again.payload)
        for name in ("wakes", "inferences", "sensor_failures", "faults"):
            self.assertEqual(getattr(node, name), getattr(again, name))
        self.assertEqual(node.schedule.uplinks, again.schedule.uplinks)
        self.assertTrue(len(chips[0].sent) > 20)  # 17 heartbeats, and alarms
        self.assertTrue(node.sensor_failures > 0)

    def test_plain(self):
        self.compare()

    def test_averaged_with_hold_off(self):
        self.compare(average=3, hold_off_s=2 * HOUR)

    def test_encrypted(self):
        self.compare(encrypt=1)

    def test_power_cut_goes_on_from_the_checkpoint(self):
        folder = fresh_folder()
        with open(folder + "/key.bin", "wb") as key:
            key.write(bytes(16))
        chip = Chip(weather(200), folder)
        node = Node(records(encrypt=1, checkpoint_every=10), LAYOUT, chip)
        for _ in range(57):
            chip.sleep(node.step())
        before = len(chip.sent)
        chip.power_cut()
        again = Node(records(encrypt=1, checkpoint_every=10), LAYOUT, chip)
        self.assertEqual((again.restored, again.wakes), (True, 50))
        for _ in range(40):
            chip.sleep(again.step())
        self.assertTrue(len(chip.sent) > before)
        counters = [struct.unpack("<I", p[-8:-4])[0] for _, p in chip.sent]
        self.assertEqual(counters, sorted(set(counters)))

    def test_reset_with_memory_intact(self):
        chip = Chip([1500] * 9, fresh_folder())
        node = Node(records(), LAYOUT, chip)
        for _ in range(5):
            chip.sleep(node.step())
        chip.reason = RESET
        again = Node(records(), LAYOUT, chip)
        self.assertEqual((again.restored, again.wakes), (True, 5))


class TestHeap(unittest.TestCase):
    def test_step_allocates_nothing(self):
        if sys.implementation.name != "micropython":
            self.skipTest("needs micropython.heap_lock")
        import micropython

        chip = Chip([200, 150, 200, 150, 1500, 900] * 4, fresh_folder())
        node = Node(records(checkpoint_every=10000), LAYOUT, chip)
        chip.row = array("h", [0])
        for _ in range(12):  # everything that is imported late has been by now
            chip.sleep(node.step())
        node.schedule._next_s = chip.t + 100 * HOUR
        node.schedule._heartbeat_s = 200 * HOUR
        for _ in range(12):
            micropython.heap_lock()
            try:
                seconds = node.step()
            finally:
                micropython.heap_unlock()
            chip.sleep(seconds)
        self.assertEqual(node.wakes, 24)


if __name__ == "__main__":
    unittest.main()
