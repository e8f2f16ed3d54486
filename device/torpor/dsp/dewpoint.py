# SPDX-License-Identifier: MIT
"""Dew point depression in integers: how far the air is from saturation, in 0.01 K.

Magnus formula over water: g = ln(RH) + b T / (c + T), dew point = c g / (b - g), b = 17.625, c = 243.04 degC
(Alduchov and Eskridge, J. Appl. Meteor. 35 (1996) 601-609, eq. 21; recommended by Lawrence, BAMS 86 (2005)
225-233). Within 0.02 K of the same formula in floating point over -40..50 degC, 5..100 %RH (tested); every
product stays below 2^30 over -60..125 degC, 1..100 %RH, and inputs are held to that.
"""

from ..compat import const

_B_Q12 = const(72192)  # 17.625 * 4096, exactly
_C = const(24304)  # 243.04 degC in 0.01 degC
_LOG2_100_PERCENT_Q12 = const(54426)  # log2(10000) * 4096
_LN2_Q15 = const(22713)  # ln(2) * 32768


def depression(temperature, humidity):
    """Return temperature minus dew point, in 0.01 K, >= 0. temperature in 0.01 degC, humidity in 0.01 %RH."""
    t = -6000 if temperature < -6000 else 12500 if temperature > 12500 else temperature
    h = 100 if humidity < 100 else 10000 if humidity > 10000 else humidity
    # log2(h) in Q12, a bit at a time: the mantissa in [1, 2) as Q14; squared, its log doubles.
    log = 14 << 12
    while h < 16384:
        h <<= 1
        log -= 4096
    bit = 2048
    while bit:
        h = h * h >> 14
        if h > 32767:
            h >>= 1
            log += bit
        bit >>= 1
    g = ((log - _LOG2_100_PERCENT_Q12) * _LN2_Q15 + 16384 >> 15) + (t * _B_Q12 + (_C + t >> 1)) // (_C + t)
    d = t - (_C * g + (_B_Q12 - g >> 1)) // (_B_Q12 - g)
    return d if d > 0 else 0
