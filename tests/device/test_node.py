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

from torpor.errors import LinkError, NodeError, SensorError, StoreError
from torpor.hal import COLD, PIN, RESET, TIMER
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


class Trigger:
    """Fires or not, and counts what it is asked and told."""

    STATE_BYTES = 0

    def __init__(self, fires):
        self.fires = fires
        self.asked = self.told = 0

    def fired(self, ring):
        self.asked += 1
        return self.fires

    def reported(self, ring):
        self.told += 1

    def save_into(self, buf, off):
        return off


class Broken:
    """Flash in which no state can be kept."""

    def __init__(self, error):
        self.error = error

    def commit(self, payload):
        raise self.error


LEVEL = [("level", (0, -1, 500, 100))]


class TestParts(unittest.TestCase):
    """What each line of a step is there for."""

    def setUp(self):
        self.folder = fresh_folder()

    def node(self, rows, changes=(), **options):
        r = records(**options)
        r.update(changes)
        self.chip = Chip(rows, self.folder)
        return Node(r, LAYOUT, self.chip)

    def run_hours(self, node, hours):
        for _ in range(hours):
            self.chip.sleep(node.step())

    def test_no_old_reading_is_sent_for_a_sensor_that_failed(self):
        node = self.node([1500, None, 1400], {REPORT: [("virtual", (HOUR, 0))]})
        self.run_hours(node, 3)
        self.assertEqual([len(p) for _, p in self.chip.sent], [15, 12, 15])  # the temperature takes 3
        self.assertEqual(self.chip.sent[1][1][8:], b"\x00\x01\x18\x00")

    def test_each_trigger_is_asked_also_after_one_fired(self):
        node = self.node([1500])
        node._triggers = triggers = (Trigger(True), Trigger(False), Trigger(True))
        self.assertTrue(node.sense())
        self.assertEqual([t.asked for t in triggers], [1, 1, 1])
        node._triggers = (Trigger(False),)
        self.assertFalse(node.sense())

    def test_triggers_are_told_of_a_report_that_left_and_of_no_other(self):
        node = self.node([1500])
        node._triggers = triggers = (Trigger(False), Trigger(False))
        self.chip.radio_down = True
        self.run_hours(node, 1)
        self.assertEqual([t.told for t in triggers], [0, 0])
        self.chip.radio_down = False
        self.run_hours(node, 1)
        self.assertEqual([t.told for t in triggers], [1, 1])
        self.run_hours(node, 1)  # nothing is due
        self.assertEqual([t.told for t in triggers], [1, 1])

    def test_change_is_counted_from_the_last_report(self):
        node = self.node([1500, 1150, 1150, 1150], {TRIGGERS: [("change", (0, -1, 300))]})
        fired = []
        for hour in range(4):
            fired.append(node.sense())
            if hour == 1:
                node._report(self.chip.t, node.ring)
            self.chip.sleep(HOUR)
        self.assertEqual(fired, [False, True, False, False])

    def test_quiet_wakes_weigh_in_the_next_score(self):
        for restart in (False, True):
            changes = {TRIGGERS: LEVEL}
            node = self.node([1500] * 3 + [-150] * 2, changes, average=4)
            for expected in (0, 0, 0, 0, 1):  # mean of 100, 100, 100, -150, and of 100, 100, -150, -150
                self.run_hours(node, 1)
                self.assertEqual(node.alarm(), expected, self.chip.t)
                if restart:
                    r = records(average=4)
                    r.update(changes)
                    node = Node(r, LAYOUT, self.chip)

    def test_an_alarm_ends_in_a_quiet_wake(self):
        node = self.node([1500, -100, 1500, 1500], {TRIGGERS: LEVEL})
        self.run_hours(node, 4)
        bits = [((t - self.chip.t0) // HOUR, b) for t, b in alarm_bits(self.chip)]
        self.assertEqual(bits, [(0, 0), (1, 1), (2, 0)])

    def test_nothing_of_another_configuration_is_kept(self):
        node = self.node([-100], triggers=False)
        self.run_hours(node, 1)
        self.assertEqual(node.alarm(), 1)
        again = Node(records(triggers=False), LAYOUT + 1, self.chip)
        self.assertEqual((again.restored, again.alarm()), (False, 0))
        self.assertEqual(bytes(again.payload), bytes(len(again.payload)))

    def test_flash_that_takes_nothing_is_a_fault_and_no_more(self):
        for error in (OSError(28), StoreError(0)):
            node = self.node([1500], checkpoint_every=2)
            node._flash = Broken(error)
            self.run_hours(node, 6)
            self.assertEqual((node.wakes, node.faults), (6, 3))
            again = Node(records(checkpoint_every=2), LAYOUT, self.chip)
            # What a checkpoint's own failure adds is kept with the next wake's state.
            self.assertEqual((again.restored, again.wakes, again.faults), (True, 6, 2))

    def test_battery_divider(self):
        for extra in ((), (34, 2, 1)):
            self.node([1500], {NODE: [("simulated", records()[NODE][0][1] + extra)]})
            self.assertEqual(self.chip.battery, extra)

    def encrypted(self):
        with open(self.folder + "/key.bin", "wb") as key:
            key.write(bytes(16))
        changes = {REPORT: [("virtual", (HOUR, 1))]}
        node = self.node([1500], changes)
        self.run_hours(node, 3)
        r = records()
        r.update(changes)
        return r

    def counters(self):
        return [struct.unpack("<I", p[-8:-4])[0] for _, p in self.chip.sent]

    def test_the_counter_in_retained_memory_is_believed_after_timer_and_pin_only(self):
        for reason, following in ((TIMER, 3), (PIN, 3), (RESET, 64), (COLD, 64)):
            self.folder = fresh_folder()
            r = self.encrypted()
            self.chip.reason = reason
            self.run_hours(Node(r, LAYOUT, self.chip), 1)
            self.assertEqual(self.counters(), [0, 1, 2, following])

    def test_a_counter_that_flash_forgot_does_not_start_again(self):
        r = self.encrypted()
        for name in ("count.0", "count.1"):
            try:
                os.remove(self.folder + "/" + name)
            except OSError:
                pass  # one reservation, one file
        for restart in range(3):
            self.chip.reason = RESET if restart else COLD
            node = Node(r, LAYOUT, self.chip)
            self.run_hours(node, 2)
        self.assertEqual(self.counters(), [0, 1, 2])
        self.assertTrue(node.schedule.pending)
        self.assertTrue(node.schedule.failures > 1)

    def test_a_report_survives_what_its_parts_raise(self):
        for error in (NodeError(1), OSError(5), ImportError("link"), MemoryError()):
            node = self.node([1500])
            self.run_hours(node, 1)
            failing = Failing(error)
            node._reporter._prediction = failing
            node.schedule.pending = True
            faults, failures = node.faults, node.schedule.failures
            self.run_hours(node, 1)
            self.assertEqual(failing.calls, 1)
            self.assertEqual((node.faults - faults, node.schedule.failures - failures), (1, 1))
            self.assertTrue(node.schedule.pending)
            self.assertEqual(node.wakes, 2)
            self.folder = fresh_folder()

    def test_a_link_the_firmware_lacks(self):
        node = self.node([1500], {REPORT: [("pigeon", (HOUR, 0))]})
        self.run_hours(node, 2)
        self.assertEqual((node.wakes, node.faults, node.schedule.failures), (2, 2, 2))


class Failing:
    def __init__(self, error):
        self.error = error
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        raise self.error


class Features:
    needs = 3

    def fill(self, ring, now_s, out, zero_point):
        out[0] = ring.at(2, 0) - ring.at(0, 0) + zero_point


class Model:
    input = array("b", [0])
    output = array("b", [0])
    input_zero_point = 1
    output_zero_point = 2

    def run(self):
        self.output[0] = self.input[0] + 1


class TestThinker(unittest.TestCase):
    """A model of one line in place of the compiled one: score = base + add + (oldest - newest) / 2."""

    def thinker(self, predicts=1):
        r = records(triggers=False)
        r[MODEL] = [("model.tpm", (0, 32768, 7, 0))]
        r[FIELDS] = [("", (0x02, 0, 0, 1, 1)), ("", (0x45, predicts, 0, 1, 10))]
        self.chip = Chip([1000, 990, 980, 970], fresh_folder())
        self.node = Node(r, LAYOUT, self.chip, self.chip.flash_dir + "/")
        return self.node.thinker()

    def test_no_score_before_the_ring_holds_what_the_features_need(self):
        thinker = self.thinker()
        thinker._features, thinker._model = Features(), Model()
        scores = []
        for _ in range(4):
            self.chip.sleep(self.node.step())
            scores.append(self.node.score)
        self.assertEqual(scores, [None, None, 980 + 7 + 10, 970 + 7 + 10])
        self.assertEqual((self.node.inferences, self.node.faults), (2, 0))
        self.assertFalse(thinker.failed)

    def test_what_a_model_raises_is_counted_and_survived(self):
        for error in (NodeError(1), OSError(2), MemoryError()):
            thinker = self.thinker()
            thinker._load = Failing(error)
            self.node.sense()
            self.assertIsNone(thinker.score(self.chip.t))
            self.assertTrue(thinker.failed)
            self.assertEqual(self.node.faults, 1)
            thinker._features, thinker._model = Features(), Model()
            self.assertIsNone(thinker.score(self.chip.t))  # too few rows, and no failure
            self.assertFalse(thinker.failed)
            self.assertEqual(self.node.faults, 1)

    def test_the_prediction_before_the_ring_is_full_and_of_a_model_that_fails(self):
        from torpor.report import Report

        thinker = self.thinker()
        report = Report(self.node)
        self.node.sense()
        thinker._features, thinker._model = Features(), Model()
        self.assertEqual(report._prediction(self.chip.t, self.node.ring), 1000)  # that nothing changes
        thinker._model = None
        thinker._load = Failing(MemoryError())
        self.assertIsNone(report._prediction(self.chip.t, self.node.ring))  # not measured, not claimed
        self.thinker(predicts=2)
        self.node.sense()
        self.assertIsNone(Report(self.node)._prediction(self.chip.t, self.node.ring))  # in no field


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
