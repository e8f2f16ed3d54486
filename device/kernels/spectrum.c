/* SPDX-License-Identifier: MIT
 *
 * WINDOW, FFT_AUTO_SCALE, RFFT and ENERGY, int16; the records are described in device/torpor/nn/spectrum.py.
 */
#include "fixed.h"
#include "image.h"

enum { LONGEST = 16384 };
enum { IN, OUT, ROWS, SIZE, WEIGHTS, WINDOW_SHIFT, WINDOW_COUNT };
enum { BITS = 2, SCALE_COUNT = 4 };
enum { LENGTH = 4, TWIDDLES, UNPACKING, RFFT_COUNT };
enum { ENERGY_SIZE = 2, START, END, ENERGY_COUNT };

void torpor_check_spectrum(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    need(m, n == (code == RFFT ? RFFT_COUNT : code == WINDOW ? WINDOW_COUNT
                  : code == ENERGY ? ENERGY_COUNT : SCALE_COUNT));
    if (m->verdict)
        return;
    uint32_t in, out; /* bytes */
    if (code == ENERGY) {
        need_sizes(m, a + ENERGY_SIZE, 1);
        in = out = times((uint32_t)a[ENERGY_SIZE], 4);
        need(m, 0 <= a[START] && a[START] <= a[END] && a[END] <= a[ENERGY_SIZE]);
    } else if (code == FFT_AUTO_SCALE) {
        need_sizes(m, a + SIZE, 1);
        in = out = times((uint32_t)a[SIZE], 2);
        need_ram(m, a[BITS], 4);
        need_here(m, (a[BITS] & 3) == 0);
    } else {
        need_sizes(m, a + ROWS, 2);
        in = out = times(times((uint32_t)a[ROWS], (uint32_t)a[SIZE]), 2);
    }
    if (code == WINDOW) {
        need(m, 0 <= a[WINDOW_SHIFT] && a[WINDOW_SHIFT] <= 31);
        need_int16(m, a[WEIGHTS], (uint32_t)a[SIZE]);
    }
    if (code == RFFT) {
        need(m, 4 <= a[LENGTH] && a[LENGTH] <= LONGEST && !(a[LENGTH] & (a[LENGTH] - 1)) && a[SIZE] <= a[LENGTH]);
        if (m->verdict)
            return;
        uint32_t half = (uint32_t)a[LENGTH] / 2;
        need_int16(m, a[TWIDDLES], half > 2 ? half / 4 * 6 : 2);
        need_int16(m, a[UNPACKING], half);
        out = times((uint32_t)a[ROWS], 4 * half + 4);
    }
    need_ram(m, a[IN], in);
    need_ram(m, a[OUT], out);
    need_here(m, ((a[IN] | a[OUT]) & (code == ENERGY ? 3 : 1)) == 0);
    if (m->verdict == GOOD && code == RFFT)
        need(m, a[IN] + (int32_t)in <= a[OUT] || a[OUT] + (int32_t)out <= a[IN]);
}

