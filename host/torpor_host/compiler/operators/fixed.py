# SPDX-License-Identifier: MIT
"""gemmlowp's fixed-point exp and logistic on the host; tables of them go into the image.

Numbers are Python integers that hold int32 in a Q format: Q(n) has n integer bits and 31 - n fractional
ones. Source: gemmlowp fixedpoint/fixedpoint.h (exp_on_negative_values, logistic, SaturatingRounding...).
The device's `torpor.nn` has the few of these that depend on data.
"""

from math import floor, frexp

from .base import round_away

_ONE = (1 << 31) - 1
_LOW = -(1 << 31)


def saturate(x: int) -> int:
    return max(_LOW, min(_ONE, x))


def high_mul(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul: a * b / 2**31, rounded."""
    return saturate((a * b + (1 << 30)) >> 31)


def divide_by_pot(x: int, exponent: int) -> int:
    """RoundingDivideByPOT: x / 2**exponent, halves away from zero."""
    if exponent == 0:
        return x
    half = 1 << (exponent - 1)
    return (x + half - (x < 0)) >> exponent


def requantize(x: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier, double rounding."""
    return divide_by_pot(high_mul(x << max(shift, 0), multiplier), max(-shift, 0))


def _exp_near_zero(a: int) -> int:
    """exp of Q0 in [-1/4, 0): a Taylor series about -1/8."""
    x = a + (1 << 28)
    x2 = high_mul(x, x)
    x3 = high_mul(x2, x)
    x4 = high_mul(x2, x2)
    tail = divide_by_pot(high_mul(divide_by_pot(x4, 2) + x3, 715827883) + x2, 1)
    return saturate(1895147668 + high_mul(1895147668, x + tail))


def exp_negative(a: int, integer_bits: int) -> int:
    """exp of a <= 0 in Q(integer_bits), as Q0."""
    if a == 0:
        return _ONE
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (a & (quarter - 1)) - quarter
    result = _exp_near_zero(saturate(rest << integer_bits))
    remainder = rest - a
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # exp(-1/4), exp(-1/2) ..
    for exponent, factor in enumerate(factors, start=-2):
        if integer_bits > exponent and remainder & (1 << (fraction_bits + exponent)):
            result = high_mul(result, factor)
    return result


def reciprocal(x: int) -> int:
    """one_over_one_plus_x_for_x_in_0_1, Q0 to Q0."""
    half = (x + _ONE + 1) >> 1
    r = 1515870810 + high_mul(half, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_mul(half, r)
        r += saturate(high_mul(r, error) << 2)
    return saturate(r << 1)


def logistic(a: int, integer_bits: int) -> int:
    """1 / (1 + exp(-a)) of Q(integer_bits), as Q0."""
    if a == 0:
        return 1 << 30
    positive = reciprocal(exp_negative(-abs(a), integer_bits))
    return positive if a > 0 else _ONE - positive


def tanh(a: int, integer_bits: int) -> int:
    """tanh of Q(integer_bits), as Q0. Source: neg_tanh_on_negative_values, fixedpoint.h."""
    if a == 0:
        return 0
    e = exp_negative(-abs(a), integer_bits + 1)  # exp(-2 |a|)
    half = (e + _ONE + 1) >> 1
    r = 1515870810 + high_mul(half, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_mul(half, r)
        r += saturate(high_mul(r, error) << 2)
    positive = saturate((r - (1 << 29)) << 2)  # 2 / (1 + e) - 1
    return positive if a > 0 else -positive


def input_radius(integer_bits: int, left_shift: int) -> int:
    """CalculateInputRadius: the largest difference that stays in range once scaled."""
    return floor(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << left_shift))


def fraction_and_shift(value: float) -> tuple[int, int]:
    """std::frexp, the fraction as Q31."""
    fraction, shift = frexp(value)
    return round_away(fraction * (1 << 31)), shift
