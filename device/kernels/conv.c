/* SPDX-License-Identifier: MIT
 *
 * CONV_2D and DEPTHWISE_CONV_2D; the records are described in device/torpor/nn/conv.py.
 */
#include "copy.h"
#include "dense.h"
#include "image.h"
#include "pair.h"
#include "plain.h"
#ifdef __XTENSA__
#include "mac16.h"
#endif
#include "wide.h"

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

/* A window's bytes as they lie in scratch: what lies behind it is aligned. */
static inline uint32_t whole_words(uint32_t bytes)
{
    return plus(bytes, 3) & ~(uint32_t)3;
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
    uint32_t window = whole_words(product4(a[FILTER_H], a[FILTER_W], a[C], 1));
    if (depthwise)
        need_ram(m, a[SCRATCH], a[N] == a[C] ? plus(times(window, 3), times((uint32_t)a[N], 12)) : window);
    else
        need_ram(m, a[SCRATCH], times(window, is_direct(a) ? 4 : 5));
    need_here(m, (a[SCRATCH] & 3) == 0);
    need_int8(m, a[WEIGHTS], product4(a[FILTER_H], a[FILTER_W], depthwise ? 1 : a[C], a[N]));
    need_output(m, a[BIAS], a[MULTIPLIERS], a[SHIFTS], (uint32_t)a[N], a[STEP]);
    need_span(m, a[OUT_H], a[STRIDE_Y], a[FILTER_H], a[DILATION_Y], a[TOP]);
    need_span(m, a[OUT_W], a[STRIDE_X], a[FILTER_W], a[DILATION_X], a[LEFT]);
}

