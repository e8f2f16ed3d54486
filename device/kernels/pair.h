/* SPDX-License-Identifier: MIT
 *
 * Two pixels times two units: each value that is read is multiplied twice. pair_lay() puts a pixel's window down as
 * pair_sums() reads it, into 4 * whole_words(depth) bytes; processors have their own.
 */
#ifndef TORPOR_PAIR_H
#define TORPOR_PAIR_H

#include "copy.h"
#include "cortex_m0.h"
#include "cortex_m4.h"
#include <stdbool.h>

#if defined(TORPOR_DSP) || defined(TORPOR_M0)
#define TORPOR_JOBS 1

/* What the loop over units works on. Passed by value: it lies on the stack, where its fields are counters. */
struct pair_job {
    const uint32_t *pair;
    int32_t steps; /* of the loop: quads but the first (M4), values in twos (M0) */
    const int8_t *w;
    int32_t depth;
    const int32_t *bias, *multipliers, *shifts;
    int32_t skip; /* M4: how much less than four weights the first quad takes */
    int32_t zero;
    int8_t *y; /* of the first pixel; the second's lies `units` behind */
    int32_t units, twos;
};

/* Two units at a time, `twos` times, of a plain layer (plain.h) with scales per channel. */
void torpor_pair_job(struct pair_job job);
#endif

/* Whether torpor_pair() can be asked for such a layer; plain: see plain.h. */
static inline bool can_pair(int32_t depth, int32_t units, bool plain, int32_t step)
{
#ifdef TORPOR_JOBS
    return plain && step && units > 1 && depth >= PAIR_DEPTH;
#else
    (void)depth, (void)units, (void)plain, (void)step;
    return true;
#endif
}

#ifndef TORPOR_JOBS
static inline void pair_lay(uint32_t *pair, int lane, const int8_t *x, int32_t depth)
{
    copy((int8_t *)pair + lane * depth, x, (size_t)depth);
}

/* s: both units of the first pixel, then of the second */
static inline void pair_sums(const uint32_t *pair, const int8_t *w0, const int8_t *w1, int32_t depth, int32_t *s)
{
    const int8_t *x0 = (const int8_t *)pair, *x1 = x0 + depth;
    int32_t a = s[0], b = s[2], c = s[1], d = s[3];
    for (int32_t k = 0; k < depth; k++) {
        int32_t p = x0[k], q = x1[k], v = w0[k], u = w1[k];
        a += p * v;
        b += q * v;
        c += p * u;
        d += q * u;
    }
    s[0] = a;
    s[1] = c;
    s[2] = b;
    s[3] = d;
}
#endif

#endif
