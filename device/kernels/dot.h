/* SPDX-License-Identifier: MIT
 *
 * A dot product of int8, for operators whose weights are read once a run: matrices of many rows have their own.
 */
#ifndef TORPOR_DOT_H
#define TORPOR_DOT_H

#include <stdint.h>

#include "dsp.h"

/* sum + x . w over `depth` values */
static __attribute__((noinline)) int32_t dot_from(int32_t sum, const int8_t *x, const int8_t *w, int32_t depth)
{
    int32_t k = 0;
#ifdef TORPOR_DSP
    for (; k + 4 <= depth; k += 4) {
        uint32_t v = load4(x + k);
        sum = multiply4(even_bytes(v), odd_bytes(v), w + k, sum);
    }
#endif
    for (; k < depth; k++)
        sum += x[k] * w[k];
    return sum;
}

#endif
