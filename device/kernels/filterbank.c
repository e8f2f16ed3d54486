/* SPDX-License-Identifier: MIT
 *
 * FILTER_BANK, SQUARE_ROOT, SPECTRAL_SUBTRACTION, PCAN and LOG; the records are described in
 * device/torpor/nn/filterbank.py.
 */
#include "fixed.h"
#include "image.h"

enum { IN, OUT, BINS, CHANNELS, TABLES, WEIGHTS, UNWEIGHTS, STARTS, FIRSTS, WIDTHS, BANK_COUNT };
enum { ROOT_BITS = 1, ROOT_OUT, ROOT_CHANNELS, ROOT_COUNT };
enum {
    NOISE = 2, STATE, SUB_CHANNELS, EVEN, EVEN_REST, ODD, ODD_REST, LEAST, SUB_UP, SUB_DOWN, CLAMPING, SUB_COUNT
};
enum { PCAN_NOISE = 1, PCAN_OUT, PCAN_CHANNELS, GAINS, PCAN_SHIFT, PCAN_COUNT };
enum { LOG_CHANNELS = 2, LOG_SCALE, LOG_UP, LOG_TABLE, LOG_COUNT };
enum { WIDEST = 8192, MOST_WEIGHT = 1 << 28, GAIN_COUNT = 125, SEGMENTS = 128, LN2 = 45426 /* Q16 */ };

/* `count` values of `item` bytes at each of `n` offsets, which are aligned */
static void need_words(struct image *m, const int32_t *offsets, int n, int32_t count, uint32_t item)
{
    for (int i = 0; i < n; i++) {
        need_ram(m, offsets[i], times((uint32_t)count, item));
        need_here(m, ((uint32_t)offsets[i] & (item - 1)) == 0);
    }
}

static void check_bank(struct image *m, const int32_t *a)
{
    need_sizes(m, a + BINS, 3);
    need_words(m, a + IN, 1, a[BINS], 4);
    need_words(m, a + OUT, 1, a[CHANNELS], 8);
    need_int16(m, a[WEIGHTS], (uint32_t)a[TABLES]);
    need_int16(m, a[UNWEIGHTS], (uint32_t)a[TABLES]);
    for (int i = STARTS; i <= WIDTHS; i++)
        need_int16(m, a[i], (uint32_t)a[CHANNELS] + 1);
    if (m->verdict)
        return;
    for (int32_t i = 0; i < a[TABLES]; i++)
        need(m, int16_at(m, a[WEIGHTS])[i] >= 0 && int16_at(m, a[UNWEIGHTS])[i] >= 0);
    for (int32_t i = 0; i <= a[CHANNELS]; i++) {
        int32_t start = int16_at(m, a[STARTS])[i], first = int16_at(m, a[FIRSTS])[i], width = int16_at(m, a[WIDTHS])[i];
        need(m, 0 <= width && width <= WIDEST && start >= 0 && start + width <= a[BINS]);
        need(m, first >= 0 && first + width <= a[TABLES]);
    }
}

