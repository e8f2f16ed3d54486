/* SPDX-License-Identifier: MIT
 *
 * Dot products with the DSP instructions of Cortex-M4, M7 and M33: two products of 16 bits at once.
 * Bytes are widened in pairs, 0 and 2, then 1 and 3. Source: Arm Cortex-M4 technical reference, SXTB16, SMLAD.
 */
#ifndef TORPOR_DSP_H
#define TORPOR_DSP_H

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define TORPOR_DSP 1

#include <stdint.h>

/* 4 bytes of any alignment */
static inline uint32_t load4(const int8_t *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}

static inline uint32_t even_bytes(uint32_t v)
{
    uint32_t r;
    __asm__("sxtb16 %0, %1" : "=r"(r) : "r"(v));
    return r;
}

static inline uint32_t odd_bytes(uint32_t v)
{
    uint32_t r;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(v));
    return r;
}

static inline int32_t multiply2(uint32_t a, uint32_t b, int32_t sum)
{
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* sum + the product of the low halves, and of the high halves */
static inline int32_t multiply_low(uint32_t a, uint32_t b, int32_t sum)
{
    __asm__("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline int32_t multiply_high(uint32_t a, uint32_t b, int32_t sum)
{
    __asm__("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* sum + the products of four weights with an input that is widened already */
static inline int32_t multiply4(uint32_t even, uint32_t odd, const int8_t *w, int32_t sum)
{
    uint32_t v = load4(w);
    return multiply2(odd, odd_bytes(v), multiply2(even, even_bytes(v), sum));
}

#endif
#endif
