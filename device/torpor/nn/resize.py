# SPDX-License-Identifier: MIT
"""RESIZE_BILINEAR, int8, NHWC. Record 26:

    in, out, batches, bytes of one image, channels, out height, width, rows, columns

rows, columns: 3 int32 in the weights for each row and column of the output: where the lower and the upper
neighbour start (bytes from the image's start, from the row's start), and how far between, 0..1024.
Source: TensorFlow Lite's ResizeBilinearInteger (double rounding).
"""


def bind(code, args, image, arena):
    """Check a record against arena and weights; return (kernel, its arguments)."""
    x, y, batches, size, c, oh, ow, rows, columns = image.take(args, 9)
    image.sizes(batches, size, c, oh, ow)
    image.ram(x, batches * size)
    image.ram(y, batches * oh * ow * c)
    rows = image.int32(rows, oh * 3)
    columns = image.int32(columns, ow * 3)
    reach = c
    for table in (rows, columns):
        most = 0
        for k in range(0, len(table), 3):
            low, high, part = table[k], table[k + 1], table[k + 2]
            image.need(0 <= low and 0 <= high and 0 <= part <= 1024, "table")
            most = max(most, low, high)
        reach += most
    image.need(reach <= size, "table")
    return bilinear, (arena, x, y, batches, size, c, oh * 3, ow * 3, rows, columns)


def bilinear(t):
    arena, x, y, batches, size, c, oh, ow, rows, columns = t
    for _ in range(batches):
        for j in range(0, oh, 3):
            top = x + rows[j]
            bottom = x + rows[j + 1]
            down = rows[j + 2]
            for i in range(0, ow, 3):
                left = columns[i]
                right = columns[i + 1]
                w3 = down * columns[i + 2]
                w2 = (down << 10) - w3
                w1 = (columns[i + 2] << 10) - w3
                w0 = 0x100000 - w1 - w2 - w3
                for k in range(c):
                    v = arena[top + left + k] * w0 + arena[top + right + k] * w1
                    v += arena[bottom + left + k] * w2 + arena[bottom + right + k] * w3
                    arena[y] = (v + 0x80000 - (v < 0)) >> 20
                    y += 1
        x += size