void torpor_check_filterbank(struct image *m, const int32_t *a, uint32_t n, uint32_t code)
{
    need(m, n == (code == FILTER_BANK ? BANK_COUNT : code == SQUARE_ROOT ? ROOT_COUNT
                  : code == SPECTRAL_SUBTRACTION ? SUB_COUNT : code == PCAN ? PCAN_COUNT : LOG_COUNT));
    if (m->verdict)
        return;
    if (code == FILTER_BANK) {
        check_bank(m, a);
    } else if (code == SQUARE_ROOT) {
        need_sizes(m, a + ROOT_CHANNELS, 1);
        need_words(m, a + IN, 1, a[ROOT_CHANNELS], 8);
        need_words(m, a + ROOT_BITS, 1, 1, 4);
        need_words(m, a + ROOT_OUT, 1, a[ROOT_CHANNELS], 4);
    } else if (code == SPECTRAL_SUBTRACTION) {
        need_sizes(m, a + SUB_CHANNELS, 1);
        need_words(m, a, 4, a[SUB_CHANNELS], 4);
        need_state(m, a[STATE], times((uint32_t)a[SUB_CHANNELS], 4));
        for (int i = EVEN; i <= LEAST; i++)
            need(m, 0 <= a[i] && a[i] <= MOST_WEIGHT);
        need(m, 0 <= a[SUB_UP] && a[SUB_UP] <= 31 && 0 <= a[SUB_DOWN] && a[SUB_DOWN] <= 31);
        need(m, a[CLAMPING] == 0 || a[CLAMPING] == 1);
    } else if (code == PCAN) {
        need_sizes(m, a + PCAN_CHANNELS, 1);
        need_words(m, a, 3, a[PCAN_CHANNELS], 4);
        need_int16(m, a[GAINS], GAIN_COUNT);
        need(m, 0 <= a[PCAN_SHIFT] && a[PCAN_SHIFT] <= 31);
    } else {
        need_sizes(m, a + LOG_CHANNELS, 1);
        need_words(m, a + IN, 1, a[LOG_CHANNELS], 4);
        need_words(m, a + OUT, 1, a[LOG_CHANNELS], 2);
        need_int16(m, a[LOG_TABLE], SEGMENTS + 1);
        need(m, a[LOG_SCALE] >= 0 && 0 <= a[LOG_UP] && a[LOG_UP] <= 31);
    }
}

static inline uint64_t product(uint32_t a, uint32_t b)
{
#if defined(__ARM_ARCH) && __ARM_ARCH == 6
    /* Cortex-M0+ multiplies 32 x 32 to 32 bits only: four partial products of 16 bits. */
    uint32_t a0 = a & 0xffff, a1 = a >> 16, b0 = b & 0xffff, b1 = b >> 16;
    uint32_t low = a0 * b0, mid = a1 * b0 + (low >> 16), mid2 = a0 * b1 + (mid & 0xffff);
    return (uint64_t)(a1 * b1 + (mid >> 16) + (mid2 >> 16)) << 32 | mid2 << 16 | (low & 0xffff);
#else
    return (uint64_t)a * b;
#endif
}

/* The low word of v >> bits, bits 0..31; a shift of 64 bits by a variable would be a call to the compiler's runtime. */
static inline uint32_t shifted(uint64_t v, int32_t bits)
{
    return (uint32_t)(v >> 32) << 1 << (31 - bits) | (uint32_t)v >> bits;
}

static void filter_bank(const struct image *m, const int32_t *a, const uint32_t *x, uint64_t *y)
{
    const int16_t *weights = int16_at(m, a[WEIGHTS]), *unweights = int16_at(m, a[UNWEIGHTS]),
                  *starts = int16_at(m, a[STARTS]), *firsts = int16_at(m, a[FIRSTS]), *widths = int16_at(m, a[WIDTHS]);
    uint64_t before = 0;
    for (int32_t i = 0; i <= a[CHANNELS]; i++) {
        uint64_t total = before;
        const uint32_t *in = x + starts[i];
        const int16_t *w = weights + firsts[i], *u = unweights + firsts[i];
        before = 0;
        for (int32_t k = 0; k < widths[i]; k++) {
            total += product(in[k], (uint32_t)w[k]);
            before += product(in[k], (uint32_t)u[k]);
        }
        if (i)
            y[i - 1] = total;
    }
}

/* Bit by bit, two of the number for one of the root, and rounded. */
static uint32_t square_root(uint64_t number)
{
    uint64_t bit = (uint64_t)1 << 62, root = 0;
    uint32_t most = number >> 32 ? 0xffffffffu : 0xffffu;
    while (bit > number)
        bit >>= 2;
    for (; bit; bit >>= 2) {
        uint64_t next = root + bit;
        root >>= 1;
        if (number >= next) {
            number -= next;
            root += bit;
        }
    }
    return (uint32_t)root + (number > root && root != most);
}

