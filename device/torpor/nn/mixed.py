# SPDX-License-Identifier: MIT
"""CONV_2D and DEPTHWISE_CONV_2D with activations twice as wide as their weights, NHWC. By code:

    80 CONV_2D, 81 DEPTHWISE_CONV_2D      int8 activations, int4 weights
    82 CONV_2D, 83 DEPTHWISE_CONV_2D      int16 activations, int8 weights

    in, out, batches, in height, width, channels, out height, width, channels,
    filter height, width, stride y, x, dilation y, x, padding top, left,
    weights, bias, multipliers, shifts, step, wide, in zero, out zero, low, high

FULLY_CONNECTED is a 1x1 CONV_2D of a row of its batches. Weights [out channels, filter height, width,
channels], for depthwise [filter height, width, out channels]; int4 two a byte, the low half first. bias:
two int32 a channel, its low 24 bits and the rest. multipliers and shifts int32, one each (step 0) or one per
output channel (step 1). wide 0: sums of 32 bits, scaled as all others. wide 1, int16 only: sums of up to 47
bits, multipliers of 15 bits, shifts -31..7, rounded once. Zero points of int16 are 0. Needs no scratch: what
lies outside the image is left out.
Source: TensorFlow Lite Micro's reference ConvPerChannel, DepthwiseConvPerChannel, FullyConnected, and
MultiplyByQuantizedMultiplier for int64_t.
"""

from ..compat import const
from .fixed import scale
from .image import zeros

_INT16 = const(82)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    (x, y, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, m, s, step, wide, in_zero, zero, low, high) = image.take(args, 27)  # fmt: skip
    image.sizes(batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw)
    size = 2 if code >= _INT16 else 1
    image.ram(x, batches * h * w * c * size)
    image.ram(y, batches * oh * ow * n * size)
    if size == 2:
        image.need(-32768 <= low <= high <= 32767, "activation range")
        image.need(in_zero == 0 and zero == 0, "zero point")
    else:
        image.clip(low, high)
        image.need(-128 <= in_zero <= 127, "zero point")
    image.need(0 <= step <= 1, "step")
    image.need(0 <= wide < size, "wide")
    count = fh * fw * n
    if code & 1:
        image.need(n % c == 0, "channels")
    else:
        count *= c
    units = n if step else 1
    multipliers = image.int32(m, units)
    shifts = image.shifts(s, units)
    if wide:
        for i in range(units):
            image.need(0 <= multipliers[i] <= 32767 and shifts[i] <= 7, "multiplier")
    return depthwise if code & 1 else conv, (
        arena, _dot16 if size == 2 else _dot4, size, x, y, batches, h, w, c, oh, ow, n,
        fh, fw, sh, sw, dh, dw, top, left,
        image.int8(weights, count if size == 2 else (count + 1) >> 1), image.int32(bias, 2 * n),
        multipliers, shifts, step, wide, in_zero, zero, low, high,
    )  # fmt: skip


def _dot16(arena, p, p_step, count, weights, j, j_step, zero):
    """Sum of `count` products, int16 from arena[p:] by int8 from weights[j]."""
    acc = 0
    for _ in range(count):
        acc += ((arena[p] & 255) | arena[p + 1] << 8) * weights[j]
        p += p_step
        j += j_step
    return acc


def _dot4(arena, p, p_step, count, weights, j, j_step, zero):
    """Sum of `count` products, int8 less `zero` from arena[p] by int4 number j of the weights."""
    acc = 0
    for _ in range(count):
        v = weights[j >> 1]
        acc += (arena[p] - zero) * (v >> 4 if j & 1 else ((v & 15) ^ 8) - 8)
        p += p_step
        j += j_step
    return acc


def _put(arena, y, size, acc, wide, multiplier, shift, zero, low, high):
    if wide:
        acc = (acc * multiplier + (1 << (14 - shift))) >> (15 - shift)
    else:
        acc = scale(acc, multiplier, shift) + zero
    acc = low if acc < low else high if acc > high else acc
    if size == 1:
        arena[y] = acc
    else:
        arena[y] = ((acc & 255) ^ 128) - 128
        arena[y + 1] = acc >> 8


def conv(t):
    (arena, dot, size, x, y, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, multipliers, shifts, step, wide, in_zero, zero, low, high) = t  # fmt: skip
    for _ in range(batches):
        for oy in range(oh):
            for ox in range(ow):
                x0 = ox * sw - left
                f0 = 0 if x0 >= 0 else (dw - 1 - x0) // dw
                f1 = min(fw, (w - 1 - x0) // dw + 1)
                for o in range(n):
                    acc = bias[2 * o] + (bias[2 * o + 1] << 24)
                    for fy in range(fh):
                        yy = oy * sh - top + fy * dh
                        if not 0 <= yy < h or f0 >= f1:
                            continue
                        p = x + (yy * w + x0 + f0 * dw) * c * size
                        j = ((o * fh + fy) * fw + f0) * c
                        if dw == 1:
                            acc += dot(arena, p, size, (f1 - f0) * c, weights, j, 1, in_zero)
                            continue
                        for _ in range(f0, f1):
                            acc += dot(arena, p, size, c, weights, j, 1, in_zero)
                            p += dw * c * size
                            j += c
                    _put(arena, y, size, acc, wide, multipliers[o * step], shifts[o * step], zero, low, high)
                    y += size
        x += h * w * c * size


def depthwise(t):
    (arena, dot, size, x, y, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, multipliers, shifts, step, wide, in_zero, zero, low, high) = t  # fmt: skip
    per_channel = n // c
    for _ in range(batches):
        for oy in range(oh):
            for ox in range(ow):
                x0 = ox * sw - left
                f0 = 0 if x0 >= 0 else (dw - 1 - x0) // dw
                f1 = min(fw, (w - 1 - x0) // dw + 1)
                for o in range(n):
                    acc = bias[2 * o] + (bias[2 * o + 1] << 24)
                    for fy in range(fh):
                        yy = oy * sh - top + fy * dh
                        if 0 <= yy < h and f0 < f1:
                            p = x + ((yy * w + x0 + f0 * dw) * c + o // per_channel) * size
                            j = (fy * fw + f0) * n + o
                            acc += dot(arena, p, dw * c * size, f1 - f0, weights, j, n, in_zero)
                    _put(arena, y, size, acc, wide, multipliers[o * step], shifts[o * step], zero, low, high)
                    y += size
        x += h * w * c * size


def as_int8(t, depthwise):
    """Return the arguments of conv.py's kernels for those of int4 weights: unpacked, zero point folded."""
    (arena, _, _, x, y, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     packed, bias, multipliers, shifts, step, _, in_zero, zero, low, high) = t  # fmt: skip
    depth = fh * fw * (1 if depthwise else c)
    values = zeros("b", depth * n)
    sums = zeros("i", n)
    for j in range(depth * n):
        v = packed[j >> 1]
        values[j] = v >> 4 if j & 1 else ((v & 15) ^ 8) - 8
    for o in range(n):
        total = bias[2 * o] + (bias[2 * o + 1] << 24)
        for k in range(depth):
            total -= in_zero * values[k * n + o if depthwise else o * depth + k]
        sums[o] = ((total + 0x80000000) & 0xFFFFFFFF) - 0x80000000  # a damaged bias wraps
    direct = fh * fw == 1 and top == 0 and left == 0 and (oh - 1) * sh < h and (ow - 1) * sw < w
    return (
        arena, x, y, -1 if direct else 0, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
        values, sums, multipliers, shifts, step, in_zero, zero, low, high,
    )  # fmt: skip
