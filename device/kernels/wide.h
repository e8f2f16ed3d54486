/* SPDX-License-Identifier: MIT
 *
 * Matrix products with the vector instructions of x86-64: 16 units of 4 pixels at once. For the library on
 * CPython only, where the stack is large; a module for MicroPython never has AVX2. Here is AVX-512 with VNNI;
 * what AVX2 does alone is in the files of that name.
 *
 * VNNI multiplies unsigned by signed bytes: the input is read as x + 128, and 128 times the sum of a unit's
 * weights is taken off where its sum starts. Exact: sums of 32 bits wrap as they do everywhere else.
 */
#ifndef TORPOR_WIDE_H
#define TORPOR_WIDE_H

#if defined(__x86_64__) && defined(__AVX2__)
#define TORPOR_WIDE 1

#if !(defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__))
#include "product_avx2.h"
#else
#define TORPOR_VNNI 1

#include "fixed.h"
#include <immintrin.h>

enum { LANES = 16, PIXELS = 4, MOST_DEPTH = 4096, WINDOW_BYTES = 1 << 16 };

/* Depth as it lies in packed weights and windows. */
static inline int32_t whole_quads(int32_t depth)
{
    return (depth + 3) & ~3;
}

typedef int8_t packed_t;
typedef __m512i sums_t;

static inline sums_t load_sums(const int32_t *from)
{
    return _mm512_loadu_si512(from);
}

/* Four values of a pixel times four weights of each of 16 units. */
static inline sums_t multiply(sums_t sums, const int8_t *x, const packed_t *w)
{
    uint32_t four;
    __builtin_memcpy(&four, x, 4);
    return _mm512_dpbusd_epi32(sums, _mm512_set1_epi32((int)(four ^ 0x80808080u)), _mm512_loadu_si512(w));
}

static inline __mmask16 first_lanes(int32_t count)
{
    return (__mmask16)((1u << count) - 1);
}

/* requantize() of up to 16 sums at once */
static inline void finish(const struct output *o, sums_t v, int32_t first, int32_t count, int8_t *y)
{
    const __m512i zero = _mm512_setzero_si512(), one = _mm512_set1_epi32(1), half_q31 = _mm512_set1_epi64(1 << 30);
    __mmask16 lanes = first_lanes(count);
    __m512i m = o->step ? _mm512_maskz_loadu_epi32(lanes, o->multipliers + first) : _mm512_set1_epi32(*o->multipliers);
    __m512i s = o->step ? _mm512_maskz_loadu_epi32(lanes, o->shifts + first) : _mm512_set1_epi32(*o->shifts);
    __m512i right = _mm512_max_epi32(_mm512_sub_epi32(zero, s), zero);
    v = _mm512_sllv_epi32(v, _mm512_max_epi32(s, zero));
    __m512i even = _mm512_add_epi64(_mm512_mul_epi32(v, m), half_q31);
    __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(v, 32), _mm512_srli_epi64(m, 32));
    odd = _mm512_slli_epi64(_mm512_add_epi64(odd, half_q31), 1);
    v = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 31), odd);
    __m512i mask = _mm512_sub_epi32(_mm512_sllv_epi32(one, right), one);
    __m512i half = _mm512_add_epi32(_mm512_srli_epi32(mask, 1), _mm512_srli_epi32(v, 31));
    __mmask16 up = _mm512_cmpgt_epi32_mask(_mm512_and_si512(v, mask), half);
    v = _mm512_srav_epi32(v, right);
    v = _mm512_mask_add_epi32(v, up, v, one);
    v = _mm512_add_epi32(v, _mm512_set1_epi32(o->zero));
    v = _mm512_max_epi32(_mm512_min_epi32(v, _mm512_set1_epi32(o->high)), _mm512_set1_epi32(o->low));
    _mm512_mask_cvtepi32_storeu_epi8(y, lanes, v);
}

/* Re-order the weights [count, depth] of up to 16 units, and where their sums start. */
static inline void pack(const int8_t *w, const int32_t *bias, int32_t depth, int32_t count, packed_t *packed,
                        int32_t *start)
{
    __mmask16 lanes = first_lanes(count);
    __m512i at = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                    _mm512_set1_epi32(depth));
    __m512i total = _mm512_setzero_si512(), ones = _mm512_set1_epi8(1), none = total;
    int32_t k = 0;
    for (; k + 4 <= depth; k += 4) {
        __m512i quads = _mm512_mask_i32gather_epi32(none, lanes, at, w + k, 1);
        total = _mm512_dpbusd_epi32(total, ones, quads);
        _mm512_storeu_si512(packed + k * LANES, quads);
    }
    if (k < depth) { /* the rest of a quad, byte by byte: behind it the weights may end */
        int8_t rest[4 * LANES];
        for (int32_t i = 0; i < 4 * LANES; i++)
            rest[i] = (i >> 2) < count && k + (i & 3) < depth ? w[(i >> 2) * depth + k + (i & 3)] : 0;
        __m512i quads = _mm512_loadu_si512(rest);
        total = _mm512_dpbusd_epi32(total, ones, quads);
        _mm512_storeu_si512(packed + k * LANES, quads);
    }
    __m512i sums = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(lanes, bias), _mm512_slli_epi32(total, 7));
    _mm512_storeu_si512(start, sums);
}

/* One pixel of a depthwise filter with as many outputs as inputs: [rows, columns] taps with these steps. */
static inline void depthwise_wide(const int8_t *x, int32_t row_step, int32_t step, int32_t rows, int32_t columns,
                                  int32_t n, const int8_t *weights, const int32_t *bias, const struct output *out,
                                  int8_t *y)
{
    const __m512i low = _mm512_set1_epi32(0xffff);
    for (int32_t first = 0; first < n; first += LANES) {
        int32_t count = n - first < LANES ? n - first : LANES;
        __mmask16 lanes = first_lanes(count);
        __m512i sums = _mm512_maskz_loadu_epi32(lanes, bias + first);
        const int8_t *w = weights + first, *row = x + first;
        for (int32_t fy = 0; fy < rows; fy++, row += row_step) {
            const int8_t *p = row;
            for (int32_t fx = 0; fx < columns; fx++, p += step, w += n) {
                /* 32 bits each: pairs of 16 of which the second product is 0 */
                __m512i a = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, p));
                __m512i b = _mm512_and_si512(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, w)), low);
                sums = _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
            }
        }
        finish(out, sums, first, count, y + first);
    }
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

/* `pixels` rows of `depth` int8, `x_step` apart, times the weights [units, depth]: rows of `units` at y. Each row
 * can be read up to whole_quads(depth), which is at most MOST_DEPTH. */
static inline void wide_rows(const int8_t *x, int32_t x_step, int32_t pixels, int8_t *y, int32_t depth, int32_t units,
                             const int8_t *weights, const int32_t *bias, const struct output *out)
{
    packed_t packed[MOST_DEPTH * LANES];
    int32_t start[LANES], whole = whole_quads(depth);
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
            for (int32_t i = 0; i < some; i++)
                finish(out, s[i], first, count, y + (at + i) * units + first);
        }
    }
}

#endif
#endif
#endif
