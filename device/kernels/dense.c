/* SPDX-License-Identifier: MIT
 *
 * FULLY_CONNECTED; the record is described in device/torpor/nn/dense.py.
 */
#include "dense.h"
#include "dsp.h"
#include "image.h"
#ifdef __XTENSA__
#include "mac16.h"
#endif
#include "wide.h"

enum { IN, OUT, BATCHES, DEPTH, UNITS, WEIGHTS, BIAS, MULTIPLIERS, SHIFTS, STEP, ZERO, LOW, HIGH, COUNT };

/* Four units at once: the input is read and widened once for four products. */
static inline void dot4(const int8_t *x, const int8_t *w, int32_t depth, int32_t *sums)
{
#ifdef TORPOR_VNNI
    dot4_wide(x, w, depth, sums);
    return;
#endif
    const int8_t *w1 = w + depth, *w2 = w1 + depth, *w3 = w2 + depth;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, k = 0;
#ifdef TORPOR_DSP
    for (; k + 4 <= depth; k += 4) {
        uint32_t v = load4(x + k), even = even_bytes(v), odd = odd_bytes(v);
        s0 = multiply4(even, odd, w + k, s0);
        s1 = multiply4(even, odd, w1 + k, s1);
        s2 = multiply4(even, odd, w2 + k, s2);
        s3 = multiply4(even, odd, w3 + k, s3);
    }
#endif
    for (; k < depth; k++) {
        int32_t v = x[k];
        s0 += v * w[k];
        s1 += v * w1[k];
        s2 += v * w2[k];
        s3 += v * w3[k];
    }
    sums[0] += s0;
    sums[1] += s1;
    sums[2] += s2;
    sums[3] += s3;
}

static inline int32_t dot(const int8_t *x, const int8_t *w, int32_t depth)
{
    int32_t sum = 0, k = 0;
#ifdef TORPOR_DSP
    for (; k + 4 <= depth; k += 4) {
        uint32_t v = load4(x + k);
        sum = multiply4(even_bytes(v), odd_bytes(v), w + k, sum);
    }
#endif
    for (; k < depth; k++)
        sum += x[k] * w[k];
    return sum;
}

void torpor_row(const int8_t *x, int8_t *y, int32_t depth, int32_t units, const int8_t *weights,
                const int32_t *bias, const struct output *out)
{
#ifdef __XTENSA__
    if (has_mac16()) {
        row_mac16(x, y, depth, units, weights, bias, out);
        return;
    }
#endif
    for (int32_t first = 0; first < units; first += TILE) {
        int32_t sums[TILE];
        int32_t count = units - first < TILE ? units - first : TILE;
        int32_t i = 0;
        for (; i < count; i++)
            sums[i] = bias[first + i];
        for (i = 0; i + 4 <= count; i += 4, weights += 4 * depth)
            dot4(x, weights, depth, sums + i);
        for (; i < count; i++, weights += depth)
            sums[i] += dot(x, weights, depth);
        requantize(out, sums, first, count, y + first);
    }
}

void torpor_check_dense(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + BATCHES, 3);
    need_ram(m, a[IN], times((uint32_t)a[BATCHES], (uint32_t)a[DEPTH]));
    need_ram(m, a[OUT], times((uint32_t)a[BATCHES], (uint32_t)a[UNITS]));
    need_clip(m, a[LOW], a[HIGH]);
    need(m, a[STEP] == 0 || a[STEP] == 1);
    need_int8(m, a[WEIGHTS], times((uint32_t)a[UNITS], (uint32_t)a[DEPTH]));
    need_output(m, a[BIAS], a[MULTIPLIERS], a[SHIFTS], (uint32_t)a[UNITS], a[STEP]);
}

void torpor_dense(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    const struct output out = {int32_at(m, a[MULTIPLIERS]), int32_at(m, a[SHIFTS]), a[STEP], a[ZERO], a[LOW], a[HIGH]};
    for (int32_t i = 0; i < a[BATCHES]; i++) {
        torpor_row(x, y, a[DEPTH], a[UNITS], int8_at(m, a[WEIGHTS]), int32_at(m, a[BIAS]), &out);
        x += a[DEPTH];
        y += a[UNITS];
    }
}
