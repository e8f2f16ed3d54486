/* SPDX-License-Identifier: MIT
 *
 * LOGISTIC and TANH of int16; the record is described in device/torpor/nn/sigmoid16.py.
 */
#include "int16.h"

enum { IN, OUT, SIZE, IS_TANH, MULTIPLIER, SHIFT, TABLE, COUNT };

void torpor_check_sigmoid16(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + SIZE, 1);
    need_ram16(m, a[IN], (uint32_t)a[SIZE]);
    need_ram16(m, a[OUT], (uint32_t)a[SIZE]);
    need(m, (uint32_t)a[IS_TANH] <= 1 && (uint32_t)a[MULTIPLIER] <= 32767 && (uint32_t)a[SHIFT] <= 31);
    need_int16(m, a[TABLE], 256);
}

void torpor_sigmoid16(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int16_t *x = ram16(m, a[IN]);
    const uint16_t *table = (const uint16_t *)int16_at(m, a[TABLE]);
    int16_t *y = ram16(m, a[OUT]);
    int32_t tanh = a[IS_TANH], bits = 9 - tanh, middle = 1 << (15 + bits);
    for (int32_t k = 0; k < a[SIZE]; k++) {
        int32_t v = (x[k] * a[MULTIPLIER] + (int32_t)(((uint32_t)1 << a[SHIFT]) >> 1)) >> a[SHIFT];
        int32_t size = v < 0 ? -v : v, i = size >> bits, r = tanh ? 0xffff << 8 : 0x7fff << 10;
        if (i < 255)
            r = (table[i] << bits) + (size & ((1 << bits) - 1)) * (table[i + 1] - table[i]);
        if (tanh)
            r = ((v >= 0 ? r - middle : middle - r - 1) + 128) >> 8;
        else
            r = ((v >= 0 ? r : 2 * middle - r - 1) + 512) >> 10;
        y[k] = (int16_t)r;
    }
}