static void window(const struct image *m, const int32_t *a, const int16_t *x, int16_t *y)
{
    const int16_t *w = int16_at(m, a[WEIGHTS]);
    for (int32_t row = 0; row < a[ROWS]; row++, x += a[SIZE], y += a[SIZE])
        for (int32_t i = 0; i < a[SIZE]; i++) {
            int32_t v = (x[i] * w[i]) >> a[WINDOW_SHIFT];
            y[i] = (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
        }
}

static void auto_scale(const int16_t *x, int16_t *y, int32_t size, int32_t *bits)
{
    int16_t most = 0; /* -32768 stays negative, and then lets smaller values in */
    for (int32_t i = 0; i < size; i++) {
        if (x[i] > most)
            most = x[i];
        else if (-x[i] > most)
            most = (int16_t)-x[i];
    }
    int32_t up = most > 0 ? 15 - bits_of((uint32_t)most) : 0;
    *bits = up;
    for (int32_t i = 0; i < size; i++)
        y[i] = (int16_t)((uint32_t)x[i] << up);
}

/* Q15, rounded */
static inline int32_t round15(int32_t v)
{
    return (v + 0x4000) >> 15;
}

struct pair {
    int32_t r, i;
};

/* A pair of int16 times 32767 / n, which `part` is */
static inline struct pair divided(const int16_t *p, int32_t part)
{
    return (struct pair){round15(p[0] * part), round15(p[1] * part)};
}

static inline struct pair turned(struct pair v, const int16_t *w)
{
    return (struct pair){round15(v.r * w[0] - v.i * w[1]), round15(v.r * w[1] + v.i * w[0])};
}

static inline void put(int16_t *p, int32_t r, int32_t i)
{
    p[0] = (int16_t)r;
    p[1] = (int16_t)i;
}

enum { QUARTER = 8191, SECOND = 16383 };

static void butterfly2(int16_t *p, const int16_t *one)
{
    struct pair a = divided(p, SECOND), b = turned(divided(p + 2, SECOND), one);
    put(p, a.r + b.r, a.i + b.i);
    put(p + 2, a.r - b.r, a.i - b.i);
}

/* Four pairs `m` int16 apart; no product wraps, for what is multiplied was divided by 4 before. */
static inline void butterfly4(int16_t *p, int32_t m, const int16_t *w, int32_t k)
{
    struct pair a = divided(p, QUARTER), b = turned(divided(p + m, QUARTER), w + k),
                c = turned(divided(p + 2 * m, QUARTER), w + 2 * k), d = turned(divided(p + 3 * m, QUARTER), w + 3 * k);
    put(p, a.r + c.r + b.r + d.r, a.i + c.i + b.i + d.i);
    put(p + m, a.r - c.r + b.i - d.i, a.i - c.i - b.r + d.r);
    put(p + 2 * m, a.r + c.r - b.r - d.r, a.i + c.i - b.i - d.i);
    put(p + 3 * m, a.r - c.r - b.i + d.i, a.i - c.i + b.r - d.r);
}

/* The FFT of even values + i * odd values becomes that of the real ones. */
static void unpack(int16_t *y, int32_t half, const int16_t *w)
{
    struct pair a = divided(y, SECOND);
    int16_t *p = y, *q = y + 2 * half;
    put(p, a.r + a.i, 0);
    put(q, a.r - a.i, 0);
    for (int32_t k = 0; k < half; k += 2) {
        p += 2;
        q -= 2;
        int16_t mirrored[2] = {q[0], (int16_t)-q[1]};
        a = divided(p, SECOND);
        struct pair b = divided(mirrored, SECOND), t = turned((struct pair){a.r - b.r, a.i - b.i}, w + k);
        t.r = (int16_t)t.r;
        t.i = (int16_t)t.i;
        a.r += b.r;
        a.i += b.i;
        put(p, (a.r + t.r) >> 1, (a.i + t.i) >> 1);
        put(q, (a.r - t.r) >> 1, (t.i - a.i) >> 1);
    }
}

static void rfft(const struct image *m, const int32_t *a, const int16_t *x, int16_t *y)
{
    int32_t half = a[LENGTH] / 2, size = a[SIZE], log4 = 0;
    const int16_t *w = int16_at(m, a[TWIDDLES]);
    while (4 << 2 * log4 <= half)
        log4++;
    int32_t fours = 1 << 2 * log4, first = half == fours ? 1 : 2; /* points of the first stage: 1 is none */
    for (int32_t row = 0; row < a[ROWS]; row++, x += size, y += 2 * half + 2) {
        /* in the order in which the stages want them: digits reversed, base 4 but for the last */
        for (int32_t j = 0; j < half; j++) {
            int32_t from = j & (first - 1), rest = j >> (first - 1);
            for (int32_t k = 0; k < log4; k++, rest >>= 2)
                from = from << 2 | (rest & 3);
            from *= 2;
            put(y + 2 * j, from < size ? x[from] : 0, from + 1 < size ? x[from + 1] : 0);
        }
        if (first == 2)
            for (int32_t j = 0; j < 2 * half; j += 4)
                butterfly2(y + j, w);
        int32_t step = half >> first; /* halved once for points of one, twice for two: half / points / 2 */
        for (int32_t points = first; points < half; points *= 4, step >>= 2)
            for (int32_t j = 0; j < 2 * half; j += 8 * points)
                for (int32_t k = 0; k < points; k++)
                    butterfly4(y + j + 2 * k, 2 * points, w, k * step);
        unpack(y, half, int16_at(m, a[UNPACKING]));
    }
}

static void energy(const int32_t *a, const int16_t *x, uint32_t *y)
{
    for (int32_t i = 0; i < a[ENERGY_SIZE]; i++, x += 2) {
        int32_t r = x[0], im = x[1];
        y[i] = a[START] <= i && i < a[END] ? (uint32_t)(r * r) + (uint32_t)(im * im) : 0;
    }
}

void torpor_spectrum(const struct image *m, const int32_t *a, uint32_t code)
{
    const int16_t *x = (const void *)(m->arena + a[IN]);
    void *y = m->arena + a[OUT];
    if (code == WINDOW)
        window(m, a, x, y);
    else if (code == FFT_AUTO_SCALE)
        auto_scale(x, y, a[SIZE], (void *)(m->arena + a[BITS]));
    else if (code == RFFT)
        rfft(m, a, x, y);
    else
        energy(a, x, y);
}
