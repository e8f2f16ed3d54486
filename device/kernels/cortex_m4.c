/* SPDX-License-Identifier: MIT
 *
 * The two loops where a Cortex-M4 spends its time, whole in assembly: see cortex_m4.h. Both are called with a struct
 * by value, whose first four words come in registers and the rest on the stack (Arm IHI 0042, AAPCS): they push the
 * former in front of the latter, and behind nine saved registers all of the struct lies at sp + 36.
 */
#include "pair.h"

#ifdef TORPOR_DSP

#define ENTER "push {r0, r1, r2, r3}\n push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
#define LEAVE "pop {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n add sp, #16\n bx lr\n"

/* r0-r3: a quad of both pixels, r4-r7: the sums of unit 0, 0, 1, 1, pixel 0, 1, 0, 1 */
#define UNIT(w, first, second)                              \
    "ldr r11, [" w "], #4\n"                                \
    "sxtb16 r10, r11\n"                                     \
    "sxtb16 r11, r11, ror #8\n"                             \
    "smlad " first ", r0, r10, " first "\n"                 \
    "smlad " first ", r1, r11, " first "\n"                 \
    "smlad " second ", r2, r10, " second "\n"               \
    "smlad " second ", r3, r11, " second "\n"
#define QUAD "ldmia lr!, {r0, r1, r2, r3}\n" UNIT("r8", "r4", "r5") UNIT("r9", "r6", "r7")
/* a sum to an int8, by scale_right() and clip8() of plain.h */
#define FINISH(sum, multiplier, right)                      \
    "lsl " sum ", #1\n"                                     \
    "smmulr " sum ", " sum ", " multiplier "\n"             \
    "add " sum ", " sum ", " sum ", asr #31\n"              \
    "asrs " sum ", " right "\n"                             \
    "adc " sum ", r12\n"                                    \
    "ssat " sum ", #8, " sum "\n"

__attribute__((naked)) void torpor_pair_job(__attribute__((unused)) struct pair_job job)
{
    __asm__ volatile(
        ENTER
        "1:\n"
        "ldr r10, [sp, #52]\n" /* biases */
        "ldrd r4, r6, [r10], #8\n"
        "str r10, [sp, #52]\n"
        "mov r5, r4\n"
        "mov r7, r6\n"
        "ldrd r8, r9, [sp, #44]\n" /* weights, depth */
        "add r9, r8\n"
        "ldrd lr, r12, [sp, #36]\n" /* pair, quads */
        QUAD
        "ldr r10, [sp, #64]\n" /* skip */
        "sub r8, r10\n"
        "sub r9, r10\n"
        "lsls r10, r12, #31\n" /* an odd number enters half way */
        "bne 3f\n"
        "b 4f\n"
        "2:\n" QUAD
        "3:\n" QUAD
        "4:\n"
        "subs r12, #2\n"
        "bge 2b\n"
        "str r9, [sp, #44]\n"
        "ldrd r10, r11, [sp, #56]\n" /* multipliers, shifts */
        "ldrd r0, r1, [r10], #8\n"
        "ldrd r2, r3, [r11], #8\n"
        "strd r10, r11, [sp, #56]\n"
        "rsbs r2, r2, #0\n"
        "rsbs r3, r3, #0\n"
        "ldrd r12, lr, [sp, #68]\n" /* zero, y */
        FINISH("r4", "r0", "r2")
        FINISH("r5", "r0", "r2")
        FINISH("r6", "r1", "r3")
        FINISH("r7", "r1", "r3")
        "ldrd r8, r9, [sp, #76]\n" /* units, twos */
        "add r8, lr\n"
        "strb r5, [r8]\n"
        "strb r7, [r8, #1]\n"
        "strb r4, [lr], #1\n"
        "strb r6, [lr], #1\n"
        "str lr, [sp, #72]\n"
        "subs r9, #1\n"
        "str r9, [sp, #80]\n"
        "bne 1b\n"
        LEAVE);
}

/* four channels of one tap, r9-r11, lr free */
#define TAP(offset)                                         \
    "ldr r9, [r1" offset "]\n"                              \
    "ldrd r10, r11, [r2], #8\n"                             \
    "sxtb16 lr, r9\n"                                       \
    "sxtb16 r9, r9, ror #8\n"                               \
    "smlabb r5, lr, r10, r5\n"                              \
    "smlabb r6, r9, r11, r6\n"                              \
    "smlatt r7, lr, r10, r7\n"                              \
    "smlatt r8, r9, r11, r8\n"
#define HIGH(sum, multiplier)                               \
    "smmulr " sum ", " sum ", " multiplier "\n"             \
    "add " sum ", " sum ", " sum ", asr #31\n"
#define PUT(sum, right)                                     \
    "asrs " sum ", " right "\n"                             \
    "adc " sum ", r12\n"                                    \
    "ssat " sum ", #8, " sum "\n"                           \
    "strb " sum ", [r1], #1\n"

__attribute__((naked)) void torpor_filter_job(__attribute__((unused)) struct filter_job job)
{
    __asm__ volatile(
        ENTER
        "mov r2, r1\n" /* filters */
        "ldrd r3, r4, [sp, #44]\n" /* step, row_step */
        "1:\n"
        "ldr r1, [sp, #36]\n" /* x */
        "add r9, r1, #4\n"
        "str r9, [sp, #36]\n"
        "ldmia r2!, {r5, r6, r7, r8}\n" /* biases */
        "ldrd r12, r0, [sp, #52]\n" /* rows, columns */
        "cmp r0, #3\n"
        "bne 4f\n"
        "2:\n" TAP("") TAP(", r3") TAP(", r3, lsl #1")
        "add r1, r4\n"
        "subs r12, #1\n"
        "bne 2b\n"
        "3:\n"
        "ldmia r2!, {r9, r10, r11, lr}\n" /* multipliers */
        HIGH("r5", "r9") HIGH("r6", "r10") HIGH("r7", "r11") HIGH("r8", "lr")
        "ldmia r2!, {r9, r10, r11, lr}\n" /* shifts */
        "ldrd r12, r1, [sp, #60]\n" /* zero, y */
        PUT("r5", "r9") PUT("r6", "r10") PUT("r7", "r11") PUT("r8", "lr")
        "str r1, [sp, #64]\n"
        "ldr r9, [sp, #68]\n" /* end */
        "cmp r1, r9\n"
        "bne 1b\n"
        LEAVE
        "4:\n" /* a row of any length: r4 is the way on from its end */
        "ldr r4, [sp, #48]\n"
        "mls r4, r0, r3, r4\n"
        "5:\n"
        "ldr r0, [sp, #56]\n"
        "6:\n" TAP("")
        "add r1, r3\n"
        "subs r0, #1\n"
        "bne 6b\n"
        "add r1, r4\n"
        "subs r12, #1\n"
        "bne 5b\n"
        "b 3b\n");
}

#endif
