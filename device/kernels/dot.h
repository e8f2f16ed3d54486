/* SPDX-License-Identifier: MIT
 *
 * A dot product of int8, for operators whose weights are read once a run: matrices of many rows have their own.
 */
#ifndef TORPOR_DOT_H
#define TORPOR_DOT_H

#include <stdint.h>

#include "cortex_m4.h"

/* sum + x . w over `depth` values */
static __attribute__((noinline)) int32_t dot_from(int32_t sum, const int8_t *x, const int8_t *w, int32_t depth)
{
    int32_t k = 0;
#ifdef TORPOR_DSP
    for (; k + 4 <= depth; k += 4) {
        uint32_t v = load4(x + k), u = load4(w + k);
        __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(even_bytes(v)), "r"(even_bytes(u)));
        __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(odd_bytes(v)), "r"(odd_bytes(u)));
    }
#endif
    for (; k < depth; k++)
        sum += x[k] * w[k];
    return sum;
}

#endif
