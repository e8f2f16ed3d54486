/* SPDX-License-Identifier: MIT
 *
 * MEAN, SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX, ARG_MIN; the records are described in device/torpor/nn/reduce.py.
 */
#include "fixed.h"
#include "image.h"
#include "words.h"

enum { IN, OUT, SIZES, STRIDES = 4, LENGTHS = 6, STEPS = 8, COUNT = 10, START = 10, MULTIPLIER, SHIFT, ZERO, TOTAL_COUNT };
enum { OUTER = 2, LENGTH, INNER, ARG_COUNT };

static uint32_t extent(const int32_t *sizes, const int32_t *strides)
{
    return plus(times((uint32_t)sizes[0] - 1, (uint32_t)strides[0]), times((uint32_t)sizes[1] - 1, (uint32_t)strides[1]));
}

static void check_arg(struct image *m, const int32_t *a, uint32_t n)
{
    need(m, n == ARG_COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + OUTER, 3);
    need_ram(m, a[IN], product4(a[OUTER], a[LENGTH], a[INNER], 1));
    need_ram(m, a[OUT], product4(a[OUTER], a[INNER], 4, 1));
}

void torpor_check_reduce(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    if (code >= ARG_MAX) {
        check_arg(m, a, n);
        return;
    }
    need(m, n == (code == REDUCE_SUM ? (uint32_t)TOTAL_COUNT : (uint32_t)COUNT));
    if (m->verdict)
        return;
    need_sizes(m, a + SIZES, 2);
    need_sizes(m, a + LENGTHS, 2);
    for (int i = 0; i < 2; i++)
        need(m, a[STRIDES + i] >= 0 && a[STEPS + i] >= 0);
    if (m->verdict)
        return;
    need(m, product4(a[SIZES], a[SIZES + 1], a[LENGTHS], a[LENGTHS + 1]) <= m->ram_bytes);
    need_ram(m, a[IN], plus(plus(extent(a + SIZES, a + STRIDES), extent(a + LENGTHS, a + STEPS)), 1));
    need_ram(m, a[OUT], times((uint32_t)a[SIZES], (uint32_t)a[SIZES + 1]));
    if (code == REDUCE_SUM)
        need_shift(m, a[SHIFT]);
}

/* sign 0: add; else the larger of what is, and the value times sign */
static inline int32_t fold(int32_t so_far, int32_t value, int32_t sign)
{
    if (!sign)
        return so_far + value;
    value *= sign;
    return value > so_far ? value : so_far;
}

static void arg(const struct image *m, const int32_t *a, int32_t sign)
{
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    for (int32_t i = 0; i < a[OUTER]; i++, x += a[LENGTH] * a[INNER])
        for (int32_t k = 0; k < a[INNER]; k++, y += 4) {
            const int8_t *p = x + k;
            int32_t best = *p * sign, found = 0;
            for (int32_t at = 1; at < a[LENGTH]; at++) {
                p += a[INNER];
                if (*p * sign > best) {
                    best = *p * sign;
                    found = at;
                }
            }
            put32(y, found);
        }
}

void torpor_reduce(const struct image *m, const int32_t *a, uint32_t code)
{
    if (code >= ARG_MAX) {
        arg(m, a, code == ARG_MAX ? 1 : -1);
        return;
    }
    int32_t sign = code == REDUCE_SUM ? 0 : code == REDUCE_MAX ? 1 : -1, stride = a[STRIDES + 1];
    int8_t *y = m->arena + a[OUT];
    for (int32_t i = 0; i < a[SIZES]; i++)
        for (int32_t first = 0; first < a[SIZES + 1]; first += TILE) {
            int32_t sums[TILE];
            int32_t count = a[SIZES + 1] - first < TILE ? a[SIZES + 1] - first : TILE;
            const int8_t *x = m->arena + a[IN] + i * a[STRIDES] + first * stride;
            for (int32_t t = 0; t < count; t++)
                sums[t] = sign ? -128 : a[START];
            for (int32_t j = 0; j < a[LENGTHS]; j++, x += a[STEPS]) {
                const int8_t *p = x;
                for (int32_t k = 0; k < a[LENGTHS + 1]; k++, p += a[STEPS + 1])
                    for (int32_t t = 0; t < count; t++)
                        sums[t] = fold(sums[t], p[t * stride], sign);
            }
            if (sign) {
                for (int32_t t = 0; t < count; t++)
                    *y++ = (int8_t)(sums[t] * sign);
            } else {
                const struct output out = {a + MULTIPLIER, a + SHIFT, 0, a[ZERO], -128, 127};
                requantize(&out, sums, 0, count, y);
                y += count;
            }
        }
}
