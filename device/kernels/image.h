/* SPDX-License-Identifier: MIT
 *
 * An image under check or at work, and what the operators' checks are made of. The rules are those of
 * device/torpor/nn/image.py and of the `bind` of each operator there.
 */
#ifndef TORPOR_IMAGE_H
#define TORPOR_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict {
    GOOD,
    BAD,     /* no reader may run it */
    FOREIGN, /* not for these kernels */
    UNSEEN, /* not to be said before its weights are there */
};

struct image {
    const uint8_t *weights; /* where number 0 is or would be: a window has only what one record reads; null: no weights */
    uint32_t weights_from, weights_bytes; /* what may be read */
    uint32_t first, end; /* the least of the weights that the record under check reads, and behind the last */
    uint32_t ram_bytes; /* arena and scratch */
    uint32_t state_bytes; /* the first of the arena, kept from run to run */
    int8_t *arena;
    enum verdict verdict; /* of the record under check: the first finding stays */
};

/* Where a size stops growing: more than any memory, and four of them still fit 32 bits. */
#define TOO_LARGE ((uint32_t)1 << 29)
#define RAM_LIMIT ((int32_t)1 << 24)

/* In check.c are those that would be inlined into many checks: code takes a board's RAM. */
uint32_t times(uint32_t a, uint32_t b);

uint32_t plus(uint32_t a, uint32_t b);

uint32_t product4(int32_t a, int32_t b, int32_t c, int32_t d);

static inline void need(struct image *m, bool good)
{
    if (!good && m->verdict == GOOD)
        m->verdict = BAD;
}

/* As need(), where `reference` could go on. */
static inline void need_here(struct image *m, bool good)
{
    if (!good && m->verdict == GOOD)
        m->verdict = FOREIGN;
}

void need_sizes(struct image *m, const int32_t *sizes, int count);

/* `offset`..`offset + size` must lie in the arena. */
void need_ram(struct image *m, int32_t offset, uint32_t size);

/* As need_ram(), within the state. */
void need_state(struct image *m, int32_t offset, uint32_t size);

void need_clip(struct image *m, int32_t low, int32_t high);

void need_int8(struct image *m, int32_t offset, uint32_t count);

void need_int16(struct image *m, int32_t offset, uint32_t count);

void need_int32(struct image *m, int32_t offset, uint32_t count);

void need_shift(struct image *m, int32_t shift);

/* bias [units]; multipliers and shifts [1] (step 0) or [units] (step 1) */
void need_output(struct image *m, int32_t bias, int32_t multipliers, int32_t shifts, uint32_t units, int32_t step);

/* `rows` of `row_bytes` in the arena; `count` constants of `item_bytes` each. */
void need_rows(struct image *m, int32_t offset, int32_t rows, uint32_t row_bytes);
void need_constants(struct image *m, int32_t offset, uint32_t count, uint32_t item_bytes);

static inline const int8_t *int8_at(const struct image *m, int32_t offset)
{
    return (const int8_t *)m->weights + offset;
}

/* need_constants() has seen to the alignment. */
static inline const int16_t *int16_at(const struct image *m, int32_t offset)
{
    return (const int16_t *)(const void *)(m->weights + offset);
}

/* need_int32() has seen to the alignment. */
static inline const int32_t *int32_at(const struct image *m, int32_t offset)
{
    return (const int32_t *)(const void *)(m->weights + offset);
}

/* Record codes; families.h says which family runs which. */
enum { FULLY_CONNECTED = 1, CONV, DEPTHWISE, AVERAGE_POOL, MAX_POOL, ADD, SOFTMAX, LOOKUP, PAD, QUANTIZE, DEQUANTIZE };
enum { COPY = 12, TAKE, SUB, SUB_FROM, MUL, MAXIMUM, MINIMUM, PRELU };
enum { SVDF = 40, LSTM };
enum { WINDOW = 50, FFT_AUTO_SCALE, RFFT, ENERGY, FILTER_BANK, SQUARE_ROOT, SPECTRAL_SUBTRACTION, PCAN, LOG };
enum { CAST = 70, ADD_INT, MUL_INT, DIV_INT, MAXIMUM_INT, MINIMUM_INT, TO_FLOAT };
enum { REDUCE_SUM = 20, REDUCE_MAX, REDUCE_MIN, ARG_MAX, ARG_MIN, LOG_SOFTMAX, RESIZE_BILINEAR, DIV = 28, DIV_INTO };
enum { REQUANTIZE32 = 31 };
enum {
    CONV_8X4 = 80, DEPTHWISE_8X4, CONV_16X8, DEPTHWISE_16X8, REQUANTIZE, QUANTIZE16, DEQUANTIZE16, AVERAGE_POOL16,
    MAX_POOL16, ADD16, SUB16, SUB_FROM16, MUL16, SOFTMAX16, SIGMOID16
};

#endif
