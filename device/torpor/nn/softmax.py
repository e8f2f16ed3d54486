# SPDX-License-Identifier: MIT
"""SOFTMAX over the last axis, int8. Record 7:

    in, out, rows, depth, exponentials

exponentials: 256 int32 in the weights; entry 255 + d is exp(scale * beta * d) in Q31 for d = -255..0, worked
out on the host with gemmlowp's fixed-point exp, 0 where TensorFlow Lite Micro leaves the term out. Output
scale 1/256, zero point -128. May write over its input. Source: TensorFlow Lite Micro's reference Softmax,
gemmlowp fixedpoint.h (GetReciprocal).
"""

from ..compat import const

_MOST = const(4095)  # terms of at most 2**19 each: the sum stays below 2**31
_ONE = const(0x7FFFFFFF)
_HALF = const(0x40000000)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    x, y, rows, depth, table = image.take(args, 5)
    image.sizes(rows, depth)
    image.need(depth <= _MOST, "depth")
    image.ram(x, rows * depth)
    image.ram(y, rows * depth)
    image.need(y <= x or y >= x + rows * depth, "overlap")  # or it would read what it wrote
    exps = image.int32(table, 256)
    for v in exps:
        image.need(v >= 0, "exponentials")
    image.need(exps[255] == _ONE, "exponentials")
    return softmax, (arena, x, y, rows, depth, exps)


def reciprocal(x):
    """1 / (1 + x) for x in [0, 1), Q31 in and out: three Newton-Raphson steps in Q29."""
    half = (x + _ONE + 1) >> 1
    r = 1515870810 + ((half * -1010580540 + _HALF) >> 31)  # 48/17 - 32/17 * half
    for _ in range(3):
        error = 0x20000000 - ((half * r + _HALF) >> 31)
        r += ((r * error + _HALF) >> 31) << 2
    r <<= 1
    return r if r < _ONE else _ONE


def softmax(t):
    arena, x, y, rows, depth, exps = t
    for _ in range(rows):
        most = -128
        for k in range(x, x + depth):
            most = max(most, arena[k])
        base = 255 - most
        total = 0
        for k in range(x, x + depth):
            total += (exps[arena[k] + base] + 2048) >> 12  # Q31 to Q19
        headroom = 1
        while total << headroom < 0x80000000:
            headroom += 1
        inverse = reciprocal((total << headroom) - 0x80000000)
        down = 35 - headroom
        half = 1 << (down - 1)
        for k in range(depth):
            v = ((((inverse * exps[arena[x + k] + base] + _HALF) >> 31) + half) >> down) - 128
            arena[y + k] = v if v < 127 else 127
        x += depth
        y += depth
