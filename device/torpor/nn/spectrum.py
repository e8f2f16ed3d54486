# SPDX-License-Identifier: MIT
"""Audio to spectrum, int16: TensorFlow Lite Micro's signal operators. Records:

    50 WINDOW          in, out, rows, size, window, shift
    51 FFT_AUTO_SCALE  in, out, bits, size
    52 RFFT            in, out, rows, size, length, twiddles, unpacking twiddles
    53 ENERGY          in, out, size, start, end

WINDOW: each row times int16 [size] in the weights, shifted down (0..31), clipped. FFT_AUTO_SCALE: shifted up
by `bits` (int32 [1]) so that the largest has 15 bits. RFFT: each row, zeros added up to `length`, a power of
2 from 4, becomes `length` / 2 + 1 pairs of int16 (real, imaginary); it is the transform divided by `length`,
rounded at every step. ENERGY: real**2 + imaginary**2 of `size` pairs as uint32, 0 outside start..end. All but
RFFT may write over their input.

Twiddles in the weights, int16 (cosine, sine) in Q15, h = length / 2: exp(-2i pi k / h) for k below 3h / 4, at
least one; exp(-i pi ((k + 1) / h + 1/2)) for k below h / 2. Source: window.cc, fft_auto_scale.cc, max_abs.cc,
msb_32.cc, energy.cc of TensorFlow Lite Micro's signal/src; kissfft v130 (kf_bfly2, kf_bfly4, kiss_fftr).
"""

from ..compat import const
from .words import get16, put16, put32

