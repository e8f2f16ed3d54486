# SPDX-License-Identifier: MIT
"""Bytes moved, not computed: SLICE, SPLIT, TRANSPOSE, CONCATENATION, GATHER and their like. Two records:

    12 COPY     in, out, in is constant, 4 sizes, 4 strides of in, 4 strides of out
    13 TAKE     in, out, 4 sizes, block, 4 tables

COPY: strides in bytes, along each axis; one of `in` may be negative or 0. `in` lies in the weights where
`in is constant` is 1, and starts at its lowest byte's place plus what negative strides reach below.
TAKE: out is [4 sizes, block]; a table has one int32 per index of its axis in the weights, and block
(i, j, k, m) is read at in + table0[i] + table1[j] + table2[k] + table3[m].
"""

from ..compat import const

_COPY = const(12)


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    if code == _COPY:
        return _bind_copy(args, image, arena)
    x, y, n0, n1, n2, n3, block, t0, t1, t2, t3 = image.take(args, 11)
    image.sizes(n0, n1, n2, n3, block)
    image.ram(y, n0 * n1 * n2 * n3 * block)
    tables = []
    reach = block
    for n, table in ((n0, t0), (n1, t1), (n2, t2), (n3, t3)):
        offsets = image.int32(table, n)
        most = 0
        for v in offsets:
            image.need(0 <= v <= image.ram_bytes, "table")
            most = max(most, v)
        reach += most
        tables.append(offsets)
    image.ram(x, reach)
    return take, (arena, x, y, block, tables[0], tables[1], tables[2], tables[3])


def _bind_copy(args, image, arena):
    x, y, constant, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3 = image.take(args, 15)
    image.sizes(n0, n1, n2, n3)
    image.need(n0 * n1 * n2 * n3 <= image.ram_bytes, "size")  # each byte of out once: bounded work
    image.need(0 <= constant <= 1, "constant")
    below = 0
    above = 1
    out = 1
    for n, a, b in ((n0, a0, b0), (n1, a1, b1), (n2, a2, b2), (n3, a3, b3)):
        image.need(b >= 0, "stride")
        out += (n - 1) * b
        if a < 0:
            below += (n - 1) * a
        else:
            above += (n - 1) * a
    image.ram(y, out)
    source = arena
    if constant:
        source = image.int8(x + below, above - below)
        x = -below
    else:
        image.ram(x + below, above - below)
    return copy, (source, arena, x, y) + args[3:]


def copy(t):
    source, arena, x, y, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3 = t
    for i in range(n0):
        for j in range(n1):
            p = x + i * a0 + j * a1
            q = y + i * b0 + j * b1
            for _ in range(n2):
                r = p
                s = q
                for _ in range(n3):
                    arena[s] = source[r]
                    r += a3
                    s += b3
                p += a2
                q += b2


def take(t):
    arena, x, y, block, t0, t1, t2, t3 = t
    for i in t0:
        for j in t1:
            for k in t2:
                at = x + i + j + k
                for m in t3:
                    m += at
                    for p in range(m, m + block):
                        arena[y] = arena[p]
                        y += 1
