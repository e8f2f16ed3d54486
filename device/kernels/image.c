/* SPDX-License-Identifier: MIT
 *
 * Walks the records of an image: once to check them, then for every run. Format: docs/architecture.md.
 */
#include "families.h"
#include "torpor.h"

enum { HEADER = 48, MAGIC = 0x1a4d5054, VERSION = 1 }; /* "TPM\x1a" */

/* Bytes of the header, little endian as all targets are. */
struct header {
    uint32_t magic;
    uint16_t version, flags;
    uint32_t length, crc, arena, scratch, tensors, operators, weights;
    uint16_t tensor_count, operator_count;
    uint32_t macs, state;
};
_Static_assert(sizeof(struct header) == HEADER, "no padding");

struct record {
    uint16_t code, count;
    int32_t arguments[];
};

static void check_record(struct image *m, const struct record *r)
{
    const int32_t *a = r->arguments;
    uint32_t n = r->count, code = r->code;
#define CHECK(name, first, last)                    \
    if (first <= code && code <= last) {            \
        torpor_check_##name(m, a, n, code);         \
        return;                                     \
    }
    FAMILIES(CHECK)
    need_here(m, false);
}

int32_t torpor_check(const uint8_t *image, size_t image_bytes, size_t arena_bytes)
{
    const struct header *h = (const void *)image;
    if (((uintptr_t)image & 3) != 0)
        return -1;
    if (image_bytes < HEADER || image_bytes >= TOO_LARGE || h->length != image_bytes)
        return 8;
    if (h->magic != MAGIC || h->version != VERSION || h->flags)
        return 4;
    if (h->arena > (uint32_t)RAM_LIMIT || h->scratch > (uint32_t)RAM_LIMIT || h->arena + h->scratch > arena_bytes)
        return 16;
    if (h->state > h->arena)
        return 44;
    if (h->operators < HEADER || h->operators > h->weights || h->weights > h->length || (h->weights & 15))
        return 28;
    if (h->operators & 3)
        return -28;
    struct image m = {
        .weights = image + h->weights,
        .weights_bytes = h->length - h->weights,
        .ram_bytes = h->arena + h->scratch,
        .state_bytes = h->state,
    };
    uint32_t at = h->operators;
    int32_t foreign = 0;
    for (uint32_t i = 0; i < h->operator_count; i++) {
        const struct record *r = (const void *)(image + at);
        if (h->weights - at < 4 || (h->weights - at - 4) / 4 < r->count)
            return (int32_t)at;
        m.verdict = GOOD;
        check_record(&m, r);
        if (m.verdict == BAD)
            return (int32_t)at;
        if (m.verdict == FOREIGN && !foreign)
            foreign = -(int32_t)at;
        at += 4 + 4 * (uint32_t)r->count;
    }
    return foreign;
}

static inline void run_record(const struct image *m, const int32_t *a, uint32_t code)
{
#define RUN(name, first, last)                      \
    if (first <= code && code <= last) {            \
        torpor_##name(m, a, code);                  \
        return;                                     \
    }
    FAMILIES(RUN)
}

void torpor_invoke(const uint8_t *image, int8_t *arena)
{
    const struct header *h = (const void *)image;
    const struct image m = {.weights = image + h->weights, .arena = arena};
    const uint8_t *at = image + h->operators;
    for (uint32_t i = 0; i < h->operator_count; i++) {
        const struct record *r = (const void *)at;
        run_record(&m, r->arguments, r->code);
        at += 4 + 4 * (uint32_t)r->count;
    }
}

int32_t torpor_check_step(struct torpor_step *step, size_t step_bytes, const uint8_t *window, size_t window_bytes,
                          size_t arena_bytes)
{
    const struct record *r = (const void *)&step->record;
    if ((((uintptr_t)step | (uintptr_t)window) & 3) != 0)
        return -1;
    if (step_bytes < sizeof *step || (step_bytes - sizeof *step) / 4 < r->count || arena_bytes >= TOO_LARGE)
        return 1;
    struct image m = {
        .weights = window_bytes ? window - step->first : 0,
        .weights_from = step->first,
        .weights_bytes = step->bytes,
        .first = TOO_LARGE,
        .ram_bytes = (uint32_t)arena_bytes,
        .state_bytes = step->state_bytes,
    };
    if (m.state_bytes > m.ram_bytes || m.weights_bytes >= TOO_LARGE || (m.weights_from & 15)
        || (window_bytes && m.weights_bytes > window_bytes))
        return 1;
    check_record(&m, r);
    step->first = m.first < m.end ? m.first & ~(uint32_t)15 : 0;
    step->bytes = m.end - step->first;
    return m.verdict == BAD ? 1 : m.verdict == FOREIGN ? -1 : 0;
}

void torpor_run_step(const struct torpor_step *step, const uint8_t *window, int8_t *arena)
{
    const struct record *r = (const void *)&step->record;
    const struct image m = {.weights = window - step->first, .arena = arena};
    run_record(&m, r->arguments, r->code);
}
