/* SPDX-License-Identifier: MIT
 *
 * Matrix products with MAC16 and the zero-overhead loop of the ESP32 and ESP32-S3: 16 x 16 bits into an
 * accumulator of 40, the next operands loaded by the same instruction. Ask has_mac16() first.
 *
 * Inputs and weights are widened to pairs of 16 bits in one order: bytes 0 and 2 of four, then 1 and 3. Weights
 * keep their place in the upper byte, which saves an instruction for each four; so the accumulator holds 256
 * times the sum, and 40 bits are just enough for a sum of 32 that wraps as it does everywhere.
 *
 * In the assembly: LDINC adds 4 to its address before it loads. A LOOP must start 1 or 2 bytes behind a multiple
 * of 4, so that the first instruction of its body does not straddle one; assemblers do not see to it, and pad
 * with zeros, hence the jumps. Source: Xtensa ISA reference, MAC16 and Loop options.
 */
#ifndef TORPOR_MAC16_H
#define TORPOR_MAC16_H

#include "fixed.h"

enum {
    WIDE_WORDS = 160, /* of windows and weights, on the stack */
    CHUNK = 128,      /* values of a row that are widened at a time */
    BLOCK = 24,       /* channels of a depthwise convolution that are done at a time */
    TAPS = 9,         /* of its filters, 3 x 3; they are laid out in TAP_WORDS */
    TAP_WORDS = 5,
};
#define UPPER_BYTES 0xff00ff00u
#define OWN_REGISTERS __attribute__((noinline, unused)) /* else callers spill theirs, MAC16 or not */

/* 32-bit words of a widened row. A product reads one word more, which must exist. */
static inline int32_t wide_words(int32_t depth)
{
    return ((depth + 3) >> 2) << 1;
}

/* `count` values times 2^up, then zeros up to whole fours. */
static inline void widen(const int8_t *x, int32_t count, int32_t up, uint32_t *to)
{
    int16_t *y = (int16_t *)(void *)to;
    for (; count >= 4; count -= 4, x += 4, y += 4) {
        y[0] = (int16_t)(x[0] << up);
        y[1] = (int16_t)(x[2] << up);
        y[2] = (int16_t)(x[1] << up);
        y[3] = (int16_t)(x[3] << up);
    }
    if (count > 0) {
        y[0] = (int16_t)(x[0] << up);
        y[1] = (int16_t)(count > 2 ? x[2] << up : 0);
        y[2] = (int16_t)(count > 1 ? x[1] << up : 0);
        y[3] = 0;
    }
}

/* As widen() with 8 for `up`, four at a time where they are aligned. */
static inline void widen_weights(const int8_t *w, int32_t count, uint32_t *to)
{
    if (((uintptr_t)w | (uint32_t)count) & 3) {
        widen(w, count, 8, to);
        return;
    }
    uint32_t v, even;
    __asm__ volatile("j 1f\n .p2align 2\n 1: addi %[to], %[to], -8\n nop\n nop\n"
                     "loopnez %[n], 2f\n"
                     "l32i %[v], %[w], 0\n addi %[w], %[w], 4\n addi %[to], %[to], 8\n"
                     "slli %[even], %[v], 8\n and %[v], %[v], %[mask]\n and %[even], %[even], %[mask]\n"
                     "s32i %[v], %[to], 4\n s32i %[even], %[to], 0\n 2:\n"
                     : [to] "+&r"(to), [w] "+&r"(w), [v] "=&r"(v), [even] "=&r"(even)
                     : [n] "r"(count >> 2), [mask] "r"(UPPER_BYTES)
                     : "memory");
}

/* The sum of the products of two widened rows of `words` each, one of them of weights. */
static inline int32_t dot_wide(const uint32_t *x, const uint32_t *w, int32_t words)
{
    int32_t sum, high;
    x--;
    w--;
    __asm__ volatile("movi %[sum], 0\n ldinc m0, %[x]\n ldinc m2, %[w]\n"
                     "j 1f\n .p2align 2\n 1: wsr %[sum], acclo\n wsr %[sum], acchi\n"
                     "loopnez %[n], 2f\n"
                     "mula.dd.ll.ldinc m1, %[x], m0, m2\n mula.dd.hh.ldinc m3, %[w], m0, m2\n"
                     "mula.dd.ll.ldinc m0, %[x], m1, m3\n mula.dd.hh.ldinc m2, %[w], m1, m3\n 2:\n"
                     "rsr %[sum], acclo\n rsr %[high], acchi\n ssai 8\n src %[sum], %[high], %[sum]\n"
                     : [x] "+&r"(x), [w] "+&r"(w), [sum] "=&r"(sum), [high] "=&r"(high)
                     : [n] "r"(words >> 1)
                     : "memory");
    return sum;
}

/* As dot_wide() for whole fours of weights as they are, aligned. */
static inline int32_t dot_packed(const uint32_t *x, const int8_t *w, int32_t words)
{
    int32_t sum, v, even;
    x--;
    __asm__ volatile("movi %[sum], 0\n ldinc m0, %[x]\n ldinc m1, %[x]\n"
                     "j 1f\n .p2align 2\n 1: wsr %[sum], acclo\n wsr %[sum], acchi\n"
                     "loopnez %[n], 2f\n"
                     "l32i %[v], %[w], 0\n addi %[w], %[w], 4\n"
                     "slli %[even], %[v], 8\n and %[v], %[v], %[mask]\n and %[even], %[even], %[mask]\n"
                     "mula.da.ll m0, %[even]\n mula.da.hh.ldinc m0, %[x], m0, %[even]\n"
                     "mula.da.ll m1, %[v]\n mula.da.hh.ldinc m1, %[x], m1, %[v]\n 2:\n"
                     "rsr %[sum], acclo\n rsr %[v], acchi\n ssai 8\n src %[sum], %[v], %[sum]\n"
                     : [x] "+&r"(x), [w] "+&r"(w), [sum] "=&r"(sum), [v] "=&r"(v), [even] "=&r"(even)
                     : [n] "r"(words >> 1), [mask] "r"(UPPER_BYTES)
                     : "memory");
    return sum;
}

