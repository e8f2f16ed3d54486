/* SPDX-License-Identifier: MIT
 *
 * Walks the records of an image: once to check them, then for every run. Format: docs/architecture.md.
 */
#include "image.h"
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
    if (code == FULLY_CONNECTED)
        torpor_check_dense(m, a, n, code);
    else if (code == CONV || code == DEPTHWISE)
        torpor_check_conv(m, a, n, code);
    else if (code == AVERAGE_POOL || code == MAX_POOL)
        torpor_check_pool(m, a, n, code);
    else if (code == ADD || (code >= SUB && code <= PRELU))
        torpor_check_add(m, a, n, code);
    else if (code == SOFTMAX)
        torpor_check_softmax(m, a, n, code);
    else if (code == LOOKUP)
        torpor_check_lookup(m, a, n, code);
    else if (code == PAD)
        torpor_check_pad(m, a, n, code);
    else if (code == QUANTIZE || code == DEQUANTIZE)
        torpor_check_floats(m, a, n, code);
    else if (CONV_8X4 <= code && code <= DEPTHWISE_16X8)
        torpor_check_mixed(m, a, n, code);
    else if (REQUANTIZE <= code && code <= DEQUANTIZE16)
        torpor_check_convert(m, a, n, code);
    else if (code == AVERAGE_POOL16 || code == MAX_POOL16)
        torpor_check_pool16(m, a, n, code);
    else if (ADD16 <= code && code <= MUL16)
        torpor_check_binary16(m, a, n, code);
    else if (code == SOFTMAX16)
        torpor_check_softmax16(m, a, n, code);
    else if (code == SIGMOID16)
        torpor_check_sigmoid16(m, a, n, code);
    else if (code == COPY || code == TAKE)
        torpor_check_move(m, a, n, code);
    else if (WINDOW <= code && code <= ENERGY)
        torpor_check_spectrum(m, a, n, code);
    else if (FILTER_BANK <= code && code <= LOG)
        torpor_check_filterbank(m, a, n, code);
    else if (CAST <= code && code <= MINIMUM_INT)
        torpor_check_ints(m, a, n, code);
    else if (code == SVDF)
        torpor_check_svdf(m, a, n, code);
    else if (code == LSTM)
        torpor_check_lstm(m, a, n, code);
    else
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

void torpor_invoke(const uint8_t *image, int8_t *arena)
{
    const struct header *h = (const void *)image;
    const struct image m = {.weights = image + h->weights, .arena = arena};
    const uint8_t *at = image + h->operators;
    for (uint32_t i = 0; i < h->operator_count; i++) {
        const struct record *r = (const void *)at;
        const int32_t *a = r->arguments;
        uint32_t code = r->code;
        if (code == FULLY_CONNECTED)
            torpor_dense(&m, a, code);
        else if (code == CONV || code == DEPTHWISE)
            torpor_conv(&m, a, code);
        else if (code == AVERAGE_POOL || code == MAX_POOL)
            torpor_pool(&m, a, code);
        else if (code == ADD || (code >= SUB && code <= PRELU))
            torpor_add(&m, a, code);
        else if (code == SOFTMAX)
            torpor_softmax(&m, a, code);
        else if (code == LOOKUP)
            torpor_lookup(&m, a, code);
        else if (code == PAD)
            torpor_pad(&m, a, code);
        else if (CONV_8X4 <= code && code <= DEPTHWISE_16X8)
            torpor_mixed(&m, a, code);
        else if (REQUANTIZE <= code && code <= DEQUANTIZE16)
            torpor_convert(&m, a, code);
        else if (code == AVERAGE_POOL16 || code == MAX_POOL16)
            torpor_pool16(&m, a, code);
        else if (ADD16 <= code && code <= MUL16)
            torpor_binary16(&m, a, code);
        else if (code == SOFTMAX16)
            torpor_softmax16(&m, a, code);
        else if (code == SIGMOID16)
            torpor_sigmoid16(&m, a, code);
        else if (code == COPY || code == TAKE)
            torpor_move(&m, a, code);
        else if (code >= CAST)
            torpor_ints(&m, a, code);
        else if (code >= FILTER_BANK)
            torpor_filterbank(&m, a, code);
        else if (code >= WINDOW)
            torpor_spectrum(&m, a, code);
        else if (code == SVDF)
            torpor_svdf(&m, a, code);
        else if (code == LSTM)
            torpor_lstm(&m, a, code);
        else
            torpor_floats(&m, a, code);
        at += 4 + 4 * (uint32_t)r->count;
    }
}
