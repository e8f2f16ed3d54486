/* SPDX-License-Identifier: MIT
 *
 * 16 units at once with AVX2, for the library on CPython: here the requantization of their sums. Exact: values are
 * widened to 16 bits and multiplied in pairs into 32 (VPMADDWD), and sums of 32 bits wrap as they do everywhere.
 *
 * A block of 16 units lies in two registers, 0-3 and 8-11, 4-7 and 12-15: in this order VPACKSSDW puts them into
 * theirs. A block of up to 8 lies in one, as it is.
 */
#ifndef TORPOR_AVX2_H
#define TORPOR_AVX2_H

#if defined(__x86_64__) && defined(__AVX2__)
#define TORPOR_AVX2 1

#include "fixed.h"
#include <immintrin.h>
#include <stdbool.h>

#define INLINE static inline __attribute__((always_inline))

enum { BLOCK = 16 };

static inline __m256i load_lanes(const void *from)
{
    return _mm256_loadu_si256(from);
}

/* Which unit of a block lies in lane i of its registers, where it has two. */
static inline int32_t unit_of(int32_t i)
{
    return (i & 3) | (i & 4) << 1 | (i & 8) >> 1;
}

/* Multiplier and shift of eight lanes, taken apart once. */
struct scaling {
    __m256i multipliers, odd, left, right, mask, half;
    bool shifts_left;
};

static inline struct scaling scaling_of(__m256i multipliers, __m256i shifts)
{
    const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi32(1);
    __m256i right = _mm256_max_epi32(_mm256_sub_epi32(zero, shifts), zero);
    __m256i left = _mm256_max_epi32(shifts, zero), mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one);
    return (struct scaling){multipliers, _mm256_srli_epi64(multipliers, 32), left, right, mask,
                            _mm256_srli_epi32(mask, 1), !_mm256_testz_si256(left, left)};
}

static inline struct scaling scaling_all(int32_t multiplier, int32_t shift)
{
    return scaling_of(_mm256_set1_epi32(multiplier), _mm256_set1_epi32(shift));
}

/* scale() of eight values */
INLINE __m256i scale_lanes(const struct scaling *s, __m256i v)
{
    const __m256i half_q31 = _mm256_set1_epi64x(1 << 30);
    if (s->shifts_left)
        v = _mm256_sllv_epi32(v, s->left);
    __m256i even = _mm256_add_epi64(_mm256_mul_epi32(v, s->multipliers), half_q31);
    __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(v, 32), s->odd), half_q31);
    v = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_add_epi64(odd, odd), 0xaa);
    __m256i rest = _mm256_and_si256(v, s->mask), half = _mm256_add_epi32(s->half, _mm256_srli_epi32(v, 31));
    return _mm256_sub_epi32(_mm256_srav_epi32(v, s->right), _mm256_cmpgt_epi32(rest, half));
}

/* struct output for a block of units */
struct finish {
    struct scaling scaling[2];
    __m256i zero;
    __m128i low, high;
};

/* Lane i is unit first + i % count: lanes beyond `count` hold what no one stores, or the same units again. */
static inline void prepare(struct finish *f, const struct output *o, int32_t first, int32_t count, bool two)
{
    int32_t multipliers[BLOCK], shifts[BLOCK];
    for (int32_t i = 0; i < BLOCK; i++) {
        int32_t at = o->step ? first + (two ? unit_of(i) : i) % count : 0;
        multipliers[i] = o->multipliers[at];
        shifts[i] = o->shifts[at];
    }
    for (int32_t h = 0; h < 2; h++)
        f->scaling[h] = scaling_of(load_lanes(multipliers + 8 * h), load_lanes(shifts + 8 * h));
    f->zero = _mm256_set1_epi32(o->zero);
    f->low = _mm_set1_epi8((char)o->low);
    f->high = _mm_set1_epi8((char)o->high);
}

/* Sums that a block starts with, in its order */
static inline void prepare_sums(__m256i *sums, const int32_t *bias, int32_t first, int32_t count, bool two)
{
    int32_t start[BLOCK];
    for (int32_t i = 0; i < BLOCK; i++)
        start[i] = bias[first + (two ? unit_of(i) : i) % count];
    sums[0] = load_lanes(start);
    sums[1] = load_lanes(start + 8);
}

/* requantize() of a block: 16 bytes, or 8 and again these. Saturated on the way, as clipping would have it. */
INLINE __m128i finish(const struct finish *f, __m256i a, __m256i b, bool two)
{
    a = _mm256_add_epi32(scale_lanes(&f->scaling[0], a), f->zero);
    __m128i bytes;
    if (two) {
        b = _mm256_add_epi32(scale_lanes(&f->scaling[1], b), f->zero);
        __m256i words = _mm256_packs_epi32(a, b);
        bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    } else {
        __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
        bytes = _mm_packs_epi16(words, words);
    }
    return _mm_max_epi8(_mm_min_epi8(bytes, f->high), f->low);
}

INLINE void store(int8_t *y, __m128i bytes, int32_t count)
{
    if (count == 16) {
        _mm_storeu_si128((void *)y, bytes);
        return;
    }
    if (count & 8) {
        _mm_storel_epi64((void *)y, bytes);
        bytes = _mm_srli_si128(bytes, 8);
        y += 8;
    }
    uint64_t rest = (uint64_t)_mm_cvtsi128_si64(bytes);
    for (count &= 7; count; count--, rest >>= 8)
        *y++ = (int8_t)rest;
}

/* 16 int8 as int16 */
static inline __m256i load_words(const int8_t *from)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)from));
}

/* `count` int8 as int16 */
static inline void widen(int16_t *to, const int8_t *from, int32_t count)
{
    int32_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm256_storeu_si256((void *)(to + i), load_words(from + i));
    for (; i < count; i++)
        to[i] = from[i];
}

#endif
#endif
