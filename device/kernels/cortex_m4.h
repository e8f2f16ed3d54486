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

#include <stddef.h>
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

/* ---- two pixels times two units. A quad of both pixels is four words: even and odd bytes of each. Where four does
 * not divide the depth, the first quad holds the rest and zeros. */

enum { PAIR_DEPTH = 4 }; /* at least: that first quad reads four weights */

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

#define UNIT(w, first, second)              \
    "ldr %[u], [%[" w "]], #4\n"            \
    "sxtb16 %[t], %[u]\n"                   \
    "sxtb16 %[u], %[u], ror #8\n"           \
    "smlad %[" first "], r0, %[t], %[" first "]\n"   \
    "smlad %[" first "], r1, %[u], %[" first "]\n"   \
    "smlad %[" second "], r2, %[t], %[" second "]\n" \
    "smlad %[" second "], r3, %[u], %[" second "]\n"
#define QUAD "ldmia %[x]!, {r0, r1, r2, r3}\n" UNIT("w0", "a", "b") UNIT("w1", "c", "d")

/* s: unit 0 of both pixels, then unit 1 of both */
static inline void pair_sums(const uint32_t *x, const int8_t *w0, const int8_t *w1, int32_t depth, int32_t *s)
{
    int32_t a = s[0], b = s[1], c = s[2], d = s[3], rest = depth & 3, quads;
    uint32_t t, u;
    if (rest) {
        __asm__ volatile(QUAD
                         : [x] "+r"(x), [w0] "+r"(w0), [w1] "+r"(w1), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c),
                           [d] "+r"(d), [t] "=&r"(t), [u] "=&r"(u)
                         :
                         : "r0", "r1", "r2", "r3", "memory");
        w0 -= 4 - rest;
        w1 -= 4 - rest;
    }
    quads = depth >> 2;
    __asm__ volatile("lsls %[t], %[quads], #31\n" /* an odd one enters half way */
                     "bne 2f\n"
                     "1:\n" QUAD "2:\n" QUAD "subs %[quads], #2\n"
                     "bgt 1b\n"
                     : [x] "+r"(x), [w0] "+r"(w0), [w1] "+r"(w1), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c),
                       [d] "+r"(d), [quads] "+r"(quads), [t] "=&r"(t), [u] "=&r"(u)
                     :
                     : "r0", "r1", "r2", "r3", "cc", "memory");
    s[0] = a;
    s[1] = b;
    s[2] = c;
    s[3] = d;
}
#undef QUAD
#undef UNIT

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

/* The weights [taps, n] of a depthwise filter, widened: for four channels all taps, even and odd bytes, then for the
 * next four. */
static inline void widen_taps(const int8_t *w, int32_t taps, int32_t n, uint32_t *to)
{
    for (int32_t first = 0; first < n; first += 4) {
        const int8_t *from = w + first;
        for (int32_t i = taps; i; i--, from += n, to += 2) {
            uint32_t v = load4(from);
            to[0] = even_bytes(v);
            to[1] = odd_bytes(v);
        }
    }
}

#define TAP(offset)                     \
    "ldr %[u], [%[x]" offset "]\n"      \
    "ldrd %[e], %[o], [%[w]], #8\n"     \
    "sxtb16 %[t], %[u]\n"               \
    "sxtb16 %[u], %[u], ror #8\n"       \
    "smlabb %[a], %[t], %[e], %[a]\n"   \
    "smlabb %[b], %[u], %[o], %[b]\n"   \
    "smlatt %[c], %[t], %[e], %[c]\n"   \
    "smlatt %[d], %[u], %[o], %[d]\n"
#define ROW TAP("") TAP(", %[step]") TAP(", %[step], lsl #1") "add %[x], %[x], %[row]\n"

/* s[0..4) += the taps of four channels at x; returns where the widened weights go on. */
static inline const uint32_t *taps_sums(const int8_t *x, int32_t row_step, int32_t step, int32_t rows, int32_t columns,
                                        const uint32_t *w, int32_t *s)
{
    int32_t a = s[0], b = s[1], c = s[2], d = s[3];
    uint32_t e, o, t, u;
    if (columns == 3) {
        __asm__ volatile("1:\n" ROW "subs %[rows], #1\n"
                         "bne 1b\n"
                         : [x] "+r"(x), [w] "+r"(w), [rows] "+r"(rows), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c),
                           [d] "+r"(d), [e] "=&r"(e), [o] "=&r"(o), [t] "=&r"(t), [u] "=&r"(u)
                         : [row] "r"(row_step), [step] "r"(step)
                         : "cc", "memory");
    } else {
        for (; rows; rows--, x += row_step) {
            const int8_t *p = x;
            int32_t left = columns;
            __asm__ volatile("1:\n" TAP("") "add %[x], %[x], %[step]\n"
                             "subs %[left], #1\n"
                             "bne 1b\n"
                             : [x] "+r"(p), [w] "+r"(w), [left] "+r"(left), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c),
                               [d] "+r"(d), [e] "=&r"(e), [o] "=&r"(o), [t] "=&r"(t), [u] "=&r"(u)
                             : [step] "r"(step)
                             : "cc", "memory");
        }
    }
    s[0] = a;
    s[1] = b;
    s[2] = c;
    s[3] = d;
    return w;
}
#undef ROW
#undef TAP

#endif
#endif
