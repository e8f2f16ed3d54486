# SPDX-License-Identifier: MIT
"""PAD, int8, up to 4 axes. Record 9:

    in, out, value, 4 sizes of the input, 4 paddings before, 4 paddings after

Source: TensorFlow Lite Micro's reference Pad.
"""


def bind(code, args, image, arena):
    """Check a record against the arena; return (kernel, its arguments)."""
    x, y, value, n0, n1, n2, n3, b0, b1, b2, b3, e0, e1, e2, e3 = image.take(args, 15)
    image.sizes(n0, n1, n2, n3)
    for padding in args[7:]:
        image.need(padding >= 0, "padding")
    image.need(-128 <= value <= 127, "value")
    image.ram(x, n0 * n1 * n2 * n3)
    image.ram(y, (n0 + b0 + e0) * (n1 + b1 + e1) * (n2 + b2 + e2) * (n3 + b3 + e3))
    return pad, (arena,) + args


def pad(t):
    arena, x, y, value, n0, n1, n2, n3, b0, b1, b2, b3, e0, e1, e2, e3 = t
    for i in range(-b0, n0 + e0):
        for j in range(-b1, n1 + e1):
            for k in range(-b2, n2 + e2):
                inside = 0 <= i < n0 and 0 <= j < n1 and 0 <= k < n2
                for m in range(-b3, n3 + e3):
                    if inside and 0 <= m < n3:
                        arena[y] = arena[x]
                        x += 1
                    else:
                        arena[y] = value
                    y += 1
