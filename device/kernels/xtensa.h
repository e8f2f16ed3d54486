/* SPDX-License-Identifier: MIT
 *
 * Fixed-point arithmetic of the ESP32, ESP32-S2 and ESP32-S3, and which of them has what. fixed.h says what the
 * functions give.
 */
#ifndef TORPOR_XTENSA_H
#define TORPOR_XTENSA_H

#include <stdbool.h>
#include <stdint.h>

/* All three share one architecture number of .mpy files, but the S2 has neither MAC16 nor loops, and trying is no
 * way to find out: both are illegal instructions there. What tells them apart is a word of the boot ROM, by which
 * esptool knows the chips as well (CHIP_DETECT_MAGIC_REG_ADDR and its values). The processor's configuration
 * numbers do not: an S3 gives one that its header has for the S2. Anything unknown counts as an S2.
 *
 * MAC16 and loops are safe in a task: FreeRTOS saves their registers with each interrupt, before it may switch.
 * Source: ESP-IDF, components/xtensa: esp32*.../core-isa.h (XCHAL_HAVE_MAC16, _LOOPS), tie.h (XCHAL_NCP_SA_LIST
 * has acclo, acchi, m0..m3), xtensa_context.S (_xt_context_save: LBEG, LEND, LCOUNT, then xthal_save_extra_nw).
 * A switch that the task asks for itself does not save them; the kernels never ask. */
static inline bool has_mac16(void)
{
    enum { ESP32 = 0x00f01d83, ESP32_S3 = 9 }; /* ESP32-S2: 0x7c6 */
    uint32_t chip = *(const volatile uint32_t *)0x40001000;
    return chip == ESP32 || chip == ESP32_S3;
}

/* MULSH gives the upper half of the product; what is added may carry into it up to twice. */
static inline int32_t multiply_q31(int32_t a, int32_t b)
{
    int32_t high;
    __asm__("mulsh %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    uint32_t low = (uint32_t)a * (uint32_t)b;
    return (int32_t)((uint32_t)high << 1) + (int32_t)(((low >> 30) + 1) >> 1);
}

/* Halves away from zero: up, but for negative values less one. The last bit is shifted out by itself, so that
 * nothing overflows. */
static inline int32_t scale(int32_t value, int32_t multiplier, int32_t shift)
{
    if (shift >= 0)
        return multiply_q31((int32_t)((uint32_t)value << shift), multiplier);
    value = multiply_q31(value, multiplier);
    value += value >> 31;
    return ((value >> ~shift) + 1) >> 1;
}

#endif
