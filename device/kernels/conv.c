/* SPDX-License-Identifier: MIT
 *
 * CONV_2D and DEPTHWISE_CONV_2D; the records are described in device/torpor/nn/conv.py.
 */
#include "copy.h"
#include "dense.h"
#include "image.h"

enum {
    IN, OUT, SCRATCH, BATCHES, H, W, C, OUT_H, OUT_W, N, FILTER_H, FILTER_W, STRIDE_Y, STRIDE_X, DILATION_Y,
    DILATION_X, TOP, LEFT, WEIGHTS, BIAS, MULTIPLIERS, SHIFTS, STEP, IN_ZERO, ZERO, LOW, HIGH, COUNT
};

/* A 1x1 filter that never leaves the image reads its pixel where it lies. */
static bool is_direct(const int32_t *a)
{
    return a[FILTER_H] == 1 && a[FILTER_W] == 1 && a[TOP] == 0 && a[LEFT] == 0
        && times((uint32_t)a[OUT_H] - 1, (uint32_t)a[STRIDE_Y]) < (uint32_t)a[H]
        && times((uint32_t)a[OUT_W] - 1, (uint32_t)a[STRIDE_X]) < (uint32_t)a[W];
}

/* Positions of windows along one axis must be whole numbers of 32 bits. */
static void need_span(struct image *m, int32_t out, int32_t stride, int32_t filter, int32_t dilation, int32_t before)
{
    const int32_t most = (int32_t)TOO_LARGE;
    need_here(m, times((uint32_t)out - 1, (uint32_t)stride) < TOO_LARGE);
    need_here(m, times((uint32_t)filter - 1, (uint32_t)dilation) < TOO_LARGE);
    need_here(m, -most < before && before < most);
}

void torpor_check_conv(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + BATCHES, TOP - BATCHES);
    if (m->verdict)
        return;
    need_ram(m, a[IN], product4(a[BATCHES], a[H], a[W], a[C]));
    need_ram(m, a[OUT], product4(a[BATCHES], a[OUT_H], a[OUT_W], a[N]));
    need_clip(m, a[LOW], a[HIGH]);
    need(m, -128 <= a[IN_ZERO] && a[IN_ZERO] <= 127);
    need(m, a[STEP] == 0 || a[STEP] == 1);
    bool depthwise = code == DEPTHWISE;
    need(m, !depthwise || a[N] % a[C] == 0);
    if (depthwise || !is_direct(a))
        need_ram(m, a[SCRATCH], product4(a[FILTER_H], a[FILTER_W], a[C], 1));
    need_int8(m, a[WEIGHTS], product4(a[FILTER_H], a[FILTER_W], depthwise ? 1 : a[C], a[N]));
    need_output(m, a[BIAS], a[MULTIPLIERS], a[SHIFTS], (uint32_t)a[N], a[STEP]);
    need_span(m, a[OUT_H], a[STRIDE_Y], a[FILTER_H], a[DILATION_Y], a[TOP]);
    need_span(m, a[OUT_W], a[STRIDE_X], a[FILTER_W], a[DILATION_X], a[LEFT]);
}

/* Copy the window [filter height, width, c] whose corner is (y0, x0) to `to`. */
static void gather(const int32_t *a, const int8_t *x, int8_t *to, int32_t y0, int32_t x0)
{
    int32_t h = a[H], w = a[W], c = a[C], fw = a[FILTER_W], step = a[DILATION_X];
    bool whole = step == 1 && x0 >= 0 && x0 + fw <= w;
    for (int32_t fy = 0; fy < a[FILTER_H]; fy++, y0 += a[DILATION_Y]) {
        if (y0 < 0 || y0 >= h) {
            fill(to, (int8_t)a[IN_ZERO], (size_t)(fw * c));
            to += fw * c;
        } else if (whole) {
            copy(to, x + (y0 * w + x0) * c, (size_t)(fw * c));
            to += fw * c;
        } else {
            for (int32_t fx = 0, xx = x0; fx < fw; fx++, xx += step, to += c) {
                if (xx < 0 || xx >= w)
                    fill(to, (int8_t)a[IN_ZERO], (size_t)c);
                else
                    copy(to, x + (y0 * w + xx) * c, (size_t)c);
            }
        }
    }
}

/* sums[i] += x[(first + i) / per] * w[i]: one tap of depthwise filters. */
static inline void tap(int32_t *sums, const int8_t *x, const int8_t *w, int32_t first, int32_t count, int32_t per)
{
    if (per == 1) {
        x += first;
        for (int32_t i = 0; i < count; i++)
            sums[i] += x[i] * w[i];
    } else {
        int32_t k = first / per, left = per - first % per;
        for (int32_t i = 0; i < count;) {
            int32_t v = x[k++], end = i + left < count ? i + left : count;
            for (; i < end; i++)
                sums[i] += v * w[i];
            left = per;
        }
    }
}

/* One pixel of a depthwise convolution from its window [taps, c]. */
static void filters(const int8_t *window, int8_t *y, int32_t taps, int32_t c, int32_t n, const int8_t *weights,
                    const int32_t *bias, const struct output *out)
{
    int32_t per = c == n ? 1 : n / c;
    for (int32_t first = 0; first < n; first += TILE) {
        int32_t sums[TILE];
        int32_t count = n - first < TILE ? n - first : TILE;
        const int8_t *x = window, *w = weights + first;
        for (int32_t i = 0; i < count; i++)
            sums[i] = bias[first + i];
        if (count == TILE) /* a count known to the compiler */
            for (int32_t t = 0; t < taps; t++, x += c, w += n)
                tap(sums, x, w, first, TILE, per);
        else
            for (int32_t t = 0; t < taps; t++, x += c, w += n)
                tap(sums, x, w, first, count, per);
        requantize(out, sums, first, count, y + first);
    }
}

void torpor_conv(const struct image *m, const int32_t *a, uint32_t code)
{
    const int8_t *x = m->arena + a[IN], *weights = int8_at(m, a[WEIGHTS]);
    const int32_t *bias = int32_at(m, a[BIAS]);
    int8_t *y = m->arena + a[OUT], *scratch = m->arena + a[SCRATCH];
    const struct output out = {int32_at(m, a[MULTIPLIERS]), int32_at(m, a[SHIFTS]), a[STEP], a[ZERO], a[LOW], a[HIGH]};
    bool depthwise = code == DEPTHWISE, direct = !depthwise && is_direct(a);
    int32_t c = a[C], n = a[N], taps = a[FILTER_H] * a[FILTER_W];
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[H] * a[W] * c) {
        for (int32_t oy = 0; oy < a[OUT_H]; oy++) {
            for (int32_t ox = 0; ox < a[OUT_W]; ox++, y += n) {
                int32_t y0 = oy * a[STRIDE_Y] - a[TOP], x0 = ox * a[STRIDE_X] - a[LEFT];
                const int8_t *window = scratch;
                if (direct)
                    window = x + (y0 * a[W] + x0) * c;
                else
                    gather(a, x, scratch, y0, x0);
                if (depthwise)
                    filters(window, y, taps, c, n, weights, bias, &out);
                else
                    torpor_row(window, y, taps * c, n, weights, bias, &out);
            }
        }
    }
}
