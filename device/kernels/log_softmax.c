/* SPDX-License-Identifier: MIT
 *
 * LOG_SOFTMAX; the record is described in device/torpor/nn/log_softmax.py.
 */
#include "fixed.h"
#include "image.h"

enum { IN, OUT, ROWS, DEPTH, TERMS, DIFFERENCES, LEAST, DIVISOR, SHIFT, COUNT };
enum { MOST = 4095, TERM = 1 << 19 };

void torpor_check_log_softmax(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
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
    need(m, a[DIVISOR] >= 0 && -31 <= a[SHIFT] && a[SHIFT] <= 0);
    if (m->verdict)
        return;
    need(m, a[OUT] <= a[IN] || a[OUT] >= a[IN] + (int32_t)size);
    need_int32(m, a[TERMS], 256);
    need_int32(m, a[DIFFERENCES], 256);
    if (m->verdict)
        return;
    const int32_t *terms = int32_at(m, a[TERMS]), *steps = int32_at(m, a[DIFFERENCES]);
    for (int i = 0; i < 256; i++)
        need(m, 0 <= terms[i] && terms[i] <= TERM && steps[i] <= 0);
    need(m, terms[255] == TERM);
}

static inline int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* `x` doubled, at most 2^31 - 1. */
static inline int32_t doubled(int32_t x)
{
    return x < 0x40000000 ? (int32_t)((uint32_t)x << 1) : 0x7fffffff;
}

/* Not inlined: ten of them on a Cortex-M0+ would be half a KiB. */
static __attribute__((noinline)) int32_t product(int32_t a, int32_t b)
{
    return multiply_q31(a, b);
}

/* ln of x >= 1, Q19 in, Q26 out. Source: log_x_for_x_greater_than_or_equal_to_1, TensorFlow Lite's common.h. */
static int32_t logarithm(int32_t x)
{
    const int32_t root = 1518500250, fourth_root = 1805811301; /* of 1/2, Q31 */
    int32_t bits = bits_of((uint32_t)x), less = bits_of((uint32_t)product(x, root));
    int32_t power_a = (bits - 20) * (1 << 25) + (1 << 23), power_b = (less - 19) * (1 << 25) - (1 << 23);
    int32_t b = less < bits ? 0x7fffffff : (int32_t)((uint32_t)x << (31 - less));
    int32_t r = smaller(doubled(product((int32_t)((uint32_t)x << (31 - bits)), root)), b);
    int32_t power = power_a > power_b ? power_a : power_b;
    int32_t p = (int32_t)(((uint32_t)r + (uint32_t)fourth_root + 1) >> 1), q = (r - fourth_root) * 2;
    int32_t square = product(q, q);
    int32_t above = product(q, r) + product(product(q, square), 117049297);
    int32_t below = product(p, 1057819769 + q + product(127690142, square)) + product(638450708, q);
    above = (above + 32 - (above < 0)) >> 6;
    return doubled(product(power, 1488522236) + product(above, reciprocal((uint32_t)below)));
}

void torpor_log_softmax(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    int32_t depth = a[DEPTH];
    for (int32_t row = 0; row < a[ROWS]; row++, x += depth, y += depth) {
        int32_t most = -128, total = 0;
        for (int32_t k = 0; k < depth; k++)
            most = x[k] > most ? x[k] : most;
        const int32_t *terms = int32_at(m, a[TERMS]) + (255 - most), *steps = int32_at(m, a[DIFFERENCES]) + (255 - most);
        for (int32_t k = 0; k < depth; k++)
            total += terms[x[k]];
        total = logarithm(total);
        int32_t least = scale((int32_t)((uint32_t)total + 0x80000000u), a[DIVISOR], a[SHIFT]);
        least = a[LEAST] > least ? a[LEAST] : least;
        for (int32_t k = 0; k < depth; k++) {
            int32_t v = -128;
            if (x[k] - most > least) {
                v = steps[x[k]] - total;
                v = clip(((v + (1 << 21) - (v < 0)) >> 22) + 127, -128, 127);
            }
            y[k] = (int8_t)v;
        }
    }
}
