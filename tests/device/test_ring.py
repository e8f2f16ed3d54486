# SPDX-License-Identifier: MIT
"""The ring against a plain list, its state through a save and a load, and its silence on the heap."""

from array import array

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from fakes_device import HeapLock, Random

from torpor.sense.ring import Ring


class RingTest(unittest.TestCase):
    def test_follows_a_list(self):
        random = Random(7)
        for rows, channels in ((1, 1), (2, 3), (5, 2), (24, 2)):
            ring = Ring(rows, channels)
            row = ring.row()
            past = []
            for n in range(3 * rows + 2):
                for c in range(channels):
                    row[c] = random.between(-32768, 32767)
                ring.push(row)
                past.insert(0, list(row))
                self.assertEqual(ring.count, min(n + 1, rows))
                for age in range(ring.count):
                    for c in range(channels):
                        self.assertEqual(ring.at(age, c), past[age][c])

    def test_keeps_a_copy(self):
        ring = Ring(2, 1)
        row = array("h", [5])
        ring.push(row)
        row[0] = 9
        self.assertEqual(ring.at(0, 0), 5)

    def test_what_was_never_pushed(self):
        ring = Ring(3, 1)
        self.assertRaises(IndexError, ring.at, 0, 0)
        ring.push(array("h", [1]))
        self.assertEqual(ring.at(0, 0), 1)
        self.assertRaises(IndexError, ring.at, 1, 0)
        self.assertRaises(IndexError, ring.at, -1, 0)

    def test_state(self):
        for pushed in range(8):
            ring = Ring(3, 2)
            for n in range(pushed):
                ring.push(array("h", [n - 32768, 32767 - n]))
            buf = bytearray(b"\xee" * (ring.STATE_BYTES + 4))
            self.assertEqual(ring.save_into(buf, 2), 2 + ring.STATE_BYTES)
            self.assertEqual(bytes(buf[:2]) + bytes(buf[-2:]), b"\xee\xee\xee\xee")
            other = Ring(3, 2)
            other.push(array("h", [77, 77]))
            self.assertEqual(other.load_from(buf, 2), 2 + ring.STATE_BYTES)
            for r in (ring, other):
                r.push(array("h", [1, 2]))
            self.assertEqual(other.count, ring.count)
            for age in range(ring.count):
                self.assertEqual((other.at(age, 0), other.at(age, 1)), (ring.at(age, 0), ring.at(age, 1)))

    def test_state_that_can_not_be(self):
        for head, count in ((3, 0), (0, 4), (65535, 65535)):
            ring = Ring(3, 1)
            buf = bytearray(ring.STATE_BYTES)
            buf[0], buf[1], buf[2], buf[3] = head & 255, head >> 8, count & 255, count >> 8
            ring.load_from(buf, 0)
            self.assertEqual(ring.count, 0)
            ring.push(array("h", [4]))
            self.assertEqual(ring.at(0, 0), 4)

    def test_the_lock_is_real(self):
        def allocate():
            with HeapLock(self):
                return bytearray(100)

        HeapLock(self)  # skips on CPython before anything is expected
        self.assertRaises(MemoryError, allocate)

    def test_no_allocation(self):
        ring = Ring(24, 2)
        row = ring.row()
        buf = bytearray(ring.STATE_BYTES)
        with HeapLock(self):
            for n in range(50):
                row[0] = n
                ring.push(row)
                ring.at(0, 1)
            ring.save_into(buf, 0)
        self.assertEqual(ring.at(0, 0), 49)


if __name__ == "__main__":
    unittest.main()
