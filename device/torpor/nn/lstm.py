# SPDX-License-Identifier: MIT
"""UNIDIRECTIONAL_SEQUENCE_LSTM, int8 with an int16 cell. Record 41:

    in, out, hidden, cell, batches, steps, depth, units, time major, weights, bias, recurrent weights,
    recurrent bias, scales, clip, tanh multiplier, tanh shift, out zero, sigmoid

in and out are arena offsets of int8 [batches, steps, depth] and [batches, steps, units], or with time major 1
of [steps, batches, ..]. hidden int8 and cell int16, [batches, units], lie within the image's state. The gates
of a unit follow one another, forget, input, cell, output: weights int8 [units, 4, depth] with bias int32
[units, 4], recurrent weights int8 [units, 4, units] with recurrent bias, zero points folded into both.
scales int32 [20]: (multiplier, shift) of each gate's input sum, then of each gate's recurrent sum, then of
input gate * cell gate and of output gate * tanh(cell). clip: the largest cell value, 0 for none.
sigmoid uint16 [256]: of 0, 1/24, .. in Q16.

Source: TensorFlow Lite Micro's lstm_eval.h; integer_ops/logistic.h and tanh.h, int16.
"""

from .fixed import scale


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    (x, y, hidden, cell, batches, steps, depth, units, major, w, b, rw, rb, scales, clip, tanh_mul,
     tanh_shift, zero, table) = image.take(args, 19)  # fmt: skip
    image.sizes(batches, steps, depth, units)
    image.need(0 <= major <= 1 and 0 <= clip <= 32767 and -128 <= zero <= 127, "arguments")
    image.need(0 < tanh_mul <= 3 << 14 and 0 <= tanh_shift <= 15, "shift")
    image.ram(x, batches * steps * depth)
    image.ram(y, batches * steps * units)
    image.ram(hidden, batches * units)
    image.ram(cell, 2 * batches * units)
    image.need(max(hidden, cell + batches * units) + batches * units <= image.state_bytes, "state")
    image.need(not cell & 1, "state")
    pairs = image.int32(scales, 20)
    for i in range(1, 20, 2):
        image.shift(pairs[i])
    return lstm, (
        arena, x, y, hidden, cell, batches, steps, depth, units, major,
        image.int8(w, 4 * units * depth), image.int32(b, 4 * units),
        image.int8(rw, 4 * units * units), image.int32(rb, 4 * units), pairs, clip, tanh_mul, tanh_shift,
        zero, image.uint16(table, 256),
    )  # fmt: skip


def _clip16(v):
    return -32768 if v < -32768 else 32767 if v > 32767 else v


def sigmoid(table, v):
    """Return 1 / (1 + exp(-x)) as Q15 of x in Q12: linear between the table's entries."""
    v *= 3
    a = -v if v < 0 else v
    k = a >> 9
    if k >= 255:
        a = 0x7FFF << 10
    else:
        a = (table[k] << 9) + (a & 511) * (table[k + 1] - table[k])
    return (a + 512 if v >= 0 else (1 << 25) - a + 511) >> 10


def tanh(table, v, multiplier, shift):
    """Return tanh(x) as Q15, v * multiplier / 2**shift being x * 3 in Q12: 2 * sigmoid(2 * x) - 1."""
    v *= multiplier
    if shift:
        v = (v + (1 << (shift - 1))) >> shift
    a = -v if v < 0 else v
    k = a >> 8
    if k >= 255:
        a = 0xFFFF << 8
    else:
        a = (table[k] << 8) + (a & 255) * (table[k + 1] - table[k])
    return (a - (1 << 23) + 128 if v >= 0 else (1 << 23) - a + 127) >> 8


def lstm(t):
    (arena, x, y, hidden, cell, batches, steps, depth, units, major, weights, bias, recurrent, recurrent_bias,
     pairs, clip, tanh_mul, tanh_shift, zero, table) = t  # fmt: skip
    for b in range(batches):
        for step in range(steps):
            row = step * batches + b if major else b * steps + step
            p = x + row * depth
            q = y + row * units
            h = hidden + b * units
            c = cell + 2 * b * units
            j = k = n = 0
            for u in range(units):
                forget = put = new = gate = 0
                for g in range(4):
                    acc = bias[n]
                    for i in range(p, p + depth):
                        acc += arena[i] * weights[j]
                        j += 1
                    again = recurrent_bias[n]
                    for i in range(h, h + units):
                        again += arena[i] * recurrent[k]
                        k += 1
                    acc = _clip16(scale(acc, pairs[g + g], pairs[g + g + 1]))
                    acc += _clip16(scale(again, pairs[8 + g + g], pairs[9 + g + g]))
                    acc = _clip16(acc)
                    forget, put, new = put, new, gate
                    gate = tanh(table, acc, 3, 0) if g == 2 else sigmoid(table, acc)
                    n += 1
                v = (arena[c] & 255) | arena[c + 1] << 8
                v = _clip16(scale(forget * v, 1 << 30, -14))
                v = _clip16(v + _clip16(scale(put * new, pairs[16], pairs[17])))
                if clip:
                    v = -clip if v < -clip else clip if v > clip else v
                arena[c] = ((v & 255) ^ 128) - 128
                arena[c + 1] = v >> 8
                c += 2
                v = scale(tanh(table, v, tanh_mul, tanh_shift) * gate, pairs[18], pairs[19]) + zero
                arena[q + u] = -128 if v < -128 else 127 if v > 127 else v
            for u in range(units):  # the gates of every unit have read the old ones
                arena[h + u] = arena[q + u]
