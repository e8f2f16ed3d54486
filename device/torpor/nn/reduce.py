# SPDX-License-Identifier: MIT
"""MEAN, SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX, ARG_MIN, int8: many values become one. Records, by code:

    20 REDUCE_SUM    in, out, 2 sizes, 2 strides, 2 lengths, 2 steps, start, multiplier, shift, out zero
    21 REDUCE_MAX    in, out, 2 sizes, 2 strides, 2 lengths, 2 steps
    22 REDUCE_MIN    as REDUCE_MAX
    23 ARG_MAX       in, out, outer, length, inner; out is int32, any alignment
    24 ARG_MIN       as ARG_MAX

out is [2 sizes]; value (i, j) comes from the bytes at in + i * stride0 + j * stride1 + k * step0 + m * step1,
for all k, m below the lengths. start: -(in zero) * values; MEAN's 1/values is within the multiplier.
ARG_MAX: in is [outer, length, inner]; the first of equals.
Source: TensorFlow Lite Micro's QuantizedMeanOrSum, ReduceGeneric, ArgMinMax.
"""

from ..compat import const
from .fixed import scale
from .words import put32

_TOTAL = const(20)
_LARGEST = const(21)
_ARG_MAX = const(23)


def bind(code, args, image, arena):
    """Check a record against the arena; return (kernel, its arguments)."""
    if code >= _ARG_MAX:
        x, y, outer, length, inner = image.take(args, 5)
        image.sizes(outer, length, inner)
        image.ram(x, outer * length * inner)
        image.ram(y, outer * inner * 4)
        return arg, (arena, 1 if code == _ARG_MAX else -1) + args
    image.take(args, 14 if code == _TOTAL else 10)
    x, y, n0, n1, a0, a1, r0, r1, b0, b1 = args[:10]
    image.sizes(n0, n1, r0, r1)
    image.need(n0 * n1 * r0 * r1 <= image.ram_bytes, "size")  # each byte of in once: bounded work
    reach = 1
    for n, stride in ((n0, a0), (n1, a1), (r0, b0), (r1, b1)):
        image.need(stride >= 0, "stride")
        reach += (n - 1) * stride
    image.ram(x, reach)
    image.ram(y, n0 * n1)
    if code == _TOTAL:
        image.shift(args[12])
        return total, (arena,) + args
    return extreme, (arena, 1 if code == _LARGEST else -1) + args


def total(t):
    arena, x, y, n0, n1, a0, a1, r0, r1, b0, b1, start, mul, shift, zero = t
    for _ in range(n0):
        at = x
        for _ in range(n1):
            acc = start
            row = at
            for _ in range(r0):
                p = row
                for _ in range(r1):
                    acc += arena[p]
                    p += b1
                row += b0
            acc = scale(acc, mul, shift) + zero
            arena[y] = -128 if acc < -128 else 127 if acc > 127 else acc
            y += 1
            at += a1
        x += a0


def extreme(t):
    arena, sign, x, y, n0, n1, a0, a1, r0, r1, b0, b1 = t
    for _ in range(n0):
        at = x
        for _ in range(n1):
            best = -128
            row = at
            for _ in range(r0):
                p = row
                for _ in range(r1):
                    best = max(best, arena[p] * sign)
                    p += b1
                row += b0
            arena[y] = best * sign
            y += 1
            at += a1
        x += a0


def arg(t):
    arena, sign, x, y, outer, length, inner = t
    for _ in range(outer):
        for k in range(x, x + inner):
            best = -129
            found = 0
            p = k
            for i in range(length):
                v = arena[p] * sign
                if v > best:
                    best = v
                    found = i
                p += inner
            put32(arena, y, found)
            y += 4
        x += length * inner
