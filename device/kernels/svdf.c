/* SPDX-License-Identifier: MIT
 *
 * SVDF; the record is described in device/torpor/nn/svdf.py.
 */
#include "dot.h"
#include "fixed.h"
#include "image.h"

enum {
    IN, OUT, STATE, BATCHES, DEPTH, UNITS, RANK, MEMORY, WIDE, WEIGHTS, BIAS, MULTIPLIER, SHIFT, ZERO, TIMES, OUT_BIAS,
    OUT_MULTIPLIER, OUT_SHIFT, OUT_ZERO, COUNT
};

void torpor_check_svdf(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + BATCHES, 5);
    need(m, a[WIDE] == 0 || a[WIDE] == 1);
    if (m->verdict)
        return;
    uint32_t filters = times((uint32_t)a[UNITS], (uint32_t)a[RANK]), memory = times(filters, (uint32_t)a[MEMORY]);
    uint32_t item = a[WIDE] ? 2 : 1;
    need_rows(m, a[IN], a[BATCHES], (uint32_t)a[DEPTH]);
    need_rows(m, a[OUT], a[BATCHES], (uint32_t)a[UNITS]);
    need_state(m, a[STATE], times(times((uint32_t)a[BATCHES], memory), item));
    need(m, -128 <= a[ZERO] && a[ZERO] <= 127);
    need(m, !a[WIDE] || (a[ZERO] == 0 && (a[STATE] & 1) == 0));
    need_shift(m, a[SHIFT]);
    need_shift(m, a[OUT_SHIFT]);
    need_constants(m, a[WEIGHTS], times(filters, (uint32_t)a[DEPTH]), 1);
    need_constants(m, a[BIAS], filters, 4);
    need_constants(m, a[TIMES], memory, item);
    need_constants(m, a[OUT_BIAS], (uint32_t)a[UNITS], 4);
}

/* Twice a filter and unit, after all of their products. */
static __attribute__((noinline)) int32_t scaled(int32_t v, const int32_t *pair)
{
    return scale(v, pair[0], pair[1]);
}

/* Move one filter's memory on by `newest`; return sum + memory . w. */
static inline int32_t step16(int32_t sum, int16_t *s, const int16_t *w, int32_t memory, int32_t newest)
{
    int32_t k = 0;
    for (; k < memory - 1; k++) {
        int16_t v = s[k + 1];
        s[k] = v;
        sum += v * w[k];
    }
    int16_t v = (int16_t)(newest < -32768 ? -32768 : newest > 32767 ? 32767 : newest);
    s[k] = v;
    return sum + v * w[k];
}

static inline int32_t step8(int32_t sum, int8_t *s, const int8_t *w, int32_t memory, int32_t newest, int32_t zero)
{
    int32_t k = 0;
    for (; k < memory - 1; k++) {
        int8_t v = s[k + 1];
        s[k] = v;
        sum += v * w[k];
    }
    int8_t v = (int8_t)(clip(newest, -128, 127) + zero); /* which wraps */
    s[k] = v;
    return sum + v * w[k];
}

void torpor_svdf(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT], *s = m->arena + a[STATE];
    int32_t depth = a[DEPTH], memory = a[MEMORY], wide = a[WIDE];
    for (int32_t b = 0; b < a[BATCHES]; b++, x += depth) {
        const int8_t *weights = int8_at(m, a[WEIGHTS]), *times = int8_at(m, a[TIMES]);
        const int32_t *bias = int32_at(m, a[BIAS]), *out_bias = int32_at(m, a[OUT_BIAS]);
        for (int32_t u = 0; u < a[UNITS]; u++) {
            int32_t sum = out_bias[u];
            for (int32_t r = 0; r < a[RANK]; r++, weights += depth, s += memory << wide, times += memory << wide) {
                int32_t newest = scaled(dot_from(*bias++, x, weights, depth), a + MULTIPLIER);
                if (wide)
                    sum = step16(sum, (int16_t *)(void *)s, (const int16_t *)(const void *)times, memory, newest);
                else
                    sum = step8(sum, s, times, memory, newest, a[ZERO]);
            }
            *y++ = clip(scaled(sum, a + OUT_MULTIPLIER) + a[OUT_ZERO], -128, 127);
        }
    }
}