static void subtract(const struct image *m, const int32_t *a)
{
    const uint32_t *x = (const void *)(m->arena + a[IN]);
    uint32_t *y = (void *)(m->arena + a[OUT]), *noise = (void *)(m->arena + a[NOISE]),
             *state = (void *)(m->arena + a[STATE]);
    for (int32_t i = 0; i < a[SUB_CHANNELS]; i++) {
        const int32_t *weights = a + (i & 1 ? ODD : EVEN);
        uint32_t v = x[i], signal = v << a[SUB_UP];
        uint32_t estimate = shifted(
            product(signal, (uint32_t)weights[0]) + product(state[i], (uint32_t)weights[1]), a[SUB_DOWN]);
        uint32_t kept = a[CLAMPING] && estimate > signal ? signal : estimate;
        if (estimate > signal)
            estimate = signal;
        uint32_t floor = shifted(product(v, (uint32_t)a[LEAST]), a[SUB_DOWN]);
        v = (signal - estimate) >> a[SUB_UP];
        state[i] = kept;
        noise[i] = kept;
        y[i] = v > floor ? v : floor;
    }
}

static int16_t gain_of(uint32_t x, const int16_t *gains)
{
    if (x <= 2)
        return gains[x];
    int32_t octave = bits_of(x);
    const int16_t *g = gains + 4 * octave - 6;
    int32_t part = (int32_t)((octave < 11 ? x << (11 - octave) : x >> (octave - 11)) & 0x3ff);
    int32_t v = ((g[2] * part) >> 5) + g[1] * 32;
    return (int16_t)(((v * part + 0x4000) >> 15) + g[0]);
}

static void pcan(const struct image *m, const int32_t *a)
{
    const uint32_t *x = (const void *)(m->arena + a[IN]), *noise = (const void *)(m->arena + a[PCAN_NOISE]);
    uint32_t *y = (void *)(m->arena + a[PCAN_OUT]);
    for (int32_t i = 0; i < a[PCAN_CHANNELS]; i++) {
        uint32_t gain = (uint32_t)(int32_t)gain_of(noise[i], int16_at(m, a[GAINS]));
        uint32_t v = shifted(product(x[i], gain), a[PCAN_SHIFT]);
        y[i] = v < 8192 ? (v * v) >> 20 : (v >> 6) - 64;
    }
}

static void log_of(const struct image *m, const int32_t *a, const uint32_t *x, int16_t *y)
{
    const int16_t *table = int16_at(m, a[LOG_TABLE]);
    for (int32_t i = 0; i < a[LOG_CHANNELS]; i++) {
        uint32_t v = x[i] << a[LOG_UP], found = 0;
        if (v > 1) {
            int32_t whole = bits_of(v) - 1;
            v -= (uint32_t)1 << whole;
            v = whole < 16 ? v << (16 - whole) : v >> (whole - 16);
            const int16_t *c = table + (v >> 9);
            v += (uint32_t)(c[0] + (((c[1] - c[0]) * (int32_t)(v & 0x1ff)) >> 16));
            v = (uint32_t)((product(((uint32_t)whole << 16) + v, LN2) + 0x8000) >> 16);
            found = ((uint32_t)a[LOG_SCALE] * v + 0x8000) >> 16;
        }
        y[i] = (int16_t)(found < 32767 ? found : 32767);
    }
}

void torpor_filterbank(const struct image *m, const int32_t *a, uint32_t code)
{
    const void *x = m->arena + a[IN];
    void *y = m->arena + a[OUT];
    if (code == FILTER_BANK) {
        filter_bank(m, a, x, y);
    } else if (code == SQUARE_ROOT) {
        const uint64_t *in = x;
        uint32_t *out = (void *)(m->arena + a[ROOT_OUT]);
        int32_t down = *(const int32_t *)(const void *)(m->arena + a[ROOT_BITS]) & 31;
        for (int32_t i = 0; i < a[ROOT_CHANNELS]; i++)
            out[i] = square_root(in[i]) >> down;
    } else if (code == SPECTRAL_SUBTRACTION) {
        subtract(m, a);
    } else if (code == PCAN) {
        pcan(m, a);
    } else {
        log_of(m, a, x, y);
    }
}
