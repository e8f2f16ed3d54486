# SPDX-License-Identifier: MIT
"""Spectrum to features: TensorFlow Lite Micro's signal operators over channels. Records:

    54 FILTER_BANK           in, out, bins, channels, tables, weights, unweights, starts, firsts, widths
    55 SQUARE_ROOT           in, bits, out, channels
    56 SPECTRAL_SUBTRACTION  in, out, noise, state, channels, smoothing, one minus it, both for odd channels,
                             least signal left, smoothing bits, bits, clamping
    57 PCAN                  in, noise, out, channels, gains, shift
    58 LOG                   in, out, channels, scale, correction bits, table

FILTER_BANK: uint32 [bins] to uint64 [channels]; int16 in the weights: weights and unweights [tables], per
band (one before the channels, then each channel) where it starts in the spectrum, where in the weights, how
wide it is. A channel is its band by weights plus the band before it by unweights. SQUARE_ROOT: to uint32,
shifted down by the int32 at `bits`. SPECTRAL_SUBTRACTION: uint32; `state` are uint32 [channels] in the part
of the arena that is kept from run to run: the noise, of which `noise` gets a copy. PCAN: uint32; gains are
int16 [125], a parabola per octave of the noise. LOG: to int16; `table` is int16 [129]: 65536 times what
log2(1 + k / 128) is above k / 128.
PCAN and SPECTRAL_SUBTRACTION may write over their input. Source: filter_bank.cc, square_root_32.cc,
square_root_64.cc, filter_bank_spectral_subtraction.cc, pcan_argc_fixed.cc, log.cc, filter_bank_log.cc of
TensorFlow Lite Micro's signal/src.

Values are 64 bits in C; here they stay below 2**61 where weights are as the compiler lets them be.
"""

from ..compat import const
from .words import get32, put16, put32

_U32 = const(0xFFFFFFFF)
_GAINS = const(125)
_WIDEST = const(8192)
_MOST_WEIGHT = const(1 << 28)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    if code == 54:
        return _bind_bank(args, image, arena)
    if code == 55:
        x, bits, y, n = image.take(args, 4)
        image.sizes(n)
        image.ram(x, 8 * n)
        image.ram(bits, 4)
        image.ram(y, 4 * n)
        return square_root, (arena, x, bits, y, n)
    if code == 56:
        x, y, noise, state, n, a, b, c, d, least, up, down, clamping = image.take(args, 13)
        image.sizes(n)
        for at in (x, y, noise, state):
            image.ram(at, 4 * n)
        image.need(state + 4 * n <= image.state_bytes, "state")
        for weight in (a, b, c, d, least):
            image.need(0 <= weight <= _MOST_WEIGHT, "smoothing")
        image.need(0 <= up <= 31 and 0 <= down <= 31 and 0 <= clamping <= 1, "bits")
        return subtract, (arena,) + args
    if code == 57:
        x, noise, y, n, gains, shift = image.take(args, 6)
        image.sizes(n)
        for at in (x, noise, y):
            image.ram(at, 4 * n)
        image.need(0 <= shift <= 31, "shift")
        return pcan, (arena, x, noise, y, n, image.int16(gains, _GAINS), shift)
    x, y, n, scale, up, table = image.take(args, 6)
    image.sizes(n)
    image.ram(x, 4 * n)
    image.ram(y, 2 * n)
    image.need(scale >= 0 and 0 <= up <= 31, "scale")
    return log, (arena, x, y, n, scale, up, image.int16(table, 129))


def _bind_bank(args, image, arena):
    x, y, bins, n, most, weights, unweights, starts, firsts, widths = image.take(args, 10)
    image.sizes(bins, n, most)
    image.ram(x, 4 * bins)
    image.ram(y, 8 * n)
    weights = image.int16(weights, most)
    unweights = image.int16(unweights, most)
    for i in range(most):
        image.need(weights[i] >= 0 and unweights[i] >= 0, "weights")
    starts = image.int16(starts, n + 1)
    firsts = image.int16(firsts, n + 1)
    widths = image.int16(widths, n + 1)
    for i in range(n + 1):
        width = widths[i]
        image.need(0 <= width <= _WIDEST, "width")
        image.need(starts[i] >= 0 and starts[i] + width <= bins, "band")
        image.need(firsts[i] >= 0 and firsts[i] + width <= most, "band")
    return filter_bank, (arena, x, y, n, weights, unweights, starts, firsts, widths)


