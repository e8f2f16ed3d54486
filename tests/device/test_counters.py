# SPDX-License-Identifier: MIT
"""A counter that never repeats. Power cuts in flash: power_cut.py, by tests/host."""

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from torpor.errors import StoreError
from torpor.store.counters import OLD, Counter
from torpor.store.slots import Slots


class Memory:
    def __init__(self):
        self.size = 24
        self.data = bytearray(24)
        self.writes = 0
        self.budget = None

    def read_into(self, buf):
        for i in range(len(buf)):
            buf[i] = self.data[i]

    def write(self, off, buf):
        self.writes += 1
        for i in range(len(buf)):
            if self.budget is not None:
                if not self.budget:
                    raise OSError(5)
                self.budget -= 1
            self.data[off + i] = buf[i]


class TestCounter(unittest.TestCase):
    def test_counts_from_zero_and_writes_once_a_block(self):
        memory = Memory()
        counter = Counter(Slots(memory, 4))
        self.assertEqual(memory.writes, 0)
        self.assertEqual([counter.next() for _ in range(200)], list(range(200)))
        self.assertEqual(memory.writes, 2 * 4)  # head and payload, for 0, 64, 128, 192

    def test_cold_start_goes_on_from_the_reservation(self):
        memory = Memory()
        counter = Counter(Slots(memory, 4))
        for _ in range(70):
            counter.next()
        self.assertEqual(Counter(Slots(memory, 4)).next(), 128)
        self.assertEqual(Counter(Slots(memory, 4)).next(), 192)

    def test_warm_start_goes_on_where_it_was_without_touching_flash(self):
        memory = Memory()
        counter = Counter(Slots(memory, 4))
        for _ in range(70):
            counter.next()
        kept = bytearray(9)
        self.assertEqual(counter.save_into(kept, 2), 2 + Counter.STATE_BYTES)
        writes = memory.writes
        warm = Counter(Slots(memory, 4))
        self.assertEqual(warm.load_from(kept, 2), 2 + Counter.STATE_BYTES)
        self.assertEqual([warm.next() for _ in range(58)], list(range(70, 128)))
        self.assertEqual(memory.writes, writes)
        self.assertEqual(warm.next(), 128)
        self.assertEqual(memory.writes, writes + 2)

    def test_zeros_are_a_cold_start(self):
        memory = Memory()
        Counter(Slots(memory, 4)).next()
        cold = Counter(Slots(memory, 4))
        cold.load_from(bytearray(Counter.STATE_BYTES), 0)
        self.assertEqual(cold.next(), 64)

    def test_a_used_counter_without_its_reservation_refuses(self):
        memory = Memory()
        used = b"\0\0\0\0" + bytes([OLD])
        for _ in range(2):
            counter = Counter(Slots(memory, 4))
            counter.load_from(used, 0)
            self.assertRaises(StoreError, counter.next)
            self.assertRaises(StoreError, counter.next)
        self.assertEqual(memory.writes, 0)
        Counter(Slots(memory, 4)).next()
        counter = Counter(Slots(memory, 4))
        counter.load_from(used, 0)
        self.assertEqual([counter.next(), counter.next()], [64, 65])

    def test_cut_at_every_byte_of_every_write_repeats_nothing(self):
        for block in (1, 3, 64):
            memory = Memory()
            seen = set()
            for _round in range(6):
                image = bytes(memory.data)
                for budget in range(12 + 1):
                    memory.data[:] = image
                    memory.budget = budget
                    counter = Counter(Slots(memory, 4), block)
                    given = []
                    try:
                        for _ in range(block + 1):
                            given.append(counter.next())
                    except StoreError:
                        pass
                    memory.budget = None
                    if not given:
                        self.assertLess(budget, 12)
                    # Power is back: whatever comes next was not given before, in this branch of history.
                    after = Counter(Slots(memory, 4), block)
                    for _ in range(2 * block):
                        value = after.next()
                        self.assertFalse(value in given or value in seen, "block %d cut %d" % (block, budget))
                seen.update(given)

    def test_no_value_when_it_cannot_be_reserved(self):
        memory = Memory()
        memory.budget = 0
        counter = Counter(Slots(memory, 4))
        self.assertRaises(StoreError, counter.next)
        self.assertRaises(StoreError, counter.next)
        memory.budget = None
        self.assertEqual(counter.next(), 0)

    def test_ends_at_32_bits(self):
        memory = Memory()
        slots = Slots(memory, 4)
        slots.commit(b"\xbf\xff\xff\xff")
        counter = Counter(Slots(memory, 4))
        self.assertEqual(counter.next(), 0xFFFFFFBF)
        counter.value = counter.reserved
        self.assertRaises(StoreError, counter.next)

    def test_silly_blocks(self):
        self.assertRaises(StoreError, Counter, None, 0)
        self.assertRaises(StoreError, Counter, None, 255)


if __name__ == "__main__":
    unittest.main()
