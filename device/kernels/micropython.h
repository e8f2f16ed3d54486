/* SPDX-License-Identifier: MIT
 *
 * As much of MicroPython's native ABI (.mpy 6.3) as a module of functions over buffers needs. The runtime's
 * function table is the module's first constant object, so nothing has to be relocated.
 * Source: MicroPython py/nativeglue.h (order of the table), py/objfun.h, py/bc.h, py/emitglue.h.
 */
#ifndef TORPOR_MICROPYTHON_H
#define TORPOR_MICROPYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void *object_t;

struct context {
    const void *type;
    object_t globals;
    const uint16_t *names; /* the qstrs of the .mpy file */
    void *const *objects;
};

/* The function object that is being called. */
struct function {
    const void *type;
    const struct context *context;
    const void *children;
    const void *code;
};

struct buffer {
    void *start;
    size_t bytes;
    int typecode;
};

/* py/emitglue.h, mp_raw_code_t: what make_function reads of it */
struct raw_code {
    uint8_t not_bytecode[2], kind, is_generator;
    const void *code;
    void *children;
    uint32_t unused[6];
};

enum { NONE = 0, TO_OBJECT = 4, SWAP_GLOBALS = 5, STORE_GLOBAL = 13, MAKE_FUNCTION = 26, CHECK_ARGS = 44, GET_BUFFER = 65 };
enum { READ = 1, WRITE = 2, RAISE = 4, INT = 2, NATIVE_VIPER = 4 };

static inline void *entry(const struct function *self, int index)
{
    return ((void *const *)self->context->objects[0])[index];
}

static inline object_t none(const struct function *self)
{
    return entry(self, NONE);
}

static inline object_t from_int(const struct function *self, int32_t value)
{
    return ((object_t(*)(uintptr_t, uintptr_t))entry(self, TO_OBJECT))((uintptr_t)(intptr_t)value, INT);
}

/* Raises TypeError in the caller's Python. */
static inline void check_args(const struct function *self, size_t n_args, size_t n_keywords, uint32_t wanted)
{
    ((void (*)(size_t, size_t, uint32_t))entry(self, CHECK_ARGS))(n_args, n_keywords, wanted << 17 | wanted << 1);
}

/* Raises TypeError where the object has no buffer, or none that can be written. */
static inline struct buffer get_buffer(const struct function *self, object_t from, uintptr_t access)
{
    struct buffer b;
    ((bool (*)(object_t, struct buffer *, uintptr_t))entry(self, GET_BUFFER))(from, &b, access | RAISE);
    return b;
}

/* Define a global of the module under the qstr `name` of the file. */
static inline void define(const struct function *self, int name, const void *code)
{
    struct raw_code raw = {{0, 0}, NATIVE_VIPER, 0, code, 0, {0}};
    object_t made = ((object_t(*)(const void *, const void *, const void *))entry(self, MAKE_FUNCTION))(
        &raw, self->context, 0);
    ((void (*)(size_t, object_t))entry(self, STORE_GLOBAL))(self->context->names[name], made);
}

#endif
