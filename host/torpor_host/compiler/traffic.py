# SPDX-License-Identifier: MIT
"""Which bytes of the arena each record reads and writes: a row for every record code.

A record's arguments are documented by the module of `torpor/nn` that runs it; what is said here about them is
held to what the reference kernels do by tests/compiler/test_traffic.py. Of a window that strides over an
image, of bands of a spectrum and of a table of places all is counted as read that the tensor holds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

READ, WRITE, SCRATCH = "read", "write", "scratch"
Args = Sequence[int]
_CAST_BYTES = (0, 1, 2, 4)


@dataclass(frozen=True)
class Access:
    """use: READ (before the record writes there), WRITE, or SCRATCH (written, then read, then nobody's).

    Bytes at `at` + a sum of strides, for every index below `sizes`, `item` bytes each.
    """

    use: str
    at: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    item: int = 1

    @property
    def start(self) -> int:
        return self.at + sum((n - 1) * s for n, s in zip(self.sizes, self.strides, strict=True) if s < 0)

    @property
    def stop(self) -> int:
        """Behind the last byte."""
        return (
            self.at
            + self.item
            + sum((n - 1) * s for n, s in zip(self.sizes, self.strides, strict=True) if s > 0)
        )

    def bytes(self) -> "slice | np.ndarray":
        """What picks these bytes from an array of the arena's."""
        axes = [(n, s) for n, s in zip(self.sizes, self.strides, strict=True) if s and n > 1]
        if math.prod(n for n, _ in axes) * self.item >= self.stop - self.start:
            return slice(self.start, self.stop)
        places = np.arange(self.item)
        for n, stride in axes:
            places = np.add.outer(np.arange(n) * stride, places)
        return places.ravel() + self.at


Row = Callable[[int, Args, bytes], list[Access]]


def accesses(code: int, args: Args, weights: bytes) -> list[Access]:
    """Return what a record of a sound image does in the arena; `weights`: the image's from their start on."""
    return _ROWS[code](code, args, weights)


def codes() -> set[int]:
    return set(_ROWS)


def _run(use: str, at: int, size: int) -> Access:
    return Access(use, at, (size,), (1,))


def _through(x: int, x_bytes: int, y: int, y_bytes: int) -> list[Access]:
    """One tensor in, one out, both without gaps."""
    return [_run(READ, x, x_bytes), _run(WRITE, y, y_bytes)]


def _plain(size: Callable[[Args], int], x_item: int = 1, y_item: int = 1) -> Row:
    """As many values out as in."""
    return lambda _, a, __: _through(a[0], size(a) * x_item, a[1], size(a) * y_item)


def _dense(_: int, a: Args, __: bytes) -> list[Access]:
    return _through(a[0], a[2] * a[3], a[1], a[2] * a[4])


def _conv(code: int, a: Args, _: bytes) -> list[Access]:
    x, y, scratch, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, _dh, _dw, top, left = a[:18]
    window = (fh * fw * c + 3) // 4 * 4
    direct = fh * fw == 1 and top == 0 and left == 0 and (oh - 1) * sh < h and (ow - 1) * sw < w
    if code == 3:
        size = 3 * window + 12 * n if n == c else window
    else:
        size = window * (4 if direct else 5)
    return [*_through(x, batches * h * w * c, y, batches * oh * ow * n), _run(SCRATCH, scratch, size)]


def _mixed(code: int, a: Args, _: bytes) -> list[Access]:
    x, y, batches, h, w, c, oh, ow, n = a[:9]
    item = 2 if code >= 82 else 1
    return _through(x, batches * h * w * c * item, y, batches * oh * ow * n * item)


def _pool(item: int) -> Row:
    return lambda _, a, __: _through(
        a[0], a[2] * a[3] * a[4] * a[5] * item, a[1], a[2] * a[6] * a[7] * a[5] * item
    )


def _pair(item: int) -> Row:
    """ADD and what is laid out as it is; strides count values."""

    def row(_: int, a: Args, __: bytes) -> list[Access]:
        sizes = tuple(a[4:8])
        made = [Access(READ, a[0], sizes, tuple(s * item for s in a[8:12]), item)]
        if not a[3]:
            made.append(Access(READ, a[1], sizes, tuple(s * item for s in a[12:16]), item))
        return [*made, _run(WRITE, a[2], math.prod(sizes) * item)]

    return row


def _pad(_: int, a: Args, __: bytes) -> list[Access]:
    out = math.prod(n + before + after for n, before, after in zip(a[3:7], a[7:11], a[11:15], strict=True))
    return _through(a[0], math.prod(a[3:7]), a[1], out)


def _copy(_: int, a: Args, __: bytes) -> list[Access]:
    sizes = tuple(a[3:7])
    read = [] if a[2] else [Access(READ, a[0], sizes, tuple(a[7:11]))]
    return [*read, Access(WRITE, a[1], sizes, tuple(a[11:15]))]


def _take(_: int, a: Args, weights: bytes) -> list[Access]:
    block = a[6]
    tables = [np.frombuffer(weights, "<i4", n, at) for n, at in zip(a[2:6], a[7:11], strict=True)]
    start = a[0] + sum(int(t.min()) for t in tables)
    size = block + sum(int(t.max()) - int(t.min()) for t in tables)
    return _through(start, size, a[1], math.prod(a[2:6]) * block)


def _reduce(_: int, a: Args, __: bytes) -> list[Access]:
    read = Access(READ, a[0], (a[2], a[3], a[6], a[7]), (a[4], a[5], a[8], a[9]))
    return [read, _run(WRITE, a[1], a[2] * a[3])]


def _arg(_: int, a: Args, __: bytes) -> list[Access]:
    return _through(a[0], a[2] * a[3] * a[4], a[1], a[2] * a[4] * 4)


def _resize(_: int, a: Args, __: bytes) -> list[Access]:
    return _through(a[0], a[2] * a[3], a[1], a[2] * a[5] * a[6] * a[4])


def _requantize(_: int, a: Args, __: bytes) -> list[Access]:
    return _through(a[0], a[2] * a[3], a[1], a[2] * a[4])


def _cast(_: int, a: Args, __: bytes) -> list[Access]:
    return _through(a[0], a[2] * _CAST_BYTES[a[3]], a[1], a[2] * _CAST_BYTES[a[4]])


def _to_float(_: int, a: Args, __: bytes) -> list[Access]:
    return _through(a[0], a[2] * a[3], a[1], a[2] * 4)


def _svdf(_: int, a: Args, __: bytes) -> list[Access]:
    x, y, state, batches, depth, units, rank, memory, wide = a[:9]
    kept = batches * units * rank * memory << wide
    return [*_through(x, batches * depth, y, batches * units), *_kept(state, kept)]


def _lstm(_: int, a: Args, __: bytes) -> list[Access]:
    x, y, hidden, cell, batches, steps, depth, units = a[:8]
    return [
        *_through(x, batches * steps * depth, y, batches * steps * units),
        *_kept(hidden, batches * units),
        *_kept(cell, 2 * batches * units),
    ]


def _kept(at: int, size: int) -> list[Access]:
    """State: read, and written anew."""
    return _through(at, size, at, size)


def _auto_scale(_: int, a: Args, __: bytes) -> list[Access]:
    return [*_through(a[0], 2 * a[3], a[1], 2 * a[3]), _run(WRITE, a[2], 4)]


def _rfft(_: int, a: Args, __: bytes) -> list[Access]:
    return _through(a[0], 2 * a[2] * a[3], a[1], 2 * a[2] * (a[4] + 2))


def _filter_bank(_: int, a: Args, __: bytes) -> list[Access]:
    return _through(a[0], 4 * a[2], a[1], 8 * a[3])


def _square_root(_: int, a: Args, __: bytes) -> list[Access]:
    return [*_through(a[0], 8 * a[3], a[2], 4 * a[3]), _run(READ, a[1], 4)]


def _subtraction(_: int, a: Args, __: bytes) -> list[Access]:
    size = 4 * a[4]
    return [*_through(a[0], size, a[1], size), _run(WRITE, a[2], size), *_kept(a[3], size)]


def _pcan(_: int, a: Args, __: bytes) -> list[Access]:
    size = 4 * a[3]
    return [*_through(a[0], size, a[2], size), _run(READ, a[1], size)]


def _count(a: Args) -> int:
    return a[2]


def _rows(a: Args) -> int:
    return a[2] * a[3]


_ROWS: dict[int, Row] = {
    1: _dense,
    **dict.fromkeys((2, 3), _conv),
    **dict.fromkeys((4, 5), _pool(1)),
    **dict.fromkeys((6, 14, 15, 16, 17, 18, 19, 28, 29), _pair(1)),
    7: _plain(_rows),
    8: _plain(_count),
    9: _pad,
    10: _plain(_count, 4, 1),
    11: _plain(_count, 1, 4),
    12: _copy,
    13: _take,
    **dict.fromkeys((20, 21, 22), _reduce),
    **dict.fromkeys((23, 24), _arg),
    25: _plain(_rows),
    26: _resize,
    31: _requantize,
    40: _svdf,
    41: _lstm,
    50: _plain(_rows, 2, 2),
    51: _auto_scale,
    52: _rfft,
    53: _plain(_count, 4, 4),
    54: _filter_bank,
    55: _square_root,
    56: _subtraction,
    57: _pcan,
    58: _plain(_count, 4, 2),
    70: _cast,
    76: _to_float,
    **dict.fromkeys((71, 72, 73, 74, 75), _pair(4)),
    **dict.fromkeys((80, 81, 82, 83), _mixed),
    84: _requantize,
    85: _plain(_count, 4, 2),
    86: _plain(_count, 2, 4),
    **dict.fromkeys((87, 88), _pool(2)),
    **dict.fromkeys((89, 90, 91, 92), _pair(2)),
    93: _plain(_rows, 2, 2),
    94: _plain(_count, 2, 2),
}
