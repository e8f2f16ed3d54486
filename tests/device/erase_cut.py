# SPDX-License-Identifier: MIT
"""Cut the power at every erase and every 64 bytes programmed, on FAT whose flash erases before it writes.

    micropython tests/device/erase_cut.py DEVICE_DIR TESTS_DIR ERASE_BYTES apart|beside COMMITS

An encrypted node's four slots (state and counter) and files that are never written lie on the drive. After a
cut in a commit, each file that is not of the slot being written must be as it was, and a start finds the
last committed or the new state and goes on. Prints the cuts tried; exits 1 at the first loss.
"""

import os
import sys

device_dir, tests_dir, erase_bytes, how, commits = sys.argv[1:6]
sys.path[:0] = [device_dir, tests_dir]

import ramdisk
from torpor.errors import StoreError
from torpor.store.counters import Counter
from torpor.store.files import FileSlots

erase_bytes, commits, apart = int(erase_bytes), int(commits), how == "apart"
BLOCK_BYTES, BLOCKS = 512, 256
SIZE = 150  # of the state: that of a small node


def lose(*why):
    print("LOST", erase_bytes, how, *why)
    sys.exit(1)


def state(version):
    return bytes([(i * 7 + version * 37) & 255 for i in range(SIZE)])


def files(name, size):
    return FileSlots(ramdisk.PATH + "/" + name, size, apart)


def commit(what, version):
    if what == "state":
        files("state", SIZE).commit(state(version))
        return None
    return Counter(files("count", 4), 1).next()


def walk(folder=ramdisk.PATH):
    paths = []
    for name in os.listdir(folder):
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            paths += walk(path)
        elif not name.endswith(".gap"):  # what is there to be spoilt
            paths.append(path)
    return paths


def read_all(paths):
    """Return {path: contents}, None where it is gone."""
    found = {}
    for path in paths:
        try:
            with open(path, "rb") as f:
                found[path] = f.read()
        except OSError:
            found[path] = None
    return found


def powered(image, budget, action, *args):
    """Mount a copy of image, run action(*args) with power for `budget` units; return disk and result."""
    disk = ramdisk.RamDisk(BLOCK_BYTES, BLOCKS, image, erase_bytes)
    try:
        ramdisk.mount(ramdisk.fat(disk))
    except OSError:
        lose("the drive can't be mounted")
    disk.budget = budget
    result = None
    try:
        result = action(*args)
    except (OSError, StoreError):
        if disk.budget != 0:
            raise
    ramdisk.umount()
    return disk, result


def create():
    for name in ("/main.py", "/node.bin"):
        with open(ramdisk.PATH + name, "wb") as f:
            f.write(b"#" * 700)
    for _ in range(2):  # both slots of each
        commit("state", 0)
        commit("count", 0)
    with open(ramdisk.PATH + "/later.py", "wb") as f:
        f.write(b"-" * 700)


def restart(what="count", version=0):
    """Return what a start finds: all files, the state and the next value of the counter; and commit anew."""
    seen = read_all(paths)
    found = bytearray(SIZE)
    if not files("state", SIZE).load_into(found):
        lose("no state")
    value = commit("count", 0)
    commit(what, version + 1)
    again = read_all([p for p in paths if what not in p and "count" not in p])
    for path, data in again.items():
        if data != seen[path]:
            lose("the commit after a cut in", what, "spoils", path)
    if what == "state" and not (files(what, SIZE).load_into(found_next) and found_next == state(version + 1)):
        lose("the commit after a cut is not found")
    return seen, bytes(found), value


found_next = bytearray(SIZE)
fresh = ramdisk.RamDisk(BLOCK_BYTES, BLOCKS, None)
ramdisk.fat(fresh, True)
image = powered(fresh.image, None, create)[0].image
paths = powered(image, None, walk)[1]
cuts = 0
highest = 1
for version in range(1, commits + 1):
    what = ("state", "count")[version % 2]
    before = powered(image, None, read_all, paths)[1]
    whole, value = powered(image, None, commit, what, version)
    changed = [p for p, data in powered(whole.image, None, read_all, paths)[1].items() if data != before[p]]
    old = powered(image, None, restart)[1][1]
    for budget in range(1, whole.written + 1):
        torn, _ = powered(image, budget, commit, what, version)
        seen, found, following = powered(torn.image, None, restart, what, version)[1]
        cuts += 1
        for path, data in before.items():
            if seen[path] != data and path not in changed:
                lose("cut", budget, "of", whole.written, "in", what, "spoils", path)
        if found not in (old, state(version)):
            lose("cut", budget, "leaves a state that was never committed")
        if following <= highest - (what == "state"):
            lose("cut", budget, "repeats", following)
    image = whole.image
    if value is not None:
        highest = max(highest, value)
print(cuts)
