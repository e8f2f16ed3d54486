/* SPDX-License-Identifier: MIT
 *
 * Tensors of int16 from and to other types; the records are described in device/torpor/nn/convert.py.
 */
#include "fixed.h"
#include "int16.h"

enum { IN, OUT, SIZE, FROM_BYTES, TO_BYTES, IN_ZERO, MULTIPLIER, SHIFT, ZERO, LOW, HIGH, COUNT };
enum { MANTISSA = 3, EXPONENT, FLOAT_COUNT, ONE = 1 << 23 /* of a mantissa */ };

void torpor_check_convert(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    bool integers = code == REQUANTIZE;
    need(m, n == (integers ? COUNT : FLOAT_COUNT));
    if (m->verdict)
        return;
    uint32_t from = code == QUANTIZE16 ? 4 : 2, to = code == QUANTIZE16 ? 2 : 4;
    if (integers) {
        from = (uint32_t)a[FROM_BYTES];
        to = (uint32_t)a[TO_BYTES];
        need(m, from - 1 <= 1 && to - 1 <= 1);
        int32_t most = to == 1 ? 128 : 32768;
        need(m, -most <= a[LOW] && a[LOW] <= a[HIGH] && a[HIGH] < most);
        need_shift(m, a[SHIFT]);
    } else {
        need(m, ONE <= a[MANTISSA] && a[MANTISSA] < 2 * ONE && -120 <= a[EXPONENT] && a[EXPONENT] <= 60);
    }
    need_sizes(m, a + SIZE, 1);
    if (m->verdict)
        return;
    need_ram(m, a[IN], times((uint32_t)a[SIZE], from));
    need_ram(m, a[OUT], times((uint32_t)a[SIZE], to));
    need_here(m, ((uint32_t)a[IN] & (from - 1)) == 0 && ((uint32_t)a[OUT] & (to - 1)) == 0);
}

static int32_t quantize(uint32_t bits, uint32_t mantissa, int32_t exponent)
{
    int32_t e = (int32_t)(bits >> 23 & 255) - 150 - exponent, v = 0;
    uint32_t rest = (bits & (ONE - 1)) | ONE, quotient = 0;
    if (e > 16) {
        v = 32768;
    } else if (e >= -2) {
        if (rest < mantissa) {
            rest <<= 1;
            e--;
        }
        for (int i = 0; i < 24; i++) { /* digit by digit: there is no division of 64 bits */
            quotient <<= 1;
            if (rest >= mantissa) {
                rest -= mantissa;
                quotient |= 1;
            }
            rest <<= 1;
        }
        quotient += rest > mantissa || (rest == mantissa && (quotient & 1));
        v = (int32_t)((quotient + ((uint32_t)1 << (22 - e))) >> (23 - e));
    }
    return clip16(bits >> 31 ? -v : v, -32768, 32767);
}

static uint32_t dequantize(int32_t v, uint32_t mantissa, int32_t exponent)
{
    if (v == 0)
        return 0;
    /* the product as high * 2^12 + low, then 24 bits of it, one to round by, and whether there are more */
    uint32_t size = (uint32_t)(v < 0 ? -v : v), low = (mantissa & 0xfff) * size;
    uint32_t high = (mantissa >> 12) * size + (low >> 12);
    low &= 0xfff;
    exponent += 150 + 13;
    for (; high < 2 * ONE; exponent--) {
        high = high << 1 | low >> 11;
        low = low << 1 & 0xfff;
    }
    for (; high >= 4 * ONE; exponent++) {
        low |= high & 1;
        high >>= 1;
    }
    uint32_t kept = high >> 1;
    kept += (high & 1) && (low || (kept & 1));
    return (v < 0 ? 0x80000000u : 0) | (((uint32_t)exponent << 23) + kept - ONE);
}

void torpor_convert(const struct image *m, const int32_t *a, uint32_t code)
{
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    for (int32_t k = 0; k < a[SIZE]; k++) {
        const int16_t *x2 = (const int16_t *)(const void *)x + k;
        int16_t *y2 = (int16_t *)(void *)y + k;
        if (code == QUANTIZE16) {
            *y2 = (int16_t)quantize(((const uint32_t *)(const void *)x)[k], (uint32_t)a[MANTISSA], a[EXPONENT]);
        } else if (code == DEQUANTIZE16) {
            ((uint32_t *)(void *)y)[k] = dequantize(*x2, (uint32_t)a[MANTISSA], a[EXPONENT]);
        } else {
            int32_t v = (a[FROM_BYTES] == 1 ? x[k] : *x2) - a[IN_ZERO];
            v = scale(v, a[MULTIPLIER], a[SHIFT]) + a[ZERO];
            if (a[TO_BYTES] == 1)
                y[k] = clip(v, a[LOW], a[HIGH]);
            else
                *y2 = clip16(v, a[LOW], a[HIGH]);
        }
    }
}
