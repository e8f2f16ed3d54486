/* SPDX-License-Identifier: MIT
 *
 * CAST to float32, times a constant; the record is described in device/torpor/nn/to_float.py.
 */
#include "fixed.h"
#include "image.h"
#include "words.h"

enum { IN, OUT, ITEMS, TYPE, MANTISSA, EXPONENT, COUNT };

void torpor_check_to_float(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + ITEMS, 1);
    need(m, a[TYPE] == 1 || a[TYPE] == 2);
    uint32_t mantissa = a[MANTISSA] < 0 ? -(uint32_t)a[MANTISSA] : (uint32_t)a[MANTISSA];
    need(m, mantissa >> 23 == 1 && -120 <= a[EXPONENT] && a[EXPONENT] <= 60);
    if (m->verdict)
        return;
    uint32_t in = times((uint32_t)a[ITEMS], (uint32_t)a[TYPE]), out = times((uint32_t)a[ITEMS], 4);
    need_ram(m, a[IN], in);
    need_ram(m, a[OUT], out);
    if (m->verdict == GOOD)
        need(m, a[IN] + (int32_t)in <= a[OUT] || a[OUT] + (int32_t)out <= a[IN]);
}

/* The bits of x * mantissa * 2^(bias - 150), of which x has 16 bits and the mantissa 24. */
static int32_t product_bits(uint32_t x, uint32_t mantissa, int32_t bias)
{
    if (x == 0)
        return 0;
    uint32_t low = x * (mantissa & 0xfff), high = x * (mantissa >> 12) + (low >> 12); /* 12 bits, and all above */
    low &= 0xfff;
    int32_t shift = bits_of(high) - 12; /* how many bits of the product a float32 has no room for */
    uint32_t kept, rest, half = (uint32_t)1 << shift >> 1;
    if (shift >= 12) {
        kept = high >> (shift - 12);
        rest = (high & (((uint32_t)1 << (shift - 12)) - 1)) << 12 | low;
    } else {
        kept = high << (12 - shift) | low >> shift;
        rest = low & (((uint32_t)1 << shift) - 1);
    }
    kept += rest > half || (shift && rest == half && (kept & 1));
    return (int32_t)(kept + ((uint32_t)(shift + bias - 1) << 23));
}

void torpor_to_float(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    uint32_t mantissa = a[MANTISSA] < 0 ? -(uint32_t)a[MANTISSA] : (uint32_t)a[MANTISSA];
    for (int32_t i = 0; i < a[ITEMS]; i++, y += 4) {
        int32_t v = a[TYPE] == 1 ? x[i] : (int16_t)((uint8_t)x[2 * i] | (uint32_t)(uint8_t)x[2 * i + 1] << 8);
        uint32_t sign = (v < 0) != (a[MANTISSA] < 0);
        put32(y, (int32_t)((uint32_t)product_bits((uint32_t)(v < 0 ? -v : v), mantissa, a[EXPONENT] + 150) | sign << 31));
    }
}
