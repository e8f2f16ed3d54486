# SPDX-License-Identifier: MIT
"""What the virtual board's ROM does: mount the flash, put the chip in place, start main.py or nothing.

Runs inside the virtual board's MicroPython as `boot.py MODE IMAGE WORLD RESTART MAC BATTERY_MV RETAINED`,
where MODE is "main" (as after a press of the reset button), "console" (main.py is left alone, as in a soft
reset by mpremote), "format" or "forget" (remove the node's state files). What is made here lies in the heap
of the board, so little is made.
"""

import os
import sys

import vfs


class Flash:
    """The block device protocol over a host file, unbuffered, so that a kill cuts between writes."""

    BLOCK = 4096  # bytes of one erase block, as of the NOR flash on the boards that Torpor knows

    def __init__(self, path):
        self.file = open(path, "r+b")  # noqa: SIM115
        self.blocks = os.stat(path)[6] // self.BLOCK

    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * self.BLOCK + offset)
        self.file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self.file.seek(block * self.BLOCK + offset)
        self.file.write(buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return self.BLOCK
        return 0  # sync needs nothing; littlefs programs an erased block without looking at it


class Chip:
    """Stands in sys.modules as `virtual_chip`; torpor.hal.simulated says what its names mean."""

    flash = "/flash"
    radio_fails = None


def mount(mode, image, world, restart, mac, battery_mv, retained_bytes):
    flash = Flash(image)
    if mode == "format":
        vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash), Chip.flash)
    os.chdir(Chip.flash)
    if mode == "forget":
        for name in os.listdir():
            if name[-2:] in (".0", ".1"):  # the two slots of torpor.store.files
                os.remove(name)
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
