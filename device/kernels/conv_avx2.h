/* SPDX-License-Identifier: MIT
 *
 * Convolutions with AVX2, as part of conv.c. The rows of the input that some rows of the output see are widened to
 * 16 bits first, with the borders around them: then no window needs copying, and the output may overlap the input
 * as far as plans let it. Widest rows are left to the plain kernels.
 */
#ifndef TORPOR_CONV_AVX2_H
#define TORPOR_CONV_AVX2_H

#include "product_avx2.h"

#ifndef TORPOR_BAND /* tests have a smaller one */
#define TORPOR_BAND (1 << 15)
#endif

enum { BAND = TORPOR_BAND, MOST_PAIRS = 2048, MOST_TAPS = 512 };

/* Rows of the output that are made together, and the int16 that they see. */
struct band {
    int16_t *at;
    int32_t columns, channels, row_step;
    int32_t most; /* rows of the output */
};

static inline int32_t span(int32_t out, int32_t stride, int32_t filter, int32_t dilation)
{
    return (out - 1) * stride + (filter - 1) * dilation + 1;
}

/* `channels`: per pixel in the band, C or a multiple of it. False where not even one row fits. */
static bool plan_band(const int32_t *a, int32_t channels, int16_t *at, struct band *band)
{
    int32_t columns = span(a[OUT_W], a[STRIDE_X], a[FILTER_W], a[DILATION_X]);
    int32_t rows = span(1, a[STRIDE_Y], a[FILTER_H], a[DILATION_Y]);
    uint32_t row = times((uint32_t)columns, (uint32_t)channels);
    if (times(row, (uint32_t)rows) > BAND)
        return false;
    int32_t most = 1 + (BAND / (int32_t)row - rows) / a[STRIDE_Y];
    *band = (struct band){at, columns, channels, (int32_t)row, most};
    return true;
}

static void fill_band(int16_t *to, int32_t value, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        to[i] = (int16_t)value;
}

/* Lay out what `rows` rows of the output from `oy` see of an image. */
static void read_band(const int32_t *a, const struct band *band, const int8_t *x, int32_t oy, int32_t rows)
{
    int32_t w = a[W], c = a[C], n = band->channels, left = a[LEFT], zero = a[IN_ZERO];
    int32_t x0 = left > 0 ? (left < band->columns ? left : band->columns) : 0, x1 = w + left;
    x1 = x1 > band->columns ? band->columns : x1 < x0 ? x0 : x1;
    int32_t yy = oy * a[STRIDE_Y] - a[TOP];
    int16_t *to = band->at;
    for (int32_t i = span(rows, a[STRIDE_Y], a[FILTER_H], a[DILATION_Y]); i; i--, yy++, to += band->row_step) {
        if (yy < 0 || yy >= a[H]) {
            fill_band(to, zero, band->row_step);
            continue;
        }
        const int8_t *from = x1 > x0 ? x + (yy * w + x0 - left) * c : x;
        fill_band(to, zero, x0 * n);
        if (n == c)
            widen(to + x0 * n, from, (x1 - x0) * c);
        else
            for (int32_t k = 0; k < (x1 - x0) * c; k++)
                fill_band(to + x0 * n + k * (n / c), from[k], n / c);
        fill_band(to + x1 * n, zero, (band->columns - x1) * n);
    }
}

/* A block of up to 16 units of some rows of the output. */
INLINE void conv_block(const int32_t *a, const struct band *band, const struct field *v, const int16_t *packed,
                       const __m256i *start, const struct finish *f, int32_t rows, int32_t count, int8_t *y, bool two)
{
    int32_t left = rows * a[OUT_W], ox = 0, n = a[N], step = a[STRIDE_X] * band->channels;
    const int16_t *row = band->at, *next = row;
    while (left) {
        int32_t some = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
        const int16_t *p[ROWS_AT_ONCE];
        __m256i sums[ROWS_AT_ONCE][2];
        for (int i = 0; i < ROWS_AT_ONCE; i++) {
            p[i] = next;
            sums[i][0] = start[0];
            sums[i][1] = start[1];
            if (i + 1 < left) { /* else the last one again */
                next += step;
                if (++ox == a[OUT_W]) {
                    ox = 0;
                    next = row += a[STRIDE_Y] * band->row_step;
                }
            }
        }
        multiply(v, p, packed, sums, two);
        for (int i = 0; i < ROWS_AT_ONCE; i++) { /* all four: a loop that is known can stay in registers */
            __m128i bytes = finish(f, sums[i][0], sums[i][1], two);
            if (i < some)
                store(y + i * n, bytes, count);
        }
        left -= some;
        y += some * n;
    }
}

