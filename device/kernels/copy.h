/* SPDX-License-Identifier: MIT
 *
 * Moving bytes. An .mpy has no libc: runtime.c has memmove and memset there.
 */
#ifndef TORPOR_COPY_H
#define TORPOR_COPY_H

#include <stddef.h>
#include <stdint.h>

void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

/* From the first byte to the last. */
static inline void move_bytes(int8_t *d, const int8_t *s, size_t count)
{
#ifdef __thumb__
    uint32_t v;
    if (count == 0)
        return;
    d += count;
    s += count;
    count = -count;
    __asm__ volatile("1:\n"
                     "ldrb %[v], [%[s], %[count]]\n"
                     "strb %[v], [%[d], %[count]]\n"
                     "adds %[count], #1\n"
                     "bne 1b"
                     : [count] "+l"(count), [v] "=&l"(v)
                     : [s] "l"(s), [d] "l"(d)
                     : "cc", "memory");
#else
    while (count--)
        *d++ = *s++;
#endif
}

/* Both may overlap in a damaged image. */
static inline void copy(int8_t *to, const int8_t *from, size_t count)
{
    memmove(to, from, count);
}

/* As copy(), of few bytes mostly: a call would take longer. */
static inline void copy_few(int8_t *to, const int8_t *from, size_t count)
{
#ifdef __thumb__
    if (count < 16) {
#ifdef __ARM_FEATURE_UNALIGNED
        for (; count >= 4; count -= 4, to += 4, from += 4)
            __builtin_memcpy(to, from, 4);
#endif
        move_bytes(to, from, count);
        return;
    }
#endif
    copy(to, from, count);
}

static inline void fill(int8_t *to, int8_t value, size_t count)
{
    memset(to, value, count);
}

#endif
