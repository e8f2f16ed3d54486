/* SPDX-License-Identifier: MIT
 *
 * LOOKUP; the record is described in device/torpor/nn/lookup.py.
 */
#include "image.h"

enum { IN, OUT, SIZE, TABLE, COUNT };

void torpor_check_lookup(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + SIZE, 1);
    need_ram(m, a[IN], (uint32_t)a[SIZE]);
    need_ram(m, a[OUT], (uint32_t)a[SIZE]);
    need_int8(m, a[TABLE], 256);
}

void torpor_lookup(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN], *table = int8_at(m, a[TABLE]) + 128;
    int8_t *y = m->arena + a[OUT];
    for (int32_t k = 0; k < a[SIZE]; k++)
        y[k] = table[x[k]];
}
