# SPDX-License-Identifier: MIT
"""Tensors of int16 from and to other types.

    84 REQUANTIZE     in, out, count, in bytes, out bytes, in zero, multiplier, shift, out zero, low, high
    85 QUANTIZE16     in, out, count, scale's mantissa, exponent       float32 to int16
    86 DEQUANTIZE16   in, out, count, scale's mantissa, exponent       int16 to float32

bytes: 1 int8, 2 int16. A scale is mantissa * 2**exponent with mantissa 2**23 .. 2**24 - 1; zero points of
int16 are 0. No float is used (see floats.py): float32 division and rounding are done on their bits.
Source: TensorFlow Lite Micro's Requantize, AffineQuantize, Dequantize.
"""

from ..compat import const
from .fixed import scale
from .words import get16, put16, put32

_REQUANTIZE = const(84)
_QUANTIZE = const(85)


def bind(code, args, image, arena):
    """Check a record against the arena; return (kernel, its arguments)."""
    if code == _REQUANTIZE:
        x, y, count, from_bytes, to_bytes, in_zero, multiplier, shift, zero, low, high = image.take(args, 11)
        image.need(1 <= from_bytes <= 2 and 1 <= to_bytes <= 2, "type")
        most = 128 << 8 * (to_bytes - 1)
        image.need(-most <= low <= high < most, "activation range")
        image.shift(shift)
        kernel = requantize
    else:
        x, y, count, mantissa, exponent = image.take(args, 5)
        image.need(1 << 23 <= mantissa < 1 << 24 and -120 <= exponent <= 60, "scale")
        kernel, from_bytes, to_bytes = (quantize, 4, 2) if code == _QUANTIZE else (dequantize, 2, 4)
    image.sizes(count)
    image.ram(x, count * from_bytes)
    image.ram(y, count * to_bytes)
    return kernel, (arena,) + args


def requantize(t):
    arena, x, y, count, from_bytes, to_bytes, in_zero, multiplier, shift, zero, low, high = t
    for _ in range(count):
        acc = (arena[x] if from_bytes == 1 else get16(arena, x)) - in_zero
        acc = scale(acc, multiplier, shift) + zero
        acc = low if acc < low else high if acc > high else acc
        if to_bytes == 1:
            arena[y] = acc
        else:
            put16(arena, y, acc)
        x += from_bytes
        y += to_bytes


def quantize(t):
    arena, x, y, count, mantissa, exponent = t
    for _ in range(count):
        high = arena[x + 3]
        e = (high & 127) << 1 | (arena[x + 2] & 255) >> 7
        m = (arena[x] & 255) | (arena[x + 1] & 255) << 8 | (arena[x + 2] & 127) << 16 | 1 << 23
        x += 4
        e -= 150 + exponent  # the quotient is m / mantissa * 2**e, the first factor above 1/2 and below 2
        if e > 16:  # infinite or no number too
            v = 32768
        elif e < -2:  # below 1/2; 0 too
            v = 0
        else:
            if m < mantissa:
                m <<= 1
                e -= 1
            m <<= 23
            v = m // mantissa  # 24 bits, rounded to even as float32 is
            rest = 2 * (m - v * mantissa)
            if rest > mantissa or (rest == mantissa and v & 1):
                v += 1
            v = (v + (1 << (22 - e))) >> (23 - e)
        if high < 0:
            v = -v
        put16(arena, y, -32768 if v < -32768 else 32767 if v > 32767 else v)
        y += 2


def dequantize(t):
    arena, x, y, count, mantissa, exponent = t
    for _ in range(count):
        v = get16(arena, x)
        x += 2
        bits = 0
        if v:
            m = mantissa * (v if v > 0 else -v)
            down = 0
            while m >> down >= 1 << 24:
                down += 1
            if down:  # rounded to even, as the product in double is
                rest = m & ((1 << down) - 1)
                half = 1 << (down - 1)
                m >>= down
                if rest > half or (rest == half and m & 1):
                    m += 1
            bits = ((exponent + down + 150) << 23) + m - (1 << 23)
            if v < 0:
                bits |= 1 << 31
        put32(arena, y, bits)
        y += 4
