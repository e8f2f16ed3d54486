# SPDX-License-Identifier: MIT
"""The `viper` kernel set: multiplications in MicroPython's machine code, where no native module fits;
the rest is `reference`. How the loops count is said in viper_loops.py.

Its buffers are made when a record is bound; run() allocates nothing. Weights and tables are read only, for
they may lie in ROM, or in a buffer that is filled anew.
"""

from array import array

from . import reference
from .image import zeros
from .viper_loops import add_row, conv_row, finish, lookup

_FAR = 1 << 20  # added to positions, which may be negative
_MOST_DEPTH = 1 << 14  # 128 * 255 * depth stays within 31 bits


def bind(code, args, image, arena):
    """As reference.bind; the records with many multiplications get viper's kernels."""
    kernel, t = reference.bind(code, args, image, arena)
    if not hasattr(image, "sums"):
        image.sums = [None]  # one buffer for all records, as large as the largest needs
    if code == 1:
        arena, x, y, batches, depth, units, weights, bias, m, s, step, zero, low, high = t
        if depth <= _MOST_DEPTH:
            one = (arena, x, y, -1, batches, 1, 1, depth, 1, 1, units, 1, 1, 1, 1, 1, 1, 0, 0)
            return _conv(image.sums, False, one + (weights, bias, m, s, step, 0, zero, low, high))
    if 2 <= code <= 3 and t[11] * t[12] * t[7] <= _MOST_DEPTH and abs(t[17]) < _FAR and abs(t[18]) < _FAR:
        return _conv(image.sums, code == 3, t)
    if code == 6:
        return _add(image.sums, t)
    if code == 8:
        arena, x, y, count, table = t
        return _lookup_run, (arena, table, array("i", (x, y, count)))
    return kernel, t


def _reserve(sums, count):
    if sums[0] is None or len(sums[0]) < count:
        sums[0] = None  # the old one can go first
        sums[0] = zeros("i", count)


def _multipliers(m, s):
    """(low half, high half, right shift, left shift) of each."""
    table = zeros("H", 4 * len(m))
    for i in range(len(m)):
        table[4 * i] = m[i] & 0xFFFF
        table[4 * i + 1] = m[i] >> 16 & 0xFFFF
        table[4 * i + 2] = max(0, -s[i])
        table[4 * i + 3] = max(0, s[i])
    return table


def _conv(sums, depthwise, t):
    (arena, x, y, scratch, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, m, s, step, in_zero, zero, low, high) = t  # fmt: skip
    depth = fh * fw * c
    _reserve(sums, ow * n)
    per = n // c if depthwise else 0
    a = array("i", (x, h, w, c, ow, n, fh, fw, sw, dh, dw, _FAR - left, in_zero + 128, depth, 0, per))
    last = array("i", (y, ow * n, n, zero + 128, low + 128, high + 128, step))
    whole = (x, y, batches, oh, sh, top)
    return _conv_run, (arena, weights, bytearray(depth), sums, a, bias, _multipliers(m, s), last, whole)


def _conv_run(t):
    arena, weights, window, sums, a, bias, table, last, whole = t
    sums = sums[0]
    x, y, batches, oh, sh, top = whole
    a[0] = x
    last[0] = y
    for _ in range(batches):
        for oy in range(oh):
            a[14] = _FAR + oy * sh - top
            conv_row(arena, weights, window, sums, a)
            finish(sums, bias, table, arena, last)
            last[0] += last[1]
        a[0] += a[1] * a[2] * a[3]


def _add(sums, t):
    """Each side becomes a table of what its 256 bytes give; what is left is one requantization."""
    from .fixed import scale

    arena, other, a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3 = t[:17]
    left, a_zero, a_mul, a_shift, b_zero, b_mul, b_shift, zero, mul, shift, low, high = t[17:]
    tables = zeros("i", 512)
    for v in range(256):
        signed = (v ^ 128) - 128
        tables[v] = scale((signed - a_zero) << left, a_mul, a_shift)
        tables[256 + v] = scale((signed - b_zero) << left, b_mul, b_shift)
    _reserve(sums, n3)
    at = array("i", (0, 0, n3, a3, b3))
    last = array("i", (y, n3, 1, zero + 128, low + 128, high + 128, 0))
    whole = (a, b, y, n0, n1, n2, a0, a1, a2, b0, b1, b2)
    table = _multipliers((mul,), (shift,))
    return _add_run, (arena, other, tables, sums, at, zeros("i", 1), table, last, whole)


def _add_run(t):
    arena, other, tables, sums, at, bias, table, last, whole = t
    sums = sums[0]
    a, b, y, n0, n1, n2, a0, a1, a2, b0, b1, b2 = whole
    last[0] = y
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                at[0] = a + i * a0 + j * a1 + k * a2
                at[1] = b + i * b0 + j * b1 + k * b2
                add_row(arena, other, tables, sums, at)
                finish(sums, bias, table, arena, last)
                last[0] += last[1]


def _lookup_run(t):
    lookup(t[0], t[1], t[2])
