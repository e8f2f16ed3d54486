/* SPDX-License-Identifier: MIT
 *
 * AVERAGE_POOL_2D and MAX_POOL_2D of int16; the records are described in device/torpor/nn/pool16.py.
 */
#include "int16.h"

enum { IN, OUT, BATCHES, H, W, C, OUT_H, OUT_W, FILTER_H, FILTER_W, STRIDE_Y, STRIDE_X, TOP, LEFT, LOW, HIGH, COUNT };

/* No window may lie wholly outside the image. */
static void need_inside(struct image *m, int32_t out, int32_t stride, int32_t filter, int32_t before, int32_t size)
{
    need(m, 0 <= before && before < filter);
    need(m, times((uint32_t)out - 1, (uint32_t)stride) < plus((uint32_t)size, (uint32_t)before));
}

void torpor_check_pool16(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + BATCHES, TOP - BATCHES);
    need_ram16(m, a[IN], product4(a[BATCHES], a[H], a[W], a[C]));
    need_ram16(m, a[OUT], product4(a[BATCHES], a[OUT_H], a[OUT_W], a[C]));
    need_clip16(m, a[LOW], a[HIGH]);
    need_inside(m, a[OUT_H], a[STRIDE_Y], a[FILTER_H], a[TOP], a[H]);
    need_inside(m, a[OUT_W], a[STRIDE_X], a[FILTER_W], a[LEFT], a[W]);
}

static inline int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

void torpor_pool16(const struct image *m, const int32_t *a, uint32_t code)
{
    const int16_t *x = ram16(m, a[IN]);
    int16_t *y = ram16(m, a[OUT]);
    int32_t h = a[H], w = a[W], c = a[C], low = a[LOW], high = a[HIGH];
    bool average = code == AVERAGE_POOL16;
    for (int32_t i = 0; i < a[BATCHES]; i++, x += h * w * c)
        for (int32_t oy = 0; oy < a[OUT_H]; oy++) {
            int32_t y0 = oy * a[STRIDE_Y] - a[TOP], y1 = smaller(y0 + a[FILTER_H], h);
            y0 = larger(y0, 0);
            for (int32_t ox = 0; ox < a[OUT_W]; ox++) {
                int32_t x0 = ox * a[STRIDE_X] - a[LEFT], x1 = smaller(x0 + a[FILTER_W], w);
                x0 = larger(x0, 0);
                int32_t count = (y1 - y0) * (x1 - x0), half = count >> 1;
                for (int32_t k = 0; k < c; k++) {
                    int32_t v = average ? 0 : low;
                    for (int32_t yy = y0; yy < y1; yy++)
                        for (int32_t xx = x0; xx < x1; xx++) {
                            int32_t p = x[(yy * w + xx) * c + k];
                            v = average ? v + p : larger(v, p);
                        }
                    if (average)
                        v = v > 0 ? (v + half) / count : -((half - v) / count);
                    *y++ = clip16(v, low, high);
                }
            }
        }
}
