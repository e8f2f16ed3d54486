/* SPDX-License-Identifier: MIT
 *
 * One row of a matrix product, requantized: FULLY_CONNECTED, and CONV_2D over the window of one pixel.
 */
#ifndef TORPOR_DENSE_H
#define TORPOR_DENSE_H

#include "fixed.h"
#include <stdbool.h>

/* Write `units` int8 to y from `depth` int8 at x, weights [units, depth]; y must not overlap x. plain: see plain.h. */
void torpor_row(const int8_t *x, int8_t *y, int32_t depth, int32_t units, const int8_t *weights,
                const int32_t *bias, const struct output *out, bool plain);

/* As torpor_row() for two pixels that pair_lay() has put down, the second one's outputs behind the first's. */
void torpor_pair(const uint32_t *pair, int8_t *y, int32_t depth, int32_t units, const int8_t *weights,
                 const int32_t *bias, const struct output *out, bool plain);

#endif
