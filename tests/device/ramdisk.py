# SPDX-License-Identifier: MIT
"""A flash chip in RAM whose power fails after a given number of bytes. MicroPython only (VfsFat, VfsLfs2)."""

import os

try:
    import vfs
except ImportError:  # MicroPython before 1.23
    vfs = os

PATH = "/ramdisk"
_EIO = 5
_PAGE_BYTES = 64  # finer than the 256 bytes that NOR flash programs at once


class RamDisk:
    """Block device. `budget`: bytes it may still write or erase, None = no end; then all fails with EIO.

    The byte at which power fails is the last one that took; what follows keeps its old content, as when a
    page is programmed in order. Erasing writes 0xFF, byte by byte, and can be cut as well. Bytes that were
    equal before cost nothing: a cut at them leaves the same image as a cut at the byte before.

    erase_bytes: a write reads the erase block around it, erases that whole and programs it anew, as
    CircuitPython does for a FAT sector on NOR flash. Then a `byte` of the budget is one erase, or one
    _PAGE_BYTES of programming, equal or not.
    """

    def __init__(self, block_bytes, blocks, image=None, erase_bytes=0):
        self.block_bytes = block_bytes
        self.erase_bytes = erase_bytes
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
        if self.erase_bytes:
            return self._erase_and_program(at, data)
        if image[at : at + len(data)] == data:
            return 0
        for i in range(len(data)):
            if image[at + i] != data[i]:
                image[at + i] = data[i]
                if self.spend():
                    return -_EIO
        return 0

    def _erase_and_program(self, at, data):
        image, size = self.image, self.erase_bytes
        first = at // size * size
        for block in range(first, at + len(data), size):
            new = image[block : block + size]
            low, high = max(at, block), min(at + len(data), block + size)
            new[low - block : high - block] = data[low - at : high - at]
            image[block : block + size] = b"\xff" * size
            if self.spend():
                return -_EIO
            for page in range(0, size, _PAGE_BYTES):
                image[block + page : block + page + _PAGE_BYTES] = new[page : page + _PAGE_BYTES]
                if self.spend():
                    return -_EIO
        return 0

    def spend(self):
        """One unit of power. True: it was the last one."""
        self.written += 1
        if self.written != self.budget:
            return False
        self.budget = 0
        return True


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
