# SPDX-License-Identifier: MIT
"""Cut a whole node's power at every byte that its step changes, in retained memory and flash, and at a send.

    micropython tests/device/node_cut.py DEVICE_DIR TESTS_DIR lfs|fat|ERASE_BYTES RETAINED_BYTES FIRST WAKES

An encrypted node with a checkpoint each 3 wakes and a counter reserved 2 at a time; wakes FIRST..WAKES-1
are cut everywhere, with or without a frame, a reservation, a checkpoint. ERASE_BYTES: FAT on flash that
erases that much before it writes (ramdisk.py). After a cut the node starts cold, with garbage or with zeros
in retained memory, and by a reset that kept it. It must find a state that was committed, send no frame
counter twice nor a lower one, and go on without a fault. Prints cuts, starts, and starts that found the
newest state; exits 1 at the first loss.
"""

import struct
import sys

device_dir, tests_dir, kind, retained_bytes, first, wakes = sys.argv[1:7]
sys.path[:0] = [device_dir, tests_dir]

import ramdisk
import test_node
from torpor.hal import COLD, RESET, TIMER
from torpor.node import REPORT, Node
from torpor.store import counters, files
from torpor.store.counters import Counter
from torpor.store.files import FileSlots

retained_bytes, first, wakes = int(retained_bytes), int(first), int(wakes)
ERASE_BYTES = 0 if kind in ("lfs", "fat") else int(kind)
FILESYSTEM = ramdisk.lfs if kind == "lfs" else ramdisk.fat
BLOCKS = 24 if kind == "lfs" else 256 if ERASE_BYTES else 50
EVERY = 3 if retained_bytes else 1  # wakes from checkpoint to checkpoint
HOUR = 3600
START_S = 1_735_689_600
GOES_ON = 3  # wakes after each cut


class Cut(BaseException):
    """The power went away: nothing in the node may catch it."""


class Reserving(Counter):
    def __init__(self, store):
        Counter.__init__(self, store, 2)


counters.Counter = Reserving

if ERASE_BYTES:

    class Apart(FileSlots):
        def __init__(self, path, size):
            FileSlots.__init__(self, path, size, True)

    files.FileSlots = Apart


class Region:
    """Retained memory that shares the disk's power."""

    def __init__(self, disk, data):
        self.size = len(data)
        self.data = bytearray(data)
        self.disk = disk

    def read_into(self, buf):
        for i in range(len(buf)):
            buf[i] = self.data[i]

    def write(self, off, buf):
        for i in range(len(buf)):
            if self.data[off + i] != buf[i]:
                draw(self.disk)
                self.data[off + i] = buf[i]
        if self.disk.budget == 0:
            raise Cut


def draw(disk):
    """Take the power for one byte, or find that there is none."""
    if disk.budget == 0:
        raise Cut
    disk.spend()


class Watched(Node):
    """A node that remembers each state it committed."""

    def retain(self):
        self._save()
        self.kept.append(bytes(self.payload))
        Node.retain(self)


def lose(*why):
    print("LOST", kind, retained_bytes, *why)
    sys.exit(1)


RECORDS = test_node.records(encrypt=1, checkpoint_every=3)
RECORDS[REPORT] = [("virtual", (2 * HOUR, 1))]
ROWS = test_node.weather(60)


class Wake:
    """One start and step from what flash and retained memory hold; sent: the counters so far, appended to."""

    def __init__(self, image, retained, t, reason, sent, budget=None):
        disk = ramdisk.RamDisk(512, BLOCKS, image, ERASE_BYTES)
        ramdisk.mount(FILESYSTEM(disk))
        disk.budget = budget
        disk.written = 0
        chip = test_node.Chip(ROWS, ramdisk.PATH, 0)
        chip.t, chip.reason = t, reason
        chip.retained = Region(disk, retained) if retained_bytes else None

        def air(payload):
            draw(disk)  # cut before it is sent
            if disk.budget == 0:
                raise Cut
            sent.append(struct.unpack("<I", bytes(payload[-8:-4]))[0])
            draw(disk)  # and right after

        chip.air = air
        self.whole = False
        self.kept = []
        try:
            self.node = Watched(RECORDS, test_node.LAYOUT, chip)
            self.node.kept = self.kept
            self.found = bytes(self.node.payload) if self.node.restored else None
            self.node.step()
            self.whole = disk.budget != 0
        except Cut:
            pass
        self.used = disk.written
        ramdisk.umount()
        self.image = bytes(disk.image)
        self.retained = bytes(chip.retained.data) if retained_bytes else b""


def check(torn, w, sent, how, states, where):
    """Start after a cut; `states`: what may be found. Return whether it was the new state."""
    retained, reason, t = torn.retained, RESET, START_S + w * HOUR + 5
    if how != "reset":
        retained = bytes([0xA5 if how == "garbage" else 0]) * retained_bytes
        reason, t = COLD, START_S + (w + 1) * HOUR
    image, before, sent = torn.image, len(sent), list(sent)
    for k in range(GOES_ON):
        wake = Wake(image, retained, t, reason, sent)
        if not k:
            found = wake.found
            if found not in states:
                lose(where, how, "a state that was not committed", found)
        if not wake.whole or wake.node.faults or wake.node.schedule.failures:
            lose(where, how, "does not go on", wake.node.faults)
        image, retained, reason = wake.image, wake.retained, TIMER
        t += HOUR - t % HOUR
    if sent != sorted(set(sent)):
        lose(where, how, "counters", sent)
    if len(sent) == before:
        lose(where, how, "sends nothing more")
    return found == states[-1]


fresh = ramdisk.RamDisk(512, BLOCKS, None)
ramdisk.mount(FILESYSTEM(fresh, True))
with open(ramdisk.PATH + "/key.bin", "wb") as f:
    f.write(b"k" * 16)
ramdisk.umount()
image, retained = bytes(fresh.image), bytes(retained_bytes)
sent = []
checkpoint = state = None  # what flash and retained memory hold
cuts = starts = new = 0
for w in range(wakes):
    at = (image, retained, START_S + w * HOUR, TIMER if w else COLD)
    after = list(sent)
    whole = Wake(*at, after)
    written = whole.kept[-1] if (w + 1) % EVERY == 0 else checkpoint
    for budget in range(1, whole.used + 1) if w >= first else ():
        heard = list(sent)
        torn = Wake(*at, heard, budget)
        cuts += 1
        for how in ("garbage", "zeros", "reset") if retained_bytes else ("zeros",):
            # Before the first commit a reset finds nothing in retained memory, nor in flash.
            states = [state] + whole.kept if how == "reset" else [checkpoint, written]
            new += check(torn, w, heard, how, states, "wake %d cut %d" % (w, budget))
            starts += 1
    image, retained, sent, checkpoint, state = whole.image, whole.retained, after, written, whole.kept[-1]
if not cuts or len(sent) < wakes // 2:
    lose("nothing happened")
print(cuts, starts, new)
