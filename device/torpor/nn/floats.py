# SPDX-License-Identifier: MIT
"""QUANTIZE (float32 to int8) and DEQUANTIZE (int8 to float32).

    10 QUANTIZE      in, out, count, thresholds
    11 DEQUANTIZE    in, out, count, table

Neither computes with floats: CircuitPython's have 30 bits, a 64-bit MicroPython's 64, and every node must
give the same bytes. thresholds: 255 int32, ascending, in the weights; the output is -128 plus how many of
them are not above the input, where a float32's bits compare as integers once negative ones are flipped
(`key`). table: 256 int32, the float32 bits of the outputs for -128..127.
Source: TensorFlow Lite Micro's AffineQuantize and Dequantize, tabulated on the host.
"""

from ..compat import const

_QUANTIZE = const(10)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    x, y, count, table = image.take(args, 4)
    image.sizes(count)
    if code == _QUANTIZE:
        image.ram(x, count * 4)
        image.ram(y, count)
        return quantize, (arena, x, y, count, image.int32(table, 255))
    image.ram(x, count)
    image.ram(y, count * 4)
    return dequantize, (arena, x, y, count, image.int32(table, 256))


def key(arena, p):
    """float32 at arena[p:] as an integer that sorts as the floats do."""
    bits = (arena[p] & 255) | (arena[p + 1] & 255) << 8 | (arena[p + 2] & 255) << 16
    high = arena[p + 3]
    if high < 0:
        return -(bits | (high & 127) << 24)
    return bits | high << 24


def quantize(t):
    arena, x, y, count, thresholds = t
    for k in range(count):
        v = key(arena, x)
        x += 4
        low = 0
        high = 255
        while low < high:
            middle = (low + high) >> 1
            if thresholds[middle] <= v:
                low = middle + 1
            else:
                high = middle
        arena[y + k] = low - 128


def dequantize(t):
    arena, x, y, count, table = t
    for k in range(count):
        bits = table[arena[x + k] + 128]
        for shift in (0, 8, 16, 24):
            arena[y] = ((bits >> shift & 255) ^ 128) - 128
            y += 1
