# SPDX-License-Identifier: MIT
"""Cut the power at every byte that a commit changes in flash, on the real littlefs and FAT of MicroPython.

    micropython tests/device/power_cut.py DEVICE_DIR TESTS_DIR lfs|fat slots|counters PAYLOAD_BYTES COMMITS

Prints one last line: cuts tried, cuts after which the old state was found, and the new one. Exits 1 at
the first loss. Each cut starts from the image as it was before the commit; after it the image is mounted
anew, and the state found there must be the last committed one or the new one, and take the next commit.
"""

import sys

device_dir, tests_dir, kind, what, size, commits = sys.argv[1:7]
sys.path[:0] = [device_dir, tests_dir]

import ramdisk
from torpor.store.counters import Counter
from torpor.store.files import FileSlots
from torpor.errors import StoreError

size, commits = int(size), int(commits)
FILESYSTEM = ramdisk.lfs if kind == "lfs" else ramdisk.fat
BLOCK_BYTES, BLOCKS = 512, 24 if kind == "lfs" else 50


def state(version):
    """Payload number `version`: no byte as in its neighbours, so that a mixture shows."""
    return bytes([(i * 7 + version * 37) & 255 for i in range(size)])


def lose(*why):
    print("LOST", kind, what, *why)
    sys.exit(1)


class Slots:
    """The store under test; version v is the v-th commit, 0 = nothing yet."""

    def __init__(self):
        self.slots = FileSlots(ramdisk.PATH + "/state", size)

    def advance(self, version):
        self.slots.commit(state(version))

    def check(self, version):
        """Return how many commits the state found is ahead of `version`."""
        found = bytearray(size)
        if not self.slots.load_into(found):
            if version:
                lose("no state after commit", version)
            return 0
        for ahead in (0, 1):
            if found == state(version + ahead):
                return ahead
        lose("a mixture after commit", version, bytes(found))


class Counters:
    """Each advance() takes one value with block=1, so that every one is a write to flash."""

    def __init__(self):
        self.counter = Counter(FileSlots(ramdisk.PATH + "/count", 4), 1)

    def advance(self, version):
        global highest
        highest = max(highest, self.counter.next())

    def check(self, version):
        value = self.counter.next()
        if value <= highest:
            lose("value", value, "was handed out twice; highest", highest)
        return value - highest - 1


def powered(image, budget, action, version):
    """Mount a copy of image, call action(version) with power for `budget` bytes; return disk and result."""
    disk = ramdisk.RamDisk(BLOCK_BYTES, BLOCKS, image)
    ramdisk.mount(FILESYSTEM(disk))
    disk.budget = budget
    result = None
    try:
        result = getattr(Slots() if what == "slots" else Counters(), action)(version)
    except (OSError, StoreError):
        if disk.budget != 0:
            raise
    ramdisk.umount()
    return disk, result


highest = -1
fresh = ramdisk.RamDisk(BLOCK_BYTES, BLOCKS)
FILESYSTEM(fresh, True)
image = fresh.image
cuts = [0, 0, 0]
for version in range(commits):
    before = highest
    whole, _ = powered(image, None, "advance", version + 1)
    after = highest
    for budget in range(1, whole.written + 1):
        highest = before
        torn, _ = powered(image, budget, "advance", version + 1)
        _, ahead = powered(torn.image, None, "check", version)
        cuts[0] += 1
        cuts[1 + min(ahead, 1)] += 1
        again, _ = powered(torn.image, None, "advance", version + 2)
        if what == "slots":
            _, ahead = powered(again.image, None, "check", version + 2)
            if ahead:
                lose("commit after a cut at byte", budget)
    image, highest = whole.image, after
if not cuts[0]:
    lose("nothing was written")
print(*cuts)
