# SPDX-License-Identifier: MIT
"""AVERAGE_POOL_2D and MAX_POOL_2D, int16, NHWC. Records 87 and 88, as 4 and 5 (see pool.py).

Source: TensorFlow Lite Micro's reference AveragePool (rounds halves away from zero) and MaxPool for int16_t.
"""

from ..compat import const
from .words import get16, put16

_AVERAGE = const(87)


def bind(code, args, image, arena):
    """Check a record against the arena; return (kernel, its arguments)."""
    x, y, batches, h, w, c, oh, ow, fh, fw, sh, sw, top, left, low, high = image.take(args, 16)
    image.sizes(batches, h, w, c, oh, ow, fh, fw, sh, sw)
    image.ram(x, batches * h * w * c * 2)
    image.ram(y, batches * oh * ow * c * 2)
    image.need(-32768 <= low <= high <= 32767, "activation range")
    # no window may lie wholly outside: its average would divide by zero
    image.need(0 <= top < fh and (oh - 1) * sh - top < h, "padding")
    image.need(0 <= left < fw and (ow - 1) * sw - left < w, "padding")
    return pool, (arena, code == _AVERAGE) + args


def pool(t):
    arena, average, x, y, batches, h, w, c, oh, ow, fh, fw, sh, sw, top, left, low, high = t
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
                    acc = 0 if average else low
                    for yy in range(y0, y1):
                        p = x + ((yy * w + x0) * c + k) * 2
                        for _ in range(x0, x1):
                            v = get16(arena, p)
                            acc = acc + v if average else max(acc, v)
                            p += c * 2
                    if average:
                        acc = (acc + half) // count if acc > 0 else -((half - acc) // count)
                    put16(arena, y, low if acc < low else high if acc > high else acc)
                    y += 2
        x += h * w * c * 2
