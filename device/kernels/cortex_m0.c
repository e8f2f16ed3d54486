/* SPDX-License-Identifier: MIT
 *
 * The two loops where a Cortex-M0+ spends its time, whole in assembly: see cortex_m0.h. Both are called with a struct
 * by value, whose first four words come in registers and the rest on the stack (Arm IHI 0042, AAPCS): they push the
 * former in front of the latter, and behind nine saved registers all of the struct lies at sp + 36.
 */
#include "pair.h"

#ifdef TORPOR_M0

#define ENTER                                                                     \
    "push {r0, r1, r2, r3}\n push {r4, r5, r6, r7, lr}\n"                         \
    "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n push {r4, r5, r6, r7}\n"
#define LEAVE                                                                     \
    "pop {r4, r5, r6, r7}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n" \
    "pop {r4, r5, r6, r7}\n pop {r0}\n add sp, #16\n bx r0\n"

/* A sum in r0 to an int8 in r1, by scale_right() and clip8() of plain.h. r2, r3: low half, unsigned, and high half of the
 * multiplier, r6: zero point, r7: shift; r4, r5: lost. With halves a0, a1 of the sum and b0, b1 of the multiplier,
 *     mid = a1 * b0 + (a0 * b0 >> 16),
 *     (a * b + 2^30) >> 31 = 2 * (a1 * b1 + (mid >> 16)) + ((a0 * b1 + (mid & 0xffff) + 2^14) >> 15)
 * where nothing overflows: |a| < 2^30. round: adds 2^14 to r1. */
#define FINISH(round)                                                             \
    "uxth r1, r0\n asrs r0, r0, #16\n"                                            \
    "movs r4, r1\n muls r4, r2, r4\n lsrs r4, r4, #16\n"                          \
    "movs r5, r0\n muls r5, r2, r5\n adds r4, r4, r5\n"                           \
    "muls r0, r3, r0\n muls r1, r3, r1\n"                                         \
    "asrs r5, r4, #16\n adds r0, r0, r5\n lsls r0, r0, #1\n"                      \
    "uxth r4, r4\n adds r1, r1, r4\n"                                             \
    round "asrs r1, r1, #15\n"                                                    \
    "adds r0, r0, r1\n"                                                           \
    "asrs r1, r0, #31\n adds r0, r0, r1\n asrs r0, r7\n adcs r0, r6\n"            \
    "sxtb r1, r0\n cmp r1, r0\n beq 9f\n"                                         \
    "asrs r1, r0, #31\n movs r0, #127\n eors r1, r0\n"                            \
    "9:\n"

/* r4: the pixels, r5, r6: behind the units' weights, unit 1 one earlier, for it is read one step later; r7: from -steps up
 * to 0; r8-r11: the negated sums of unit 0, 0, 1, 1, pixel 0, 1, 0, 1 */
#define UNIT(w, first, second)                                                    \
    "ldrsb r2, [" w ", r7]\n muls r2, r0, r2\n"                                   \
    "adds r7, #1\n"                                                               \
    "ldrsb r3, [" w ", r7]\n muls r3, r1, r3\n"                                   \
    "adds r2, r2, r3\n"                                                           \
    "sxth r3, r2\n add " first ", r3\n"                                           \
    "subs r2, r2, r3\n asrs r2, r2, #16\n add " second ", r2\n"
#define TWO "ldmia r4!, {r0, r1}\n" UNIT("r5", "r8", "r9") UNIT("r6", "r10", "r11")
/* r2, r3, r7: multiplier, negated as the sums are, and shift, as FINISH takes them */
#define SCALE "rsbs r2, r2, #0\n asrs r3, r2, #16\n uxth r2, r2\n rsbs r7, r7, #0\n"
#define FIRST_SCALE "ldr r0, [sp, #56]\n ldr r2, [r0]\n ldr r0, [sp, #60]\n ldr r7, [r0]\n" SCALE
#define SECOND_SCALE                                                              \
    "ldr r0, [sp, #56]\n ldmia r0!, {r1, r2}\n str r0, [sp, #56]\n"               \
    "ldr r0, [sp, #60]\n ldmia r0!, {r1, r7}\n str r0, [sp, #60]\n" SCALE

