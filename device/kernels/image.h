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
};

struct image {
    const uint8_t *weights;
    uint32_t weights_bytes;
    uint32_t ram_bytes; /* arena and scratch */
    int8_t *arena;
    enum verdict verdict; /* of the record under check: the first finding stays */
};

/* Where a size stops growing: more than any memory, and four of them still fit 32 bits. */
#define TOO_LARGE ((uint32_t)1 << 29)
#define RAM_LIMIT ((int32_t)1 << 24)

static inline uint32_t times(uint32_t a, uint32_t b)
{
    if (a >= TOO_LARGE || b >= TOO_LARGE || (a && b > TOO_LARGE / a))
        return (a && b) ? TOO_LARGE : 0;
    return a * b;
}

static inline uint32_t plus(uint32_t a, uint32_t b)
{
    return a >= TOO_LARGE || b >= TOO_LARGE ? TOO_LARGE : a + b;
}

static inline uint32_t product4(int32_t a, int32_t b, int32_t c, int32_t d)
{
    return times(times((uint32_t)a, (uint32_t)b), times((uint32_t)c, (uint32_t)d));
}

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

static inline void need_sizes(struct image *m, const int32_t *sizes, int count)
{
    for (int i = 0; i < count; i++)
        need(m, 0 < sizes[i] && sizes[i] <= RAM_LIMIT);
}

/* `offset`..`offset + size` must lie in the arena. */
static inline void need_ram(struct image *m, int32_t offset, uint32_t size)
{
    need(m, offset >= 0 && size > 0 && size <= m->ram_bytes && (uint32_t)offset <= m->ram_bytes - size);
}

static inline void need_clip(struct image *m, int32_t low, int32_t high)
{
    need(m, -128 <= low && low <= high && high <= 127);
}

static inline void need_int8(struct image *m, int32_t offset, uint32_t count)
{
    need(m, offset >= 0 && count > 0 && count <= m->weights_bytes
            && (uint32_t)offset <= m->weights_bytes - count);
}

static inline void need_int32(struct image *m, int32_t offset, uint32_t count)
{
    need_int8(m, offset, times(count, 4));
    need_here(m, (offset & 3) == 0);
}

static inline void need_shift(struct image *m, int32_t shift)
{
    need(m, -31 <= shift && shift <= 30);
}

/* bias [units]; multipliers and shifts [1] (step 0) or [units] (step 1) */
static inline void need_output(struct image *m, int32_t bias, int32_t multipliers, int32_t shifts, uint32_t units,
                               int32_t step)
{
    need_int32(m, bias, units);
    units = step ? units : 1;
    need_int32(m, multipliers, units);
    need_int32(m, shifts, units);
    if (m->verdict == GOOD)
        for (uint32_t i = 0; i < units; i++)
            need_shift(m, ((const int32_t *)(const void *)(m->weights + shifts))[i]);
}

static inline const int8_t *int8_at(const struct image *m, int32_t offset)
{
    return (const int8_t *)m->weights + offset;
}

/* need_int32() has seen to the alignment. */
static inline const int32_t *int32_at(const struct image *m, int32_t offset)
{
    return (const int32_t *)(const void *)(m->weights + offset);
}

/* One pair per operator family: `check` leaves its finding in m->verdict, `run` trusts it. `a` are the record's
 * `n` arguments, documented in the module of that name in device/torpor/nn. */
#define FAMILY(name)                                                            \
    void torpor_check_##name(struct image *m, const int32_t *a, uint32_t n, uint32_t code); \
    void torpor_##name(const struct image *m, const int32_t *a, uint32_t code)
FAMILY(dense);
FAMILY(conv);
FAMILY(pool);
FAMILY(add);
FAMILY(softmax);
FAMILY(lookup);
FAMILY(pad);
FAMILY(floats);
FAMILY(mixed);
FAMILY(convert);
FAMILY(pool16);
FAMILY(binary16);
FAMILY(softmax16);
FAMILY(sigmoid16);
#undef FAMILY

enum { FULLY_CONNECTED = 1, CONV, DEPTHWISE, AVERAGE_POOL, MAX_POOL, ADD, SOFTMAX, LOOKUP, PAD, QUANTIZE, DEQUANTIZE };
enum { CONV_8X4 = 80, DEPTHWISE_8X4, CONV_16X8, DEPTHWISE_16X8, REQUANTIZE, QUANTIZE16, DEQUANTIZE16, AVERAGE_POOL16,
       MAX_POOL16, ADD16, SUB16, SUB_FROM16, MUL16, SOFTMAX16, SIGMOID16 };

#endif
