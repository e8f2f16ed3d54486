/* SPDX-License-Identifier: MIT
 *
 * ADD, SUB, MUL, MAXIMUM, MINIMUM, PRELU; the records are described in device/torpor/nn/add.py and binary.py.
 */
#include "avx2.h"
#include "fixed.h"
#include "image.h"
#include "plain.h"

enum {
    A, B, OUT, CONSTANT, SIZES, A_STRIDES = 8, B_STRIDES = 12, LEFT_SHIFT = 16, A_ZERO, A_MULTIPLIER, A_SHIFT, B_ZERO,
    B_MULTIPLIER, B_SHIFT, ZERO, MULTIPLIER, SHIFT, LOW, HIGH, COUNT
};

/* How far the last element lies from the first, and one. */
static uint32_t extent(const int32_t *sizes, const int32_t *strides)
{
    uint32_t sum = 1;
    for (int i = 0; i < 4; i++)
        sum = plus(sum, times((uint32_t)sizes[i] - 1, (uint32_t)strides[i]));
    return sum;
}

void torpor_check_add(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + SIZES, 4);
    for (int i = A_STRIDES; i < LEFT_SHIFT; i++)
        need(m, a[i] >= 0);
    need(m, a[LEFT_SHIFT] >= 0);
    need_shift(m, a[LEFT_SHIFT]);
    need_shift(m, a[A_SHIFT]);
    need_shift(m, a[B_SHIFT]);
    need_shift(m, a[SHIFT]);
    need_clip(m, a[LOW], a[HIGH]);
    if (m->verdict)
        return;
    need_ram(m, a[OUT], product4(a[SIZES], a[SIZES + 1], a[SIZES + 2], a[SIZES + 3]));
    need_ram(m, a[A], extent(a + SIZES, a + A_STRIDES));
    need(m, a[CONSTANT] == 0 || a[CONSTANT] == 1);
    if (a[CONSTANT])
        need_int8(m, a[B], extent(a + SIZES, a + B_STRIDES));
    else
        need_ram(m, a[B], extent(a + SIZES, a + B_STRIDES));
}

static inline int32_t term(int32_t v, int32_t zero, int32_t left, int32_t multiplier, int32_t shift)
{
    return scale((int32_t)((uint32_t)(v - zero) << left), multiplier, shift);
}

#ifdef TORPOR_AVX2
/* As row(), for the runs of 32 that lie close; how many bytes that were. */
static int32_t row_avx2(const int32_t *a, const int8_t *p, const int8_t *q, int8_t *y)
{
    int32_t size = a[SIZES + 3], at = 0;
    if (a[A_STRIDES + 3] != 1 || a[B_STRIDES + 3] != 1)
        return 0;
    const struct scaling s = scaling_all(a[A_MULTIPLIER], a[A_SHIFT]), t = scaling_all(a[B_MULTIPLIER], a[B_SHIFT]);
    const struct scaling all = scaling_all(a[MULTIPLIER], a[SHIFT]);
    const __m256i a_zero = _mm256_set1_epi32(a[A_ZERO]), b_zero = _mm256_set1_epi32(a[B_ZERO]);
    const struct finish f = {{all, all}, _mm256_set1_epi32(a[ZERO]), _mm_set1_epi8((char)a[LOW]),
                             _mm_set1_epi8((char)a[HIGH])};
    const __m128i left = _mm_cvtsi32_si128(a[LEFT_SHIFT]);
    for (; at + 16 <= size; at += 16) {
        __m256i sums[2];
        for (int h = 0; h < 2; h++) {
            __m128i u = _mm_loadu_si128((const void *)(p + at)), v = _mm_loadu_si128((const void *)(q + at));
            if (h) {
                u = _mm_srli_si128(u, 4);
                v = _mm_srli_si128(v, 4);
            }
            u = _mm_shuffle_epi32(u, 0x08); /* the order that finish() takes: 0-3 and 8-11, 4-7 and 12-15 */
            v = _mm_shuffle_epi32(v, 0x08);
            sums[h] = _mm256_add_epi32(
                scale_lanes(&s, _mm256_sll_epi32(_mm256_sub_epi32(_mm256_cvtepi8_epi32(u), a_zero), left)),
                scale_lanes(&t, _mm256_sll_epi32(_mm256_sub_epi32(_mm256_cvtepi8_epi32(v), b_zero), left)));
        }
        store(y + at, finish(&f, sums[0], sums[1], true), 16);
    }
    return at;
}
#endif

