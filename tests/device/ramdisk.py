# SPDX-License-Identifier: MIT
"""A flash chip in RAM whose power fails after a given number of bytes. MicroPython only (VfsFat, VfsLfs2)."""

import os

try:
    import vfs
except ImportError:  # MicroPython before 1.23
    vfs = os

PATH = "/ramdisk"
_EIO = 5


class RamDisk:
    """Block device. `budget`: bytes it may still write or erase, None = no end; then all fails with EIO.

    The byte at which power fails is the last one that took; what follows keeps its old content, as when a
    page is programmed in order. Erasing writes 0xFF, byte by byte, and can be cut as well. Bytes that were
    equal before cost nothing: a cut at them leaves the same image as a cut at the byte before.
    """

    def __init__(self, block_bytes, blocks, image=None):
        self.block_bytes = block_bytes
        self.image = bytearray(block_bytes * blocks) if image is None else bytearray(image)
        self.budget = None
        self.written = 0
        self._erased = b"\xff" * block_bytes

    def readblocks(self, n, buf, off=0):
        if self.budget == 0:
            return -_EIO
        at = n * self.block_bytes + off
        buf[:] = self.image[at : at + len(buf)]
        return 0

    def writeblocks(self, n, buf, off=0):
        return self._put(n * self.block_bytes + off, buf)

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.image) // self.block_bytes
        if op == 5:
            return self.block_bytes
        if op == 6:
            return self._put(arg * self.block_bytes, self._erased)
        return 0

    def _put(self, at, data):
        if self.budget == 0:
            return -_EIO
        image = self.image
        if image[at : at + len(data)] == data:
            return 0
        for i in range(len(data)):
            if image[at + i] != data[i]:
                image[at + i] = data[i]
                self.written += 1
                if self.written == self.budget:
                    self.budget = 0
                    return -_EIO
        return 0


def lfs(disk, make=False):
    """Return a littlefs on disk, formatted first if `make`."""
    if make:
        vfs.VfsLfs2.mkfs(disk, readsize=16, progsize=16, lookahead=16)
    # Without time stamps: else the bytes of a commit, which are what is cut at, would change by the second.
    return vfs.VfsLfs2(disk, readsize=16, progsize=16, lookahead=16, mtime=False)


def fat(disk, make=False):
    if make:
        vfs.VfsFat.mkfs(disk)
    return vfs.VfsFat(disk)


def mount(filesystem, readonly=False):
    vfs.mount(filesystem, PATH, readonly=readonly)


def umount():
    try:
        vfs.umount(PATH)
    except OSError:
        pass  # power is off: there is nothing left to write
