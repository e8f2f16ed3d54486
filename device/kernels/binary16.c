/* SPDX-License-Identifier: MIT
 *
 * ADD, SUB, MUL of int16; the records are described in device/torpor/nn/binary16.py.
 */
#include "fixed.h"
#include "int16.h"

enum {
    A, B, OUT, CONSTANT, SIZES, A_STRIDES = 8, B_STRIDES = 12, LEFT_SHIFT = 16, A_ZERO, A_MULTIPLIER, A_SHIFT, B_ZERO,
    B_MULTIPLIER, B_SHIFT, ZERO, MULTIPLIER, SHIFT, LOW, HIGH, COUNT
};

/* How far the last value lies from the first, and one. */
static uint32_t extent(const int32_t *sizes, const int32_t *strides)
{
    uint32_t sum = 1;
    for (int i = 0; i < 4; i++)
        sum = plus(sum, times((uint32_t)sizes[i] - 1, (uint32_t)strides[i]));
    return sum;
}

void torpor_check_binary16(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + SIZES, 4);
    for (int i = A_STRIDES; i <= LEFT_SHIFT; i++)
        need(m, a[i] >= 0);
    need_shift(m, a[LEFT_SHIFT]);
    for (int i = A_ZERO; i < LOW; i += 3) { /* zero point, multiplier, shift of a, b, and the output */
        need(m, a[i] == 0);
        need_shift(m, a[i + 2]);
    }
    need_clip16(m, a[LOW], a[HIGH]);
    need(m, (uint32_t)a[CONSTANT] <= 1);
    if (m->verdict)
        return;
    need_ram16(m, a[OUT], product4(a[SIZES], a[SIZES + 1], a[SIZES + 2], a[SIZES + 3]));
    need_ram16(m, a[A], extent(a + SIZES, a + A_STRIDES));
    if (a[CONSTANT])
        need_int16(m, a[B], extent(a + SIZES, a + B_STRIDES));
    else
        need_ram16(m, a[B], extent(a + SIZES, a + B_STRIDES));
}

/* A row runs along the last axis, value by value: it may be written over either input. */
static void row(const int32_t *a, const int16_t *p, const int16_t *q, int16_t *y, uint32_t code)
{
    int32_t left = a[LEFT_SHIFT];
    for (int32_t i = 0; i < a[SIZES + 3]; i++, p += a[A_STRIDES + 3], q += a[B_STRIDES + 3]) {
        int32_t u = *p, v = *q;
        if (code == MUL16) {
            u *= v;
        } else {
            u = scale((int32_t)((uint32_t)u << left), a[A_MULTIPLIER], a[A_SHIFT]);
            v = scale((int32_t)((uint32_t)v << left), a[B_MULTIPLIER], a[B_SHIFT]);
            u = code == ADD16 ? u + v : code == SUB16 ? u - v : v - u;
        }
        y[i] = clip16(scale(u, a[MULTIPLIER], a[SHIFT]), a[LOW], a[HIGH]);
    }
}

void torpor_binary16(const struct image *m, const int32_t *a, uint32_t code)
{
    const int16_t *p = ram16(m, a[A]), *q = a[CONSTANT] ? int16_at(m, a[B]) : ram16(m, a[B]);
    int16_t *y = ram16(m, a[OUT]);
    const int32_t *n = a + SIZES, *s = a + A_STRIDES, *t = a + B_STRIDES;
    for (int32_t i = 0; i < n[0]; i++)
        for (int32_t j = 0; j < n[1]; j++)
            for (int32_t k = 0; k < n[2]; k++, y += n[3])
                row(a, p + i * s[0] + j * s[1] + k * s[2], q + i * t[0] + j * t[1] + k * t[2], y, code);
}