_HALF = const(0x4000)  # of Q15
_QUARTER = const(8191)  # 32767 / 4 and / 2, whole
_SECOND = const(16383)
_LONGEST = const(16384)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    if code == 50:
        x, y, rows, size, window, shift = image.take(args, 6)
        image.sizes(rows, size)
        image.ram(x, 2 * rows * size)
        image.ram(y, 2 * rows * size)
        image.need(0 <= shift <= 31, "shift")
        return window_, (arena, x, y, rows, image.int16(window, size), shift)
    if code == 51:
        x, y, bits, size = image.take(args, 4)
        image.sizes(size)
        image.ram(x, 2 * size)
        image.ram(y, 2 * size)
        image.ram(bits, 4)
        return auto_scale, (arena, x, y, bits, size)
    if code == 53:
        x, y, size, start, end = image.take(args, 5)
        image.sizes(size)
        image.ram(x, 4 * size)
        image.ram(y, 4 * size)
        image.need(0 <= start <= end <= size, "range")
        return energy, (arena, x, y, size, start, end)
    x, y, rows, size, length, twiddles, unpacking = image.take(args, 7)
    image.sizes(rows, size, length)
    image.need(4 <= length <= _LONGEST and not length & (length - 1) and size <= length, "length")
    image.ram(x, 2 * rows * size)
    image.ram(y, 2 * rows * (length + 2))
    image.need(x + 2 * rows * size <= y or y + 2 * rows * (length + 2) <= x, "overlap")
    half = length // 2
    first = image.int16(twiddles, 2 * max(1, 3 * half // 4))
    return rfft, (arena, x, y, rows, size, half, first, image.int16(unpacking, half))


def window_(t):
    arena, x, y, rows, window, shift = t
    for _ in range(rows):
        for w in window:
            v = (get16(arena, x) * w) >> shift
            put16(arena, y, -32768 if v < -32768 else v if v < 32767 else 32767)
            x += 2
            y += 2


def auto_scale(t):
    arena, x, y, bits, size = t
    most = 0  # int16: -32768 stays negative, and then lets smaller values in
    for p in range(x, x + 2 * size, 2):
        v = get16(arena, p)
        if v > most:
            most = v
        elif -v > most:
            most = -v if v > -32768 else v
    up = 0
    if most > 0:
        up = 15
        while most:
            most >>= 1
            up -= 1
    put32(arena, bits, up)
    for p in range(0, 2 * size, 2):
        put16(arena, y + p, get16(arena, x + p) << up)


def energy(t):
    arena, x, y, size, start, end = t
    for i in range(size):
        v = 0
        if start <= i < end:
            real = get16(arena, x)
            v = get16(arena, x + 2)
            v = real * real + v * v
        put32(arena, y, v)
        x += 4
        y += 4


def rfft(t):
    """A complex FFT of even values + i * odd values, in `out`, then parted into the real one's."""
    arena, x, y, rows, size, half, twiddles, unpacking = t
    radix = 2
    while radix * 4 <= half:
        radix *= 4
    radix = 2 if radix == half else 4  # of the first stage; all later ones have 4
    for _ in range(rows):
        _reversed_digits(arena, x, y, 2 * size, half, radix)
        if radix == 2:
            for p in range(y, y + 4 * half, 8):
                _butterfly2(arena, p, twiddles[0])
        m = 2 if radix == 2 else 1
        while m < half:
            step = half // (2 * m)
            p = y
            while p < y + 4 * half:  # range() with a step that is no constant would be an object
                for k in range(m):
                    _butterfly4(arena, p + 4 * k, 4 * m, twiddles, k * step)
                p += 16 * m
            m *= 4
        _unpack(arena, y, half, unpacking)
        x += 2 * size
        y += 4 * half + 4


def _reversed_digits(arena, x, y, size, half, radix):
    """Pairs of x (`size` bytes, then zeros) to y in the order in which the stages want them."""
    for j in range(half):
        p = j % radix
        rest = j // radix
        m = half // radix
        while m > 1:
            p = p * 4 + (rest & 3)
            rest >>= 2
            m >>= 2
        p *= 4
        for b in range(p, p + 4):
            arena[y] = arena[x + b] if b < size else 0
            y += 1


def _butterfly2(arena, p, one):
    """Of a pair with no turn but the factor 32767 / 32768, `one`, that kissfft multiplies by."""
    a = (get16(arena, p) * _SECOND + _HALF) >> 15
    ai = (get16(arena, p + 2) * _SECOND + _HALF) >> 15
    b = (((get16(arena, p + 4) * _SECOND + _HALF) >> 15) * one + _HALF) >> 15
    bi = (((get16(arena, p + 6) * _SECOND + _HALF) >> 15) * one + _HALF) >> 15
    put16(arena, p, a + b)
    put16(arena, p + 2, ai + bi)
    put16(arena, p + 4, a - b)
    put16(arena, p + 6, ai - bi)


def _butterfly4(arena, p, m, tw, k):
    """Four values `m` bytes apart. No product wraps: what is multiplied was divided by 4 before."""
    q = p + m
    r = (get16(arena, q) * _QUARTER + _HALF) >> 15
    i = (get16(arena, q + 2) * _QUARTER + _HALF) >> 15
    b = (r * tw[k] - i * tw[k + 1] + _HALF) >> 15
    bi = (r * tw[k + 1] + i * tw[k] + _HALF) >> 15
    q += m
    r = (get16(arena, q) * _QUARTER + _HALF) >> 15
    i = (get16(arena, q + 2) * _QUARTER + _HALF) >> 15
    c = (r * tw[2 * k] - i * tw[2 * k + 1] + _HALF) >> 15
    ci = (r * tw[2 * k + 1] + i * tw[2 * k] + _HALF) >> 15
    q += m
    r = (get16(arena, q) * _QUARTER + _HALF) >> 15
    i = (get16(arena, q + 2) * _QUARTER + _HALF) >> 15
    d = (r * tw[3 * k] - i * tw[3 * k + 1] + _HALF) >> 15
    di = (r * tw[3 * k + 1] + i * tw[3 * k] + _HALF) >> 15
    r = (get16(arena, p) * _QUARTER + _HALF) >> 15
    i = (get16(arena, p + 2) * _QUARTER + _HALF) >> 15
    put16(arena, p, r + c + b + d)
    put16(arena, p + 2, i + ci + bi + di)
    put16(arena, p + m, r - c + bi - di)
    put16(arena, p + m + 2, i - ci - b + d)
    put16(arena, p + 2 * m, r + c - b - d)
    put16(arena, p + 2 * m + 2, i + ci - bi - di)
    put16(arena, q, r - c - bi + di)
    put16(arena, q + 2, i - ci + b - d)


def _unpack(arena, y, half, tw):
    r = (get16(arena, y) * _SECOND + _HALF) >> 15
    i = (get16(arena, y + 2) * _SECOND + _HALF) >> 15
    put16(arena, y, r + i)
    put16(arena, y + 2, 0)
    put16(arena, y + 4 * half, r - i)
    put16(arena, y + 4 * half + 2, 0)
    p = y
    q = y + 4 * half
    for k in range(0, half, 2):
        p += 4
        q -= 4
        r = (get16(arena, p) * _SECOND + _HALF) >> 15
        i = (get16(arena, p + 2) * _SECOND + _HALF) >> 15
        s = (get16(arena, q) * _SECOND + _HALF) >> 15
        j = get16(arena, q + 2)
        j = ((-j if j > -32768 else j) * _SECOND + _HALF) >> 15
        a = r - s
        b = i - j
        t = (a * tw[k] - b * tw[k + 1] + _HALF) >> 15
        u = (a * tw[k + 1] + b * tw[k] + _HALF) >> 15
        t = ((t & 0xFFFF) ^ 0x8000) - 0x8000
        u = ((u & 0xFFFF) ^ 0x8000) - 0x8000
        r += s
        i += j
        put16(arena, p, (r + t) >> 1)
        put16(arena, p + 2, (i + u) >> 1)
        put16(arena, q, (r - t) >> 1)
        put16(arena, q + 2, (u - i) >> 1)
