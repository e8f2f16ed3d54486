# SPDX-License-Identifier: MIT
"""LOG_SOFTMAX over the last axis, int8. Record 25:

    in, out, rows, depth, terms, differences, least, divisor, shift

terms, differences: 256 int32 each in the weights; entry 255 + d belongs to a difference d = -255..0 to the
largest: exp(scale * d) in Q19, 0 where TensorFlow Lite Micro leaves it out, and scale * d in Q26. What is
not above `least` (or not above the least that still fits once the sum's logarithm is taken off, found with
divisor and shift) gives -128. Output scale 1/16, zero point 127. May write over its input.
Source: TensorFlow Lite's LogSoftmaxQuantized, log_x_for_x_greater_than_or_equal_to_1 (common.h).
"""

from ..compat import const
from .fixed import scale
from .softmax import reciprocal

_MOST = const(4095)  # terms of at most 2**19 each: the sum stays below 2**31
_ONE = const(0x7FFFFFFF)
_HALF = const(0x40000000)
_TERM = const(1 << 19)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    x, y, rows, depth, terms, steps, least, divisor, shift = image.take(args, 9)
    image.sizes(rows, depth)
    image.need(depth <= _MOST, "depth")
    image.ram(x, rows * depth)
    image.ram(y, rows * depth)
    image.need(y <= x or y >= x + rows * depth, "overlap")  # or it would read what it wrote
    image.need(divisor >= 0 and -31 <= shift <= 0, "shift")
    terms = image.int32(terms, 256)
    for v in terms:
        image.need(0 <= v <= _TERM, "terms")
    image.need(terms[255] == _TERM, "terms")
    steps = image.int32(steps, 256)
    for v in steps:
        image.need(v <= 0, "differences")
    return log_softmax, (arena, x, y, rows, depth, terms, steps, least, divisor, shift)


def _times(a, b):
    return (a * b + _HALF) >> 31


def logarithm(x):
    """ln of x >= 1, Q19 in, Q26 out."""
    bits = 0
    while x >> bits:
        bits += 1
    # x as a fraction in [sqrt(1/2), 1): by its own bits, or by those of x * sqrt(1/2); whichever is smaller
    ra = min(_times(x << (31 - bits), 1518500250) << 1, _ONE)
    power_a = ((bits - 20) << 25) + 0x800000
    lower = _times(x, 1518500250)
    less = 0
    while lower >> less:
        less += 1
    rb = min(x << (31 - less), _ONE)
    power_b = ((less - 19) << 25) - 0x800000
    r = min(ra, rb)
    power = max(power_a, power_b)
    # a rational function about 2 ** -1/4
    p = (r + 1805811301 + 1) >> 1
    q = (r - 1805811301) << 1
    square = _times(q, q)
    above = _times(q, r) + _times(_times(q, square), 117049297)
    below = _times(p, 1057819769 + q + _times(127690142, square)) + _times(638450708, q)
    above = (above + 32 - (above < 0)) >> 6
    y = (_times(power, 1488522236) + _times(above, reciprocal(below))) << 1
    return min(y, _ONE)


def log_softmax(t):
    arena, x, y, rows, depth, terms, steps, least, divisor, shift = t
    for _ in range(rows):
        most = -128
        for k in range(x, x + depth):
            most = max(most, arena[k])
        base = 255 - most
        total = 0
        for k in range(x, x + depth):
            total += terms[arena[k] + base]
        total = logarithm(total)
        floor = 255 + max(least, scale(total - 0x80000000, divisor, shift))
        for k in range(depth):
            at = arena[x + k] + base
            v = -128
            if at > floor:
                v = steps[at] - total
                v = ((v + 0x200000 - (v < 0)) >> 22) + 127
                v = -128 if v < -128 else 127 if v > 127 else v
            arena[y + k] = v
        x += depth
        y += depth
