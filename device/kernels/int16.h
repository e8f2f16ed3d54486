/* SPDX-License-Identifier: MIT
 *
 * What the kernels of int16 share. int16 lie in the arena at even offsets.
 */
#ifndef TORPOR_INT16_H
#define TORPOR_INT16_H

#include "image.h"

static inline void need_clip16(struct image *m, int32_t low, int32_t high)
{
    need(m, -32768 <= low && low <= high && high <= 32767);
}

/* `count` int16 at `offset` must lie in the arena, where a load of 16 bits reaches them. */
static inline void need_ram16(struct image *m, int32_t offset, uint32_t count)
{
    need_ram(m, offset, times(count, 2));
    need_here(m, (offset & 1) == 0);
}

static inline int16_t *ram16(const struct image *m, int32_t offset)
{
    return (int16_t *)(void *)(m->arena + offset);
}

static inline int16_t clip16(int32_t value, int32_t low, int32_t high)
{
    return (int16_t)(value < low ? low : value > high ? high : value);
}

/* (sum * multiplier + 2^(14 - shift)) >> (15 - shift), rounded once; multiplier 0..2^15-1, shift -31..7, |sum| below
 * 2^47. In products and shifts of 32 bits: Cortex-M0+ has no others, and an .mpy no helpers for them.
 * Source: MultiplyByQuantizedMultiplier(int64_t, ..) of TensorFlow Lite. */
static inline int32_t scale_wide(int64_t sum, int32_t multiplier, int32_t shift)
{
    uint32_t low = (uint32_t)sum, m = (uint32_t)multiplier, right = (uint32_t)(15 - shift);
    uint32_t p0 = (low & 0xffff) * m, p1 = (low >> 16) * m + (p0 >> 16);
    uint32_t high = (uint32_t)(sum >> 32) * m + (p1 >> 16);
    low = p1 << 16 | (p0 & 0xffff);
    if (right > 32) {
        high += (uint32_t)1 << (right - 33);
        return (int32_t)high >> (right - 32);
    }
    uint32_t rounded = low + ((uint32_t)1 << (right - 1));
    high += rounded < low;
    return right == 32 ? (int32_t)high : (int32_t)(high << (32 - right) | rounded >> right);
}

#endif
