# SPDX-License-Identifier: MIT
"""LOGISTIC and TANH, int16. Record 94:

    in, out, count, tanh, multiplier, right shift, table

table: 256 uint16 in the weights, logistic(i / 24) in Q16, between which is interpolated; tanh(x) is
2 * logistic(2 * x) - 1. multiplier (0..32767) and right shift (0..31) scale the input to 1 / (3 * 4096).
Output scale 1/32768. May write over its input.
Source: TensorFlow Lite Micro's reference_integer_ops::Logistic and Tanh for int16_t.
"""

from .words import get16, put16


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    x, y, count, tanh, multiplier, shift, table = image.take(args, 7)
    image.sizes(count)
    image.ram(x, count * 2)
    image.ram(y, count * 2)
    image.need(0 <= tanh <= 1, "function")
    image.need(0 <= multiplier <= 32767 and 0 <= shift <= 31, "multiplier")
    return sigmoid, (arena, x, y, count, tanh, multiplier, shift, image.int16(table, 256))


def sigmoid(t):
    arena, x, y, count, tanh, multiplier, shift, table = t
    bits = 9 - tanh  # of the input between two entries
    half = (1 << shift) >> 1
    middle = 1 << (15 + bits)  # logistic(0), and of tanh what is taken off
    for _ in range(count):
        v = (get16(arena, x) * multiplier + half) >> shift
        size = v if v >= 0 else -v
        i = size >> bits
        if i >= 255:
            r = 0xFFFF << 8 if tanh else 0x7FFF << 10
        else:
            low = table[i] & 0xFFFF
            r = (low << bits) + (size & ((1 << bits) - 1)) * ((table[i + 1] & 0xFFFF) - low)
        if tanh:
            r = (r - middle if v >= 0 else middle - r - 1) + 128 >> 8
        else:
            r = (r if v >= 0 else 2 * middle - r - 1) + 512 >> 10
        put16(arena, y, r)
        x += 2
        y += 2
