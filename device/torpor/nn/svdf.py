# SPDX-License-Identifier: MIT
"""SVDF, int8, with a state of int8 or int16. Record 40:

    in, out, state, batches, depth, units, rank, memory, wide, weights, bias, multiplier, shift, state zero,
    time weights, out bias, out multiplier, out shift, out zero

in and out are arena offsets of int8 [batches, depth] and [batches, units]. There are rank filters to each
unit: filters = units * rank. state lies within the image's state: [batches, filters, memory] of int16 where
`wide` is 1, else int8, the oldest first. weights int8 [filters, depth]; bias int32 [filters] with the input's
zero point folded in; time weights of the state's type [filters, memory]; out bias int32 [units] with the
state's zero point folded in.

Each run moves every filter's memory one step on, computes its newest value from the input, and sums memory
times time weights over the filters of a unit. That sum wraps at 32 bits, as in the source; and so does,
at 8 bits, a newest value to which the state's zero point is added, which the source does after clipping.
Source: TensorFlow Lite Micro's svdf_common.cc, EvalIntegerSvdfReference.
"""

from .fixed import scale


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    (x, y, s, batches, depth, units, rank, memory, wide, w, b, mul, shift, zero, times, ob, omul, oshift,
     out_zero) = image.take(args, 19)  # fmt: skip
    image.sizes(batches, depth, units, rank, memory)
    image.need(0 <= wide <= 1, "arguments")
    filters = units * rank
    image.ram(x, batches * depth)
    image.ram(y, batches * units)
    image.ram(s, batches * filters * memory << wide)
    image.need(s + (batches * filters * memory << wide) <= image.state_bytes and not s & wide, "state")
    image.need(-128 <= zero <= 127 and not wide * zero, "zero point")
    image.shift(shift)
    image.shift(oshift)
    time_weights = image.int16 if wide else image.int8
    return svdf16 if wide else svdf8, (
        arena, x, y, s, batches, depth, units, memory, rank, image.int8(w, filters * depth),
        image.int32(b, filters), mul, shift, zero, time_weights(times, filters * memory),
        image.int32(ob, units), omul, oshift, out_zero,
    )  # fmt: skip


def svdf8(t):
    (arena, x, y, s, batches, depth, units, memory, rank, weights, bias, mul, shift, zero, times,
     out_bias, out_mul, out_shift, out_zero) = t  # fmt: skip
    for _ in range(batches):
        f = j = k = 0
        for u in range(units):
            total = out_bias[u]
            for _ in range(rank):
                acc = bias[f]
                for i in range(x, x + depth):
                    acc += arena[i] * weights[j]
                    j += 1
                acc = scale(acc, mul, shift)
                for _ in range(memory - 1):
                    v = arena[s + 1]
                    arena[s] = v
                    total += v * times[k]
                    s += 1
                    k += 1
                acc = (-128 if acc < -128 else 127 if acc > 127 else acc) + zero
                acc = ((acc & 255) ^ 128) - 128
                arena[s] = acc
                total += acc * times[k]
                s += 1
                k += 1
                f += 1
            total = ((total & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
            total = scale(total, out_mul, out_shift) + out_zero
            arena[y] = -128 if total < -128 else 127 if total > 127 else total
            y += 1
        x += depth


def svdf16(t):
    (arena, x, y, s, batches, depth, units, memory, rank, weights, bias, mul, shift, zero, times,
     out_bias, out_mul, out_shift, out_zero) = t  # fmt: skip
    for _ in range(batches):
        f = j = k = 0
        for u in range(units):
            total = out_bias[u]
            for _ in range(rank):
                acc = bias[f]
                for i in range(x, x + depth):
                    acc += arena[i] * weights[j]
                    j += 1
                acc = scale(acc, mul, shift)
                for _ in range(memory - 1):
                    v = arena[s + 2]
                    arena[s] = v
                    a = arena[s + 3]
                    arena[s + 1] = a
                    total += ((v & 255) | a << 8) * times[k]
                    s += 2
                    k += 1
                acc = -32768 if acc < -32768 else 32767 if acc > 32767 else acc
                arena[s] = ((acc & 255) ^ 128) - 128
                arena[s + 1] = acc >> 8
                total += acc * times[k]
                s += 2
                k += 1
                f += 1
            total = ((total & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
            total = scale(total, out_mul, out_shift) + out_zero
            arena[y] = -128 if total < -128 else 127 if total > 127 else total
            y += 1
        x += depth
