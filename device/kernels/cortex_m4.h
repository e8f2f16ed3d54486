/* SPDX-License-Identifier: MIT
 *
 * Inner loops for the DSP instructions of Cortex-M4, M7 and M33: two products of 16 bits at once. Compilers spill
 * and never post-increment here, so the loops are whole in assembly. Bytes are widened in pairs, 0 and 2, then 1
 * and 3: inputs and weights alike, so that neither is re-ordered.
 * Source: Armv7-M Architecture Reference Manual, SXTB16, SMLAD, SMLABB, SMLATT.
 */
#ifndef TORPOR_CORTEX_M4_H
#define TORPOR_CORTEX_M4_H

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define TORPOR_DSP 1

#include <stdbool.h>
#include <stdint.h>

/* 4 bytes of any alignment */
static inline uint32_t load4(const int8_t *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}

static inline uint32_t even_bytes(uint32_t v)
{
    uint32_t r;
    __asm__("sxtb16 %0, %1" : "=r"(r) : "r"(v));
    return r;
}

static inline uint32_t odd_bytes(uint32_t v)
{
    uint32_t r;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(v));
    return r;
}

/* ---- two pixels times two units: see pair.h. A quad of both pixels is four words: even and odd bytes of each. Where
 * four does not divide the depth, the first quad holds the rest and zeros. */

enum { PAIR_DEPTH = 4 }; /* at least: that first quad reads four weights */

static inline int32_t pair_steps(int32_t depth)
{
    return ((depth + 3) >> 2) - 1;
}

static inline void pair_lay(uint32_t *pair, int lane, const int8_t *x, int32_t depth)
{
    uint32_t *to = pair + 2 * lane;
    int32_t rest = depth & 3;
    if (rest) {
        uint32_t v = load4(x) & (((uint32_t)1 << 8 * rest) - 1);
        to[0] = even_bytes(v);
        to[1] = odd_bytes(v);
        to += 4;
        x += rest;
    }
    for (int32_t quads = depth >> 2; quads; quads--, x += 4, to += 4) {
        uint32_t v = load4(x);
        to[0] = even_bytes(v);
        to[1] = odd_bytes(v);
    }
}

/* ---- one pixel times four units */

#define UNIT(w, s)                             \
    "ldr %[t], [%[" w "]], #4\n"               \
    "sxtb16 %[u], %[t]\n"                      \
    "sxtb16 %[t], %[t], ror #8\n"              \
    "smlad %[" s "], %[u], %[e], %[" s "]\n"   \
    "smlad %[" s "], %[t], %[o], %[" s "]\n"

/* s[0..4) += x . w of four units; returns how many of `depth` it did. */
static inline int32_t four_sums(const int8_t *x, const int8_t *w0, int32_t depth, int32_t *s)
{
    const int8_t *w1 = w0 + depth, *w2 = w1 + depth, *w3 = w2 + depth;
    int32_t a = s[0], b = s[1], c = s[2], d = s[3], quads = depth >> 2;
    uint32_t e, o, t, u;
    if (quads == 0)
        return 0;
    __asm__ volatile("1:\n"
                     "ldr %[o], [%[x]], #4\n"
                     "sxtb16 %[e], %[o]\n"
                     "sxtb16 %[o], %[o], ror #8\n" UNIT("w0", "a") UNIT("w1", "b") UNIT("w2", "c") UNIT("w3", "d")
                     "subs %[quads], #1\n"
                     "bne 1b\n"
                     : [x] "+r"(x), [w0] "+r"(w0), [w1] "+r"(w1), [w2] "+r"(w2), [w3] "+r"(w3), [a] "+r"(a),
                       [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [quads] "+r"(quads), [e] "=&r"(e), [o] "=&r"(o),
                       [t] "=&r"(t), [u] "=&r"(u)
                     :
                     : "cc", "memory");
    s[0] = a;
    s[1] = b;
    s[2] = c;
    s[3] = d;
    return depth & ~3;
}
#undef UNIT

/* ---- depthwise filters, four channels at once */

static inline bool can_filter(int32_t rows, int32_t columns, int32_t n, bool plain)
{
    (void)rows, (void)columns;
    return plain && n >= 4;
}

static inline uint32_t twice(uint32_t pair)
{
    uint32_t r;
    __asm__("sadd16 %0, %1, %1" : "=r"(r) : "r"(pair));
    return r;
}

/* All that a plain depthwise layer reads per pixel, in that order: for four channels their biases, all taps' even and
 * odd weights (biases and weights times two: see plain.h), multipliers and shifts to the right; then the next four.
 * n words times (3 + taps / 2). */
static inline void lay_filters(const int8_t *w, int32_t taps, int32_t n, const int32_t *bias, const int32_t *multipliers,
                               const int32_t *shifts, int32_t step, uint32_t *to)
{
    for (int32_t first = 0; first + 4 <= n; first += 4) {
        const int8_t *from = w + first;
        for (int i = 0; i < 4; i++)
            *to++ = (uint32_t)*bias++ * 2;
        for (int32_t i = taps; i; i--, from += n, to += 2) {
            uint32_t v = load4(from);
            to[0] = twice(even_bytes(v));
            to[1] = twice(odd_bytes(v));
        }
        for (int i = 0; i < 4; i++, multipliers += step)
            *to++ = (uint32_t)*multipliers;
        for (int i = 0; i < 4; i++, shifts += step)
            *to++ = (uint32_t)-*shifts;
    }
}

/* One pixel; passed by value as above. */
struct filter_job {
    const int8_t *x;
    const uint32_t *filters; /* lay_filters() */
    int32_t step, row_step;
    int32_t rows, columns, zero;
    int8_t *y, *end; /* end - y: a multiple of four, not 0 */
};

void torpor_filter_job(struct filter_job job);

#endif
#endif
