/* SPDX-License-Identifier: MIT
 *
 * DIV; the records are described in device/torpor/nn/div.py.
 */
#include "fixed.h"
#include "families.h"

enum {
    A, B, OUT, CONSTANT, SIZES, A_STRIDES = 8, B_STRIDES = 12, A_ZERO = 17, B_ZERO = 20, ZERO = 23, MULTIPLIER, SHIFT,
    LOW, HIGH, TABLE, COUNT
};

void torpor_check_div(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    need(m, n == COUNT);
    if (m->verdict)
        return;
    torpor_check_add(m, a, n - 1, code);
    need(m, -128 <= a[A_ZERO] && a[A_ZERO] <= 127 && -128 <= a[B_ZERO] && a[B_ZERO] <= 127);
    need(m, 7 <= a[SHIFT] && a[SHIFT] <= 22);
    need_int32(m, a[TABLE], 512);
    if (m->verdict)
        return;
    const int32_t *bits = int32_at(m, a[TABLE]) + 256;
    for (int32_t v = 0; v < 256; v++)
        need(m, 0 <= bits[v] && bits[v] <= 8 && v >> bits[v] == 0 && (bits[v] == 0 || v >> (bits[v] - 1) == 1));
}

static inline int32_t quotient(int32_t n, int32_t d, const int32_t *table, int32_t multiplier, int32_t shift)
{
    if (d < 0) {
        n = -n;
        d = -d;
    }
    int32_t room = 31 - table[256 + (n >= 0 ? n : ~n)];
    n = multiply_q31((int32_t)((uint32_t)n << room), table[d]);
    return scale(n, multiplier, shift + 1 - table[256 + d] - room);
}

void torpor_div(const struct image *m, const int32_t *a, uint32_t code)
{
    const int8_t *p = m->arena + a[A], *q = a[CONSTANT] ? int8_at(m, a[B]) : m->arena + a[B];
    const int32_t *n = a + SIZES, *s = a + A_STRIDES, *t = a + B_STRIDES, *table = int32_at(m, a[TABLE]);
    int8_t *y = m->arena + a[OUT];
    for (int32_t i = 0; i < n[0]; i++)
        for (int32_t j = 0; j < n[1]; j++)
            for (int32_t k = 0; k < n[2]; k++) {
                const int8_t *u = p + i * s[0] + j * s[1] + k * s[2], *v = q + i * t[0] + j * t[1] + k * t[2];
                for (int32_t l = 0; l < n[3]; l++, u += s[3], v += t[3]) {
                    int32_t b = *u - a[A_ZERO], c = *v - a[B_ZERO];
                    int32_t result = code == DIV ? quotient(b, c, table, a[MULTIPLIER], a[SHIFT])
                                                 : quotient(c, b, table, a[MULTIPLIER], a[SHIFT]);
                    *y++ = clip(result + a[ZERO], a[LOW], a[HIGH]);
                }
            }
}
