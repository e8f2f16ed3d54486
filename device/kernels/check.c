/* SPDX-License-Identifier: MIT
 *
 * What the operators' checks share, once in the module; described in image.h.
 */
#include "image.h"

uint32_t times(uint32_t a, uint32_t b)
{
    if (a >= TOO_LARGE || b >= TOO_LARGE || (a && b > TOO_LARGE / a))
        return (a && b) ? TOO_LARGE : 0;
    return a * b;
}

uint32_t plus(uint32_t a, uint32_t b)
{
    return a >= TOO_LARGE || b >= TOO_LARGE ? TOO_LARGE : a + b;
}

uint32_t product4(int32_t a, int32_t b, int32_t c, int32_t d)
{
    return times(times((uint32_t)a, (uint32_t)b), times((uint32_t)c, (uint32_t)d));
}

void need_sizes(struct image *m, const int32_t *sizes, int count)
{
    for (int i = 0; i < count; i++)
        need(m, 0 < sizes[i] && sizes[i] <= RAM_LIMIT);
}

void need_ram(struct image *m, int32_t offset, uint32_t size)
{
    need(m, offset >= 0 && size > 0 && size <= m->ram_bytes && (uint32_t)offset <= m->ram_bytes - size);
}

void need_state(struct image *m, int32_t offset, uint32_t size)
{
    need(m, offset >= 0 && size > 0 && size <= m->state_bytes && (uint32_t)offset <= m->state_bytes - size);
}

void need_clip(struct image *m, int32_t low, int32_t high)
{
    need(m, -128 <= low && low <= high && high <= 127);
}

void need_int8(struct image *m, int32_t offset, uint32_t count)
{
    uint32_t at = (uint32_t)offset;
    if (offset < 0 || count == 0 || count > m->weights_bytes || at - m->weights_from > m->weights_bytes - count) {
        need(m, false);
        return;
    }
    if (at < m->first)
        m->first = at;
    if (at + count > m->end)
        m->end = at + count;
    if (!m->weights && m->verdict == GOOD)
        m->verdict = UNSEEN; /* no check goes on to read them; those that ask for more still come here */
}

void need_int16(struct image *m, int32_t offset, uint32_t count)
{
    need_int8(m, offset, times(count, 2));
    need_here(m, (offset & 1) == 0);
}

void need_int32(struct image *m, int32_t offset, uint32_t count)
{
    need_int8(m, offset, times(count, 4));
    need_here(m, (offset & 3) == 0);
}

void need_shift(struct image *m, int32_t shift)
{
    need(m, -31 <= shift && shift <= 30);
}

void need_output(struct image *m, int32_t bias, int32_t multipliers, int32_t shifts, uint32_t units,
                 int32_t step)
{
    need_int32(m, bias, units);
    units = step ? units : 1;
    need_int32(m, multipliers, units);
    need_int32(m, shifts, units);
    if (m->verdict == GOOD)
        for (uint32_t i = 0; i < units; i++)
            need_shift(m, ((const int32_t *)(const void *)(m->weights + shifts))[i]);
}

void need_rows(struct image *m, int32_t offset, int32_t rows, uint32_t row_bytes)
{
    need_ram(m, offset, times((uint32_t)rows, row_bytes));
}

void need_constants(struct image *m, int32_t offset, uint32_t count, uint32_t item_bytes)
{
    need_int8(m, offset, times(count, item_bytes));
    need_here(m, ((uint32_t)offset & (item_bytes - 1)) == 0);
}
