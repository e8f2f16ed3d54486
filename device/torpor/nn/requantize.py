# SPDX-License-Identifier: MIT
"""QUANTIZE between int8 and int32. Record 31:

    in, out, count, in bytes, out bytes, in zero, multiplier, shift, out zero

In and out bytes are those of one value: 1 and 4, or 4 and 1. The arena is little endian, of any alignment.
Source: TensorFlow Lite Micro's reference_ops::Requantize.
"""

from .fixed import scale
from .words import get32, put32


def bind(code, args, image, arena):
    """Check a record against the arena; return (kernel, its arguments)."""
    x, y, count, size, to, _, _, shift, _ = image.take(args, 9)
    image.sizes(count)
    image.need(size == 1 and to == 4 or size == 4 and to == 1, "width")
    image.ram(x, count * size)
    image.ram(y, count * to)
    image.shift(shift)
    return requantize, (arena,) + args


def requantize(t):
    arena, x, y, count, size, to, in_zero, mul, shift, zero = t
    for _ in range(count):
        v = arena[x] if size == 1 else get32(arena, x)
        v = scale(v - in_zero, mul, shift) + zero
        if to == 1:
            arena[y] = -128 if v < -128 else 127 if v > 127 else v
        else:
            put32(arena, y, v)
        x += size
        y += to
