# SPDX-License-Identifier: MIT
"""Fixed-point arithmetic of the quantized operators: gemmlowp's, rounding twice.

    scale(1000, 0x40000000, 0) == 500        # multiplier 0.5 in Q31

Source: gemmlowp fixedpoint.h and TensorFlow Lite's MultiplyByQuantizedMultiplier (double rounding).
Products reach 62 bits: small integers on a 64-bit MicroPython, heap integers on a 32-bit board.
"""


def scale(value, multiplier, shift):
    """Return value * multiplier / 2**31 * 2**shift, rounded as TensorFlow Lite Micro rounds.

    multiplier is Q31, shift -31..30. First SaturatingRoundingDoublingHighMul, which for a multiplier above
    -2**31 is an addition and a shift down; then RoundingDivideByPOT, halves away from zero.
    """
    if shift > 0:
        value <<= shift
    value = (value * multiplier + 0x40000000) >> 31
    if shift < 0:
        half = 1 << (-shift - 1)
        if value < 0:
            half -= 1
        value = (value + half) >> -shift
    return value
