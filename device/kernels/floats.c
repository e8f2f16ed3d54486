/* SPDX-License-Identifier: MIT
 *
 * QUANTIZE and DEQUANTIZE, on the bits of float32; the records are described in device/torpor/nn/floats.py.
 */
#include "image.h"

enum { IN, OUT, SIZE, TABLE, COUNT };

void torpor_check_floats(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    need(m, n == COUNT);
    if (m->verdict)
        return;
    bool quantize = code == QUANTIZE;
    need_sizes(m, a + SIZE, 1);
    need_ram(m, a[IN], times((uint32_t)a[SIZE], quantize ? 4 : 1));
    need_ram(m, a[OUT], times((uint32_t)a[SIZE], quantize ? 1 : 4));
    need_int32(m, a[TABLE], quantize ? 255 : 256);
}

/* float32 at p, of any alignment, as an integer that sorts as the floats do. */
static inline int32_t key(const int8_t *p)
{
    const uint8_t *b = (const uint8_t *)p;
    uint32_t bits = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    return bits & 0x80000000u ? -(int32_t)(bits & 0x7fffffff) : (int32_t)bits;
}

void torpor_floats(const struct image *m, const int32_t *a, uint32_t code)
{
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    const int32_t *table = int32_at(m, a[TABLE]);
    if (code == QUANTIZE) {
        for (int32_t k = 0; k < a[SIZE]; k++, x += 4) {
            int32_t v = key(x), low = 0, high = 255;
            while (low < high) {
                int32_t middle = (low + high) >> 1;
                if (table[middle] <= v)
                    low = middle + 1;
                else
                    high = middle;
            }
            y[k] = (int8_t)(low - 128);
        }
    } else {
        for (int32_t k = 0; k < a[SIZE]; k++, y += 4) {
            uint32_t bits = (uint32_t)table[x[k] + 128];
            for (int i = 0; i < 4; i++)
                y[i] = (int8_t)(bits >> (8 * i));
        }
    }
}
