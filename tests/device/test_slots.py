# SPDX-License-Identifier: MIT
"""Two-slot state in memory and in files. Power cuts in flash: power_cut.py, by tests/host."""

import sys

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from torpor.errors import StoreError
from torpor.store import files
from torpor.store.files import FileSlots
from torpor.store.slots import Slots, newer

_N = 21


class PowerCut(Exception):
    pass


class Memory:
    """A retained region whose power fails after `budget` bytes (None: never)."""

    def __init__(self, size, fill=0):
        self.size = size
        self.data = bytearray(bytes([fill]) * size)
        self.budget = None
        self.fails = False
        self.error = PowerCut()

    def read_into(self, buf):
        for i in range(len(buf)):
            buf[i] = self.data[i]

    def write(self, off, buf):
        if self.fails:
            raise OSError(5)
        for i in range(len(buf)):
            if self.budget is not None:
                if not self.budget:
                    raise self.error
                self.budget -= 1
            self.data[off + i] = buf[i]


def state(version):
    return bytearray([(i * 7 + version * 37) & 255 for i in range(_N)])


class TestSlots(unittest.TestCase):
    def test_empty_or_garbage_holds_no_state(self):
        for fill in (0, 0xFF, 0x5A):
            memory = Memory(2 * (_N + 8), fill)
            found = bytearray(_N)
            self.assertFalse(Slots(memory, _N).load_into(found))
            self.assertEqual(found, bytearray(_N))

    def test_erased_flash_is_never_a_valid_slot(self):
        # CRC-32 of four 0xFF bytes is 0xFFFFFFFF: an empty payload in erased flash would pass.
        for n in range(1, 300):
            self.assertFalse(Slots(Memory(2 * (n + 8), 0xFF), n).load_into(bytearray(n)), n)

    def test_newest_wins_over_many_commits_and_restarts(self):
        memory = Memory(100)
        found = bytearray(_N)
        slots = Slots(memory, _N)
        for version in range(1, 40):
            slots.commit(state(version))
            if version % 3 == 0:
                slots = Slots(memory, _N)
            if version % 5 == 0:
                self.assertTrue(slots.load_into(found))
                self.assertEqual(found, state(version))
            self.assertTrue(Slots(memory, _N).load_into(found))
            self.assertEqual(found, state(version))

    def test_commit_overwrites_the_older_slot_only(self):
        memory = Memory(2 * (_N + 8))
        slots = Slots(memory, _N)
        for version in range(6):
            before = bytes(memory.data)
            slots.commit(state(version))
            half = _N + 8
            kept = (1 - version % 2) * half
            self.assertEqual(memory.data[kept : kept + half], before[kept : kept + half])

    def test_cut_at_every_byte(self):
        whole = _N + 8
        memory = Memory(2 * whole)
        found = bytearray(_N)
        for version in range(1, 7):
            image = bytes(memory.data)
            for budget in range(whole + 1):
                torn = Memory(2 * whole)
                torn.data[:] = image
                slots = Slots(torn, _N)
                slots.load_into(found)
                torn.budget = budget
                try:
                    slots.commit(state(version))
                except PowerCut:
                    pass
                torn.budget = None
                after = Slots(torn, _N)
                some = after.load_into(found)
                if version > 1:
                    self.assertTrue(some)
                if some:
                    self.assertIn(found, (state(version - 1), state(version)), "cut at %d" % budget)
                if budget == whole:
                    self.assertEqual(found, state(version))
                after.commit(state(99))
                self.assertTrue(Slots(torn, _N).load_into(found))
                self.assertEqual(found, state(99))
            Slots(memory, _N).commit(state(version))

    def test_each_flipped_bit_is_noticed(self):
        memory = Memory(2 * (_N + 8))
        slots = Slots(memory, _N)
        slots.commit(state(1))
        slots.commit(state(2))  # in slot 1
        found = bytearray(_N)
        for at in range(_N + 8, 2 * (_N + 8)):
            memory.data[at] ^= 1 << at % 8
            self.assertTrue(Slots(memory, _N).load_into(found))
            self.assertEqual(found, state(1))
            memory.data[at] ^= 1 << at % 8

    def test_sequence_numbers_wrap(self):
        self.assertTrue(newer(0, 0xFFFFFFFF))
        self.assertFalse(newer(0xFFFFFFFF, 0))
        self.assertTrue(newer(5, 3))
        self.assertFalse(newer(3, 3))
        for start in (0xFFFF - 2, 0xFFFFFFFF - 2):
            memory = Memory(2 * (_N + 8))
            slots = Slots(memory, _N)
            slots.load_into(bytearray(_N))
            slots._low, slots._high = start & 0xFFFF, start >> 16
            found = bytearray(_N)
            for version in range(6):
                slots.commit(state(version))
                self.assertTrue(Slots(memory, _N).load_into(found))
                self.assertEqual(found, state(version))

    def test_a_failed_write_leaves_the_newest_alone(self):
        memory = Memory(2 * (_N + 8))
        slots = Slots(memory, _N)
        slots.commit(state(1))
        slots.commit(state(2))
        memory.fails = True
        for _ in range(3):
            self.assertRaises(StoreError, slots.commit, state(3))
        memory.fails = False
        found = bytearray(_N)
        self.assertTrue(Slots(memory, _N).load_into(found))
        self.assertEqual(found, state(2))
        slots.commit(state(3))
        self.assertTrue(Slots(memory, _N).load_into(found))
        self.assertEqual(found, state(3))

    def test_writes_that_fail_half_way_spoil_one_slot_only(self):
        memory = Memory(2 * (_N + 8))
        slots = Slots(memory, _N)
        slots.commit(state(1))
        slots.commit(state(2))
        memory.error = OSError(5)
        for _ in range(3):
            memory.budget = 12
            self.assertRaises(StoreError, slots.commit, state(3))
        memory.budget = None
        found = bytearray(_N)
        self.assertTrue(Slots(memory, _N).load_into(found))
        self.assertEqual(found, state(2))

    def test_too_small_a_region_and_wrong_payloads_are_refused(self):
        self.assertRaises(StoreError, Slots, Memory(2 * (_N + 8) - 1), _N)
        self.assertRaises(StoreError, Slots(Memory(100), _N).commit, bytearray(_N + 1))

    def test_commit_allocates_nothing(self):
        try:
            import micropython
        except ImportError:
            self.skipTest("needs MicroPython")
        if not hasattr(micropython, "heap_lock"):
            self.skipTest("needs micropython.heap_lock")
        memory = Memory(2 * (_N + 8))
        slots = Slots(memory, _N)
        payload = state(1)
        slots.commit(payload)
        micropython.heap_lock()
        try:
            slots.commit(payload)
            slots.commit(payload)
        finally:
            micropython.heap_unlock()


