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
/* the values of both pixels in turns */
static inline void pair_lay(uint32_t *pair, int lane, const int8_t *x, int32_t depth)
{
    int8_t *to = (int8_t *)pair + lane;
    for (; depth; depth--, to += 2)
        *to = *x++;
}

/* s: both units of the first pixel, then of the second */
static inline void pair_sums(const uint32_t *pair, const int8_t *w0, const int8_t *w1, int32_t depth, int32_t *s)
{
    const int8_t *x = (const int8_t *)pair;
    int32_t a = s[0], b = s[1], c = s[2], d = s[3];
#ifdef __thumb2__ /* loads that move on, which compilers do not make here */
#define STEP                                                                                      \
    "ldrsb %[p], [%[x]], #1\n ldrsb %[q], [%[x]], #1\n ldrsb %[v], [%[w0]], #1\n"                 \
    "mla %[a], %[p], %[v], %[a]\n mla %[c], %[q], %[v], %[c]\n ldrsb %[v], [%[w1]], #1\n"         \
    "mla %[b], %[p], %[v], %[b]\n mla %[d], %[q], %[v], %[d]\n"
    int32_t p, q, v;
    if (depth >= 4) {
        int32_t quads = depth >> 2;
        __asm__ volatile("1:\n" STEP STEP STEP STEP "subs %[quads], #1\n"
                         "bne 1b\n"
                         : [x] "+r"(x), [w0] "+r"(w0), [w1] "+r"(w1), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c),
                           [d] "+r"(d), [quads] "+r"(quads), [p] "=&r"(p), [q] "=&r"(q), [v] "=&r"(v)
                         :
                         : "cc", "memory");
        depth &= 3;
    }
#undef STEP
#else
#define STEP(k)                                 \
    a += x[2 * k] * w0[k], b += x[2 * k] * w1[k]; \
    c += x[2 * k + 1] * w0[k], d += x[2 * k + 1] * w1[k];
    for (; depth >= 4; depth -= 4, x += 8, w0 += 4, w1 += 4) {
        STEP(0) STEP(1) STEP(2) STEP(3)
    }
#undef STEP
#endif
    for (; depth; depth--, x += 2, w0++, w1++) {
        a += x[0] * w0[0];
        b += x[0] * w1[0];
        c += x[1] * w0[0];
        d += x[1] * w1[0];
    }
    s[0] = a;
    s[1] = b;
    s[2] = c;
    s[3] = d;
}
#endif

#endif
