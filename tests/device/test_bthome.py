# SPDX-License-Identifier: MIT
"""Frames as bytes, when a report is due, and what goes into one. The independent decoder: tests/host."""

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from binascii import hexlify, unhexlify

from torpor.errors import LinkError, NodeError, StoreError
from torpor.radio import virtual
from torpor.radio.bthome import Frame
from torpor.radio.reporter import Reporter, create, percent
from torpor.schedule import Schedule

_MAC = unhexlify("5448e68f80a5")
_KEY = unhexlify("231d39c1d7cc1ab1aee224cd096db932")


class TestFrame(unittest.TestCase):
    def test_plain_bytes(self):
        frame = Frame(_MAC)
        self.assertTrue(frame.add(0x01, 93))
        self.assertTrue(frame.add(0x02, -512))
        self.assertTrue(frame.add(0x04, 100883))
        self.assertTrue(frame.add(0x18, 1))
        payload = frame.finish(0x1A7)
        # flags; length, type 0x16, UUID 0xFCD2; version 2 and "irregular"; objects
        self.assertEqual(hexlify(payload[:8]), b"0201061116d2fc44")
        self.assertEqual(hexlify(payload[8:]), b"00a7015d0200fe04138a011801")

    def test_a_frame_serves_again(self):
        frame = Frame(_MAC)
        for value in (1, 2, 300):
            frame.begin()
            frame.add(0x3D, value)
            self.assertEqual(hexlify(frame.finish(7))[-6:], hexlify(bytes([0x3D, value & 255, value >> 8])))

    def test_no_objects(self):
        self.assertEqual(hexlify(Frame(_MAC).finish(256)), b"0201060616d2fc440000")

    def test_encrypted_layout(self):
        frame = Frame(_MAC, _KEY)
        frame.add(0x02, 2506)
        payload = bytes(frame.finish(0x33221100))
        self.assertEqual(hexlify(payload[:8]), b"0201061116d2fc45")
        self.assertEqual(len(payload), 8 + 2 + 3 + 4 + 4)
        self.assertEqual(hexlify(payload[-8:-4]), b"00112233")
        frame.begin()
        frame.add(0x02, 2506)
        self.assertNotEqual(bytes(frame.finish(0x33221101))[8:13], payload[8:13])

    def test_values_out_of_range_are_left_out(self):
        frame = Frame(_MAC)
        empty = bytes(frame.finish(0))
        for object_id, low, high in (
            (0x01, 0, 255),
            (0x02, -32768, 32767),
            (0x03, 0, 65535),
            (0x04, 0, 0xFFFFFF),
            (0x3E, 0, 0xFFFFFFFF),
            (0x57, -128, 127),
        ):
            for value in (low - 1, high + 1):
                frame.begin()
                self.assertFalse(frame.add(object_id, value))
                self.assertEqual(bytes(frame.finish(0)), empty)
            for value in (low, high):
                frame.begin()
                self.assertTrue(frame.add(object_id, value))
        self.assertTrue(frame.add(0x59, -1))

    def test_unknown_descending_or_too_many_objects(self):
        for bad in (0, -1, 0x30, 0x3A, 0x53, 0x54, 0x66, 0xF0, 300):
            with self.assertRaises(NodeError) as caught:
                Frame(_MAC).add(bad, 1)
            self.assertEqual(caught.exception.args[0], bad)
        frame = Frame(_MAC)
        frame.add(0x03, 1)
        self.assertRaises(NodeError, frame.add, 0x02, 1)
        self.assertTrue(frame.add(0x03, 2))
        for key, count in ((None, 7), (_KEY, 4)):  # 21 and 13 bytes beside the packet id, 3 each
            frame = Frame(_MAC, key)
            for _ in range(count):
                frame.add(0x02, 1)
            self.assertRaises(NodeError, frame.add, 0x02, 1)
            self.assertLessEqual(len(frame.finish(1)), 31)
        for key, twos, threes in ((None, 2, 5), (_KEY, 1, 3)):  # two bytes are left
            frame = Frame(_MAC, key)
            for object_id in [0x01] * twos + [0x02] * threes:
                self.assertTrue(frame.add(object_id, 1))
            self.assertRaises(NodeError, frame.add, 0x02, 1)  # needs three
            self.assertTrue(frame.add(0x09, 1))
            self.assertEqual(len(frame.finish(1)), 31)


