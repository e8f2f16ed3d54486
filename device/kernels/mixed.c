/* SPDX-License-Identifier: MIT
 *
 * CONV_2D and DEPTHWISE_CONV_2D, int16 activations with int8 weights and int8 with int4; the records are described in
 * device/torpor/nn/mixed.py. Both widths share all but the inner loops: a module lies in RAM.
 */
#include "fixed.h"
#include "image.h"
#include "int16.h"

enum {
    IN, OUT, BATCHES, H, W, C, OUT_H, OUT_W, N, FILTER_H, FILTER_W, STRIDE_Y, STRIDE_X, DILATION_Y, DILATION_X, TOP,
    LEFT, WEIGHTS, BIAS, MULTIPLIERS, SHIFTS, STEP, WIDE, IN_ZERO, ZERO, LOW, HIGH, COUNT
};
enum {
    BIAS_BITS = 24,
    LANES = 16, /* filters at a time, for which a window is walked once */
    SAFE = 256, /* products of 2^22 that fit a sum of 32 bits */
};

/* Positions of windows along one axis must be whole numbers of 32 bits. */
static void need_span(struct image *m, int32_t out, int32_t stride, int32_t filter, int32_t dilation, int32_t before)
{
    const int32_t most = (int32_t)TOO_LARGE;
    need_here(m, times((uint32_t)out - 1, (uint32_t)stride) < TOO_LARGE);
    need_here(m, times((uint32_t)filter - 1, (uint32_t)dilation) < TOO_LARGE);
    need_here(m, -most < before && before < most);
}

void torpor_check_mixed(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + BATCHES, TOP - BATCHES);
    if (m->verdict)
        return;
    bool four = code < CONV_16X8, depthwise = code & 1;
    uint32_t size = four ? 1 : 2;
    int32_t least = four ? -128 : -32768;
    need_ram(m, a[IN], times(product4(a[BATCHES], a[H], a[W], a[C]), size));
    need_ram(m, a[OUT], times(product4(a[BATCHES], a[OUT_H], a[OUT_W], a[N]), size));
    need_here(m, ((uint32_t)(a[IN] | a[OUT]) & (size - 1)) == 0);
    need(m, least <= a[LOW] && a[LOW] <= a[HIGH] && a[HIGH] < -least);
    need(m, four ? -128 <= a[IN_ZERO] && a[IN_ZERO] <= 127 : a[IN_ZERO] == 0 && a[ZERO] == 0);
    need(m, (uint32_t)a[STEP] <= 1 && (uint32_t)a[WIDE] < size);
    need(m, !depthwise || a[N] % a[C] == 0);
    uint32_t weights = product4(a[FILTER_H], a[FILTER_W], depthwise ? 1 : a[C], a[N]);
    need_int8(m, a[WEIGHTS], four ? (weights + 1) >> 1 : weights);
    need_int32(m, a[BIAS], times((uint32_t)a[N], 2));
    need_output(m, a[BIAS], a[MULTIPLIERS], a[SHIFTS], (uint32_t)a[N], a[STEP]);
    for (int32_t i = 0; a[WIDE] && m->verdict == GOOD && i < (a[STEP] ? a[N] : 1); i++) {
        int32_t multiplier = int32_at(m, a[MULTIPLIERS])[i];
        need(m, 0 <= multiplier && multiplier <= 32767 && int32_at(m, a[SHIFTS])[i] <= 7);
    }
    need_span(m, a[OUT_H], a[STRIDE_Y], a[FILTER_H], a[DILATION_Y], a[TOP]);
    need_span(m, a[OUT_W], a[STRIDE_X], a[FILTER_W], a[DILATION_X], a[LEFT]);
}

static inline int32_t low_half(int32_t both)
{
    return (int32_t)((uint32_t)both << 28) >> 28;
}

/* int4 number j. */
static inline int32_t weight4(const int8_t *w, int32_t j)
{
    int32_t both = w[j >> 1];
    return j & 1 ? both >> 4 : low_half(both);
}

/* Sum of `count` <= SAFE products. */
static int32_t dot16(const int16_t *x, const int8_t *w, int32_t count)
{
    int32_t sum = 0;
    for (int32_t k = 0; k < count; k++)
        sum += x[k] * w[k];
    return sum;
}

/* As dot16, of x less `zero` and of the int4 from number j. */
static int32_t dot4(const int8_t *x, const int8_t *w, int32_t j, int32_t count, int32_t zero)
{
    int32_t sum = 0, k = 0;
    if ((j & 1) && count) {
        sum = (x[0] - zero) * weight4(w, j);
        k = 1;
    }
    for (w += (j + 1) >> 1; k + 2 <= count; k += 2) {
        int32_t both = *w++;
        sum += (x[k] - zero) * low_half(both) + (x[k + 1] - zero) * (both >> 4);
    }
    if (k < count)
        sum += (x[k] - zero) * low_half(*w);
    return sum;
}

/* Add one tap of `count` depthwise filters. `part`: which of the `per` filters of the pixel's channel is the first. */
static void tap16(int64_t *sums, const int16_t *x, const int8_t *w, int32_t count, int32_t per, int32_t part)
{
    for (int32_t i = 0; i < count; i++) {
        sums[i] += *x * w[i];
        if (++part == per) {
            part = 0;
            x++;
        }
    }
}

static void tap4(int64_t *sums, const int8_t *x, const int8_t *w, int32_t j, int32_t count, int32_t per, int32_t part,
                 int32_t zero)
{
    for (int32_t i = 0; i < count; i++) {
        sums[i] += (*x - zero) * weight4(w, j + i);
        if (++part == per) {
            part = 0;
            x++;
        }
    }
}

