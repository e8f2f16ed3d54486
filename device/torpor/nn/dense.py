# SPDX-License-Identifier: MIT
"""FULLY_CONNECTED, int8. Record 1:

    in, out, batches, depth, units, weights, bias, multipliers, shifts, step, out zero, low, high

in and out are arena offsets of [batches, depth] and [batches, units]; weights int8 [units, depth];
bias int32 [units] with the input's zero point already folded in; multipliers and shifts int32, one each
(step 0) or one per unit (step 1). Source: TensorFlow Lite Micro's reference FullyConnected.
"""

from .fixed import scale


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    x, y, batches, depth, units, w, b, m, s, step, zero, low, high = image.take(args, 13)
    image.sizes(batches, depth, units)
    image.ram(x, batches * depth)
    image.ram(y, batches * units)
    image.clip(low, high)
    image.need(0 <= step <= 1, "step")
    n = units if step else 1
    return dense, (
        arena, x, y, batches, depth, units,
        image.int8(w, units * depth), image.int32(b, units), image.int32(m, n), image.shifts(s, n),
        step, zero, low, high,
    )  # fmt: skip


def row(arena, x, y, depth, units, weights, bias, multipliers, shifts, step, zero, low, high):
    """Write `units` int8 at arena[y:] from `depth` int8 at arena[x:]. Allocates nothing."""
    j = 0
    c = 0
    end = x + depth
    for i in range(units):
        acc = bias[i]
        for k in range(x, end):
            acc += arena[k] * weights[j]
            j += 1
        acc = scale(acc, multipliers[c], shifts[c]) + zero
        arena[y + i] = low if acc < low else high if acc > high else acc
        c += step


def dense(t):
    arena, x, y, batches, depth, units, weights, bias, multipliers, shifts, step, zero, low, high = t
    for _ in range(batches):
        row(arena, x, y, depth, units, weights, bias, multipliers, shifts, step, zero, low, high)
        x += depth
        y += units
