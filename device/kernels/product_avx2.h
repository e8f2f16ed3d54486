/* SPDX-License-Identifier: MIT
 *
 * Products with AVX2: of several pixels with packed weights of 16 units, and of one row with four rows of weights.
 */
#ifndef TORPOR_PRODUCT_AVX2_H
#define TORPOR_PRODUCT_AVX2_H

#include "avx2.h"

enum { ROWS_AT_ONCE = 4 };

/* What one pixel sees of widened rows: [rows, columns] runs of `length` int16, with these steps between them. */
struct field {
    int32_t rows, columns, row_step, step, length;
};

/* Pairs of int16 in a window; one that a run does not fill has a weight of 0. */
static inline int32_t pairs_of(const struct field *v)
{
    return v->rows * v->columns * ((v->length + 1) >> 1);
}

/* 16 weights of eight units each as eight pairs of all of them */
INLINE void pack_pairs(const int8_t *const *w, int32_t k, int16_t *to, int32_t step)
{
    __m128i r[8], s[8];
    for (int u = 0; u < 8; u++)
        r[u] = _mm_loadu_si128((const void *)(w[u] + k));
    for (int u = 0; u < 8; u += 2) { /* transposed: pairs of bytes, then twice and four times as many */
        s[u] = _mm_unpacklo_epi16(r[u], r[u + 1]);
        s[u + 1] = _mm_unpackhi_epi16(r[u], r[u + 1]);
    }
    for (int u = 0; u < 8; u += 4)
        for (int i = 0; i < 2; i++) {
            r[u + 2 * i] = _mm_unpacklo_epi32(s[u + i], s[u + 2 + i]);
            r[u + 2 * i + 1] = _mm_unpackhi_epi32(s[u + i], s[u + 2 + i]);
        }
    for (int i = 0; i < 4; i++) {
        s[2 * i] = _mm_unpacklo_epi64(r[i], r[4 + i]);
        s[2 * i + 1] = _mm_unpackhi_epi64(r[i], r[4 + i]);
    }
    for (int i = 0; i < 8; i++)
        _mm256_storeu_si256((void *)(to + i * step), _mm256_cvtepi8_epi16(s[i]));
}

/* Re-order the weights [count, depth] of a block as multiply() reads them: per pair, 8 or 16 units of it. */
static inline void pack(const struct field *v, const int8_t *weights, int32_t count, int16_t *packed, bool two)
{
    int32_t units = two ? 16 : 8, length = v->length, runs = v->rows * v->columns;
    int32_t depth = runs * length;
    const int8_t *w[BLOCK];
    for (int32_t i = 0; i < units; i++)
        w[i] = weights + ((two ? unit_of(i) : i) % count) * depth;
    if (!(length & 1)) { /* one run as good as many */
        length = depth;
        runs = 1;
    }
    for (int32_t at = 0; runs; runs--, at += length) {
        int32_t k = 0;
        for (; k + 16 <= length; k += 16, packed += 16 * units)
            for (int32_t h = 0; h < units; h += 8)
                pack_pairs(w + h, at + k, packed + 2 * h, 2 * units);
        for (; k < length; k += 2, packed += 2 * units)
            for (int32_t i = 0; i < units; i++) {
                packed[2 * i] = w[i][at + k];
                packed[2 * i + 1] = k + 1 < length ? w[i][at + k + 1] : 0;
            }
    }
}

/* Windows of four pixels times packed weights of a block. sums: [4][2] */
INLINE void multiply(const struct field *v, const int16_t *const *x, const int16_t *w, __m256i (*sums)[2], bool two)
{
    int32_t pairs = (v->length + 1) >> 1;
    const int16_t *p0 = x[0], *p1 = x[1], *p2 = x[2], *p3 = x[3];
    for (int32_t fy = 0; fy < v->rows; fy++)
        for (int32_t fx = 0; fx < v->columns; fx++) {
            int64_t at = (int64_t)fy * v->row_step + (int64_t)fx * v->step;
            for (const int16_t *end = p0 + at + 2 * pairs; p0 + at < end; at += 2, w += two ? 32 : 16) {
                const int16_t *p[4] = {p0 + at, p1 + at, p2 + at, p3 + at};
                __m256i a = load_lanes(w), b = two ? load_lanes(w + 16) : a;
                __asm__("" : "+x"(a), "+x"(b)); /* else GCC loads them for each product again */
                for (int i = 0; i < ROWS_AT_ONCE; i++) {
                    int32_t pair;
                    __builtin_memcpy(&pair, p[i], 4);
                    __m256i both = _mm256_set1_epi32(pair);
                    sums[i][0] = _mm256_add_epi32(sums[i][0], _mm256_madd_epi16(both, a));
                    if (two)
                        sums[i][1] = _mm256_add_epi32(sums[i][1], _mm256_madd_epi16(both, b));
                }
            }
        }
}

/* sums[0..4) += x . w of four units; depth at least 16. The last step takes the last 16 weights of a row, and 0 for
 * those of them that were taken before. */
static inline void dot4_avx2(const int8_t *x, const int8_t *w, int32_t depth, int32_t *sums)
{
    const int8_t *w1 = w + depth, *w2 = w1 + depth, *w3 = w2 + depth;
    __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0, taken = s0;
    for (int32_t k = 0;;) {
        __m256i v = _mm256_andnot_si256(taken, load_words(x + k));
        s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(v, load_words(w + k)));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(v, load_words(w1 + k)));
        s2 = _mm256_add_epi32(s2, _mm256_madd_epi16(v, load_words(w2 + k)));
        s3 = _mm256_add_epi32(s3, _mm256_madd_epi16(v, load_words(w3 + k)));
        k += 16;
        if (k >= depth)
            break;
        if (k + 16 > depth) {
            taken = _mm256_cmpgt_epi16(_mm256_set1_epi16((int16_t)(k + 16 - depth)),
                                       _mm256_set_epi16(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
            k = depth - 16;
        }
    }
    __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    four = _mm_add_epi32(four, _mm_loadu_si128((const void *)sums));
    _mm_storeu_si128((void *)sums, four);
}

#endif
