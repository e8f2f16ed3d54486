/* SPDX-License-Identifier: MIT
 *
 * What compilers call and an .mpy must bring along: there is no libc and no compiler runtime behind it.
 */
#include "copy.h"
#include <stdbool.h>

#define PART_OF_RUNTIME __attribute__((visibility("hidden"), used))

typedef uint32_t __attribute__((may_alias)) word_t;

/* Aligned words, four at a time; what is left of `count`. Windows of an image are copied through here. */
static inline size_t move_quads(uint8_t **to, const uint8_t **from, size_t count)
{
    uint8_t *d = *to;
    const uint8_t *s = *from;
#ifdef __thumb__
    if (count >= 16) {
        count -= 16;
        __asm__ volatile("1:\n"
                         "ldmia %[s]!, {r3, r4, r5, r6}\n"
                         "stmia %[d]!, {r3, r4, r5, r6}\n"
                         "subs %[count], #16\n"
                         "bhs 1b"
                         : [s] "+l"(s), [d] "+l"(d), [count] "+l"(count)
                         :
                         : "r3", "r4", "r5", "r6", "cc", "memory");
        count += 16;
    }
#else
    for (; count >= 16; count -= 16, d += 16, s += 16) {
        word_t *to4 = (void *)d;
        const word_t *from4 = (const void *)s;
        word_t v0 = from4[0], v1 = from4[1], v2 = from4[2], v3 = from4[3];
        to4[0] = v0;
        to4[1] = v1;
        to4[2] = v2;
        to4[3] = v3;
    }
#endif
    *to = d;
    *from = s;
    return count;
}

PART_OF_RUNTIME void *memmove(void *to, const void *from, size_t count)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((uintptr_t)d - (uintptr_t)s >= count) { /* forwards reads nothing that it has written */
        bool aligned = (((uintptr_t)d | (uintptr_t)s) & 3) == 0;
        if (aligned)
            count = move_quads(&d, &s, count);
#ifdef __ARM_FEATURE_UNALIGNED
        aligned = true;
#endif
        if (aligned)
            for (; count >= 4; count -= 4, d += 4, s += 4)
                *(word_t *)(void *)d = *(const word_t *)(const void *)s;
        move_bytes((int8_t *)d, (const int8_t *)s, count);
    } else {
        while (count--)
            d[count] = s[count];
    }
    return to;
}

PART_OF_RUNTIME void *memcpy(void *to, const void *from, size_t count)
{
    return memmove(to, from, count);
}

PART_OF_RUNTIME void *memset(void *to, int value, size_t count)
{
    uint8_t *d = to;
    for (; count && ((uintptr_t)d & 3); count--)
        *d++ = (uint8_t)value;
    for (uint32_t four = (uint8_t)value * 0x01010101u; count >= 4; count -= 4, d += 4)
        *(word_t *)(void *)d = four;
    while (count--)
        *d++ = (uint8_t)value;
    return to;
}

#ifdef __arm__
/* Source: ARM IHI 0043, Run-time ABI for the Arm Architecture, sections 5.3.1 and 4.3.4 (memory, division). */
PART_OF_RUNTIME void __aeabi_memmove(void *to, const void *from, size_t count) { memmove(to, from, count); }
PART_OF_RUNTIME void __aeabi_memcpy(void *to, const void *from, size_t count) { memmove(to, from, count); }
PART_OF_RUNTIME void __aeabi_memcpy4(void *to, const void *from, size_t count) { memmove(to, from, count); }
PART_OF_RUNTIME void __aeabi_memset(void *to, size_t count, int value) { memset(to, value, count); }
PART_OF_RUNTIME void __aeabi_memclr(void *to, size_t count) { memset(to, 0, count); }
PART_OF_RUNTIME void __aeabi_memclr4(void *to, size_t count) { memset(to, 0, count); }
PART_OF_RUNTIME void __aeabi_memclr8(void *to, size_t count) { memset(to, 0, count); }

#if __ARM_ARCH == 6
/* Quotient in the low word, remainder in the high one, which is r0 and r1. 0 divided by, as by hardware: 0. */
PART_OF_RUNTIME uint64_t __aeabi_uidivmod(uint32_t n, uint32_t d)
{
    uint32_t quotient = 0, bit = 1;
    if (d == 0)
        return (uint64_t)n << 32;
    while (d < n && !(d & 0x80000000u)) {
        d <<= 1;
        bit <<= 1;
    }
    for (; bit; bit >>= 1, d >>= 1) {
        if (n >= d) {
            n -= d;
            quotient |= bit;
        }
    }
    return (uint64_t)n << 32 | quotient;
}

PART_OF_RUNTIME uint32_t __aeabi_uidiv(uint32_t n, uint32_t d)
{
    return (uint32_t)__aeabi_uidivmod(n, d);
}

PART_OF_RUNTIME uint64_t __aeabi_idivmod(int32_t n, int32_t d)
{
    uint64_t both = __aeabi_uidivmod(n < 0 ? -(uint32_t)n : (uint32_t)n, d < 0 ? -(uint32_t)d : (uint32_t)d);
    uint32_t quotient = (uint32_t)both, rest = (uint32_t)(both >> 32);
    if ((n < 0) != (d < 0))
        quotient = -quotient;
    if (n < 0)
        rest = -rest;
    return (uint64_t)rest << 32 | quotient;
}

PART_OF_RUNTIME int32_t __aeabi_idiv(int32_t n, int32_t d)
{
    return (int32_t)(uint32_t)__aeabi_idivmod(n, d);
}
#endif
#endif
