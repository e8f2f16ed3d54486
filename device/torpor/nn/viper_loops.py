# SPDX-License-Identifier: MIT
# ruff: noqa: F821
"""Inner loops of the `viper` kernel set, in MicroPython's machine code. Not imported by itself.

- Words are 32 bits on boards and 64 here; products stay within 31 bits, so that both agree.
- ptr8, ptr16 and ptr32 load unsigned (ptr32 on 64 bits too): numbers that may be negative are stored with an
  offset, or read as two halves.
- A weight w is read as w + 128, the byte with its top bit flipped: sum(x * w) = sum(x * (w + 128)) -
  128 * sum(x), where the last is one sum for all outputs of a window. Weights stay as they are: they may lie
  in ROM, or in a buffer that is filled anew.
"""

import micropython


@micropython.viper
def conv_row(arena: ptr8, weights: ptr8, window: ptr8, sums: ptr32, a: ptr32):
    """sums [ow, n]: one output row, before the bias. weights [n, depth], depthwise [taps, n].

    Each window is gathered into `window` [taps, c], + 128. One function, since a call takes boxed arguments.
    """
    far = int(1 << 20)
    h = a[1]
    w = a[2]
    c = a[3]
    n = a[5]
    depth = a[13]
    per = a[15]
    taps = a[6] * a[7]
    outside = a[12]
    x0 = a[11]
    k = 0
    ox = a[4]
    while ox:
        to = 0
        total = 0
        yy = a[14] - far
        fy = a[6]
        while fy:
            xx = x0 - far
            fx = a[7]
            while fx:
                end = to + c
                if yy >= 0 and yy < h and xx >= 0 and xx < w:
                    source = ptr8(int(arena) + a[0] + (yy * w + xx) * c - to)
                    while to < end:
                        v = source[to] ^ 128
                        window[to] = v
                        total += v
                        to += 1
                else:
                    total += outside * c
                    while to < end:
                        window[to] = outside
                        to += 1
                xx += a[10]
                fx -= 1
            yy += a[9]
            fy -= 1
        p = ptr8(window)
        q = ptr8(weights)
        i = n
        if per:  # depthwise: `per` outputs for each channel
            left = per
            while i:
                s = 0
                x = ptr8(p)
                u = ptr8(q)
                j = taps
                while j:
                    s += (x[0] - 128) * ((u[0] ^ 128) - 128)
                    x = ptr8(int(x) + c)
                    u = ptr8(int(u) + n)
                    j -= 1
                sums[k] = s
                k += 1
                q = ptr8(int(q) + 1)
                left -= 1
                if left == 0:
                    left = per
                    p = ptr8(int(p) + 1)
                i -= 1
        while i:
            s = 0 - (total - 128 * depth) * 128
            p = ptr8(window)
            j = depth >> 3
            while j:
                s += (p[0] - 128) * (q[0] ^ 128) + (p[1] - 128) * (q[1] ^ 128)
                s += (p[2] - 128) * (q[2] ^ 128) + (p[3] - 128) * (q[3] ^ 128)
                s += (p[4] - 128) * (q[4] ^ 128) + (p[5] - 128) * (q[5] ^ 128)
                s += (p[6] - 128) * (q[6] ^ 128) + (p[7] - 128) * (q[7] ^ 128)
                p = ptr8(int(p) + 8)
                q = ptr8(int(q) + 8)
                j -= 1
            j = depth & 7
            while j:
                s += (p[0] - 128) * (q[0] ^ 128)
                p = ptr8(int(p) + 1)
                q = ptr8(int(q) + 1)
                j -= 1
            sums[k] = s
            k += 1
            i -= 1
        x0 += a[8]
        ox -= 1


@micropython.viper
def finish(sums: ptr16, bias: ptr16, table: ptr16, arena: ptr8, a: ptr32):
    """Add the bias, requantize and clamp `a[1]` sums, `a[2]` units in turn, to arena[a[0]:].

    The product with the Q31 multiplier is taken in 16-bit halves; see fixed.scale for what is computed.
    """
    units = a[2]
    zero = a[3] - 128
    low = a[4] - 128
    high = a[5] - 128
    y = ptr8(int(arena) + a[0])
    count = a[1]
    k = 0
    unit = 0
    step = a[6] * 8
    b = ptr16(bias)
    t = ptr16(table)
    while k < count:
        v = (sums[2 * k] | sums[2 * k + 1] << 16) + (b[0] | b[1] << 16)
        if t[3]:
            v <<= t[3]
        v1 = (v >> 16 & 0xFFFF ^ 0x8000) - 0x8000  # 16 bits each, the upper ones signed
        v0 = v & 0xFFFF
        m0 = t[0]
        m1 = t[1]
        middle = v1 * m0 + (v0 * m0 >> 16 & 0xFFFF)
        lower = v0 * m1 + (middle & 0xFFFF)
        v = (v1 * m1 + (middle >> 16) + (lower >> 16)) * 2 + (((lower >> 14 & 3) + 1) >> 1)
        right = t[2]
        if right:
            mask = (1 << right) - 1
            half = mask >> 1
            if v < 0:
                half += 1
            if v & mask > half:
                v = (v >> right) + 1
            else:
                v >>= right
        v += zero
        if v < low:
            v = low
        elif v > high:
            v = high
        y[k] = v
        k += 1
        unit += 1
        b = ptr16(int(b) + 4)
        t = ptr16(int(t) + step)
        if unit == units:
            unit = 0
            b = ptr16(bias)
            t = ptr16(table)


@micropython.viper
def add_row(arena: ptr8, other: ptr8, tables: ptr32, sums: ptr32, at: ptr32):
    p = ptr8(int(arena) + at[0])
    q = ptr8(int(other) + at[1])
    second = ptr32(int(tables) + 1024)
    step_p = at[3]
    step_q = at[4]
    n = at[2]
    k = 0
    while k < n:
        sums[k] = tables[p[0]] + second[q[0]]
        p = ptr8(int(p) + step_p)
        q = ptr8(int(q) + step_q)
        k += 1


@micropython.viper
def lookup(arena: ptr8, table: ptr8, a: ptr32):
    x = ptr8(int(arena) + a[0])
    y = ptr8(int(arena) + a[1])
    count = a[2]
    k = 0
    while k < count:
        y[k] = table[x[k] ^ 128]
        k += 1
