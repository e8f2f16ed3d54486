/* SPDX-License-Identifier: MIT
 *
 * UNIDIRECTIONAL_SEQUENCE_LSTM; the record is described in device/torpor/nn/lstm.py.
 */
#include "copy.h"
#include "dot.h"
#include "fixed.h"
#include "image.h"

enum {
    IN, OUT, HIDDEN, CELL, BATCHES, STEPS, DEPTH, UNITS, MAJOR, WEIGHTS, BIAS, RECURRENT, RECURRENT_BIAS, SCALES, CLIP,
    TANH_MULTIPLIER, TANH_SHIFT, ZERO, SIGMOID, COUNT
};
enum { FORGET, INPUT, NEW, OUTPUT, GATES };
enum { PAIRS = 2 * GATES + 2 };

void torpor_check_lstm(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    (void)code;
    need(m, n == COUNT);
    if (m->verdict)
        return;
    need_sizes(m, a + BATCHES, 4);
    need(m, a[MAJOR] == 0 || a[MAJOR] == 1);
    need(m, 0 <= a[CLIP] && a[CLIP] <= 32767);
    need(m, -128 <= a[ZERO] && a[ZERO] <= 127);
    need(m, 0 < a[TANH_MULTIPLIER] && a[TANH_MULTIPLIER] <= 3 << 14);
    need(m, 0 <= a[TANH_SHIFT] && a[TANH_SHIFT] <= 15);
    if (m->verdict)
        return;
    int32_t rows = (int32_t)times((uint32_t)a[BATCHES], (uint32_t)a[STEPS]);
    uint32_t units = (uint32_t)a[UNITS];
    uint32_t states = times((uint32_t)a[BATCHES], units), gates = times(GATES, units);
    need_rows(m, a[IN], rows, (uint32_t)a[DEPTH]);
    need_rows(m, a[OUT], rows, units);
    need_state(m, a[HIDDEN], states);
    need_state(m, a[CELL], times(states, 2));
    need(m, (a[CELL] & 1) == 0);
    need_constants(m, a[WEIGHTS], times(gates, (uint32_t)a[DEPTH]), 1);
    need_constants(m, a[BIAS], gates, 4);
    need_constants(m, a[RECURRENT], times(gates, units), 1);
    need_constants(m, a[RECURRENT_BIAS], gates, 4);
    need_constants(m, a[SCALES], 2 * PAIRS, 4);
    need_constants(m, a[SIGMOID], 256, 2);
    if (m->verdict)
        return;
    const int32_t *scales = int32_at(m, a[SCALES]);
    for (int i = 1; i < 2 * PAIRS; i += 2)
        need_shift(m, scales[i]);
}

static inline int32_t clip16(int32_t v)
{
    return v < -32768 ? -32768 : v > 32767 ? 32767 : v;
}

/* By a multiplier and a shift. Code, not speed: once a unit, after all of its products. */
static __attribute__((noinline)) int32_t scaled16(int32_t v, const int32_t *pair)
{
    return clip16(scale(v, pair[0], pair[1]));
}

/* 1 / (1 + exp(-x)) as Q15 of x in Q12: linear between the table's entries. */
static __attribute__((noinline)) int32_t sigmoid(const uint16_t *table, int32_t v)
{
    v *= 3;
    int32_t a = v < 0 ? -v : v, k = a >> 9;
    a = k >= 255 ? 0x7fff << 10 : ((int32_t)table[k] << 9) + (a & 511) * (table[k + 1] - table[k]);
    return (v < 0 ? (1 << 25) - a + 511 : a + 512) >> 10;
}

/* tanh(x) as Q15, v * multiplier / 2^shift being x * 3 in Q12: 2 * sigmoid(2 * x) - 1. */
static __attribute__((noinline)) int32_t hyperbolic(const uint16_t *table, int32_t v, int32_t multiplier, int32_t shift)
{
    v = (v * multiplier + ((1 << shift) >> 1)) >> shift;
    int32_t a = v < 0 ? -v : v, k = a >> 8;
    a = k >= 255 ? 0xffff << 8 : ((int32_t)table[k] << 8) + (a & 255) * (table[k + 1] - table[k]);
    return (v < 0 ? (1 << 23) - a + 127 : a - (1 << 23) + 128) >> 8;
}

/* Of one batch and step: x [depth] to y [units], hidden [units] and cell [units] moved on. */
static void step(const struct image *m, const int32_t *a, const int8_t *x, int8_t *y, int8_t *hidden, int16_t *cell)
{
    const int8_t *weights = int8_at(m, a[WEIGHTS]), *recurrent = int8_at(m, a[RECURRENT]);
    const int32_t *bias = int32_at(m, a[BIAS]), *again = int32_at(m, a[RECURRENT_BIAS]);
    const int32_t *scales = int32_at(m, a[SCALES]), *last = scales + 4 * GATES;
    const uint16_t *table = (const uint16_t *)int16_at(m, a[SIGMOID]);
    int32_t depth = a[DEPTH], units = a[UNITS], most = a[CLIP], by_q15[] = {1 << 30, -14};
    for (int32_t u = 0; u < units; u++) {
        int32_t gates[GATES];
        for (int32_t g = 0; g < GATES; g++, weights += depth, recurrent += units) {
            const int32_t *s = scales + 2 * g, *t = s + 2 * GATES;
            int32_t v = scaled16(dot_from(*bias++, x, weights, depth), s);
            v = clip16(v + scaled16(dot_from(*again++, hidden, recurrent, units), t));
            gates[g] = g == NEW ? hyperbolic(table, v, 3, 0) : sigmoid(table, v);
        }
        int32_t v = scaled16(gates[FORGET] * cell[u], by_q15);
        v = clip16(v + scaled16(gates[INPUT] * gates[NEW], last));
        if (most)
            v = v < -most ? -most : v > most ? most : v;
        cell[u] = (int16_t)v;
        v = hyperbolic(table, v, a[TANH_MULTIPLIER], a[TANH_SHIFT]) * gates[OUTPUT];
        y[u] = clip(scaled16(v, last + 2) + a[ZERO], -128, 127);
    }
    copy(hidden, y, (size_t)units); /* now that the gates of every unit have read the old ones */
}

void torpor_lstm(const struct image *m, const int32_t *a, uint32_t code)
{
    (void)code;
    int32_t batches = a[BATCHES], steps = a[STEPS], units = a[UNITS];
    for (int32_t b = 0; b < batches; b++) {
        int8_t *hidden = m->arena + a[HIDDEN] + b * units;
        int16_t *cell = (int16_t *)(void *)(m->arena + a[CELL]) + b * units;
        for (int32_t t = 0; t < steps; t++) {
            int32_t row = a[MAJOR] ? t * batches + b : b * steps + t;
            step(m, a, m->arena + a[IN] + row * a[DEPTH], m->arena + a[OUT] + row * units, hidden, cell);
        }
    }
}
