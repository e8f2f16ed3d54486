# SPDX-License-Identifier: MIT
"""The two slots of slots.py as two files in flash: PATH.0 and PATH.1, in FAT PATH.0/slot and PATH.1/slot.

    FileSlots(hal.flash_dir + "/state", len(payload)).commit(payload)

littlefs keeps the old file until the new one is closed. FAT has no such thing, so a file is created once
and from then on overwritten in place and never truncated: the allocation table and the file's size and
place stay as they are, and what a cut spoils is this slot and what the chip erases with it.

That is 4 KiB: CircuitPython (`external_flash.c`, and `internal_flash.c` of the ports) reads the block that
holds a 512-byte sector, erases it in place and programs it anew; a cut in between loses all eight sectors,
and nothing restores them (external flash only has a scratch block where RAM is short, and no start looks
there). A write touches the file's data and, for the time stamp, its folder. So in FAT each slot has a folder
of its own, with 4 KiB unused before the folder and behind the data: FAT hands out clusters upwards, and no
two slots, nor any other file, share a block. Two things this can't help: a cut in the few writes that
create a slot (its name in the root, its clusters in the table), once in a node's life, and a drive so full
or scattered that clusters are found out of order.
"""

import os

from ..compat import IMPLEMENTATION, const
from .slots import HEAD_BYTES, Slots

_ENOENT = const(2)
_EEXIST = const(17)
_SECTOR_BYTES = const(512)
_SECTORS = const(8)  # of the block that is erased at once


class FileSlots(Slots):
    """Same protocol as Slots. Absent, short or garbled files are slots without state, not errors.

    apart: each slot in a folder and in erase blocks of its own; CircuitPython's drive is FAT.
    """

    def __init__(self, path, payload_bytes, apart=IMPLEMENTATION == "circuitpython"):
        Slots.__init__(self, None, payload_bytes)
        self._names = (path + ".0/slot", path + ".1/slot") if apart else (path + ".0", path + ".1")
        self._apart = apart

    def _images(self):
        return self._image(0), self._image(1)

    def _image(self, slot):
        image = bytearray(HEAD_BYTES + self.payload_bytes)
        try:
            with open(self._names[slot], "rb") as f:
                return image if f.readinto(image) == len(image) else None
        except OSError:
            return None

    def _write(self, slot, payload):
        name, size = self._names[slot], 0
        try:
            f = open(name, "r+b")
        except OSError as e:
            if e.errno != _ENOENT:
                raise
            if self._apart:
                self._make_room(name[:-5])
                size = _SECTORS
            f = open(name, "wb")
        with f:
            f.write(self._head)
            f.write(payload)
            _fill(f, size)

    def _make_room(self, folder):
        with open(folder + ".gap", "wb") as f:
            _fill(f, _SECTORS)
        try:
            os.mkdir(folder)
        except OSError as e:
            if e.errno != _EEXIST:
                raise


def _fill(f, sectors):
    sector = bytes(_SECTOR_BYTES if sectors else 0)
    for _ in range(sectors):
        f.write(sector)