class TestSchedule(unittest.TestCase):
    def run_days(self, schedule, days, events=(), every=3600, start=1700000000):
        """Wake hourly; return the hours at which a report was sent."""
        sent = []
        for hour in range(24 * days):
            if schedule.due(start + hour * every, 1 if hour in events else 0):
                schedule.sent()
                sent.append(hour)
        return sent

    def test_first_wake_then_a_fixed_phase_whatever_the_events(self):
        self.assertEqual(self.run_days(Schedule(86400), 4), [0, 24, 48, 72])
        self.assertEqual(self.run_days(Schedule(86400), 4, (5, 24, 30)), [0, 5, 24, 30, 48, 72])

    def test_a_year_has_365_heartbeats(self):
        self.assertEqual(len(self.run_days(Schedule(86400), 365)), 365)

    def test_without_heartbeat(self):
        self.assertEqual(self.run_days(Schedule(0), 3, (7,)), [7])

    def test_heartbeat_shorter_than_the_wakes(self):
        self.assertEqual(len(self.run_days(Schedule(60), 1)), 24)

    def test_long_absence_sends_once_and_keeps_the_phase(self):
        schedule = Schedule(100)
        self.assertTrue(schedule.due(1000, 0))
        schedule.sent()
        self.assertTrue(schedule.due(1730, 0))
        schedule.sent()
        self.assertFalse(schedule.due(1799, 0))
        self.assertTrue(schedule.due(1800, 0))

    def test_clock_set_back(self):
        schedule = Schedule(100)
        schedule.due(5000, 0)
        schedule.sent()
        self.assertTrue(schedule.due(1000, 0))
        schedule.sent()
        self.assertFalse(schedule.due(1099, 0))
        self.assertTrue(schedule.due(1100, 0))

    def test_retries_back_off_and_an_event_cuts_the_wait(self):
        schedule = Schedule(0)
        tries = []
        for wake in range(160):
            if schedule.due(wake, 1 if wake in (0, 150) else 0):
                tries.append(wake)
                schedule.failed()
        self.assertEqual(tries, [0, 1, 3, 7, 15, 31, 63, 95, 127, 150])
        self.assertEqual(schedule.failures, 10)
        self.assertEqual(schedule.uplinks, 0)
        self.assertTrue(schedule.pending)

    def test_what_was_sent_ends_the_backing_off(self):
        schedule = Schedule(0)
        for wake in range(8):
            if schedule.due(wake, wake == 0):
                schedule.failed()
        self.assertTrue(schedule.due(15, 1))
        schedule.sent()
        self.assertFalse(schedule.due(16, 0))
        self.assertTrue(schedule.due(17, 1))
        schedule.failed()
        self.assertTrue(schedule.due(18, 0))  # the first retry, after one wake

    def test_state_outlives_restarts(self):
        plain, restarted = Schedule(86400), Schedule(86400)
        state = bytearray(Schedule.STATE_BYTES + 2)
        log = ([], [])
        for hour in range(24 * 9):
            event = 1 if hour % 31 == 7 else 0
            for schedule, sent in ((plain, log[0]), (restarted, log[1])):
                if schedule.due(1700000000 + 3600 * hour, event):
                    if hour % 5 < 3:
                        schedule.failed()
                    else:
                        schedule.sent()
                    sent.append(hour)
            self.assertEqual(restarted.save_into(state, 2), 2 + Schedule.STATE_BYTES)
            restarted = Schedule(86400)
            self.assertEqual(restarted.load_from(state, 2), 2 + Schedule.STATE_BYTES)
        self.assertEqual(log[0], log[1])
        self.assertEqual((plain.uplinks, plain.failures), (restarted.uplinks, restarted.failures))

    def test_counter_copy_is_believed_only_when_warm(self):
        schedule = Schedule(1)
        schedule.counter[:] = b"12345"
        state = bytearray(Schedule.STATE_BYTES)
        schedule.save_into(state, 0)
        cold, warm = Schedule(1), Schedule(1)
        warm.warm = True
        cold.load_from(state, 0)
        warm.load_from(state, 0)
        self.assertEqual(bytes(warm.counter), b"12345")
        self.assertEqual(bytes(cold.counter), b"\0\0\0\0\xff")  # flash must know
        cold.save_into(state, 0)
        colder = Schedule(1)
        colder.load_from(state, 0)
        self.assertEqual(bytes(colder.counter), b"\0\0\0\0\xff")
        Schedule(1).save_into(state, 0)
        colder.load_from(state, 0)
        self.assertEqual(bytes(colder.counter), bytes(5))  # nothing was sent yet

    def test_due_allocates_nothing(self):
        try:
            from micropython import heap_lock, heap_unlock
        except ImportError:
            self.skipTest("needs micropython.heap_lock")
        schedule = Schedule(86400)
        state = bytearray(Schedule.STATE_BYTES)
        heap_lock()
        try:
            for hour in range(50):
                if schedule.due(1700000000 + 3600 * hour, hour == 7):
                    schedule.sent()
                schedule.save_into(state, 0)
        finally:
            heap_unlock()
        self.assertEqual(schedule.uplinks, 4)


class Ring:
    def __init__(self, *row):
        self.row = row
        self.count = 1 if row else 0

    def at(self, age, channel):
        assert age == 0
        return self.row[channel]