/* Of what becomes the output by a multiplier and shift of its own: ADD to MUL; of the others, the output itself. */
static int32_t value(const int32_t *a, uint32_t code, int32_t u, int32_t v)
{
    if (code == MAXIMUM || code == MINIMUM)
        return (u > v) == (code == MAXIMUM) ? u : v;
    if (code == MUL || code == PRELU) {
        u -= a[A_ZERO];
        v = u * (v - a[B_ZERO]);
        if (code == MUL)
            return v;
        return u >= 0 ? scale(u, a[A_MULTIPLIER], a[A_SHIFT]) : scale(v, a[B_MULTIPLIER], a[B_SHIFT]);
    }
    u = term(u, a[A_ZERO], a[LEFT_SHIFT], a[A_MULTIPLIER], a[A_SHIFT]);
    v = term(v, a[B_ZERO], a[LEFT_SHIFT], a[B_MULTIPLIER], a[B_SHIFT]);
    return code == ADD ? u + v : code == SUB ? u - v : v - u;
}

#ifndef TORPOR_AVX2
/* One input of a plain ADD: (v - zero) << left, scaled by a shift to the right. */
struct side {
    int32_t zero, left, multiplier, right;
};

/* Of `args` zero, multiplier, shift. False where scale_right() does not do: it takes values below 2^30 and shifts to
 * the right. The larger input has none, and one half for a multiplier: both are doubled, value and divisor, which
 * is exact, for values end in zeros. */
static bool make_side(struct side *s, int32_t left, const int32_t *args)
{
    bool half = args[2] == 0 && args[1] == 1 << 30 && left > 0;
    *s = (struct side){args[0], left + half, args[1], half - args[2]};
    return -128 <= s->zero && s->zero <= 127 && s->left <= 22 && s->right > 0; /* 255 * 2^22 < 2^30 */
}

static inline int32_t side_term(const struct side *s, int32_t v)
{
    return scale_right((v - s->zero) * (1 << s->left), s->multiplier, s->right, 0);
}

/* A run along the last axis where both sides are plain and so is what becomes of their sum. */
static void row_plain(const int32_t *a, const struct side *sides, const int8_t *p, const int8_t *q, int8_t *y)
{
    const struct side s = sides[0], t = sides[1];
    int32_t p_step = a[A_STRIDES + 3], q_step = a[B_STRIDES + 3];
    int32_t multiplier = a[MULTIPLIER], right = -a[SHIFT], zero = a[ZERO], low = a[LOW], high = a[HIGH];
    for (int32_t left = a[SIZES + 3]; left; left--, p += p_step, q += q_step)
        *y++ = clip(scale_right(side_term(&s, *p) + side_term(&t, *q), multiplier, right, zero), low, high);
}
#endif

/* One run along the last axis; a tile is read before it is written, so it may lie on either input. */
static void row(const int32_t *a, uint32_t code, const int8_t *p, const int8_t *q, int8_t *y)
{
    int32_t size = a[SIZES + 3], p_step = a[A_STRIDES + 3], q_step = a[B_STRIDES + 3], first = 0;
    const struct output out = {a + MULTIPLIER, a + SHIFT, 0, a[ZERO], a[LOW], a[HIGH]};
#ifdef TORPOR_AVX2
    if (code == ADD)
        first = row_avx2(a, p, q, y);
#endif
    for (; first < size; first += TILE) {
        int32_t sums[TILE];
        int32_t count = size - first < TILE ? size - first : TILE;
        for (int32_t i = 0; i < count; i++)
            sums[i] = value(a, code, p[(first + i) * p_step], q[(first + i) * q_step]);
        if (code <= MUL) {
            requantize(&out, sums, 0, count, y + first);
            continue;
        }
        bool prelu = code == PRELU;
        for (int32_t i = 0; i < count; i++)
            y[first + i] = prelu ? clip(sums[i] + a[ZERO], a[LOW], a[HIGH]) : (int8_t)sums[i];
    }
}

void torpor_add(const struct image *m, const int32_t *a, uint32_t code)
{
    const int8_t *p = m->arena + a[A], *q = a[CONSTANT] ? int8_at(m, a[B]) : m->arena + a[B];
    int8_t *y = m->arena + a[OUT];
    const int32_t *n = a + SIZES, *s = a + A_STRIDES, *t = a + B_STRIDES;
#ifndef TORPOR_AVX2
    struct side sides[2];
    bool plain = code == ADD && make_side(&sides[0], a[LEFT_SHIFT], a + A_ZERO)
        && make_side(&sides[1], a[LEFT_SHIFT], a + B_ZERO) && a[SHIFT] < 0;
#endif
    for (int32_t i = 0; i < n[0]; i++)
        for (int32_t j = 0; j < n[1]; j++)
            for (int32_t k = 0; k < n[2]; k++, y += n[3]) {
                const int8_t *from = p + i * s[0] + j * s[1] + k * s[2], *other = q + i * t[0] + j * t[1] + k * t[2];
#ifndef TORPOR_AVX2
                if (plain) {
                    row_plain(a, sides, from, other, y);
                    continue;
                }
#endif
                row(a, code, from, other, y);
            }
}