/* torpor_row() with MAC16: the row is widened, the weights are taken apart as they are read, or widened as well where
 * they are not aligned. */
static OWN_REGISTERS void row_mac16(const int8_t *x, int8_t *y, int32_t depth, int32_t units, const int8_t *weights,
                                    const int32_t *bias, const struct output *out)
{
    uint32_t wide[CHUNK / 2 + 2], scratch[CHUNK / 2 + 1];
    bool aligned = (((uintptr_t)weights | (uint32_t)depth) & 3) == 0;
    if (depth <= CHUNK)
        widen(x, depth, 0, wide);
    for (int32_t first = 0; first < units; first += TILE, weights += TILE * depth) {
        int32_t sums[TILE];
        int32_t count = units - first < TILE ? units - first : TILE;
        for (int32_t i = 0; i < count; i++)
            sums[i] = bias[first + i];
        for (int32_t from = 0; from < depth; from += CHUNK) {
            int32_t size = depth - from < CHUNK ? depth - from : CHUNK;
            if (depth > CHUNK)
                widen(x + from, size, 0, wide);
            const int8_t *w = weights + from;
            for (int32_t i = 0; i < count; i++, w += depth) {
                if (aligned) {
                    sums[i] += dot_packed(wide, w, wide_words(size));
                } else {
                    widen(w, size, 8, scratch);
                    sums[i] += dot_wide(wide, scratch, wide_words(size));
                }
            }
        }
        requantize(out, sums, first, count, y + first);
    }
}

/* Write [pixels, units] to y from widened rows of `words` each at x, weights [units, depth]. Each unit's weights
 * are widened once for all pixels, to `scratch`. */
static OWN_REGISTERS void rows_mac16(const uint32_t *x, int32_t pixels, int8_t *y, int32_t depth, int32_t units,
                                     const int8_t *weights, const int32_t *bias, const struct output *out,
                                     uint32_t *scratch)
{
    const int32_t *multipliers = out->multipliers, *shifts = out->shifts;
    int32_t words = wide_words(depth), zero = out->zero, low = out->low, high = out->high;
    for (int32_t i = 0; i < units; i++, weights += depth, multipliers += out->step, shifts += out->step) {
        int32_t start = bias[i], m = *multipliers, s = *shifts;
        const uint32_t *row = x;
        int8_t *to = y + i;
        widen_weights(weights, depth, scratch);
        for (int32_t p = 0; p < pixels; p++, row += words, to += units)
            *to = clip(scale(dot_wide(row, scratch, words) + start, m, s) + zero, low, high);
    }
}

/* 3 x 3 filters of `count` channels, from weights [9, n]: one channel's behind the other's. */
static inline void lay_filters(const int8_t *w, int32_t n, int32_t count, uint32_t *to)
{
    for (int32_t i = 0; i < count; i++, w++, to += TAP_WORDS) {
        int16_t *t = (int16_t *)(void *)to;
        const int8_t *v = w;
        for (int k = 0; k < TAPS; k++, v += n)
            t[k] = *v;
        t[TAPS] = 0;
    }
}

/* sums[i] = bias[i] + 3 x 3 pixels at x + i times filter i of lay_filters(), for `count` channels. Here the products
 * are not 256 times too large, so the upper 8 bits of the accumulator are nobody's. */
#define TAP(halves) "l8ui %[v], %[p], 0\n sext %[v], %[v], 7\n mula.da." halves " m0, %[v]\n"
#define LOAD "ldinc m0, %[w]\n"
#define RIGHT "add %[p], %[p], %[step]\n"
#define DOWN "add %[p], %[p], %[down]\n"
static inline void filters_mac16(const int8_t *x, int32_t step, int32_t row_step, const uint32_t *w,
                                 const int32_t *bias, int32_t count, int32_t *sums)
{
    const int8_t *p;
    int32_t v;
    w--;
    __asm__ volatile("1: l32i %[v], %[bias], 0\n " LOAD "or %[p], %[x], %[x]\n wsr %[v], acclo\n"
                     "addi %[x], %[x], 1\n addi %[bias], %[bias], 4\n"
                     TAP("ll") RIGHT TAP("hl") RIGHT LOAD TAP("ll") DOWN TAP("hl") RIGHT LOAD TAP("ll") RIGHT
                     TAP("hl") DOWN LOAD TAP("ll") RIGHT TAP("hl") RIGHT LOAD TAP("ll")
                     "rsr %[v], acclo\n s32i %[v], %[sums], 0\n addi %[sums], %[sums], 4\n"
                     "addi %[count], %[count], -1\n bnez %[count], 1b\n"
                     : [x] "+&r"(x), [w] "+&r"(w), [bias] "+&r"(bias), [count] "+&r"(count), [sums] "+&r"(sums),
                       [p] "=&r"(p), [v] "=&r"(v)
                     : [step] "r"(step), [down] "r"(row_step - 2 * step)
                     : "memory");
}
#undef TAP
#undef LOAD
#undef RIGHT
#undef DOWN

#endif
