/* SPDX-License-Identifier: MIT
 *
 * Matrix products with the vector instructions of x86-64: 16 units of 4 pixels at once. For the library on
 * CPython only, where the stack is large; a module for MicroPython never has AVX2.
 *
 * VNNI multiplies unsigned by signed bytes: the input is read as x + 128, and 128 times the sum of a unit's
 * weights is taken off where its sum starts. AVX2 multiplies pairs of 16 bits. Both are exact: sums of 32 bits
 * wrap as they do everywhere else.
 */
#ifndef TORPOR_WIDE_H
#define TORPOR_WIDE_H

#if defined(__x86_64__) && defined(__AVX2__)
#define TORPOR_WIDE 1

#include "fixed.h"
#include <immintrin.h>

enum { LANES = 16, PIXELS = 4, MOST_DEPTH = 4096, WINDOW_BYTES = 1 << 16 };

/* Depth as it lies in packed weights and windows. */
static inline int32_t whole_quads(int32_t depth)
{
    return (depth + 3) & ~3;
}

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)
#define TORPOR_VNNI 1

typedef int8_t packed_t;
typedef __m512i sums_t;

static inline sums_t load_sums(const int32_t *from)
{
    return _mm512_loadu_si512(from);
}

static inline void store_sums(int32_t *to, sums_t sums)
{
    _mm512_storeu_si512(to, sums);
}

/* Four values of a pixel times four weights of each of 16 units. */
static inline sums_t multiply(sums_t sums, const int8_t *x, const packed_t *w)
{
    uint32_t four;
    __builtin_memcpy(&four, x, 4);
    return _mm512_dpbusd_epi32(sums, _mm512_set1_epi32((int)(four ^ 0x80808080u)), _mm512_loadu_si512(w));
}

static inline int32_t start_of(int32_t bias, int32_t weight_sum)
{
    return bias - 128 * weight_sum;
}

/* sums[0..4) += x . w of four units */
static inline void dot4_wide(const int8_t *x, const int8_t *w, int32_t depth, int32_t *sums)
{
    const __m512i sign = _mm512_set1_epi8((char)0x80);
    __m512i s[4], offset[4];
    for (int u = 0; u < 4; u++)
        s[u] = offset[u] = _mm512_setzero_si512();
    for (int32_t k = 0; k < depth; k += 64) {
        __mmask64 mask = depth - k >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (depth - k)) - 1;
        __m512i v = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x + k), sign);
        for (int u = 0; u < 4; u++) {
            __m512i r = _mm512_maskz_loadu_epi8(mask, w + u * depth + k);
            s[u] = _mm512_dpbusd_epi32(s[u], v, r);
            offset[u] = _mm512_dpbusd_epi32(offset[u], sign, r);
        }
    }
    for (int u = 0; u < 4; u++)
        sums[u] += _mm512_reduce_add_epi32(_mm512_sub_epi32(s[u], offset[u]));
}

#else

typedef int16_t packed_t;
typedef struct {
    __m256i low, high;
} sums_t;

static inline sums_t load_sums(const int32_t *from)
{
    return (sums_t){_mm256_loadu_si256((const void *)from), _mm256_loadu_si256((const void *)(from + 8))};
}

static inline void store_sums(int32_t *to, sums_t sums)
{
    _mm256_storeu_si256((void *)to, sums.low);
    _mm256_storeu_si256((void *)(to + 8), sums.high);
}

static inline sums_t multiply_pair(sums_t s, const int8_t *x, const packed_t *w)
{
    __m256i v = _mm256_set1_epi32((int)((uint32_t)(uint16_t)x[0] | (uint32_t)x[1] << 16));
    const __m256i *lanes = (const void *)w;
    s.low = _mm256_add_epi32(s.low, _mm256_madd_epi16(v, _mm256_loadu_si256(lanes)));
    s.high = _mm256_add_epi32(s.high, _mm256_madd_epi16(v, _mm256_loadu_si256(lanes + 1)));
    return s;
}

static inline sums_t multiply(sums_t sums, const int8_t *x, const packed_t *w)
{
    sums = multiply_pair(sums, x, w);
    return multiply_pair(sums, x + 2, w + 2 * LANES);
}

static inline int32_t start_of(int32_t bias, int32_t weight_sum)
{
    (void)weight_sum;
    return bias;
}

#endif

/* Where in a quad's 64 packed weights that of value j and unit u lies. */
static inline int32_t packed_at(int32_t j, int32_t u)
{
    return sizeof(packed_t) == 1 ? u * 4 + j : (j >> 1) * 2 * LANES + u * 2 + (j & 1);
}

/* Re-order the weights [count, depth] of up to 16 units and set where their sums start. */
static inline void pack(const int8_t *w, const int32_t *bias, int32_t depth, int32_t count, packed_t *packed,
                        int32_t *start)
{
    int32_t whole = whole_quads(depth);
    for (int32_t u = 0; u < LANES; u++) {
        int32_t sum = 0;
        for (int32_t k = 0; k < whole; k++) {
            int8_t v = u < count && k < depth ? w[u * depth + k] : 0;
            packed[(k >> 2) * 4 * LANES + packed_at(k & 3, u)] = v;
            sum += v;
        }
        start[u] = u < count ? start_of(bias[u], sum) : 0;
    }
}

/* `pixels` rows of `depth` int8, `x_step` apart, times the weights [units, depth]: rows of `units` at y. Each row
 * can be read up to whole_quads(depth), which is at most MOST_DEPTH. */
static inline void wide_rows(const int8_t *x, int32_t x_step, int32_t pixels, int8_t *y, int32_t depth, int32_t units,
                             const int8_t *weights, const int32_t *bias, const struct output *out)
{
    packed_t packed[MOST_DEPTH * LANES];
    int32_t start[LANES], sums[PIXELS][LANES], whole = whole_quads(depth);
    for (int32_t first = 0; first < units; first += LANES) {
        int32_t count = units - first < LANES ? units - first : LANES;
        pack(weights + first * depth, bias + first, depth, count, packed, start);
        for (int32_t at = 0; at < pixels; at += PIXELS) {
            int32_t some = pixels - at < PIXELS ? pixels - at : PIXELS;
            const int8_t *p[PIXELS];
            sums_t s[PIXELS];
            for (int32_t i = 0; i < PIXELS; i++) { /* the last one again where there are fewer */
                p[i] = x + (at + (i < some ? i : some - 1)) * x_step;
                s[i] = load_sums(start);
            }
            for (int32_t k = 0; k < whole; k += 4)
                for (int32_t i = 0; i < PIXELS; i++)
                    s[i] = multiply(s[i], p[i] + k, packed + k * LANES);
            for (int32_t i = 0; i < PIXELS; i++)
                store_sums(sums[i], s[i]);
            for (int32_t i = 0; i < some; i++) {
                int8_t *to = y + (at + i) * units + first;
                if (count == LANES) /* a count known to the compiler */
                    requantize(out, sums[i], first, LANES, to);
                else
                    requantize(out, sums[i], first, count, to);
            }
        }
    }
}

#endif
#endif
