/* SPDX-License-Identifier: MIT
 *
 * The kernels as a native module: check(image, arena) -> int, invoke(image, arena), and for single records
 * check_step(step, window, arena) -> int, step(step, window, arena). See torpor.h.
 */
#include "micropython.h"
#include "torpor.h"

/* The qstrs of the file; host/torpor_host/kernels/mpy.py writes them in this order. */
enum { FILE_NAME, CHECK, INVOKE, CHECK_STEP, STEP };

static object_t check(const struct function *self, size_t n_args, size_t n_keywords, const object_t *args)
{
    check_args(self, n_args, n_keywords, 2);
    struct buffer image = get_buffer(self, args[0], READ), arena = get_buffer(self, args[1], WRITE);
    return from_int(self, torpor_check(image.start, image.bytes, arena.bytes));
}

static object_t invoke(const struct function *self, size_t n_args, size_t n_keywords, const object_t *args)
{
    check_args(self, n_args, n_keywords, 2);
    struct buffer image = get_buffer(self, args[0], READ), arena = get_buffer(self, args[1], WRITE);
    torpor_invoke(image.start, arena.start);
    return none(self);
}

static object_t check_step(const struct function *self, size_t n_args, size_t n_keywords, const object_t *args)
{
    check_args(self, n_args, n_keywords, 3);
    struct buffer step = get_buffer(self, args[0], WRITE), window = get_buffer(self, args[1], READ),
                  arena = get_buffer(self, args[2], WRITE);
    return from_int(self, torpor_check_step(step.start, step.bytes, window.start, window.bytes, arena.bytes));
}

static object_t step(const struct function *self, size_t n_args, size_t n_keywords, const object_t *args)
{
    check_args(self, n_args, n_keywords, 3);
    struct buffer step = get_buffer(self, args[0], READ), window = get_buffer(self, args[1], READ),
                  arena = get_buffer(self, args[2], WRITE);
    torpor_run_step(step.start, window.start, arena.start);
    return none(self);
}

/* What the loader calls; module.ld puts it at the start of the code. */
__attribute__((section(".text.mpy_init"), used)) object_t mpy_init(const struct function *self)
{
    object_t (*swap_globals)(object_t) = (object_t(*)(object_t))entry(self, SWAP_GLOBALS);
    object_t before = swap_globals(self->context->globals);
    define(self, CHECK, check);
    define(self, INVOKE, invoke);
    define(self, CHECK_STEP, check_step);
    define(self, STEP, step);
    swap_globals(before);
    return none(self);
}
