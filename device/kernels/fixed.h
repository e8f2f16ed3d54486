/* SPDX-License-Identifier: MIT
 *
 * Fixed-point arithmetic of the quantized operators: gemmlowp's, rounding twice.
 * Source: gemmlowp fixedpoint.h and TensorFlow Lite's MultiplyByQuantizedMultiplier (double rounding).
 */
#ifndef TORPOR_FIXED_H
#define TORPOR_FIXED_H

#include <stdint.h>

#ifdef __XTENSA__
#include "xtensa.h"
#else

/* (a * b + 2^30) >> 31, the product of two Q31 numbers. */
static inline int32_t multiply_q31(int32_t a, int32_t b)
{
#if defined(__ARM_ARCH) && __ARM_ARCH == 6
    /* Cortex-M0+ multiplies 32 x 32 to 32 bits only: four partial products of 16 bits. */
    uint32_t a0 = (uint32_t)a & 0xffff, b0 = (uint32_t)b & 0xffff;
    int32_t a1 = a >> 16, b1 = b >> 16;
    uint32_t low = a0 * b0;
    int32_t mid = a1 * (int32_t)b0 + (int32_t)(low >> 16);
    int32_t mid2 = (int32_t)a0 * b1 + (int32_t)((uint32_t)mid & 0xffff);
    int32_t high = a1 * b1 + (mid >> 16) + (mid2 >> 16);
    low = (low & 0xffff) | (uint32_t)mid2 << 16;
    uint32_t rounded = low + ((uint32_t)1 << 30);
    high += rounded < low;
    return (int32_t)((uint32_t)high << 1 | rounded >> 31);
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
#endif
}

/* value * multiplier / 2^31 * 2^shift, shift -31..30; halves away from zero, as TensorFlow Lite Micro rounds. */
static inline int32_t scale(int32_t value, int32_t multiplier, int32_t shift)
{
    int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    value = multiply_q31((int32_t)((uint32_t)value << left), multiplier);
    /* an arithmetic shift rounds down: add one where the rest is more than half, or half and not negative */
    int32_t mask = (int32_t)(((uint32_t)1 << right) - 1);
    int32_t rest = value & mask, half = (mask >> 1) + (value < 0);
    return (value >> right) + (rest > half);
}

#endif

/* How many bits x has, 1 for 0 and 1: by halves, where a loop bit by bit would become a call for Cortex-M0+. */
static inline int32_t bits_of(uint32_t x)
{
    int32_t n = 1;
    for (int32_t half = 16; half; half >>= 1)
        if (x >> half) {
            x >>= half;
            n += half;
        }
    return n;
}

static inline int8_t clip(int32_t value, int32_t low, int32_t high)
{
    return (int8_t)(value < low ? low : value > high ? high : value);
}

/* 1 / (1 + x) for x in [0, 1), Q31 in and out: three Newton-Raphson steps in Q29.
 * Source: gemmlowp fixedpoint.h, one_over_one_plus_x_for_x_in_0_1. */
static inline int32_t reciprocal(uint32_t x)
{
    int32_t half = (int32_t)((x + 0x80000000u) >> 1);
    int32_t r = 1515870810 + multiply_q31(half, -1010580540); /* 48/17 - 32/17 * half */
    for (int i = 0; i < 3; i++) {
        int32_t error = 0x20000000 - multiply_q31(half, r);
        r += (int32_t)((uint32_t)multiply_q31(r, error) << 2);
    }
    uint32_t doubled = (uint32_t)r << 1;
    return doubled < 0x7fffffffu ? (int32_t)doubled : 0x7fffffff;
}

/* How sums become int8: multipliers and shifts one each (step 0) or one per unit (step 1). */
struct output {
    const int32_t *multipliers, *shifts;
    int32_t step, zero, low, high;
};

/* Sums are kept for this many units at a time, on the stack. */
#define TILE 32

/* Write sums[0..count) of the units first.. to y. */
static inline void requantize(const struct output *o, const int32_t *sums, int32_t first, int32_t count, int8_t *y)
{
    int32_t zero = o->zero, low = o->low, high = o->high;
    if (o->step) {
        const int32_t *m = o->multipliers + first, *s = o->shifts + first;
        for (int32_t i = 0; i < count; i++)
            y[i] = clip(scale(sums[i], m[i], s[i]) + zero, low, high);
    } else {
        int32_t m = *o->multipliers, s = *o->shifts;
        for (int32_t i = 0; i < count; i++)
            y[i] = clip(scale(sums[i], m, s) + zero, low, high);
    }
}

#endif
