# SPDX-License-Identifier: MIT
"""Integers without a scale. Records:

    70 CAST         in, out, size, type of in, type of out: 1 int8, 2 int16, 3 int32; the low bits
    71 ADD_INT      a, b, out, b is constant, 4 sizes, 4 strides of a, 4 strides of b
    72 MUL_INT      as 71
    73 DIV_INT      as 71; b is constant; rounds towards 0
    74 MAXIMUM_INT  as 71
    75 MINIMUM_INT  as 71

71 to 75: int32, wrapping; a, b, out are arena offsets, and b lies in the weights where `b is constant` is 1.
Strides count values, and are 0 along an axis that is broadcast. May write over a or b, element by element; a
CAST may not. Source: TensorFlow Lite Micro's cast.cc, reference add.h, mul.h, div.h, maximum_minimum.h.
"""

from ..compat import const
from .image import SIZES
from .words import get16, get32, put16, put32

_CAST = const(70)
_DIV = const(73)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    if code == _CAST:
        x, y, size, a, b = image.take(args, 5)
        image.sizes(size)
        image.need(1 <= a <= 3 and 1 <= b <= 3, "type")
        image.ram(x, size * SIZES[a])
        image.ram(y, size * SIZES[b])
        image.need(x + size * SIZES[a] <= y or y + size * SIZES[b] <= x, "overlap")
        return cast, (arena, x, y, size, SIZES[a], SIZES[b])
    a, b, y, constant, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3 = image.take(args, 16)
    image.sizes(n0, n1, n2, n3)
    for stride in (a0, a1, a2, a3, b0, b1, b2, b3):
        image.need(stride >= 0, "stride")
    image.ram(y, 4 * n0 * n1 * n2 * n3)
    image.ram(a, 4 * ((n0 - 1) * a0 + (n1 - 1) * a1 + (n2 - 1) * a2 + (n3 - 1) * a3 + 1))
    b_size = (n0 - 1) * b0 + (n1 - 1) * b1 + (n2 - 1) * b2 + (n3 - 1) * b3 + 1
    image.need(0 <= constant <= 1, "constant")
    other = None
    if constant:
        other = image.int32(b, b_size)
        b = 0
    else:
        image.ram(b, 4 * b_size)
    if code == _DIV:
        image.need(constant, "divisor")
        for v in other:
            image.need(v not in (0, -1), "divisor")
    return ints, (_OPERATORS[code - 71], arena, other, a, b, y) + args[4:]


def _get8(arena, p):
    return arena[p]


def _put8(arena, p, v):
    arena[p] = ((v & 255) ^ 128) - 128


def cast(t):
    arena, x, y, size, a, b = t
    get = _get8 if a == 1 else get16 if a == 2 else get32
    put = _put8 if b == 1 else put16 if b == 2 else put32
    for _ in range(size):
        put(arena, y, get(arena, x))
        x += a
        y += b


def _add(a, b):
    return a + b


def _mul(a, b):
    """The low 32 bits, without reaching 2**62."""
    return a * (b & 0xFFFF) + ((a * (b >> 16) & 0xFFFF) << 16)


def _div(a, b):
    if (a < 0) != (b < 0):
        return -(abs(a) // abs(b))
    return a // b


def _maximum(a, b):
    return max(a, b)


def _minimum(a, b):
    return min(a, b)


_OPERATORS = (_add, _mul, _div, _maximum, _minimum)


def ints(t):
    operator, arena, other, a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3 = t
    a3 *= 4
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                p = a + 4 * (i * a0 + j * a1 + k * a2)
                q = i * b0 + j * b1 + k * b2
                for _ in range(n3):
                    v = get32(arena, b + 4 * q) if other is None else other[q]
                    put32(arena, y, operator(get32(arena, p), v))
                    p += a3
                    q += b3
                    y += 4
