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

/* Both may overlap in a damaged image. */
static inline void copy(int8_t *to, const int8_t *from, size_t count)
{
    memmove(to, from, count);
}

static inline void fill(int8_t *to, int8_t value, size_t count)
{
    memset(to, value, count);
}

#endif
