/* SPDX-License-Identifier: MIT
 *
 * COPY and TAKE; the records are described in device/torpor/nn/move.py.
 */
#include "copy.h"
#include "image.h"

enum { IN, OUT, CONSTANT, SIZES, STRIDES = 7, OUT_STRIDES = 11, COPY_COUNT = 15 };
enum { TAKE_SIZES = 2, BLOCK = 6, TABLES, TAKE_COUNT = 11 };

static void check_copy(struct image *m, const int32_t *a)
{
    need_sizes(m, a + SIZES, 4);
    need(m, product4(a[SIZES], a[SIZES + 1], a[SIZES + 2], a[SIZES + 3]) <= m->ram_bytes);
    need(m, a[CONSTANT] == 0 || a[CONSTANT] == 1);
    if (m->verdict)
        return;
    uint32_t below = 0, above = 1, out = 1;
    for (int i = 0; i < 4; i++) {
        uint32_t steps = (uint32_t)a[SIZES + i] - 1, stride = (uint32_t)a[STRIDES + i];
        need(m, a[OUT_STRIDES + i] >= 0);
        out = plus(out, times(steps, (uint32_t)a[OUT_STRIDES + i]));
        if (a[STRIDES + i] < 0)
            below = plus(below, times(steps, -stride));
        else
            above = plus(above, times(steps, stride));
    }
    need_ram(m, a[OUT], out);
    need(m, a[IN] >= (int32_t)below);
    if (m->verdict)
        return;
    if (a[CONSTANT])
        need_int8(m, a[IN] - (int32_t)below, plus(above, below));
    else
        need_ram(m, a[IN] - (int32_t)below, plus(above, below));
}

static void check_take(struct image *m, const int32_t *a)
{
    need_sizes(m, a + TAKE_SIZES, 5);
    if (m->verdict)
        return;
    need_ram(m, a[OUT], times(product4(a[2], a[3], a[4], a[5]), (uint32_t)a[BLOCK]));
    uint32_t reach = (uint32_t)a[BLOCK];
    for (int i = 0; i < 4; i++) {
        uint32_t most = 0;
        need_int32(m, a[TABLES + i], (uint32_t)a[TAKE_SIZES + i]);
        for (int32_t k = 0; m->verdict == GOOD && k < a[TAKE_SIZES + i]; k++) {
            uint32_t v = (uint32_t)int32_at(m, a[TABLES + i])[k];
            need(m, v <= m->ram_bytes);
            most = v > most ? v : most;
        }
        reach += most; /* five numbers of 2^25 at most */
    }
    need_ram(m, a[IN], reach);
}

void torpor_check_move(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    need(m, n == (code == COPY ? COPY_COUNT : TAKE_COUNT));
    if (m->verdict)
        return;
    if (code == COPY)
        check_copy(m, a);
    else
        check_take(m, a);
}

/* Offsets, not pointers, go on behind the last byte: there the stride of an axis of length 1 may lead anywhere. */
static void run_copy(const struct image *m, const int32_t *a)
{
    const int8_t *from = a[CONSTANT] ? int8_at(m, 0) : m->arena;
    const int32_t *n = a + SIZES, *s = a + STRIDES, *t = a + OUT_STRIDES;
    for (int32_t i = 0; i < n[0]; i++)
        for (int32_t j = 0; j < n[1]; j++)
            for (int32_t k = 0; k < n[2]; k++) {
                int32_t p = a[IN] + i * s[0] + j * s[1] + k * s[2], q = a[OUT] + i * t[0] + j * t[1] + k * t[2];
                if (s[3] == 1 && t[3] == 1)
                    copy(m->arena + q, from + p, (size_t)n[3]);
                else
                    for (int32_t l = 0; l < n[3]; l++, p += s[3], q += t[3])
                        m->arena[q] = from[p];
            }
}

static void run_take(const struct image *m, const int32_t *a)
{
    const int32_t *n = a + TAKE_SIZES, *t[4];
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    for (int i = 0; i < 4; i++)
        t[i] = int32_at(m, a[TABLES + i]);
    for (int32_t i = 0; i < n[0]; i++)
        for (int32_t j = 0; j < n[1]; j++)
            for (int32_t k = 0; k < n[2]; k++)
                for (int32_t l = 0; l < n[3]; l++, y += a[BLOCK])
                    copy(y, x + t[0][i] + t[1][j] + t[2][k] + t[3][l], (size_t)a[BLOCK]);
}

void torpor_move(const struct image *m, const int32_t *a, uint32_t code)
{
    if (code == COPY)
        run_copy(m, a);
    else
        run_take(m, a);
}
