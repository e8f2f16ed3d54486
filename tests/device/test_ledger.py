# SPDX-License-Identifier: MIT
"""The ledger against plain big-integer arithmetic."""

import random

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from torpor.energy.ledger import BOOT, CAUSES, FLASH, RADIO, SENSE, SLEEP, Ledger

_ARGS = (41300, 5210, 12, 380, 9100, 270011, 1900, 23, 417)


def pick(n):
    """A number below n; MicroPython's random has no seed-stable randrange beyond 32 bits."""
    return random.getrandbits(30) % n


class TestLedger(unittest.TestCase):
    def test_causes_and_constants_agree(self):
        self.assertEqual(CAUSES[BOOT], "boot")
        self.assertEqual(CAUSES[SENSE], "sense")
        self.assertEqual(CAUSES[RADIO], "radio")
        self.assertEqual(CAUSES[FLASH], "flash")
        self.assertEqual(CAUSES[SLEEP], "sleep")
        self.assertEqual(len(CAUSES), SLEEP + 1)

    def check_year(self, args, seed, most_count, most_seconds):
        random.seed(seed)
        ledger = Ledger(args)
        spent = [0] * 8
        seconds = 0
        state = bytearray(Ledger.STATE_BYTES + 3)
        for _wake in range(2000):
            for cause in range(7):
                count = pick(most_count)
                ledger.spend(cause, count)
                spent[cause] += count * args[cause]
            slept = pick(most_seconds)
            ledger.sleep(slept)
            seconds += slept
            if pick(3) == 0:  # a deep sleep: a new process with what was kept
                self.assertEqual(ledger.save_into(state, 3), 3 + Ledger.STATE_BYTES)
                ledger = Ledger(args)
                self.assertEqual(ledger.load_from(state, 3), 3 + Ledger.STATE_BYTES)
        spent[SLEEP] = seconds * (args[7] * 1000 + args[8]) // 1000
        for cause in range(8):
            self.assertEqual(ledger.microjoules(cause), spent[cause], CAUSES[cause])
        self.assertEqual(ledger.total_uj(), sum(spent))

    def test_every_number_stays_below_31_bits(self):
        """On a board a larger one is a heap object: no test on a 64-bit interpreter would see it else."""
        seen = []

        class Watched(Ledger):
            def _add(self, cause, joules, microjoules):
                seen.append(max(joules, microjoules + self._uj[cause]))
                Ledger._add(self, cause, joules, microjoules)

        ledger = Watched((999999, 1, 1000, 0, 1, 3100007, 2, 999999, 999))
        for cause in range(7):
            ledger.spend(cause, 30000)
        ledger.sleep(200000)
        self.assertTrue(1 << 24 < max(seen) < 1 << 30)
        self.assertEqual(ledger.microjoules(BOOT), 30000 * 999999)
        self.assertEqual(ledger.microjoules(SLEEP), 200000 * 999999999 // 1000)

    def test_a_year_two_ways(self):
        self.check_year(_ARGS, 1, 4, 9000)

    def test_dear_events_and_long_sleeps(self):
        self.check_year((999999, 1000000, 1000001, 0, 1, 3100007, 2, 1500, 999), 2, 90, 200000)

    def test_costly_sleep_over_weeks(self):
        self.check_year((0, 0, 0, 0, 0, 0, 0, 9999, 1), 3, 2, 800000)

    def test_nothing_costs_nothing(self):
        ledger = Ledger((0,) * 9)
        ledger.spend(BOOT, 1000)
        ledger.sleep(100000000)
        self.assertEqual(ledger.total_uj(), 0)

    def test_spend_counts_one_by_default(self):
        ledger = Ledger(_ARGS)
        ledger.spend(RADIO)
        self.assertEqual(ledger.microjoules(RADIO), 270011)
        ledger.spend(RADIO, 0)
        self.assertEqual(ledger.microjoules(RADIO), 270011)

    def test_layout_is_the_documented_one(self):
        ledger = Ledger((0, 1234567, 0, 0, 0, 0, 0, 0, 7))
        ledger.spend(SENSE, 3)  # 3.703701 J
        ledger.sleep(1)
        state = bytearray(Ledger.STATE_BYTES)
        ledger.save_into(state, 0)
        word = state[6] | state[7] << 8 | state[8] << 16 | state[9] << 24
        self.assertEqual(word & 0xFFFFFF, 3)
        self.assertEqual((word >> 24) << 16 | state[10] | state[11] << 8, 703701)
        self.assertEqual(state[48] | state[49] << 8, 7)

    def test_the_step_allocates_nothing(self):
        try:
            from micropython import heap_lock, heap_unlock
        except ImportError:
            self.skipTest("needs micropython.heap_lock")
        ledger = Ledger(_ARGS)
        state = bytearray(Ledger.STATE_BYTES)
        heap_lock()
        try:
            ledger.spend(SENSE)
            ledger.spend(RADIO, 3)
            ledger.sleep(86400)
            ledger.save_into(state, 0)
        finally:
            heap_unlock()
        self.assertEqual(ledger.microjoules(RADIO), 3 * 270011)


if __name__ == "__main__":
    unittest.main()
