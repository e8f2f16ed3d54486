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
    if (lane == 0)
        for (int32_t k = 0; k < depth; k++)
            pair[k] = -(uint32_t)x[k];
    else
        for (int32_t k = 0; k < depth; k++)
            pair[k] -= (uint32_t)x[k] << 16;
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
    int32_t row_step, x_back, w_back; /* from row to row of x; from behind the last row to the next channel */
    const uint32_t *filters; /* lay_filters() */
    int32_t zero;
    int8_t *y, *end; /* end - y = n */
};

void torpor_filter_job(struct filter_job job);

#endif
#endif
