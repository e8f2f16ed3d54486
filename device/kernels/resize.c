/* SPDX-License-Identifier: MIT
 *
 * RESIZE_BILINEAR; the record is described in device/torpor/nn/resize.py.
 */
#include "image.h"

enum { IN, OUT, BATCHES, IMAGE_BYTES, C, OUT_H, OUT_W, ROWS, COLUMNS, COUNT };

/* The largest offset in a table of `count` triples. */
static uint32_t check_table(struct image *m, int32_t offset, int32_t count)
{
    uint32_t most = 0;
    need_int32(m, offset, times((uint32_t)count, 3));
    if (m->verdict)
        return 0;
    const int32_t *t = int32_at(m, offset);
    for (int32_t i = 0; i < count; i++, t += 3) {
        need(m, t[0] >= 0 && t[1] >= 0 && 0 <= t[2] && t[2] <= 1024);
        most = (uint32_t)t[0] > most ? (uint32_t)t[0] : most;
        most = (uint32_t)t[1] > most ? (uint32_t)t[1] : most;
    }
    return most;
}

void torpor_check_resize(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + BATCHES, 5);
    need_ram(m, a[IN], times((uint32_t)a[BATCHES], (uint32_t)a[IMAGE_BYTES]));
    need_ram(m, a[OUT], product4(a[BATCHES], a[OUT_H], a[OUT_W], a[C]));
    if (m->verdict)
        return;
    uint32_t rows = check_table(m, a[ROWS], a[OUT_H]), columns = check_table(m, a[COLUMNS], a[OUT_W]);
    need(m, plus(plus(rows, columns), (uint32_t)a[C]) <= (uint32_t)a[IMAGE_BYTES]);
}

void torpor_resize(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    int32_t c = a[C];
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[IMAGE_BYTES]) {
        const int32_t *row = int32_at(m, a[ROWS]);
        for (int32_t oy = 0; oy < a[OUT_H]; oy++, row += 3) {
            const int32_t *column = int32_at(m, a[COLUMNS]);
            for (int32_t ox = 0; ox < a[OUT_W]; ox++, column += 3, y += c) {
                const int8_t *top = x + row[0], *bottom = x + row[1];
                int32_t left = column[0], right = column[1];
                int32_t w3 = row[2] * column[2], w2 = (row[2] << 10) - w3, w1 = (column[2] << 10) - w3;
                int32_t w0 = (1 << 20) - w1 - w2 - w3;
                for (int32_t k = 0; k < c; k++) {
                    int32_t v = top[left + k] * w0 + top[right + k] * w1 + bottom[left + k] * w2 + bottom[right + k] * w3;
                    y[k] = (int8_t)((v + (1 << 19) - (v < 0)) >> 20);
                }
            }
        }
    }
}
