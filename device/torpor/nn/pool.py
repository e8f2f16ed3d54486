# SPDX-License-Identifier: MIT
"""AVERAGE_POOL_2D and MAX_POOL_2D, int8, NHWC. Records 4 and 5:

    in, out, batches, in height, width, channels, out height, width, filter height, width, stride y, x,
    padding top, left, low, high

What lies outside the image is left out of the average. Source: TensorFlow Lite Micro's reference
AveragePool (rounds halves away from zero) and MaxPool.
"""

from ..compat import const

_AVERAGE = const(4)


def bind(code, args, image, arena):
    """Check a record against the arena; return (kernel, its arguments)."""
    x, y, batches, h, w, c, oh, ow, fh, fw, sh, sw, top, left, low, high = image.take(args, 16)
    image.sizes(batches, h, w, c, oh, ow, fh, fw, sh, sw)
    image.ram(x, batches * h * w * c)
    image.ram(y, batches * oh * ow * c)
    image.clip(low, high)
    # no window may lie wholly outside: its average would divide by zero
    image.need(0 <= top < fh and (oh - 1) * sh - top < h, "padding")
    image.need(0 <= left < fw and (ow - 1) * sw - left < w, "padding")
    return average if code == _AVERAGE else largest, (arena,) + args


def average(t):
    arena, x, y, batches, h, w, c, oh, ow, fh, fw, sh, sw, top, left, low, high = t
    for _ in range(batches):
        for oy in range(oh):
            y0 = max(oy * sh - top, 0)
            y1 = min(oy * sh - top + fh, h)
            for ox in range(ow):
                x0 = max(ox * sw - left, 0)
                x1 = min(ox * sw - left + fw, w)
                count = (y1 - y0) * (x1 - x0)
                half = count >> 1
                for k in range(c):
                    acc = 0
                    for yy in range(y0, y1):
                        p = x + (yy * w + x0) * c + k
                        for _ in range(x0, x1):
                            acc += arena[p]
                            p += c
                    acc = (acc + half) // count if acc > 0 else -((half - acc) // count)
                    arena[y] = low if acc < low else high if acc > high else acc
                    y += 1
        x += h * w * c


def largest(t):
    arena, x, y, batches, h, w, c, oh, ow, fh, fw, sh, sw, top, left, low, high = t
    for _ in range(batches):
        for oy in range(oh):
            y0 = max(oy * sh - top, 0)
            y1 = min(oy * sh - top + fh, h)
            for ox in range(ow):
                x0 = max(ox * sw - left, 0)
                x1 = min(ox * sw - left + fw, w)
                for k in range(c):
                    best = low
                    for yy in range(y0, y1):
                        p = x + (yy * w + x0) * c + k
                        for _ in range(x0, x1):
                            v = arena[p]
                            best = max(best, v)
                            p += c
                    arena[y] = high if best > high else best
                    y += 1
        x += h * w * c
