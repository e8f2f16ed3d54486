# SPDX-License-Identifier: MIT
"""The two slots of slots.py as two files in flash: PATH.0 and PATH.1.

    FileSlots(hal.flash_dir + "/state", len(payload)).commit(payload)

littlefs keeps the old file until the new one is closed. FAT has no such thing, so a file is created once
and from then on overwritten in place and never truncated: the allocation table and the file's size and
place stay as they are, and what a cut spoils is this slot. What can't be helped on FAT: where a chip erases
a whole block to change a directory entry's time stamp, the block's other entries share its fate.
"""

from .slots import HEAD_BYTES, Slots

_ENOENT = 2


class FileSlots(Slots):
    """Same protocol as Slots. Absent, short or garbled files are slots without state, not errors."""

    def __init__(self, path, payload_bytes):
        Slots.__init__(self, None, payload_bytes)
        self._names = (path + ".0", path + ".1")

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
        try:
            f = open(self._names[slot], "r+b")
        except OSError as e:
            if e.errno != _ENOENT:
                raise
            f = open(self._names[slot], "wb")
        with f:
            f.write(self._head)
            f.write(payload)
