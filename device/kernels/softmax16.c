/* SPDX-License-Identifier: MIT
 *
 * SOFTMAX of int16; the record is described in device/torpor/nn/softmax16.py.
 */
#include "fixed.h"
#include "int16.h"

enum { IN, OUT, ROWS, DEPTH, MULTIPLIER, SHIFT, EXPONENTIALS, INVERSES, COUNT };
enum { MOST = 65535, STEPS = 513 };

void torpor_check_softmax16(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + ROWS, 2);
    need(m, a[DEPTH] <= MOST);
    uint32_t size = times((uint32_t)a[ROWS], (uint32_t)a[DEPTH]);
    need_ram16(m, a[IN], size);
    need_ram16(m, a[OUT], size);
    need_shift(m, a[SHIFT]);
    if (m->verdict)
        return;
    need(m, a[OUT] <= a[IN] || a[OUT] >= a[IN] + 2 * (int32_t)size);
    need_int16(m, a[EXPONENTIALS], STEPS);
    need_int16(m, a[INVERSES], STEPS);
    if (m->verdict)
        return;
    const int16_t *exps = int16_at(m, a[EXPONENTIALS]);
    for (int i = 0; i < STEPS; i++)
        need(m, exps[i] >= 0);
    need(m, exps[STEPS - 2] > 1 && exps[STEPS - 1] > 1);
}

static int32_t lookup(const int16_t *table, int32_t v)
{
    table += 256 + (v >> 7);
    return table[0] + (((table[1] - table[0]) * (v & 127) + 64) >> 7);
}

void torpor_softmax16(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int16_t *x = ram16(m, a[IN]);
    int16_t *y = ram16(m, a[OUT]);
    int32_t depth = a[DEPTH];
    for (int32_t row = 0; row < a[ROWS]; row++, x += depth, y += depth) {
        int32_t most = -32768, bits = 2;
        uint32_t total = 0;
        for (int32_t k = 0; k < depth; k++)
            most = x[k] > most ? x[k] : most;
        for (int32_t k = 0; k < depth; k++) {
            int32_t v = scale(x[k] - most, a[MULTIPLIER], a[SHIFT]);
            /* clipped before the middle is added: a damaged multiplier may give any number */
            v = lookup(int16_at(m, a[EXPONENTIALS]), (v < -65535 ? -65535 : v > 0 ? 0 : v) + 32767);
            y[k] = (int16_t)v;
            total += (uint32_t)v;
        }
        while (total >> bits)
            bits++;
        int32_t v = (int32_t)(((total << (31 - bits)) + 8192) >> 14) - 98304;
        int32_t inverse = lookup(int16_at(m, a[INVERSES]), v < 32767 ? v : 32767), half = 1 << (bits - 2);
        for (int32_t k = 0; k < depth; k++)
            y[k] = clip16((y[k] * inverse + half) >> (bits - 1), 0, 32767);
    }
}
