/* SPDX-License-Identifier: MIT
 *
 * FULLY_CONNECTED; the record is described in device/torpor/nn/dense.py.
 */
#include "dense.h"
#include "image.h"
#include "pair.h"
#include "plain.h"
#include "wide.h"

enum { IN, OUT, BATCHES, DEPTH, UNITS, WEIGHTS, BIAS, MULTIPLIERS, SHIFTS, STEP, ZERO, LOW, HIGH, COUNT };

/* Four units at once: the input is read and widened once for four products. */
static inline void dot4(const int8_t *x, const int8_t *w, int32_t depth, int32_t *sums)
{
#ifdef TORPOR_VNNI
    dot4_wide(x, w, depth, sums);
    return;
#endif
    int32_t k = 0;
#ifdef TORPOR_DSP
    k = four_sums(x, w, depth, sums);
#endif
    const int8_t *w1 = w + depth, *w2 = w1 + depth, *w3 = w2 + depth;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
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
    int32_t sum = 0;
    for (int32_t k = 0; k < depth; k++)
        sum += x[k] * w[k];
    return sum;
}

void torpor_row(const int8_t *x, int8_t *y, int32_t depth, int32_t units, const int8_t *weights,
                const int32_t *bias, const struct output *out, bool plain)
{
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
        finish_units(out, plain, sums, first, count, y + first);
    }
}

void torpor_pair(const uint32_t *pair, int8_t *y, int32_t depth, int32_t units, const int8_t *weights,
                 const int32_t *bias, const struct output *out, bool plain)
{
    const int32_t *m = out->multipliers, *s = out->shifts;
    int32_t step = out->step, zero = out->zero;
    for (int32_t i = 0; i < units; i += 2, y += 2, weights += 2 * depth, m += 2 * step, s += 2 * step) {
        bool both = i + 1 < units; /* else the last unit twice */
        int32_t other = both ? 1 : 0;
        int32_t sums[4] = {bias[i], bias[i], bias[i + other], bias[i + other]};
        pair_sums(pair, weights, weights + other * depth, depth, sums);
        int32_t m0 = *m, m1 = m[other * step], s0 = *s, s1 = s[other * step];
        int8_t out0, out1, out2, out3;
        if (plain) {
            out0 = clip8(scale_right(sums[0], m0, -s0, zero));
            out1 = clip8(scale_right(sums[1], m0, -s0, zero));
            out2 = clip8(scale_right(sums[2], m1, -s1, zero));
            out3 = clip8(scale_right(sums[3], m1, -s1, zero));
        } else {
            out0 = clip(scale(sums[0], m0, s0) + zero, out->low, out->high);
            out1 = clip(scale(sums[1], m0, s0) + zero, out->low, out->high);
            out2 = clip(scale(sums[2], m1, s1) + zero, out->low, out->high);
            out3 = clip(scale(sums[3], m1, s1) + zero, out->low, out->high);
        }
        y[0] = out0;
        y[units] = out1;
        if (both) {
            y[1] = out2;
            y[units + 1] = out3;
        }
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
    bool plain = is_plain(&out, int32_at(m, a[BIAS]), a[UNITS], a[DEPTH]);
    for (int32_t i = 0; i < a[BATCHES]; i++) {
        torpor_row(x, y, a[DEPTH], a[UNITS], int8_at(m, a[WEIGHTS]), int32_at(m, a[BIAS]), &out, plain);
        x += a[DEPTH];
        y += a[UNITS];
    }
}
