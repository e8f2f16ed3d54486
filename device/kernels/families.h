/* SPDX-License-Identifier: MIT
 *
 * Every operator family: its name, and the first and the last of its record codes. A family has one pair of
 * functions: `check` leaves its finding in m->verdict, `run` trusts it. `a` are the record's `n` arguments,
 * documented in the module of that name in device/torpor/nn.
 *
 * The small module has what most networks of int8 are made of; the whole one all there is.
 */
#ifndef TORPOR_FAMILIES_H
#define TORPOR_FAMILIES_H

#include "image.h"

#define SMALL_FAMILIES(F)                 \
    F(dense, FULLY_CONNECTED, FULLY_CONNECTED) \
    F(conv, CONV, DEPTHWISE)              \
    F(pool, AVERAGE_POOL, MAX_POOL)       \
    F(add, ADD, ADD)                      \
    F(softmax, SOFTMAX, SOFTMAX)          \
    F(lookup, LOOKUP, LOOKUP)             \
    F(pad, PAD, PAD)                      \
    F(move, COPY, TAKE)

#ifdef TORPOR_SMALL
#define FAMILIES(F) SMALL_FAMILIES(F)
#else
#define FAMILIES(F)                       \
    SMALL_FAMILIES(F)                     \
    F(add, SUB, PRELU)                    \
    F(floats, QUANTIZE, DEQUANTIZE)       \
    F(reduce, REDUCE_SUM, ARG_MIN)        \
    F(log_softmax, LOG_SOFTMAX, LOG_SOFTMAX) \
    F(resize, RESIZE_BILINEAR, RESIZE_BILINEAR) \
    F(div, DIV, DIV_INTO)                 \
    F(requantize32, REQUANTIZE32, REQUANTIZE32) \
    F(svdf, SVDF, SVDF)                   \
    F(lstm, LSTM, LSTM)                   \
    F(spectrum, WINDOW, ENERGY)           \
    F(filterbank, FILTER_BANK, LOG)       \
    F(ints, CAST, MINIMUM_INT)            \
    F(to_float, TO_FLOAT, TO_FLOAT)       \
    F(mixed, CONV_8X4, DEPTHWISE_16X8)    \
    F(convert, REQUANTIZE, DEQUANTIZE16)  \
    F(pool16, AVERAGE_POOL16, MAX_POOL16) \
    F(binary16, ADD16, MUL16)             \
    F(softmax16, SOFTMAX16, SOFTMAX16)    \
    F(sigmoid16, SIGMOID16, SIGMOID16)
#endif

#define DECLARE(name, first, last)                                                          \
    void torpor_check_##name(struct image *m, const int32_t *a, uint32_t n, uint32_t code); \
    void torpor_##name(const struct image *m, const int32_t *a, uint32_t code);
FAMILIES(DECLARE)
#undef DECLARE

#endif