def filter_bank(t):
    arena, x, y, n, weights, unweights, starts, firsts, widths = t
    before = 0
    for i in range(n + 1):
        total = before
        before = 0
        p = x + 4 * starts[i]
        for k in range(firsts[i], firsts[i] + widths[i]):
            v = get32(arena, p) & _U32
            total += v * weights[k]
            before += v * unweights[k]
            p += 4
        if i:
            put32(arena, y, total)
            put32(arena, y + 4, total >> 32)
            y += 8


def square_root(t):
    """Bit by bit, two of the number for one of the root, and rounded."""
    arena, x, bits, y, n = t
    down = get32(arena, bits) & 31
    for _ in range(n):
        number = get32(arena, x) & _U32 | (get32(arena, x + 4) & _U32) << 32
        most = 0xFFFFFFFF if number >> 32 else 0xFFFF
        bit = 1
        while bit <= number >> 2:
            bit <<= 2
        root = 0
        while bit:
            if number >= root + bit:
                number -= root + bit
                root = (root >> 1) + bit
            else:
                root >>= 1
            bit >>= 2
        if number > root and root != most:
            root += 1
        put32(arena, y, root >> down)
        x += 8
        y += 4


def subtract(t):
    arena, x, y, noise, state, n, even, even_rest, odd, odd_rest, least, up, down, clamping = t
    for i in range(0, 4 * n, 4):
        v = get32(arena, x + i) & _U32
        signal = (v << up) & _U32
        estimate = get32(arena, state + i) & _U32
        if i & 4:
            estimate = estimate * odd_rest + signal * odd
        else:
            estimate = estimate * even_rest + signal * even
        estimate = (estimate >> down) & _U32
        kept = estimate
        if estimate > signal:
            estimate = signal
            if clamping:
                kept = signal
        put32(arena, state + i, kept)
        put32(arena, noise + i, kept)
        floor = ((v * least) >> down) & _U32
        v = (signal - estimate) >> up
        put32(arena, y + i, v if v > floor else floor)


def _gain(x, gains):
    if x <= 2:
        return gains[x]
    octave = 0
    while x >> octave:
        octave += 1
    k = 4 * octave - 6
    part = (x << (11 - octave) if octave < 11 else x >> (octave - 11)) & 0x3FF
    v = ((gains[k + 2] * part) >> 5) + (gains[k + 1] << 5)
    v = ((v * part + 0x4000) >> 15) + gains[k]
    return ((v & 0xFFFF) ^ 0x8000) - 0x8000


def pcan(t):
    arena, x, noise, y, n, gains, shift = t
    for i in range(0, 4 * n, 4):
        v = get32(arena, x + i) & _U32
        gain = _gain(get32(arena, noise + i) & _U32, gains)
        low = v * gain  # by uint32: a gain below 0 is 2**32 more
        high = (low >> 32) + (v if gain < 0 else 0)
        v = (high & ((1 << shift) - 1)) << (32 - shift) | (low & _U32) >> shift
        v &= _U32
        put32(arena, y + i, (v * v) >> 20 if v < 8192 else (v >> 6) - 64)


def log(t):
    arena, x, y, n, scale, up, table = t
    for _ in range(n):
        v = (get32(arena, x) << up) & _U32
        found = 0
        if v > 1:
            whole = 0
            while v >> whole > 1:
                whole += 1
            v -= 1 << whole
            v = v << (16 - whole) if whole < 16 else v >> (whole - 16)
            k = v >> 9
            v += table[k] + (((table[k + 1] - table[k]) * (v & 0x1FF)) >> 16)
            v = (45426 * ((whole << 16) + v) + 0x8000) >> 16  # ln(2) in Q16
            found = ((scale * v + 0x8000) & _U32) >> 16
        put16(arena, y, found if found < 32767 else 32767)
        x += 4
        y += 2
