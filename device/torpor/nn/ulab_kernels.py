# SPDX-License-Identifier: MIT
"""The `ulab` kernel set: multiplications by ulab.numpy, rounding in integers; the rest is `reference`.

What ulab gives and what follows from it:
- `dot` of int8 arrays sums in float32, exact up to 2**24, and returns float32;
- CircuitPython's own float objects have 30 bits, so a sum is whole once read only up to 2**22: a dot is
  split into runs of 256 products of at most 2**14;
- `sum(axis)` of floats is a running mean times the count, hence inexact: taps are added one by one;
- int8 times int8 wraps: one side is float before multiplying.
Source: v923z/micropython-ulab (transform.c, numerical.c, ndarray_operators.c).
"""

from ulab import numpy as np

from . import reference
from .fixed import scale

_RUN = 256
_MOST_VALUES = 1 << 15  # int8 that sum to at most 2**22


def bind(code, args, image, arena):
    """As reference.bind; the records with many multiplications get ulab's kernels."""
    kernel, t = reference.bind(code, args, image, arena)
    if code == 1:
        return _dense(t)
    if code == 2:
        return _conv(t)
    if code == 3 and args[9] == args[6] and args[10] * args[11] <= _RUN:
        return _depthwise(t)
    if code == 20 and t[7] == 1 and t[8] <= _MOST_VALUES:
        return _total(t) or (kernel, t)
    return kernel, t


def _int8(buffer, offset, count):
    return np.frombuffer(buffer, dtype=np.int8, count=count, offset=offset)


def _runs(weights, depth, units):
    """Views [depth, units] of at most 256 rows each of int8 weights [units, depth], with their start."""
    matrix = _int8(weights, 0, units * depth).reshape((units, depth))
    return [(at, matrix[:, at : min(at + _RUN, depth)].transpose()) for at in range(0, depth, _RUN)]


def _rows(arena, y, count, units, rows, runs, bias, multipliers, shifts, step, zero, low, high):
    """`count` rows of a matrix product: rows int8 [count, depth] times runs, requantized to arena[y:]."""
    sums = None
    for at, run in runs:
        part = np.dot(rows[:, at : at + len(run)], run).reshape((count * units,))
        if len(runs) == 1:
            sums = part
        elif sums is None:
            sums = [int(v) for v in part]
        else:
            for k in range(count * units):
                sums[k] += int(part[k])
    k = 0
    for _ in range(count):
        for i in range(units):
            acc = scale(int(sums[k]) + bias[i], multipliers[i * step], shifts[i * step]) + zero
            arena[y] = low if acc < low else high if acc > high else acc
            k += 1
            y += 1


def _dense(t):
    arena, x, y, batches, depth, units, weights, bias, multipliers, shifts, step, zero, low, high = t
    rows = _int8(arena, x, batches * depth).reshape((batches, depth))
    return _dense_run, (
        arena, y, batches, units, rows, _runs(weights, depth, units),
        bias, multipliers, shifts, step, zero, low, high,
    )  # fmt: skip


def _dense_run(t):
    arena, y, batches, units, rows, runs, bias, multipliers, shifts, step, zero, low, high = t
    _rows(arena, y, batches, units, rows, runs, bias, multipliers, shifts, step, zero, low, high)


def _conv(t):
    (arena, x, y, scratch, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, multipliers, shifts, step, in_zero, zero, low, high) = t  # fmt: skip
    depth = fh * fw * c
    image = _int8(arena, x, batches * h * w * c)
    windows = None if scratch < 0 and sw == 1 else np.zeros((ow, depth), dtype=np.int8)
    return _conv_run, (image, windows, _runs(weights, depth, n), t)


def _conv_run(args):
    image, windows, runs, t = args
    (arena, x, y, scratch, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, multipliers, shifts, step, in_zero, zero, low, high) = t  # fmt: skip
    for b in range(batches):
        for oy in range(oh):
            if windows is None:
                p = (b * h + oy * sh) * w * c
                rows = image[p : p + ow * c].reshape((ow, c))
            else:
                rows = windows
                for ox in range(ow):
                    _gather(image, windows[ox], b * h, oy * sh - top, ox * sw - left,
                            h, w, c, fh, fw, dh, dw, in_zero)  # fmt: skip
            _rows(arena, y, ow, n, rows, runs, bias, multipliers, shifts, step, zero, low, high)
            y += ow * n


def _gather(image, to, row, y0, x0, h, w, c, fh, fw, dh, dw, outside):
    """Copy the window [fh, fw, c] at (y0, x0) of the image that starts at `row` into `to`."""
    k = 0
    for fy in range(fh):
        yy = y0 + fy * dh
        for fx in range(fw):
            xx = x0 + fx * dw
            if 0 <= yy < h and 0 <= xx < w:
                p = ((row + yy) * w + xx) * c
                to[k : k + c] = image[p : p + c]
            else:
                to[k : k + c] = outside
            k += c


def _depthwise(t):
    n, fh, fw = t[10], t[11], t[12]
    image = _int8(t[0], t[1], t[4] * t[5] * t[6] * t[7])
    taps = _int8(t[19], 0, fh * fw * n).reshape((fh * fw, n))
    return _depthwise_run, (image, taps, np.zeros(fh * fw * n, dtype=np.int8), t)


def _depthwise_run(args):
    image, taps, window, t = args
    (arena, x, y, scratch, batches, h, w, c, oh, ow, n, fh, fw, sh, sw, dh, dw, top, left,
     weights, bias, multipliers, shifts, step, in_zero, zero, low, high) = t  # fmt: skip
    for b in range(batches):
        for oy in range(oh):
            for ox in range(ow):
                _gather(image, window, b * h, oy * sh - top, ox * sw - left,
                        h, w, c, fh, fw, dh, dw, in_zero)  # fmt: skip
                sums = np.zeros(n)
                for k in range(fh * fw):
                    sums = sums + (window[k * n : k * n + n] * 1.0) * taps[k]
                for i in range(n):
                    acc = scale(int(sums[i]) + bias[i], multipliers[i * step], shifts[i * step]) + zero
                    arena[y] = low if acc < low else high if acc > high else acc
                    y += 1


def _total(t):
    """Sums of the columns or the rows of a matrix: a product with ones. None if they are neither."""
    arena, x, y, n0, n1, a0, a1, _, r1, _, b1, start, mul, shift, zero = t
    columns = a1 == 1 and b1 == n1
    if not columns and (a1 != r1 or b1 != 1):
        return None
    ones = np.zeros(r1, dtype=np.int8)
    ones[0:r1] = 1
    ones = ones.reshape((1, r1) if columns else (r1, 1))
    pairs = []
    for i in range(n0):
        values = _int8(arena, x + i * a0, n1 * r1)
        pairs.append((ones, values.reshape((r1, n1))) if columns else (values.reshape((n1, r1)), ones))
    return _total_run, (arena, y, n1, pairs, start, mul, shift, zero)


def _total_run(t):
    arena, y, n1, pairs, start, mul, shift, zero = t
    for left, right in pairs:
        sums = np.dot(left, right).reshape((n1,))
        for k in range(n1):
            acc = scale(int(sums[k]) + start, mul, shift) + zero
            arena[y] = -128 if acc < -128 else 127 if acc > 127 else acc
            y += 1
