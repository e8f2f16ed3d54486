# SPDX-License-Identifier: MIT
"""DIV, int8, with broadcasting. Records as ADD's (see add.py) with a table behind, by code:

    28 DIV         (a - a zero) / (b - b zero), scaled by the output's multiplier and shift
    29 DIV_INTO    b by a

table: 512 int32 in the weights; for 0..255 the fraction of its reciprocal (1 / 1.25 of 5), then how many
bits each of 0..255 has. Division by 0 gives what the table says. The scales of a and b are not looked at.
Source: TensorFlow Lite Micro's DivElementwise.
"""

from ..compat import const
from .add import bind as _bind
from .fixed import scale

_SWAPPED = const(29)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    image.take(args, 29)
    _, t = _bind(code, args[:28], image, arena)
    image.need(-128 <= args[17] <= 127 and -128 <= args[20] <= 127, "zero point")
    # the last shift then is 0..31 for all 256 x 256 pairs
    image.need(7 <= args[25] <= 22, "shift")
    table = image.int32(args[28], 512)
    for v in range(256):
        bits = table[256 + v]
        image.need(0 <= bits <= 8 and v >> bits == 0 and (bits == 0 or v >> (bits - 1) == 1), "table")
    return divide, (code == _SWAPPED, table) + t[:17] + (args[17], args[20]) + args[23:28]


def quotient(n, d, table, mul, shift):
    if d < 0:
        n = -n
        d = -d
    room = 31 - table[256 + (n if n >= 0 else ~n)]
    n = ((n << room) * table[d] + 0x40000000) >> 31
    return scale(n, mul, shift + 1 - table[256 + d] - room)


def divide(t):
    (swapped, table, arena, other, a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3,
     a_zero, b_zero, zero, mul, shift, low, high) = t  # fmt: skip
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                p = a + i * a0 + j * a1 + k * a2
                q = b + i * b0 + j * b1 + k * b2
                for _ in range(n3):
                    n = arena[p] - a_zero
                    d = other[q] - b_zero
                    if swapped:
                        n, d = d, n
                    acc = quotient(n, d, table, mul, shift) + zero
                    arena[y] = low if acc < low else high if acc > high else acc
                    p += a3
                    q += b3
                    y += 1