class TestFiles(unittest.TestCase):
    """On MicroPython once on littlefs and once on FAT, in RAM; on CPython in a folder of the host."""

    def each(self, check):
        if sys.implementation.name == "cpython":
            import tempfile

            with tempfile.TemporaryDirectory() as folder:
                check(folder, lambda: None, lambda: None)
            return
        import ramdisk

        for make, blocks in ((ramdisk.lfs, 64), (ramdisk.fat, 80)):
            disk = ramdisk.RamDisk(512, blocks)
            filesystem = make(disk, True)
            ramdisk.mount(filesystem)

            def lock(make=make, disk=disk):
                ramdisk.umount()
                ramdisk.mount(make(disk), readonly=True)

            try:
                check(ramdisk.PATH, lock, ramdisk.umount)
            finally:
                ramdisk.umount()

    def test_newest_wins(self):
        def check(folder, lock, umount):
            found = bytearray(_N)
            self.assertFalse(FileSlots(folder + "/state", _N).load_into(found))
            for version in range(1, 9):
                FileSlots(folder + "/state", _N).commit(state(version))
                self.assertTrue(FileSlots(folder + "/state", _N).load_into(found))
                self.assertEqual(found, state(version))

        self.each(check)

    def test_absent_short_long_and_garbled_files(self):
        def check(folder, lock, umount):
            found = bytearray(_N)
            for contents in (b"", b"\0", b"\xff" * 20, b"\x5a" * (_N + 8), b"\0" * 500):
                for name in ("/state.0", "/state.1"):
                    with open(folder + name, "wb") as f:
                        f.write(contents)
                slots = FileSlots(folder + "/state", _N)
                self.assertFalse(slots.load_into(found))
                slots.commit(state(1))
                slots.commit(state(2))
                for name in ("/state.0", "/state.1"):
                    with open(folder + name, "rb") as f:
                        whole = f.read()
                    self.assertEqual(len(whole), max(_N + 8, len(contents)))  # overwritten, not truncated
                with open(folder + "/state.1", "wb") as f:
                    f.write(contents)
                self.assertTrue(FileSlots(folder + "/state", _N).load_into(found))
                self.assertEqual(found, state(1))

        self.each(check)

    def test_read_only_drive(self):
        if sys.implementation.name == "cpython":
            self.skipTest("mounts a drive")

        def check(folder, lock, umount):
            FileSlots(folder + "/state", _N).commit(state(1))
            lock()
            slots = FileSlots(folder + "/state", _N)
            found = bytearray(_N)
            self.assertTrue(slots.load_into(found))
            self.assertRaises(StoreError, slots.commit, state(2))
            self.assertRaises(StoreError, FileSlots(folder + "/new", _N).commit, state(2))
            self.assertTrue(FileSlots(folder + "/state", _N).load_into(found))
            self.assertEqual(found, state(1))

        self.each(check)

    def test_a_file_that_can_not_be_opened_is_not_made_anew(self):
        def check(folder, lock, umount):
            path = folder + "/state"
            FileSlots(path, _N).commit(state(1))
            FileSlots(path, _N).commit(state(2))
            modes = []

            def failing(name, mode):
                if mode == "rb":
                    return open(name, mode)
                modes.append(mode)
                raise OSError(5)

            files.open = failing  # hides the builtin in that module
            try:
                self.assertRaises(StoreError, FileSlots(path, _N).commit, state(3))
            finally:
                del files.open
            self.assertEqual(modes, ["r+b"])
            found = bytearray(_N)
            self.assertTrue(FileSlots(path, _N).load_into(found))
            self.assertEqual(found, state(2))

        self.each(check)

    def test_apart_each_slot_has_a_folder(self):
        def check(folder, lock, umount):
            import os

            found = bytearray(_N)
            self.assertFalse(FileSlots(folder + "/state", _N, True).load_into(found))
            for version in range(1, 6):
                FileSlots(folder + "/state", _N, True).commit(state(version))
                self.assertTrue(FileSlots(folder + "/state", _N, True).load_into(found))
                self.assertEqual(found, state(version))
            self.assertEqual(sorted(os.listdir(folder)), ["state.0", "state.0.gap", "state.1", "state.1.gap"])
            os.remove(folder + "/state.1/slot")  # 5 is in slot 0
            FileSlots(folder + "/state", _N, True).commit(state(6))
            self.assertTrue(FileSlots(folder + "/state", _N, True).load_into(found))
            self.assertEqual(found, state(6))

        self.each(check)

    def test_folder_that_is_not_there(self):
        def check(folder, lock, umount):
            slots = FileSlots(folder + "/none/state", _N)
            self.assertFalse(slots.load_into(bytearray(_N)))
            self.assertRaises(StoreError, slots.commit, state(1))

        self.each(check)


if __name__ == "__main__":
    unittest.main()