class Hal:
    mac = _MAC
    flash_dir = "."

    def __init__(self):
        self.sent = []
        self.error = None

    def air(self, payload):
        if self.error:
            raise self.error
        self.sent.append(bytes(payload))


class Count:
    """A counter whose reservation can fail."""

    def __init__(self):
        self.value = 40
        self.fails = False

    def load_from(self, buf, off):
        self.value += buf[off]

    def save_into(self, buf, off):
        buf[off] = self.value - 40

    def next(self):
        if self.fails:
            raise StoreError(0)
        self.value += 1
        return self.value


_FIELDS = (
    (0x01, 3, 2000, 100, 1000),  # battery: 2.0 V empty, 3.0 V full
    (0x02, 0, 0, 1, 1),
    (0x03, 0, 1, 1, 1),
    (0x0F, 2, 0, 1, 1),
    (0x45, 1, 0, 1, 10),  # prediction, 0.01 to 0.1 degC
)


class TestReporter(unittest.TestCase):
    def setUp(self):
        self.hal = Hal()
        self.schedule = Schedule(86400)

    def reporter(self, counter=None):
        link = virtual.create((), self.hal)
        return Reporter(_FIELDS, link, Frame(link.mac, _KEY if counter else None), counter, self.schedule)

    def objects(self):
        return hexlify(self.hal.sent[-1][8:])

    def test_all_fields(self):
        self.assertTrue(self.reporter().report(5, Ring(-512, 8310), -346, 1, 2600))
        self.assertEqual(self.objects(), b"0000013c0200fe0376200f0145ddff")  # -35
        self.assertEqual(self.schedule.uplinks, 1)

    def test_values_are_rounded_to_the_nearest(self):
        for prediction, tenths in (
            (-346, b"ddff"),
            (-344, b"deff"),
            (344, b"2200"),
            (346, b"2300"),
            (345, b"2300"),
        ):
            self.reporter().report(5, Ring(), prediction, None, 0)
            self.assertEqual(self.objects()[-6:], b"45" + tenths)

    def test_unknown_values_are_left_out(self):
        self.reporter().report(5, Ring(-32768, 8310), None, 0, 0)
        self.assertEqual(self.objects(), b"00000376200f00")
        self.reporter().report(5, Ring(), None, None, 0)
        self.assertEqual(self.objects(), b"0001")
        self.reporter().report(5, Ring(1, -1), None, None, 0)  # no humidity is below zero
        self.assertEqual(self.objects(), b"0002020100")

    def test_failed_send_stays_pending_and_the_next_frame_has_another_id(self):
        self.schedule.due(5, 1)
        for error in (LinkError(1), OSError(5)):
            self.hal.error = error
            self.assertFalse(self.reporter().report(5, Ring(1, 2), None, 1, 0))
            self.assertTrue(self.schedule.pending)
        self.hal.error = None
        self.assertTrue(self.reporter().report(6, Ring(1, 2), None, 1, 0))
        self.assertFalse(self.schedule.pending)
        self.assertEqual(self.objects()[:4], b"0002")
        self.assertEqual(self.schedule.failures, 2)

    def test_counter_is_kept_before_the_frame_leaves(self):
        order = []
        self.hal.air = lambda payload: order.append("air")
        reporter = self.reporter(Count())
        reporter.report(5, Ring(1, 2), None, 1, 0, lambda: order.append(bytes(self.schedule.counter)))
        self.assertEqual(order, [b"\x01\0\0\0\0", "air"])
        again = Count()
        self.reporter(again)  # a new process takes up the schedule's copy
        self.assertEqual(again.value, 41)

    def test_without_a_reservation_no_encrypted_frame_leaves(self):
        counter = Count()
        counter.fails = True
        reporter = self.reporter(counter)
        self.schedule.due(5, 1)
        self.assertFalse(reporter.report(5, Ring(1, 2), None, 1, 0))
        self.assertEqual(self.hal.sent, [])
        self.assertTrue(self.schedule.pending)

    def test_percent(self):
        for mv, expected in ((1500, 0), (2000, 0), (2555, 55), (3000, 100), (3300, 100)):
            self.assertEqual(percent(mv, 2000, 100, 1000), expected)

    def test_created_from_records(self):
        fields = [("", f) for f in _FIELDS]
        reporter = create(("virtual", (86400, 0)), fields, self.hal, self.schedule)
        self.assertTrue(reporter.report(5, Ring(1, 2), None, 1, 0))
        self.assertEqual(len(self.hal.sent), 1)
        self.hal.flash_dir = "no-such-folder"
        self.assertRaises(OSError, create, ("virtual", (86400, 1)), fields, self.hal, self.schedule)
        self.assertRaises(ImportError, create, ("pigeon", (86400, 0)), fields, self.hal, self.schedule)


if __name__ == "__main__":
    unittest.main()
