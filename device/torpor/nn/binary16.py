# SPDX-License-Identifier: MIT
"""ADD, SUB, MUL, int16, with broadcasting. Records as ADD's (see add.py), strides in values, by code:

    89 ADD, 90 SUB, 91 SUB_FROM (b - a), 92 MUL

Zero points are 0, and what an operator has no use for is not looked at. Source: TensorFlow Lite Micro's
AddElementwise, SubElementwise, MulElementwise for int16_t.
"""

from ..compat import const
from .fixed import scale
from .words import get16, put16

_SUB = const(90)
_MUL = const(92)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    (a, b, y, constant, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3, left,
     a_zero, a_mul, a_shift, b_zero, b_mul, b_shift, zero, mul, shift, low,
     high) = image.take(args, 28)  # fmt: skip
    image.sizes(n0, n1, n2, n3)
    for stride in (a0, a1, a2, a3, b0, b1, b2, b3):
        image.need(stride >= 0, "stride")
    for s in (left, a_shift, b_shift, shift):
        image.shift(s)
    image.need(left >= 0, "shift")
    image.need(a_zero == 0 and b_zero == 0 and zero == 0, "zero point")
    image.need(-32768 <= low <= high <= 32767, "activation range")
    image.ram(y, n0 * n1 * n2 * n3 * 2)
    image.ram(a, ((n0 - 1) * a0 + (n1 - 1) * a1 + (n2 - 1) * a2 + (n3 - 1) * a3 + 1) * 2)
    b_size = ((n0 - 1) * b0 + (n1 - 1) * b1 + (n2 - 1) * b2 + (n3 - 1) * b3 + 1) * 2
    image.need(0 <= constant <= 1, "constant")
    if constant:
        other = image.int8(b, b_size)
        b = 0
    else:
        image.ram(b, b_size)
        other = arena
    return binary, (
        code, arena, other, a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3, left,
        a_mul, a_shift, b_mul, b_shift, mul, shift, low, high,
    )  # fmt: skip


def binary(t):
    (code, arena, other, a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3, left,
     a_mul, a_shift, b_mul, b_shift, mul, shift, low, high) = t  # fmt: skip
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                p = a + (i * a0 + j * a1 + k * a2) * 2
                q = b + (i * b0 + j * b1 + k * b2) * 2
                for _ in range(n3):
                    u = get16(arena, p)
                    v = get16(other, q)
                    if code == _MUL:
                        acc = u * v
                    else:
                        acc = scale(u << left, a_mul, a_shift)
                        v = scale(v << left, b_mul, b_shift)
                        acc = acc + v if code < _SUB else acc - v if code == _SUB else v - acc
                    acc = scale(acc, mul, shift)
                    put16(arena, y, low if acc < low else high if acc > high else acc)
                    p += a3 * 2
                    q += b3 * 2
                    y += 2