__attribute__((naked)) void torpor_pair_job(__attribute__((unused)) struct pair_job job)
{
    __asm__ volatile(
        ENTER
        "adds r2, r2, r1\n str r2, [sp, #44]\n" /* w: from behind the unit's twos */
        "rsbs r1, r1, #0\n str r1, [sp, #40]\n" /* steps */
        "movs r0, #1\n lsls r0, r0, #14\n mov r12, r0\n"
        "1:\n"
        "ldr r0, [sp, #52]\n ldmia r0!, {r1, r2}\n str r0, [sp, #52]\n" /* biases */
        "rsbs r1, r1, #0\n mov r8, r1\n mov r9, r1\n"
        "rsbs r2, r2, #0\n mov r10, r2\n mov r11, r2\n"
        "ldr r4, [sp, #36]\n ldr r7, [sp, #40]\n ldr r5, [sp, #44]\n ldr r1, [sp, #48]\n" /* pair, steps, w, depth */
        "adds r6, r5, r1\n adds r0, r6, r1\n str r0, [sp, #44]\n subs r6, #1\n"
        "lsls r2, r7, #30\n bmi 3f\n" /* an odd number of twos enters half way */
        "2:\n" TWO
        "3:\n" TWO
        "cmp r7, #0\n bne 2b\n"
        "ldr r0, [sp, #48]\n lsrs r0, r0, #1\n bcc 4f\n" /* the last value of an odd depth */
        "ldr r1, [r4]\n sxth r0, r1\n subs r1, r1, r0\n asrs r1, r1, #16\n"
        "ldrsb r2, [r5, r7]\n adds r6, #1\n ldrsb r3, [r6, r7]\n"
        "movs r4, r0\n muls r4, r2, r4\n add r8, r4\n"
        "muls r2, r1, r2\n add r9, r2\n"
        "muls r0, r3, r0\n add r10, r0\n"
        "muls r1, r3, r1\n add r11, r1\n"
        "4:\n"
        "ldr r6, [sp, #68]\n" /* zero */
        FIRST_SCALE
        "mov r0, r8\n" FINISH("add r1, r12\n") "ldr r0, [sp, #72]\n strb r1, [r0]\n" /* y */
        "mov r0, r9\n" FINISH("add r1, r12\n") "ldr r0, [sp, #72]\n ldr r4, [sp, #76]\n strb r1, [r0, r4]\n" /* units */
        SECOND_SCALE
        "mov r0, r10\n" FINISH("add r1, r12\n") "ldr r0, [sp, #72]\n strb r1, [r0, #1]\n"
        "mov r0, r11\n" FINISH("add r1, r12\n") "ldr r0, [sp, #72]\n adds r0, #1\n ldr r4, [sp, #76]\n strb r1, [r0, r4]\n"
        "adds r0, #1\n str r0, [sp, #72]\n"
        "ldr r0, [sp, #80]\n subs r0, #1\n str r0, [sp, #80]\n" /* twos */
        "beq 5f\n b 1b\n"
        "5:\n"
        LEAVE);
}

/* r4: x, r1: w, r7, r2, r3: 0, 1, 2 taps further, r0: the sum; r9, r10: to the next row of x, of w */
#define TAP(offset) "ldrsb r5, [r4, " offset "]\n ldrsb r6, [r1, " offset "]\n muls r5, r6, r5\n adds r0, r0, r5\n"
#define ROW TAP("r7") TAP("r2") TAP("r3")
#define NEXT_ROW "add r4, r9\n add r1, r10\n"

__attribute__((naked)) void torpor_filter_job(__attribute__((unused)) struct filter_job job)
{
    __asm__ volatile(
        ENTER
        "mov r8, r0\n mov lr, r1\n mov r9, r3\n" /* x, w, row_step */
        "lsls r0, r2, #1\n adds r0, r0, r2\n mov r10, r0\n"
        "movs r0, #1\n mov r11, r0\n lsls r0, r0, #14\n mov r12, r0\n"
        "1:\n"
        "ldr r6, [sp, #52]\n ldr r0, [r6]\n" /* filters: bias */
        "mov r4, r8\n add r8, r11\n mov r1, lr\n add lr, r11\n"
        "ldr r2, [sp, #44]\n lsls r3, r2, #1\n movs r7, #0\n" /* n */
        ROW NEXT_ROW ROW NEXT_ROW ROW
        "ldr r6, [sp, #52]\n ldmia r6!, {r1, r2, r7}\n str r6, [sp, #52]\n" /* the bias again, multiplier, shift */
        "asrs r3, r2, #16\n uxth r2, r2\n"
        "ldr r6, [sp, #56]\n" /* zero */
        FINISH("add r1, r12\n")
        "ldr r0, [sp, #60]\n ldr r2, [sp, #64]\n strb r1, [r2, r0]\n" /* at, end */
        "adds r0, #1\n str r0, [sp, #60]\n"
        "bne 1b\n"
        LEAVE);
}

#endif
