/* SPDX-License-Identifier: MIT
 *
 * Requantization of a plain layer: all of its shifts go to the right, no sum can reach 2^30, and the clip is that of
 * int8. Nearly all layers are; for those the two roundings take a few instructions. Exact, as scale() in fixed.h:
 *
 *     (a * m + 2^30) >> 31 == (2 * a * m + 2^31) >> 32       the high word of a product, rounded
 *     halves away from zero == halves up of v + (v >> 31)     v < 0 moves down by one, then 2^(n - 1) is added
 *
 * On Cortex-M an arithmetic shift leaves the last bit that it drops in the carry: 2^(n - 1) and the zero point are
 * one addition with carry.
 */
#ifndef TORPOR_PLAIN_H
#define TORPOR_PLAIN_H

#include "fixed.h"
#include <stdbool.h>

/* Whether a layer is plain: every |bias| up to 2^29, and `depth` products of at most 2^14 below 2^29. */
static inline bool is_plain(const struct output *o, const int32_t *bias, int32_t units, int32_t depth)
{
    uint32_t bad = o->low != -128 || o->high != 127 || depth >= 1 << 15;
    for (int32_t i = 0; i < units; i++)
        bad |= ((uint32_t)bias[i] + ((uint32_t)1 << 29)) >> 30;
    for (int32_t i = o->step ? units : 1; i; i--)
        bad |= ~(uint32_t)o->shifts[i - 1] >> 31;
    return !bad;
}

/* scale() of a sum below 2^30 by a shift of `right` > 0 to the right, plus `zero`. */
static inline int32_t scale_right(int32_t sum, int32_t multiplier, int32_t right, int32_t zero)
{
    int32_t v;
#if defined(__ARM_FEATURE_DSP)
    __asm__("smmulr %0, %1, %2" : "=r"(v) : "r"(sum * 2), "r"(multiplier));
#elif defined(__ARM_ARCH) && __ARM_ARCH == 6
    v = multiply_q31(sum, multiplier);
#else
    uint64_t product = (uint64_t)((int64_t)(sum * 2) * multiplier);
    v = (int32_t)(uint32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
#ifdef __thumb2__
    __asm__("add %0, %0, %0, asr #31\n"
            "asrs %0, %0, %1\n"
            "adc %0, %0, %2"
            : "+r"(v)
            : "r"(right), "r"(zero)
            : "cc");
    return v;
#elif defined(__thumb__)
    v += v >> 31;
    __asm__("asrs %0, %1\n"
            "adcs %0, %2"
            : "+l"(v)
            : "l"(right), "l"(zero)
            : "cc");
    return v;
#else
    return ((v + (v >> 31) + (int32_t)((uint32_t)1 << (right - 1))) >> right) + zero;
#endif
}

static inline int8_t clip8(int32_t v)
{
#if defined(__thumb2__)
    __asm__("ssat %0, #8, %0" : "+r"(v));
    return (int8_t)v;
#else
    return clip(v, -128, 127);
#endif
}

/* requantize(), out of line: what is rare must not take registers from what is not. */
void torpor_requantize(const struct output *o, const int32_t *sums, int32_t first, int32_t count, int8_t *y);

/* As requantize(), of a layer that is plain if `plain`. */
static inline void finish_units(const struct output *o, bool plain, const int32_t *sums, int32_t first, int32_t count,
                                int8_t *y)
{
    if (!plain) {
        torpor_requantize(o, sums, first, count, y);
        return;
    }
    int32_t zero = o->zero, step = o->step;
    const int32_t *m = o->multipliers + (step ? first : 0), *s = o->shifts + (step ? first : 0);
    for (; count > 0; count--, m += step, s += step)
        *y++ = clip8(scale_right(*sums++, *m, -*s, zero));
}

#endif
