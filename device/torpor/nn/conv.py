# SPDX-License-Identifier: MIT
"""CONV_2D and DEPTHWISE_CONV_2D, int8, NHWC. Records 2 and 3:

    in, out, scratch, batches, in height, width, channels, out height, width, channels,
    filter height, width, stride y, x, dilation y, x, padding top, left,
    weights, bias, multipliers, shifts, step, in zero, out zero, low, high

Weights int8: [out channels, filter height, width, channels], for depthwise [filter height, width, out
channels]; bias int32 with the input's zero point folded in, so what lies outside the image counts as the
zero point; multipliers and shifts int32, one each (step 0) or one per output channel (step 1).
scratch, 4-byte aligned, with v = filter height * width * channels rounded up to 4: CONV_2D 5 * v bytes, two
windows widened to 16 bits for the native kernels, then one of int8; 4 * v for a 1x1 without padding.
DEPTHWISE v bytes, a window; where it has as many outputs as inputs 3 * v + 12 * channels, behind the window
all weights widened, and the rest of what native kernels read per channel.
Source: TensorFlow Lite Micro's reference ConvPerChannel and DepthwiseConvPerChannel.
"""

from ..compat import const
from .dense import row
from .fixed import scale

_DEPTHWISE = const(3)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    (x, y, scratch, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, m, s, step, in_zero, zero, low, high) = image.take(args, 27)  # fmt: skip
    image.sizes(batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw)
    image.ram(x, batches * h * w * c)
    image.ram(y, batches * oh * ow * n)
    image.clip(low, high)
    image.need(-128 <= in_zero <= 127, "zero point")
    image.need(0 <= step <= 1, "step")
    taps = fh * fw
    if code == _DEPTHWISE:
        image.need(n % c == 0, "channels")
        count = taps * n
        direct = False
    else:
        count = taps * c * n
        # a 1x1 filter reads its pixel where it lies
        direct = taps == 1 and top == 0 and left == 0 and (oh - 1) * sh < h and (ow - 1) * sw < w
    window = (taps * c + 3) // 4 * 4
    if code == _DEPTHWISE:
        image.ram(scratch, 3 * window + 12 * n if n == c else window)
    else:
        image.ram(scratch, window * (4 if direct else 5))
    units = n if step else 1
    return depthwise if code == _DEPTHWISE else conv, (
        arena, x, y, -1 if direct else scratch, batches, h, w, c, oh, ow, n,
        fh, fw, sh, sw, dh, dw, top, left,
        image.int8(weights, count), image.int32(bias, n), image.int32(m, units), image.shifts(s, units),
        step, in_zero, zero, low, high,
    )  # fmt: skip


def gather(arena, x, to, y0, x0, h, w, c, fh, fw, dh, dw, outside):
    """Copy the filter's window [fh, fw, c] at (y0, x0) of the image at arena[x:] to arena[to:]."""
    for fy in range(fh):
        yy = y0 + fy * dh
        for fx in range(fw):
            xx = x0 + fx * dw
            if 0 <= yy < h and 0 <= xx < w:
                p = x + (yy * w + xx) * c
                for k in range(p, p + c):
                    arena[to] = arena[k]
                    to += 1
            else:
                for _ in range(c):
                    arena[to] = outside
                    to += 1


def conv(t):
    (arena, x, y, scratch, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, multipliers, shifts, step, in_zero, zero, low, high) = t  # fmt: skip
    depth = fh * fw * c
    for _ in range(batches):
        for oy in range(oh):
            for ox in range(ow):
                if scratch < 0:
                    p = x + (oy * sh * w + ox * sw) * c
                else:
                    p = scratch
                    gather(arena, x, p, oy * sh - top, ox * sw - left, h, w, c, fh, fw, dh, dw, in_zero)
                row(arena, p, y, depth, n, weights, bias, multipliers, shifts, step, zero, low, high)
                y += n
        x += h * w * c


def depthwise(t):
    (arena, x, y, scratch, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, multipliers, shifts, step, in_zero, zero, low, high) = t  # fmt: skip
    taps = fh * fw
    per_channel = n // c
    for _ in range(batches):
        for oy in range(oh):
            for ox in range(ow):
                gather(arena, x, scratch, oy * sh - top, ox * sw - left, h, w, c, fh, fw, dh, dw, in_zero)
                for o in range(n):
                    acc = bias[o]
                    p = scratch + o // per_channel
                    q = o
                    for _ in range(taps):
                        acc += arena[p] * weights[q]
                        p += c
                        q += n
                    acc = scale(acc, multipliers[o * step], shifts[o * step]) + zero
                    arena[y] = low if acc < low else high if acc > high else acc
                    y += 1
        x += h * w * c
