# SPDX-License-Identifier: MIT
"""LOOKUP: any function of one int8, as a table; LOGISTIC and int8 QUANTIZE become one. Record 8:

    in, out, count, table

table: 256 int8 in the weights; entry 128 + x is the output for x. May write over its input.
"""


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    x, y, count, table = image.take(args, 4)
    image.sizes(count)
    image.ram(x, count)
    image.ram(y, count)
    return lookup, (arena, x, y, count, image.int8(table, 256))


def lookup(t):
    arena, x, y, count, table = t
    for k in range(count):
        arena[y + k] = table[arena[x + k] + 128]