/* CONV_2D; false where it is left to the plain kernel. */
static bool conv_avx2(const struct image *m, const int32_t *a, const struct output *out)
{
    int16_t at[BAND + BLOCK], packed[MOST_PAIRS * 2 * BLOCK];
    struct band band;
    const int8_t *x = m->arena + a[IN], *weights = int8_at(m, a[WEIGHTS]);
    int8_t *y = m->arena + a[OUT];
    int32_t n = a[N], depth = a[FILTER_H] * a[FILTER_W] * a[C];
    if (!plan_band(a, a[C], at, &band))
        return false;
    struct field v = {a[FILTER_H], a[FILTER_W], a[DILATION_Y] * band.row_step, a[DILATION_X] * a[C], a[C]};
    if (a[DILATION_X] == 1 || a[FILTER_W] == 1)
        v = (struct field){a[FILTER_H], 1, v.row_step, 0, a[FILTER_W] * a[C]};
    if (a[FILTER_H] == 1) /* a dilation of any size */
        v.row_step = 0;
    if (pairs_of(&v) > MOST_PAIRS)
        return false;
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[H] * a[W] * a[C])
        for (int32_t oy = 0, rows; oy < a[OUT_H]; oy += rows, y += rows * a[OUT_W] * n) {
            rows = a[OUT_H] - oy < band.most ? a[OUT_H] - oy : band.most;
            read_band(a, &band, x, oy, rows);
            for (int32_t first = 0; first < n; first += BLOCK) {
                int32_t count = n - first < BLOCK ? n - first : BLOCK;
                struct finish f;
                __m256i start[2];
                prepare(&f, out, first, count, count > 8);
                prepare_sums(start, int32_at(m, a[BIAS]), first, count, count > 8);
                pack(&v, weights + first * depth, count, packed, count > 8);
                if (count == BLOCK)
                    conv_block(a, &band, &v, packed, start, &f, rows, BLOCK, y + first, true);
                else if (count > 8)
                    conv_block(a, &band, &v, packed, start, &f, rows, count, y + first, true);
                else
                    conv_block(a, &band, &v, packed, start, &f, rows, count, y + first, false);
            }
        }
    return true;
}

/* Taps of a block of channels in pairs, as unpacking two rows of the image pairs them. A missing last one is 0. */
static void pack_taps(const int32_t *a, const int8_t *weights, int32_t first, int32_t count, int16_t *packed)
{
    int32_t n = a[N], taps = a[FILTER_H] * a[FILTER_W];
    for (int32_t t = 0; t < taps; t += 2, packed += 2 * BLOCK) {
        int16_t w[2][BLOCK];
        for (int32_t i = 0; i < BLOCK; i++) {
            int32_t at = t * n + first + i % count;
            w[0][i] = weights[at];
            w[1][i] = t + 1 < taps ? weights[at + n] : 0;
        }
        __m256i p = load_lanes(w[0]), q = load_lanes(w[1]);
        _mm256_storeu_si256((void *)packed, _mm256_unpacklo_epi16(p, q));
        _mm256_storeu_si256((void *)(packed + BLOCK), _mm256_unpackhi_epi16(p, q));
    }
}

INLINE __m128i filter_block(const int16_t *x, const int32_t *offsets, int32_t taps, const int16_t *packed,
                            const __m256i *start, const struct finish *f)
{
    __m256i low = start[0], high = start[1];
    for (int32_t t = 0; t < taps; t += 2, packed += 2 * BLOCK) {
        __m256i p = load_lanes(x + offsets[t]), q = load_lanes(x + offsets[t + 1]);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(p, q), load_lanes(packed)));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(p, q), load_lanes(packed + BLOCK)));
    }
    return finish(f, low, high, true);
}

/* DEPTHWISE_CONV_2D; false where it is left to the plain kernel. Where the next pixel is the next few channels,
 * a block holds several pixels. */
static bool depthwise_avx2(const struct image *m, const int32_t *a, const struct output *out)
{
    int16_t at[BAND + BLOCK], packed[(MOST_TAPS + 1) * BLOCK];
    int32_t offsets[MOST_TAPS + 1], n = a[N], taps = 0;
    struct band band;
    if (times((uint32_t)a[FILTER_H], (uint32_t)a[FILTER_W]) > MOST_TAPS || !plan_band(a, n, at, &band))
        return false;
    for (int32_t fy = 0; fy < a[FILTER_H]; fy++)
        for (int32_t fx = 0; fx < a[FILTER_W]; fx++)
            offsets[taps++] = fy * a[DILATION_Y] * band.row_step + fx * a[DILATION_X] * n;
    offsets[taps] = 0; /* paired with the last one where their number is odd */
    bool several = n < BLOCK && BLOCK % n == 0 && a[STRIDE_X] == 1;
    int32_t row = a[OUT_W] * n, step = several ? BLOCK : n, x_step = several ? BLOCK : a[STRIDE_X] * n;
    const int8_t *x = m->arena + a[IN];
    int8_t *y = m->arena + a[OUT];
    for (int32_t i = 0; i < a[BATCHES]; i++, x += a[H] * a[W] * a[C])
        for (int32_t oy = 0, rows; oy < a[OUT_H]; oy += rows, y += rows * row) {
            rows = a[OUT_H] - oy < band.most ? a[OUT_H] - oy : band.most;
            read_band(a, &band, x, oy, rows);
            for (int32_t first = 0; first < n; first += BLOCK) {
                int32_t count = n - first < BLOCK ? n - first : BLOCK;
                struct finish f;
                __m256i start[2];
                prepare(&f, out, first, count, true);
                prepare_sums(start, int32_at(m, a[BIAS]), first, count, true);
                pack_taps(a, int8_at(m, a[WEIGHTS]), first, count, packed);
                count = several ? BLOCK : count;
                for (int32_t r = 0; r < rows; r++) {
                    const int16_t *p = at + r * a[STRIDE_Y] * band.row_step + first;
                    for (int32_t k = first; k < row; k += step, p += x_step) {
                        __m128i bytes = filter_block(p, offsets, taps, packed, start, &f);
                        store(y + r * row + k, bytes, row - k < count ? row - k : count);
                    }
                }
            }
        }
    return true;
}

#endif
