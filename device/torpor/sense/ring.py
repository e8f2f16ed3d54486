# SPDX-License-Identifier: MIT
"""The last rows of samples, in a fixed block of int16.

    ring = Ring(24, 2)           # 24 rows of 2 channels
    ring.push(row)               # row: array('h') of 2; the oldest row makes room
    ring.at(0, 1)                # newest value of channel 1

A row is made by `ring.row()`, once; nothing else here allocates.
"""

from array import array


class Ring:
    """rows x channels int16; `count` rows are filled, never more than `rows` (at most 65535).

    State: head and count as uint16, then every cell as int16, little endian: 4 + 2 * rows * channels bytes.
    """

    def __init__(self, rows, channels):
        self.rows = rows
        self.channels = channels
        self.count = 0
        self.STATE_BYTES = 4 + 2 * rows * channels
        self._head = 0  # row that the next push writes
        self._cells = array("h", bytes(2 * rows * channels))

    def row(self):
        """Return an empty row, array('h') of `channels`, for a source to read into."""
        return array("h", bytes(2 * self.channels))

    def push(self, row):
        """Copy one row in. Allocates nothing."""
        channels = self.channels
        base = self._head * channels
        for i in range(channels):
            self._cells[base + i] = row[i]
        self._head += 1
        if self._head == self.rows:
            self._head = 0
        if self.count < self.rows:
            self.count += 1

    def at(self, age, channel):
        """Value of `channel` `age` rows ago, 0 = newest. Raises IndexError where no such row was pushed."""
        if not 0 <= age < self.count:
            raise IndexError(age)
        i = self._head - 1 - age
        if i < 0:
            i += self.rows
        return self._cells[i * self.channels + channel]

    def save_into(self, buf, off):
        off = _put(buf, off, self._head)
        off = _put(buf, off, self.count)
        for i in range(len(self._cells)):
            off = _put(buf, off, self._cells[i])
        return off

    def load_from(self, buf, off):
        """Read the state back. A head or count that can't be (another layout) leaves the ring empty."""
        head = buf[off] | buf[off + 1] << 8
        count = buf[off + 2] | buf[off + 3] << 8
        off += 4
        for i in range(len(self._cells)):
            v = buf[off] | buf[off + 1] << 8
            self._cells[i] = v - 65536 if v > 32767 else v
            off += 2
        whole = head < self.rows and count <= self.rows
        self._head = head if whole else 0
        self.count = count if whole else 0
        return off


def _put(buf, off, value):
    buf[off] = value & 255
    buf[off + 1] = value >> 8 & 255
    return off + 2
