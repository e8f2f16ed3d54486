/* SPDX-License-Identifier: MIT
 *
 * CAST, and ADD, MUL, DIV, MAXIMUM, MINIMUM of int32; the records are described in device/torpor/nn/ints.py.
 */
#include "image.h"

enum { IN, OUT, SIZE, FROM, TO, CAST_COUNT };
enum { A, B, Y, CONSTANT, SIZES, A_STRIDES = 8, B_STRIDES = 12, COUNT = 16 };

/* Bytes of the types 1 int8, 2 int16, 3 int32. */
static inline uint32_t item(int32_t type)
{
    return (uint32_t)1 << (type - 1);
}

/* How far the last element lies from the first, and one. */
static uint32_t extent(const int32_t *sizes, const int32_t *strides)
{
    uint32_t sum = 1;
    for (int i = 0; i < 4; i++)
        sum = plus(sum, times((uint32_t)sizes[i] - 1, (uint32_t)strides[i]));
    return sum;
}

static void check_cast(struct image *m, const int32_t *a)
{
    need_sizes(m, a + SIZE, 1);
    need(m, 1 <= a[FROM] && a[FROM] <= 3 && 1 <= a[TO] && a[TO] <= 3);
    if (m->verdict)
        return;
    uint32_t in = times((uint32_t)a[SIZE], item(a[FROM])), out = times((uint32_t)a[SIZE], item(a[TO]));
    need_ram(m, a[IN], in);
    need_ram(m, a[OUT], out);
    if (m->verdict == GOOD)
        need(m, a[IN] + (int32_t)in <= a[OUT] || a[OUT] + (int32_t)out <= a[IN]);
    need_here(m, ((uint32_t)a[IN] & (item(a[FROM]) - 1)) == 0 && ((uint32_t)a[OUT] & (item(a[TO]) - 1)) == 0);
}

void torpor_check_ints(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    need(m, n == (code == CAST ? CAST_COUNT : COUNT));
    if (m->verdict)
        return;
    if (code == CAST) {
        check_cast(m, a);
        return;
    }
    need_sizes(m, a + SIZES, 4);
    for (int i = A_STRIDES; i < COUNT; i++)
        need(m, a[i] >= 0);
    if (m->verdict)
        return;
    uint32_t other = extent(a + SIZES, a + B_STRIDES);
    need_ram(m, a[Y], times(product4(a[SIZES], a[SIZES + 1], a[SIZES + 2], a[SIZES + 3]), 4));
    need_ram(m, a[A], times(extent(a + SIZES, a + A_STRIDES), 4));
    need(m, a[CONSTANT] == 0 || a[CONSTANT] == 1);
    if (a[CONSTANT])
        need_int32(m, a[B], other);
    else
        need_ram(m, a[B], times(other, 4));
    need_here(m, ((a[A] | a[B] | a[Y]) & 3) == 0);
    if (code == DIV_INT) {
        need(m, a[CONSTANT]);
        for (uint32_t i = 0; m->verdict == GOOD && i < other; i++) {
            int32_t v = int32_at(m, a[B])[i];
            need(m, v != 0 && v != -1);
        }
    }
}

static int32_t load(const int8_t *x, int32_t type, int32_t i)
{
    const void *p = x;
    return type == 1 ? x[i] : type == 2 ? ((const int16_t *)p)[i] : ((const int32_t *)p)[i];
}

static void cast(const int32_t *a, const int8_t *x, int8_t *y)
{
    void *p = y;
    for (int32_t i = 0; i < a[SIZE]; i++) {
        int32_t v = load(x, a[FROM], i);
        if (a[TO] == 1)
            y[i] = (int8_t)v;
        else if (a[TO] == 2)
            ((int16_t *)p)[i] = (int16_t)v;
        else
            ((int32_t *)p)[i] = v;
    }
}

static int32_t compute(uint32_t code, int32_t a, int32_t b)
{
    if (code == ADD_INT)
        return (int32_t)((uint32_t)a + (uint32_t)b);
    if (code == MUL_INT)
        return (int32_t)((uint32_t)a * (uint32_t)b);
    if (code == DIV_INT)
        return a / b;
    return (code == MAXIMUM_INT) == (a > b) ? a : b;
}

void torpor_ints(const struct image *m, const int32_t *a, uint32_t code)
{
    if (code == CAST) {
        cast(a, m->arena + a[IN], m->arena + a[OUT]);
        return;
    }
    const int32_t *n = a + SIZES, *sa = a + A_STRIDES, *sb = a + B_STRIDES;
    const int32_t *x = (const void *)(m->arena + a[A]);
    const int32_t *other = a[CONSTANT] ? int32_at(m, a[B]) : (const void *)(m->arena + a[B]);
    int32_t *y = (void *)(m->arena + a[Y]);
    for (int32_t i = 0; i < n[0]; i++)
        for (int32_t j = 0; j < n[1]; j++)
            for (int32_t k = 0; k < n[2]; k++) {
                const int32_t *p = x + i * sa[0] + j * sa[1] + k * sa[2];
                const int32_t *q = other + i * sb[0] + j * sb[1] + k * sb[2];
                for (int32_t l = 0; l < n[3]; l++, p += sa[3], q += sb[3])
                    *y++ = compute(code, *p, *q);
            }
}