/* Copy the window [filter height, width, c] whose corner is (y0, x0) to `to`. */
static void gather(const int32_t *a, const int8_t *x, int8_t *to, int32_t y0, int32_t x0)
{
    int32_t h = a[H], w = a[W], c = a[C], fw = a[FILTER_W], step = a[DILATION_X];
    int8_t zero = (int8_t)a[IN_ZERO];
    int32_t before = x0 < 0 ? (-x0 < fw ? -x0 : fw) : 0; /* pixels left and right of the image, if it is not dilated */
    int32_t behind = x0 + fw > w ? (x0 + fw - w < fw ? x0 + fw - w : fw) : 0;
    size_t left = (size_t)(before * c), right = (size_t)(behind * c), inner = (size_t)((fw - before - behind) * c);
    for (int32_t fy = 0; fy < a[FILTER_H]; fy++, y0 += a[DILATION_Y]) {
        if (y0 < 0 || y0 >= h) {
            fill(to, zero, (size_t)(fw * c));
            to += fw * c;
        } else if (step == 1) {
            if (left)
                fill(to, zero, left);
            if (inner)
                copy_few(to + left, x + (y0 * w + x0 + before) * c, inner);
            if (right)
                fill(to + left + inner, zero, right);
            to += fw * c;
        } else {
            for (int32_t fx = 0, xx = x0; fx < fw; fx++, xx += step, to += c) {
                if (xx < 0 || xx >= w)
                    fill(to, zero, (size_t)c);
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

/* The pixels that one filter sees: [filter height, filter width, c] with these steps from row to row and from
 * pixel to pixel. */
struct window {
    const int8_t *at;
    int32_t row_step, step;
};

/* Where the window of a pixel lies: in the image itself if it is all inside, else gathered into `scratch`. */
static struct window find_window(const int32_t *a, const int8_t *x, int8_t *scratch, int32_t y0, int32_t x0)
{
    int32_t w = a[W], c = a[C];
    int32_t y1 = y0 + (a[FILTER_H] - 1) * a[DILATION_Y], x1 = x0 + (a[FILTER_W] - 1) * a[DILATION_X];
    if (y0 >= 0 && x0 >= 0 && y1 < a[H] && x1 < w)
        return (struct window){
            x + (y0 * w + x0) * c,
            a[FILTER_H] > 1 ? a[DILATION_Y] * w * c : 0, /* else a dilation is of any size */
            a[FILTER_W] > 1 ? a[DILATION_X] * c : 0,
        };
    gather(a, x, scratch, y0, x0);
    return (struct window){scratch, a[FILTER_W] * c, c};
}

/* `count` channels from `first` of one pixel of a depthwise convolution. */
static inline void filter(const int32_t *a, struct window v, int8_t *y, const int8_t *w, const int32_t *bias,
                          const struct output *out, int32_t first, int32_t count, int32_t per)
{
    int32_t sums[TILE];
    w += first;
    for (int32_t i = 0; i < count; i++)
        sums[i] = bias[first + i];
    for (int32_t fy = 0; fy < a[FILTER_H]; fy++, v.at += v.row_step) {
        const int8_t *x = v.at;
        for (int32_t fx = 0; fx < a[FILTER_W]; fx++, x += v.step, w += a[N])
            tap(sums, x, w, first, count, per);
    }
    requantize(out, sums, first, count, y + first);
}

#if !defined(TORPOR_WIDE) && !defined(TORPOR_DSP)
/* sums[0..4) of four channels: they stay in registers over all taps. */
static void filter4(const int32_t *a, struct window v, const int8_t *w, int32_t *sums)
{
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], n = a[N], columns = a[FILTER_W];
    for (int32_t fy = a[FILTER_H]; fy; fy--, v.at += v.row_step) {
        const int8_t *x = v.at;
#ifdef __thumb2__ /* compilers unroll, and spill */
#define CHANNEL(i, s) "ldrsb %[p], [%[x], #" i "]\n ldrsb %[q], [%[w], #" i "]\n mla %[" s "], %[p], %[q], %[" s "]\n"
        int32_t left = columns, p, q;
        __asm__ volatile("1:\n" CHANNEL("0", "s0") CHANNEL("1", "s1") CHANNEL("2", "s2") CHANNEL("3", "s3")
                         "add %[x], %[x], %[step]\n"
                         "add %[w], %[w], %[n]\n"
                         "subs %[left], #1\n"
                         "bne 1b\n"
                         : [x] "+r"(x), [w] "+r"(w), [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3),
                           [left] "+r"(left), [p] "=&r"(p), [q] "=&r"(q)
                         : [step] "r"(v.step), [n] "r"(n)
                         : "cc", "memory");
#undef CHANNEL
#else
        for (int32_t fx = columns; fx; fx--, x += v.step, w += n) {
            s0 += x[0] * w[0];
            s1 += x[1] * w[1];
            s2 += x[2] * w[2];
            s3 += x[3] * w[3];
        }
#endif
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* As many outputs as inputs; the channels that four does not divide are left to filter(). Returns how many it did. */
static __attribute__((noinline)) int32_t filter_fours(const int32_t *a, struct window v, int8_t *y,
                                                      const int8_t *weights, const int32_t *bias,
                                                      const struct output *out, bool plain)
{
    int32_t n = a[N] & ~3;
    for (int32_t first = 0; first < n; first += 4, v.at += 4) {
        int32_t sums[4] = {bias[first], bias[first + 1], bias[first + 2], bias[first + 3]};
        filter4(a, v, weights + first, sums);
        finish_units(out, plain, sums, first, 4, y + first);
    }
    return n;
}
#endif

#if defined(TORPOR_WIDE) && !defined(TORPOR_VNNI)
#include "conv_avx2.h"
#endif

static void depthwise_pixel(const int32_t *a, struct window v, int8_t *y, const int8_t *weights, const int32_t *bias,
                            const struct output *out, const uint32_t *filters, bool plain)
{
    (void)filters;
    (void)plain;
    int32_t n = a[N], per = a[C] == n ? 1 : n / a[C], first = 0;
#if defined(TORPOR_VNNI)
    if (per == 1) {
        depthwise_wide(v.at, v.row_step, v.step, a[FILTER_H], a[FILTER_W], n, weights, bias, out, y);
        return;
    }
#elif defined(TORPOR_M0)
    if (filters && v.step == n) {
        torpor_filter_job((struct filter_job){v.at, weights, n, v.row_step, filters, out->zero, -n, y + n});
        return;
    }
    if (per == 1)
        first = filter_fours(a, v, y, weights, bias, out, plain);
#elif defined(TORPOR_DSP)
    if (filters) {
        first = n & ~3;
        torpor_filter_job((struct filter_job){v.at, filters, v.step, v.row_step, a[FILTER_H], a[FILTER_W], out->zero, y,
                                              y + first});
    }
#elif !defined(TORPOR_WIDE)
    if (per == 1)
        first = filter_fours(a, v, y, weights, bias, out, plain);
#endif
    for (; first < n; first += TILE)
        filter(a, v, y, weights, bias, out, first, n - first < TILE ? n - first : TILE, per);
}

#ifdef __XTENSA__
/* `count` channels of the 3 x 3 pixels whose corner is (y0, x0). */
static void gather_block(const int32_t *a, const int8_t *x, int8_t *to, int32_t y0, int32_t x0, int32_t count)
{
    int32_t h = a[H], w = a[W], c = a[C], step = a[DILATION_X];
    for (int fy = 0; fy < 3; fy++, y0 += a[DILATION_Y])
        for (int32_t fx = 0, xx = x0; fx < 3; fx++, xx += step, to += count) {
            if (y0 < 0 || y0 >= h || xx < 0 || xx >= w)
                fill(to, (int8_t)a[IN_ZERO], (size_t)count);
            else
                copy(to, x + (y0 * w + xx) * c, (size_t)count);
        }
}

/* As depthwise(), a row of a block of channels at a time; false where the filters are not 3 x 3, one per channel. */
static OWN_REGISTERS bool depthwise_mac16(const struct image *m, const int32_t *a, const struct output *out)
{
    int32_t n = a[N], w = a[W], dy = a[DILATION_Y], dx = a[DILATION_X];
    if (a[FILTER_H] != 3 || a[FILTER_W] != 3 || a[C] != n)
        return false;
    uint32_t filters[BLOCK * TAP_WORDS];
    int32_t sums[BLOCK];
    const int8_t *x = m->arena + a[IN], *weights = int8_at(m, a[WEIGHTS]);
    const int32_t *bias = int32_at(m, a[BIAS]);
    int8_t *y = m->arena + a[OUT], *scratch = m->arena + a[SCRATCH];
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[H] * w * n) {
        for (int32_t oy = 0; oy < a[OUT_H]; oy++, y += a[OUT_W] * n) {
            int32_t y0 = oy * a[STRIDE_Y] - a[TOP];
            bool rows = y0 >= 0 && y0 + 2 * dy < a[H];
            for (int32_t first = 0; first < n; first += BLOCK) {
                int32_t count = n - first < BLOCK ? n - first : BLOCK;
                lay_filters(weights + first, n, count, filters);
                for (int32_t ox = 0; ox < a[OUT_W]; ox++) {
                    int32_t x0 = ox * a[STRIDE_X] - a[LEFT], step = count, row_step = 3 * count;
                    const int8_t *at = scratch;
                    if (rows && x0 >= 0 && x0 + 2 * dx < w) {
                        at = x + (y0 * w + x0) * n + first;
                        step = dx * n;
                        row_step = dy * w * n;
                    } else {
                        gather_block(a, x + first, scratch, y0, x0, count);
                    }
                    filters_mac16(at, step, row_step, filters, bias + first, count, sums);
                    requantize(out, sums, first, count, y + ox * n + first);
                }
            }
        }
    }
    return true;
}
#endif

static void depthwise(const struct image *m, const int32_t *a, const struct output *out)
{
#if defined(TORPOR_WIDE) && !defined(TORPOR_VNNI)
    if (depthwise_avx2(m, a, out))
        return;
#elif defined(__XTENSA__)
    if (has_mac16() && depthwise_mac16(m, a, out))
        return;
#endif
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT], *scratch = m->arena + a[SCRATCH];
    const int8_t *weights = int8_at(m, a[WEIGHTS]);
    const int32_t *bias = int32_at(m, a[BIAS]);
    int32_t taps = a[FILTER_H] * a[FILTER_W];
    bool plain = is_plain(out, bias, a[N], taps);
    uint32_t *filters = 0;
#ifdef TORPOR_JOBS
    if (a[N] == a[C] && can_filter(a[FILTER_H], a[FILTER_W], a[N], plain)) {
        filters = (void *)(scratch + whole_words((uint32_t)(taps * a[C])));
        lay_filters(weights, taps, a[N], bias, out->multipliers, out->shifts, a[STEP], filters);
    }
#endif
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[H] * a[W] * a[C])
        for (int32_t oy = 0; oy < a[OUT_H]; oy++)
            for (int32_t ox = 0; ox < a[OUT_W]; ox++, y += a[N])
                depthwise_pixel(a, find_window(a, x, scratch, oy * a[STRIDE_Y] - a[TOP], ox * a[STRIDE_X] - a[LEFT]),
                                y, weights, bias, out, filters, plain);
}

#ifdef TORPOR_VNNI
/* As conv(), many pixels at a time; false where their windows would be too large for the stack. */
static bool conv_wide(const struct image *m, const int32_t *a, const struct output *out, bool direct)
{
    int32_t c = a[C], depth = a[FILTER_H] * a[FILTER_W] * c, step = whole_quads(depth), n = a[N];
    if (depth > MOST_DEPTH)
        return false;
    int8_t windows[WINDOW_BYTES];
    const int8_t *x = m->arena + a[IN], *weights = int8_at(m, a[WEIGHTS]);
    const int32_t *bias = int32_at(m, a[BIAS]);
    int8_t *y = m->arena + a[OUT];
    int32_t pixels = a[OUT_H] * a[OUT_W], most = WINDOW_BYTES / step;
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[H] * a[W] * c) {
        /* unit by unit outside, pixel by pixel inside: not where outputs lie over inputs that the next units read */
        bool apart = n <= LANES || y + pixels * n <= x || x + a[H] * a[W] * c <= y;
        if (direct && apart && step == depth && a[STRIDE_Y] == 1 && a[STRIDE_X] == 1 && a[OUT_W] == a[W]) {
            wide_rows(x, c, pixels, y, depth, n, weights, bias, out);
            y += pixels * n;
            continue;
        }
        int32_t oy = 0, ox = 0;
        for (int32_t at = 0; at < pixels; at += most) {
            int32_t count = pixels - at < most ? pixels - at : most;
            for (int32_t k = 0; k < count; k++) {
                gather(a, x, windows + k * step, oy * a[STRIDE_Y] - a[TOP], ox * a[STRIDE_X] - a[LEFT]);
                fill(windows + k * step + depth, 0, (size_t)(step - depth));
                if (++ox == a[OUT_W]) {
                    ox = 0;
                    oy++;
                }
            }
            wide_rows(windows, step, count, y, depth, n, weights, bias, out);
            y += count * n;
        }
    }
    return true;
}
#endif

#ifdef __XTENSA__
/* As conv(), some pixels at a time; false where two of their windows would not fit the stack. */
static OWN_REGISTERS bool conv_mac16(const struct image *m, const int32_t *a, const struct output *out, bool direct)
{
    int32_t c = a[C], depth = a[FILTER_H] * a[FILTER_W] * c, words = wide_words(depth);
    if (words > WIDE_WORDS / 3)
        return false;
    uint32_t wide[WIDE_WORDS + 1];
    const int8_t *x = m->arena + a[IN], *weights = int8_at(m, a[WEIGHTS]);
    int8_t *y = m->arena + a[OUT], *scratch = m->arena + a[SCRATCH];
    int32_t pixels = a[OUT_H] * a[OUT_W], most = WIDE_WORDS / words - 1;
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[H] * a[W] * c) {
        int32_t oy = 0, ox = 0;
        for (int32_t at = 0; at < pixels; at += most) {
            int32_t count = pixels - at < most ? pixels - at : most;
            for (int32_t k = 1; k <= count; k++) {
                int32_t y0 = oy * a[STRIDE_Y] - a[TOP], x0 = ox * a[STRIDE_X] - a[LEFT];
                if (!direct)
                    gather(a, x, scratch, y0, x0);
                widen(direct ? x + (y0 * a[W] + x0) * c : scratch, depth, 0, wide + k * words);
                if (++ox == a[OUT_W]) {
                    ox = 0;
                    oy++;
                }
            }
            rows_mac16(wide + words, count, y, depth, a[N], weights, int32_at(m, a[BIAS]), out, wide);
            y += count * a[N];
        }
    }
    return true;
}
#endif

