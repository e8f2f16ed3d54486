/* SPDX-License-Identifier: MIT
 *
 * Inner loops for Cortex-M0 and M0+: one multiplication of 32 bits, eight registers, and six more to move and add.
 *
 * One multiplication gives two products: (p + q * 2^16) * w = p * w + (q * w) * 2^16, where p and q are the same
 * value of two pixels. Two such products are added before they are taken apart. The pixels are stored negated,
 * -127..128, for then the sum of two products is -32768..32512 and fits 16 bits for any weights: the low half
 * sign-extended is the first pixel's sum, and what is left after it is taken off is exactly 2^16 times the second's.
 */
#ifndef TORPOR_CORTEX_M0_H
#define TORPOR_CORTEX_M0_H

#if defined(__ARM_ARCH) && __ARM_ARCH == 6 && defined(__thumb__)
#define TORPOR_M0 1

#include <stdbool.h>
#include <stdint.h>

/* ---- two pixels times two units: see pair.h */

enum { PAIR_DEPTH = 2 }; /* at least: the loop runs once */

static inline int32_t pair_steps(int32_t depth)
{
    return depth & ~1;
}

static inline void pair_lay(uint32_t *pair, int lane, const int8_t *x, int32_t depth)
{
    int32_t k = -depth, v, t;
    x += depth;
    if (lane == 0)
        __asm__ volatile("1:\n"
                         "ldrsb %[v], [%[x], %[k]]\n rsbs %[v], %[v], #0\n stmia %[pair]!, {%[v]}\n"
                         "adds %[k], #1\n"
                         "bne 1b\n"
                         : [pair] "+l"(pair), [k] "+l"(k), [v] "=&l"(v)
                         : [x] "l"(x)
                         : "cc", "memory");
    else
        __asm__ volatile("1:\n"
                         "ldrsb %[v], [%[x], %[k]]\n lsls %[v], %[v], #16\n"
                         "ldr %[t], [%[pair]]\n subs %[t], %[t], %[v]\n stmia %[pair]!, {%[t]}\n"
                         "adds %[k], #1\n"
                         "bne 1b\n"
                         : [pair] "+l"(pair), [k] "+l"(k), [v] "=&l"(v), [t] "=&l"(t)
                         : [x] "l"(x)
                         : "cc", "memory");
}

/* ---- one pixel times four units */

/* s[0..4) += x . w of four units; returns how many of `depth` it did: all. */
static inline int32_t four_sums(const int8_t *x, const int8_t *w0, int32_t depth, int32_t *s)
{
    int32_t a = s[0], b = s[1], c = s[2], d = s[3], k = -depth, v, t;
    x += depth; /* all point behind what is read: the index counts up to 0 */
    w0 += depth;
    const int8_t *w1 = w0 + depth, *w2 = w1 + depth, *w3 = w2 + depth;
    __asm__ volatile("1:\n"
                     "ldrsb %[v], [%[x], %[k]]\n"
                     "ldrsb %[t], [%[w0], %[k]]\n muls %[t], %[v], %[t]\n add %[a], %[t]\n"
                     "ldrsb %[t], [%[w1], %[k]]\n muls %[t], %[v], %[t]\n add %[b], %[t]\n"
                     "ldrsb %[t], [%[w2], %[k]]\n muls %[t], %[v], %[t]\n add %[c], %[t]\n"
                     "ldrsb %[t], [%[w3], %[k]]\n muls %[t], %[v], %[t]\n add %[d], %[t]\n"
                     "adds %[k], #1\n"
                     "bne 1b\n"
                     : [a] "+h"(a), [b] "+h"(b), [c] "+h"(c), [d] "+h"(d), [k] "+l"(k), [v] "=&l"(v), [t] "=&l"(t)
                     : [x] "l"(x), [w0] "l"(w0), [w1] "l"(w1), [w2] "l"(w2), [w3] "l"(w3)
                     : "cc", "memory");
    s[0] = a;
    s[1] = b;
    s[2] = c;
    s[3] = d;
    return depth;
}

/* ---- depthwise filters of 3x3, channel by channel */

static inline bool can_filter(int32_t rows, int32_t columns, int32_t n, bool plain)
{
    (void)n;
    return plain && rows == 3 && columns == 3;
}

/* What a plain layer needs of each channel: bias, multiplier, shift to the right. */
static inline void lay_filters(const int8_t *w, int32_t taps, int32_t n, const int32_t *bias, const int32_t *multipliers,
                               const int32_t *shifts, int32_t step, uint32_t *to)
{
    (void)w, (void)taps;
    for (; n; n--, to += 3, multipliers += step, shifts += step) {
        to[0] = (uint32_t)*bias++;
        to[1] = (uint32_t)*multipliers;
        to[2] = (uint32_t)-*shifts;
    }
}

/* One pixel. Passed by value: it lies on the stack, where its fields are counters. */
struct filter_job {
    const int8_t *x, *w;
    int32_t n; /* from tap to tap, of x and of w */
    int32_t row_step; /* of x */
    const uint32_t *filters; /* lay_filters() */
    int32_t zero, at; /* at: from -n up to 0 */
    int8_t *end; /* y + n */
};

void torpor_filter_job(struct filter_job job);

#endif
#endif
