# SPDX-License-Identifier: MIT
"""CAST of int8 or int16 to float32, times a constant where a MUL follows. Record 76:

    in, out, count, type of in (1 int8, 2 int16), mantissa, exponent

out = in * mantissa * 2**exponent as float32, rounded to nearest, halves to even, as the float32 product of
the two is. mantissa: 24 bits and a sign. Integers only: floats have 30 bits on CircuitPython. The host sees
to it that no result is subnormal or infinite. Source: TensorFlow Lite Micro's cast.cc and MulSimpleBroadcast.
"""

from .words import get16, put32


def bind(code, args, image, arena):
    """Check a record against the arena; return (kernel, its arguments)."""
    x, y, count, kind, mantissa, exponent = image.take(args, 6)
    image.sizes(count)
    image.need(1 <= kind <= 2, "type")
    image.need(1 << 23 <= abs(mantissa) < 1 << 24 and -120 <= exponent <= 60, "factor")
    image.ram(x, count * kind)
    image.ram(y, count * 4)
    image.need(x + count * kind <= y or y + count * 4 <= x, "overlap")
    return to_float, (arena, x, y, count, kind, mantissa, exponent + 150)


def to_float(t):
    arena, x, y, count, kind, mantissa, bias = t
    for _ in range(count):
        v = arena[x] if kind == 1 else get16(arena, x)
        sign = (v < 0) != (mantissa < 0)
        a = abs(v * mantissa)
        shift = 0
        if a:
            while a >> shift >= 1 << 24:
                shift += 1
            rest = a & ((1 << shift) - 1)
            a >>= shift
            half = 1 << shift >> 1
            if rest > half or (rest == half and shift and a & 1):
                a += 1  # 2**24 at most: then the exponent's bit is what is added
            a += (shift + bias - 1) << 23
        put32(arena, y, a | sign << 31)
        x += kind
        y += 4
