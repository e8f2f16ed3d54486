/* SPDX-License-Identifier: MIT
 *
 * Inner loops for Cortex-M0 and M0+: one multiplication of 32 bits, eight registers and a few to add to.
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

#include <stdint.h>

static inline void pair_lay(uint32_t *pair, int lane, const int8_t *x, int32_t depth)
{
    if (lane == 0)
        for (int32_t k = 0; k < depth; k++)
            pair[k] = -(uint32_t)x[k];
    else
        for (int32_t k = 0; k < depth; k++)
            pair[k] -= (uint32_t)x[k] << 16;
}

#define UNIT(w, first, second)  \
    "ldrsb r2, [%[" w "], %[k]]\n" \
    "muls r2, r0, r2\n"         \
    "adds %[k], #1\n"           \
    "ldrsb r3, [%[" w "], %[k]]\n" \
    "muls r3, r1, r3\n"         \
    "adds r2, r2, r3\n"         \
    "sxth r3, r2\n"             \
    "add %[" first "], r3\n"    \
    "subs r2, r2, r3\n"         \
    "asrs r2, r2, #16\n"        \
    "add %[" second "], r2\n"
/* unit 1 is read one step later, from a pointer one step earlier */
#define TWO "ldmia %[x]!, {r0, r1}\n" UNIT("w0", "a", "b") UNIT("w1", "c", "d")

/* s: both units of the first pixel, then of the second */
static inline void pair_sums(const uint32_t *x, const int8_t *w0, const int8_t *w1, int32_t depth, int32_t *s)
{
    int32_t a = -s[0], b = -s[2], c = -s[1], d = -s[3], even = depth & ~1, k = -even;
    w0 += even;
    w1 += even - 1;
    __asm__ volatile("lsls r2, %[k], #30\n" /* an odd number of twos enters half way */
                     "bmi 2f\n"
                     "1:\n" TWO "2:\n" TWO "cmp %[k], #0\n"
                     "bne 1b\n"
                     : [x] "+l"(x), [k] "+l"(k), [a] "+h"(a), [b] "+h"(b), [c] "+h"(c), [d] "+h"(d)
                     : [w0] "l"(w0), [w1] "l"(w1)
                     : "r0", "r1", "r2", "r3", "cc", "memory");
    if (depth & 1) {
        int32_t first = (int16_t)*x, second = (int32_t)(*x - (uint32_t)first) >> 16, v = w0[0], u = w1[1];
        a += first * v;
        b += second * v;
        c += first * u;
        d += second * u;
    }
    s[0] = -a;
    s[1] = -c;
    s[2] = -b;
    s[3] = -d;
}
#undef TWO
#undef UNIT

#endif
#endif
