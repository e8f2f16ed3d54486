# SPDX-License-Identifier: MIT
"""SOFTMAX over the last axis, int16. Record 93:

    in, out, rows, depth, multiplier, shift, exponentials, reciprocals

exponentials, reciprocals: 513 int16 each in the weights: exp(10 * i / 512 - 10) and 1 / (1 + i / 512), Q15,
between which is interpolated. multiplier and shift scale a difference to the largest so that 65535 is 10.
Output scale 1/32768. May write over its input. Source: TensorFlow Lite Micro's SoftmaxInt16, LUTLookup.
"""

from ..compat import const
from .fixed import scale
from .words import get16, put16

_MOST = const(65535)  # terms below 2**15 each: the sum stays below 2**31
_STEPS = const(513)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    x, y, rows, depth, multiplier, shift, exps, inverses = image.take(args, 8)
    image.sizes(rows, depth)
    image.need(depth <= _MOST, "depth")
    size = rows * depth * 2
    image.ram(x, size)
    image.ram(y, size)
    image.need(y <= x or y >= x + size, "overlap")  # or it would read what it wrote
    image.shift(shift)
    exps = image.int16(exps, _STEPS)
    for v in exps:
        image.need(v >= 0, "exponentials")
    image.need(exps[511] > 1 and exps[512] > 1, "exponentials")  # so the sum is not 0
    return softmax, (arena, x, y, rows, depth, multiplier, shift, exps, image.int16(inverses, _STEPS))


def lookup(table, v):
    """Value at int16 `v`, of 512 straight lines."""
    i = 256 + (v >> 7)
    base = table[i]
    return base + (((table[i + 1] - base) * (v & 127) + 64) >> 7)


def softmax(t):
    arena, x, y, rows, depth, multiplier, shift, exps, inverses = t
    for _ in range(rows):
        most = -32768
        p = x
        for _ in range(depth):
            most = max(most, get16(arena, p))
            p += 2
        total = 0
        p = y
        for _ in range(depth):
            v = scale(get16(arena, x) - most, multiplier, shift) + 32767
            v = lookup(exps, -32768 if v < -32768 else 32767 if v > 32767 else v)
            put16(arena, p, v)
            total += v
            x += 2
            p += 2
        bits = 2
        while total >> bits:
            bits += 1
        v = (((total << (31 - bits)) + 8192) >> 14) - 98304  # 2**16 .. 2**17 to the middle of the table
        inverse = lookup(inverses, v if v < 32767 else 32767)
        half = 1 << (bits - 2)
        for _ in range(depth):
            v = (get16(arena, y) * inverse + half) >> (bits - 1)
            put16(arena, y, 0 if v < 0 else v if v < 32767 else 32767)
            y += 2
