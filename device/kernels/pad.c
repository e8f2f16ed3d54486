/* SPDX-License-Identifier: MIT
 *
 * PAD; the record is described in device/torpor/nn/pad.py.
 */
#include "copy.h"
#include "image.h"

enum { IN, OUT, VALUE, SIZES, BEFORE = 7, AFTER = 11, COUNT = 15 };

/* Size of the output along an axis. */
static uint32_t padded(const int32_t *a, int axis)
{
    return plus(plus((uint32_t)a[BEFORE + axis], (uint32_t)a[AFTER + axis]), (uint32_t)a[SIZES + axis]);
}

void torpor_check_pad(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + SIZES, 4);
    for (int i = BEFORE; i < COUNT; i++)
        need(m, a[i] >= 0);
    need(m, -128 <= a[VALUE] && a[VALUE] <= 127);
    need_ram(m, a[IN], product4(a[SIZES], a[SIZES + 1], a[SIZES + 2], a[SIZES + 3]));
    need_ram(m, a[OUT], times(times(padded(a, 0), padded(a, 1)), times(padded(a, 2), padded(a, 3))));
}

static inline bool inside(const int32_t *a, int axis, int32_t at)
{
    return at >= a[BEFORE + axis] && at < a[BEFORE + axis] + a[SIZES + axis];
}

void torpor_pad(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT], value = (int8_t)a[VALUE];
    int32_t row = (int32_t)padded(a, 3), before = a[BEFORE + 3], size = a[SIZES + 3];
    for (int32_t i = 0; i < (int32_t)padded(a, 0); i++)
        for (int32_t j = 0; j < (int32_t)padded(a, 1); j++)
            for (int32_t k = 0; k < (int32_t)padded(a, 2); k++, y += row) {
                fill(y, value, (size_t)row);
                if (inside(a, 0, i) && inside(a, 1, j) && inside(a, 2, k)) {
                    copy(y + before, x, (size_t)size);
                    x += size;
                }
            }
}
