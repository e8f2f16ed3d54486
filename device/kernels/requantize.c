/* SPDX-License-Identifier: MIT
 *
 * QUANTIZE between int8 and int32; the record is described in device/torpor/nn/requantize.py.
 */
#include "fixed.h"
#include "image.h"
#include "words.h"

enum { IN, OUT, SIZE, FROM, TO, IN_ZERO, MULTIPLIER, SHIFT, ZERO, COUNT };

void torpor_check_requantize32(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + SIZE, 1);
    need(m, (a[FROM] == 1 && a[TO] == 4) || (a[FROM] == 4 && a[TO] == 1));
    need_shift(m, a[SHIFT]);
    if (m->verdict)
        return;
    need_ram(m, a[IN], times((uint32_t)a[SIZE], (uint32_t)a[FROM]));
    need_ram(m, a[OUT], times((uint32_t)a[SIZE], (uint32_t)a[TO]));
}

void torpor_requantize32(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    bool narrow = a[TO] == 1;
    for (int32_t k = 0; k < a[SIZE]; k++, x += a[FROM], y += a[TO]) {
        int32_t v = scale((narrow ? get32(x) : *x) - a[IN_ZERO], a[MULTIPLIER], a[SHIFT]) + a[ZERO];
        if (narrow)
            *y = clip(v, -128, 127);
        else
            put32(y, v);
    }
}