static void conv(const struct image *m, const int32_t *a, const struct output *out)
{
    const int8_t *x = m->arena + a[IN], *weights = int8_at(m, a[WEIGHTS]);
    const int32_t *bias = int32_at(m, a[BIAS]);
    int8_t *y = m->arena + a[OUT];
    int32_t c = a[C], depth = a[FILTER_H] * a[FILTER_W] * c, n = a[N];
    bool direct = is_direct(a), plain = is_plain(out, bias, n, depth), pairs = can_pair(depth, n, plain, a[STEP]);
#if defined(TORPOR_VNNI)
    if (conv_wide(m, a, out, direct))
        return;
#elif defined(TORPOR_WIDE)
    if (conv_avx2(m, a, out))
        return;
#endif
#ifdef __XTENSA__
    if (has_mac16() && conv_mac16(m, a, out, direct))
        return;
#endif
    uint32_t *pair = (void *)(m->arena + a[SCRATCH]);
    int8_t *gathered = (int8_t *)pair + 4 * whole_words((uint32_t)depth);
    int32_t lane = 0; /* how many pixels are waiting in `pair` */
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[H] * a[W] * c) {
        int32_t left = a[OUT_H] * a[OUT_W];
        for (int32_t oy = 0; oy < a[OUT_H]; oy++) {
            for (int32_t ox = 0; ox < a[OUT_W]; ox++, left--) {
                int32_t y0 = oy * a[STRIDE_Y] - a[TOP], x0 = ox * a[STRIDE_X] - a[LEFT];
                const int8_t *window = gathered;
                if (direct)
                    window = x + (y0 * a[W] + x0) * c;
                else
                    gather(a, x, gathered, y0, x0);
                if (!pairs || (lane == 0 && left == 1)) {
                    torpor_row(window, y, depth, n, weights, bias, out, plain);
                    y += n;
                    continue;
                }
                pair_lay(pair, lane, window, depth);
                lane = !lane;
                if (lane == 0) {
                    torpor_pair(pair, y, depth, n, weights, bias, out, plain);
                    y += 2 * n;
                }
            }
        }
    }
}

void torpor_conv(const struct image *m, const int32_t *a, uint32_t code)
{
    const struct output out = {int32_at(m, a[MULTIPLIERS]), int32_at(m, a[SHIFTS]), a[STEP], a[ZERO], a[LOW], a[HIGH]};
    if (code == DEPTHWISE)
        depthwise(m, a, &out);
    else
        conv(m, a, &out);
}
