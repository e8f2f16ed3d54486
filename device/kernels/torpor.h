/* SPDX-License-Identifier: MIT
 *
 * The `native` kernel set: a whole model run in one call, on the records of the image (.tpm) itself.
 *
 *     at = torpor_check(image, image_bytes, arena_bytes);   // once
 *     if (at == 0) torpor_invoke(image, arena);             // as often as wanted
 *
 * Freestanding C11 without data, bss or absolute addresses, so that the same files become a native .mpy module
 * and a shared library. Every result is that of the `reference` kernels (device/torpor/nn), byte for byte.
 * Built with -fwrapv: a damaged weight may overflow a sum, which then wraps; it harms nothing else.
 */
#ifndef TORPOR_H
#define TORPOR_H

#include <stddef.h>
#include <stdint.h>

#ifndef TORPOR_API
#define TORPOR_API
#endif

/* Return 0 when every record of `image` stays within the image and `arena_bytes` of arena and scratch; n > 0, the
 * byte offset of what is bad; or n < 0 when these kernels do not know what lies at byte -n, though `reference`
 * may. `image`: image_bytes, a whole .tpm whose CRC-32 the caller has checked; read only. */
TORPOR_API int32_t torpor_check(const uint8_t *image, size_t image_bytes, size_t arena_bytes);

/* Compute the outputs from the inputs. `image` must have passed torpor_check with the size of `arena`; this
 * function checks nothing. Uses less than 1 KiB of stack. */
TORPOR_API void torpor_invoke(const uint8_t *image, int8_t *arena);

/* One record by itself, with no more of the weights in memory than it reads: for a model that does not fit. */
struct torpor_step {
    uint32_t first, bytes; /* its window: the weights from number `first` on, a multiple of 16 */
    uint32_t state_bytes;  /* of the image's header */
    uint32_t record;       /* code and count as in the image; its arguments follow */
};

/* Return 0 when the record stays within its window, and within `arena_bytes` of arena and scratch; 1 when it is bad;
 * -1 when these kernels do not know it, though `reference` may. Called twice. First with window_bytes 0, while the
 * window is all the weights: this makes it the record's own, of 0 bytes for a record without weights. Then with the
 * window in memory, which completes the check. The caller has checked the CRC-32. */
TORPOR_API int32_t torpor_check_step(struct torpor_step *step, size_t step_bytes, const uint8_t *window,
                                     size_t window_bytes, size_t arena_bytes);

/* Run a record whose check was completed; checks nothing, as torpor_invoke. */
TORPOR_API void torpor_run_step(const struct torpor_step *step, const uint8_t *window, int8_t *arena);

#endif
