# SPDX-License-Identifier: MIT
"""What the virtual board's ROM does: mount the flash, put the chip in place, start main.py or nothing.

Runs inside the virtual board's MicroPython as `boot.py MODE IMAGE WORLD RESTART MAC BATTERY_MV RETAINED`,
where MODE is "main" (as after a press of the reset button), "console" (main.py is left alone, as in a soft
reset by mpremote) or "format". What is made here lies in the heap of the board, so little is made.
"""

import os
import sys

import vfs

_READ = 256  # bytes; boards read 32, but there it is not Python that answers: a wake takes a third so,
# and littlefs 2.5 KB more of the heap


class Flash:
    """The block device protocol over a host file, unbuffered, so that a kill cuts between writes."""

    def __init__(self, path):
        file = open(path, "r+b")  # noqa: SIM115
        self.seek = file.seek  # looked up once: a wake reads some thousand times
        self.readinto = file.readinto
        self.write = file.write
        self.blocks = os.stat(path)[6] // 4096  # bytes of an erase block, as of the NOR flash on boards

    def readblocks(self, block, buf, offset=0):
        self.seek(block * 4096 + offset)
        self.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self.seek(block * 4096 + offset)
        self.write(buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return 4096
        return 0  # sync needs nothing; littlefs programs an erased block without looking at it


class Chip:
    """Stands in sys.modules as `virtual_chip`; torpor.hal.simulated says what its names mean."""

    flash = "/flash"
    radio_fails = None


def mount(mode, image, world, restart, mac, battery_mv, retained_bytes):
    flash = Flash(image)
    if mode == "format":
        vfs.VfsLfs2.mkfs(flash, readsize=_READ, progsize=_READ)
    vfs.mount(vfs.VfsLfs2(flash, readsize=_READ, progsize=_READ), Chip.flash)
    os.chdir(Chip.flash)
    chip = Chip()
    chip.world = world
    chip.restart = restart == "1"
    chip.mac = bytes.fromhex(mac)
    chip.battery_mv = int(battery_mv)
    chip.retained_bytes = int(retained_bytes)
    sys.modules["virtual_chip"] = chip
    sys.path[:] = ["", ".frozen", "/flash", "/flash/lib"]
    sys.argv[:] = [""]
    return mode


if mount(*sys.argv[1:]) == "main":
    execfile("main.py")  # noqa: F821  (MicroPython's builtin)