/* The taps of a filter that lie within the image along one axis: the first, and behind the last. */
struct taps {
    int32_t first, end;
};

static struct taps find_taps(int32_t at, int32_t dilation, int32_t filter, int32_t size)
{
    struct taps t = {0, filter};
    while (t.first < t.end && at + t.first * dilation < 0)
        t.first++;
    while (t.end > t.first && at + (t.end - 1) * dilation >= size)
        t.end--;
    return t;
}

/* The window of one pixel: its corner, and what of it lies in the image. */
struct window {
    const int8_t *x; /* of its batch */
    int32_t y0, x0;
    struct taps ys, xs;
    bool four;
};

static inline const int8_t *pixel(const int32_t *a, const struct window *v, int32_t fy, int32_t fx)
{
    int32_t p = ((v->y0 + fy * a[DILATION_Y]) * a[W] + v->x0 + fx * a[DILATION_X]) * a[C];
    return v->x + (v->four ? p : 2 * p);
}

/* Add the window's products to the sums of `lanes` filters from filter o. */
static void conv_sums(const int32_t *a, const struct window *v, const int8_t *w, int64_t *sums, int32_t o, int32_t lanes)
{
    int32_t c = a[C], fw = a[FILTER_W], depth = a[FILTER_H] * fw * c;
    int32_t whole = a[DILATION_X] == 1 ? v->xs.end - v->xs.first : 1; /* pixels that lie one after the other */
    for (int32_t fy = v->ys.first; fy < v->ys.end; fy++)
        for (int32_t fx = v->xs.first; fx < v->xs.end; fx += whole) {
            const int8_t *x = pixel(a, v, fy, fx);
            int32_t j = o * depth + (fy * fw + fx) * c, left = whole * c;
            while (left > 0) {
                int32_t count = left < SAFE ? left : SAFE;
                for (int32_t i = 0; i < lanes; i++)
                    sums[i] += v->four ? dot4(x, w, j + i * depth, count, a[IN_ZERO])
                                       : dot16((const int16_t *)(const void *)x, w + j + i * depth, count);
                left -= count;
                x += v->four ? count : 2 * count;
                j += count;
            }
        }
}

/* As conv_sums, each filter with its one channel. */
static void depthwise_sums(const int32_t *a, const struct window *v, const int8_t *w, int64_t *sums, int32_t o,
                           int32_t lanes)
{
    int32_t n = a[N], per = n / a[C], channel = o / per, part = o - channel * per;
    for (int32_t fy = v->ys.first; fy < v->ys.end; fy++)
        for (int32_t fx = v->xs.first; fx < v->xs.end; fx++) {
            const int8_t *x = pixel(a, v, fy, fx);
            int32_t j = (fy * a[FILTER_W] + fx) * n + o;
            if (v->four)
                tap4(sums, x + channel, w, j, lanes, per, part, a[IN_ZERO]);
            else
                tap16(sums, (const int16_t *)(const void *)x + channel, w + j, lanes, per, part);
        }
}

static void put(const int32_t *a, const struct image *m, int64_t sum, int32_t o, int8_t *y, bool four)
{
    int32_t c = a[STEP] ? o : 0, multiplier = int32_at(m, a[MULTIPLIERS])[c], shift = int32_at(m, a[SHIFTS])[c];
    int32_t v = a[WIDE] ? scale_wide(sum, multiplier, shift) : scale((int32_t)sum, multiplier, shift) + a[ZERO];
    if (four)
        *y = clip(v, a[LOW], a[HIGH]);
    else
        *(int16_t *)(void *)y = clip16(v, a[LOW], a[HIGH]);
}

void torpor_mixed(const struct image *m, const int32_t *a, uint32_t code)
{
    struct window v = {.x = m->arena + a[IN], .four = code < CONV_16X8};
    const int8_t *w = int8_at(m, a[WEIGHTS]);
    const int32_t *bias = int32_at(m, a[BIAS]);
    int8_t *y = m->arena + a[OUT];
    int32_t size = v.four ? 1 : 2, n = a[N];
    for (int32_t b = 0; b < a[BATCHES]; b++, v.x += a[H] * a[W] * a[C] * size)
        for (int32_t oy = 0; oy < a[OUT_H]; oy++) {
            v.y0 = oy * a[STRIDE_Y] - a[TOP];
            v.ys = find_taps(v.y0, a[DILATION_Y], a[FILTER_H], a[H]);
            for (int32_t ox = 0; ox < a[OUT_W]; ox++) {
                v.x0 = ox * a[STRIDE_X] - a[LEFT];
                v.xs = find_taps(v.x0, a[DILATION_X], a[FILTER_W], a[W]);
                for (int32_t o = 0; o < n; o += LANES) {
                    int64_t sums[LANES];
                    int32_t lanes = n - o < LANES ? n - o : LANES;
                    for (int32_t i = 0; i < lanes; i++)
                        sums[i] = ((int64_t)bias[2 * (o + i) + 1] << BIAS_BITS) + bias[2 * (o + i)];
                    if (code & 1)
                        depthwise_sums(a, &v, w, sums, o, lanes);
                    else
                        conv_sums(a, &v, w, sums, o, lanes);
                    for (int32_t i = 0; i < lanes; i++, y += size)
                        put(a, m, sums[i], o + i, y, v.four);
                }
            }
        }
}
