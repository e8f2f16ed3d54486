# SPDX-License-Identifier: MIT
"""ADD, int8, with broadcasting. Record 6:

    a, b, out, b is constant, 4 sizes, 4 strides of a, 4 strides of b, left shift,
    a zero, multiplier, shift, b zero, multiplier, shift, out zero, multiplier, shift, low, high

a, b, out are arena offsets; b lies in the weights where `b is constant` is 1. A stride is 0 along an axis
that is broadcast. May write over a or b, element by element. Source: TensorFlow Lite Micro's AddFunc.
"""

from .fixed import scale


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
    image.clip(low, high)
    image.ram(y, n0 * n1 * n2 * n3)
    image.ram(a, (n0 - 1) * a0 + (n1 - 1) * a1 + (n2 - 1) * a2 + (n3 - 1) * a3 + 1)
    b_size = (n0 - 1) * b0 + (n1 - 1) * b1 + (n2 - 1) * b2 + (n3 - 1) * b3 + 1
    image.need(0 <= constant <= 1, "constant")
    if constant:
        other = image.int8(b, b_size)
        b = 0
    else:
        image.ram(b, b_size)
        other = arena
    return add, (arena, other, a, b) + args[2:3] + args[4:]


def add(t):
    (arena, other, a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3, left,
     a_zero, a_mul, a_shift, b_zero, b_mul, b_shift, zero, mul, shift, low, high) = t  # fmt: skip
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                p = a + i * a0 + j * a1 + k * a2
                q = b + i * b0 + j * b1 + k * b2
                for _ in range(n3):
                    acc = scale((arena[p] - a_zero) << left, a_mul, a_shift)
                    acc += scale((other[q] - b_zero) << left, b_mul, b_shift)
                    acc = scale(acc, mul, shift) + zero
                    arena[y] = low if acc < low else high if acc > high else acc
                    p += a3
                    q += b3
                    y += 1
