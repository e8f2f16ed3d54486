# SPDX-License-Identifier: MIT
"""SUB, MUL, MAXIMUM, MINIMUM, PRELU, int8, with broadcasting. Records as ADD's (see add.py), by code:

    14 SUB          a - b, scaled as ADD scales
    15 SUB_FROM     b - a
    16 MUL          (a - a zero) * (b - b zero), scaled by the output's multiplier and shift
    17 MAXIMUM      of the bytes
    18 MINIMUM      of the bytes
    19 PRELU        a - a zero scaled by a's multiplier and shift; where negative, times b - b zero and scaled
                    by b's

A number that an operator has no use for is not looked at. Source: TensorFlow Lite Micro's SubElementwise,
MulElementwise, MaximumOp, MinimumOp, Prelu.
"""

from .add import bind as _bind
from .fixed import scale


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    _, t = _bind(code, args, image, arena)
    return binary, (_OPERATORS[code - 14], t[17:]) + t[:17]


def _sub(a, b, t):
    (left, a_zero, a_mul, a_shift, b_zero, b_mul, b_shift, zero, mul, shift, low, high) = t
    acc = scale((a - a_zero) << left, a_mul, a_shift) - scale((b - b_zero) << left, b_mul, b_shift)
    acc = scale(acc, mul, shift) + zero
    return low if acc < low else high if acc > high else acc


def _sub_from(a, b, t):
    (left, a_zero, a_mul, a_shift, b_zero, b_mul, b_shift, zero, mul, shift, low, high) = t
    acc = scale((b - b_zero) << left, b_mul, b_shift) - scale((a - a_zero) << left, a_mul, a_shift)
    acc = scale(acc, mul, shift) + zero
    return low if acc < low else high if acc > high else acc


def _mul(a, b, t):
    (_, a_zero, _, _, b_zero, _, _, zero, mul, shift, low, high) = t
    acc = scale((a - a_zero) * (b - b_zero), mul, shift) + zero
    return low if acc < low else high if acc > high else acc


def _maximum(a, b, t):
    return max(a, b)


def _minimum(a, b, t):
    return min(a, b)


def _prelu(a, b, t):
    (_, a_zero, a_mul, a_shift, b_zero, b_mul, b_shift, zero, _, _, low, high) = t
    a -= a_zero
    acc = scale(a, a_mul, a_shift) if a >= 0 else scale(a * (b - b_zero), b_mul, b_shift)
    acc += zero
    return low if acc < low else high if acc > high else acc


_OPERATORS = (_sub, _sub_from, _mul, _maximum, _minimum, _prelu)


def binary(t):
    operator, numbers, arena, other, a, b, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3 = t
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                p = a + i * a0 + j * a1 + k * a2
                q = b + i * b0 + j * b1 + k * b2
                for _ in range(n3):
                    arena[y] = operator(arena[p], other[q], numbers)
                    p += a3
                    q += b3
                    y += 1
