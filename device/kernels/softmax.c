/* SPDX-License-Identifier: MIT
 *
 * SOFTMAX; the record is described in device/torpor/nn/softmax.py.
 */
#include "fixed.h"
#include "image.h"

enum { IN, OUT, ROWS, DEPTH, EXPONENTIALS, COUNT };
enum { MOST = 4095 }; /* MOST terms of at most 2^19 each stay below 2^31 */

void torpor_check_softmax(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + ROWS, 2);
    need(m, a[DEPTH] <= MOST);
    uint32_t size = times((uint32_t)a[ROWS], (uint32_t)a[DEPTH]);
    need_ram(m, a[IN], size);
    need_ram(m, a[OUT], size);
    if (m->verdict)
        return;
    need(m, a[OUT] <= a[IN] || a[OUT] >= a[IN] + (int32_t)size);
    need_int32(m, a[EXPONENTIALS], 256);
    if (m->verdict)
        return;
    const int32_t *exps = int32_at(m, a[EXPONENTIALS]);
    for (int i = 0; i < 256; i++)
        need(m, exps[i] >= 0);
    need(m, exps[255] == 0x7fffffff);
}

void torpor_softmax(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    const int32_t *exps = int32_at(m, a[EXPONENTIALS]);
    int32_t depth = a[DEPTH];
    for (int32_t row = 0; row < a[ROWS]; row++, x += depth, y += depth) {
        int32_t most = -128;
        for (int32_t k = 0; k < depth; k++)
            most = x[k] > most ? x[k] : most;
        const int32_t *e = exps + (255 - most);
        uint32_t total = 0; /* Q19 */
        for (int32_t k = 0; k < depth; k++)
            total += ((uint32_t)e[x[k]] + 2048) >> 12;
        int32_t headroom = 0;
        while (!(total & 0x80000000u)) {
            total <<= 1;
            headroom++;
        }
        int32_t inverse = reciprocal(total - 0x80000000u), down = 35 - headroom;
        for (int32_t k = 0; k < depth; k++) {
            uint32_t v = 0; /* beyond 31 bits everything rounds to 0 */
            if (down < 32)
                v = ((uint32_t)multiply_q31(inverse, e[x[k]]) + ((uint32_t)1 << (down - 1))) >> down;
            y[k] = (int8_t)(v < 255 ? (int32_t)v - 128 : 127);
        }
    }
}
