/* SPDX-License-Identifier: MIT
 *
 * FULLY_CONNECTED; the record is described in device/torpor/nn/dense.py.
 */
#include "dense.h"
#include "image.h"
#include "pair.h"
#include "plain.h"
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
#elif defined(TORPOR_WIDE)
    if (depth >= 16) {
        dot4_avx2(x, w, depth, sums);
        return;
    }
#endif
    int32_t k = 0;
#ifdef TORPOR_JOBS
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
        finish_units(out, plain, sums, first, count, y + first);
    }
}

#ifdef TORPOR_JOBS
void torpor_pair(const uint32_t *pair, int8_t *y, int32_t depth, int32_t units, const int8_t *weights,
                 const int32_t *bias, const struct output *out, bool plain)
{
    (void)plain; /* see can_pair() */
    struct pair_job job = {
        pair, pair_steps(depth), weights, depth, bias, out->multipliers, out->shifts, -depth & 3, out->zero, y,
        units, units >> 1,
    };
    torpor_pair_job(job);
    if (units & 1) { /* the last one once more with the one before it */
        int32_t first = units - 2;
        job.w += first * depth;
        job.bias += first;
        job.multipliers += first;
        job.shifts += first;
        job.y += first;
        job.twos = 1;
        torpor_pair_job(job);
    }
}
#else
void torpor_pair(const uint32_t *pair, int8_t *y, int32_t depth, int32_t units, const int8_t *weights,
                 const int32_t *bias, const struct output *out, bool plain)
{
    const int32_t *m = out->multipliers, *s = out->shifts;
    int32_t step = out->step, zero = out->zero;
    for (int32_t i = 0; i < units; i += 2, y += 2, weights += 2 * depth, bias += 2) {
        int32_t other = i + 1 < units; /* 0: the last unit twice */
        int32_t sums[4] = {bias[0], bias[other], bias[0], bias[other]};
        pair_sums(pair, weights, weights + (other ? depth : 0), depth, sums);
        if (plain) {
            int32_t m0 = *m, s0 = -*s, m1 = m[other & step], s1 = -s[other & step];
            int8_t second = clip8(scale_right(sums[1], m1, s1, zero));
            y[units + other] = clip8(scale_right(sums[3], m1, s1, zero));
            y[units] = clip8(scale_right(sums[2], m0, s0, zero));
            y[other] = second;
            y[0] = clip8(scale_right(sums[0], m0, s0, zero));
            m += 2 * step;
            s += 2 * step;
        } else {
            torpor_requantize(out, sums, i, 1 + other, y);
            torpor_requantize(out, sums + 2, i, 1 + other, y + units);
        }
    }
}
#endif

void torpor_requantize(const struct output *o, const int32_t *sums, int32_t first, int32_t count, int8_t *y)
{
    requantize(o, sums, first, count, y);
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
