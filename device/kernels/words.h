/* SPDX-License-Identifier: MIT
 *
 * Little-endian int32 of any alignment, as device/torpor/nn/words.py has them.
 */
#ifndef TORPOR_WORDS_H
#define TORPOR_WORDS_H

#include <stdint.h>

static inline int32_t get32(const int8_t *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (int32_t)(b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
}

static inline void put32(int8_t *p, int32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (int8_t)((uint32_t)value >> (8 * i));
}

#endif
