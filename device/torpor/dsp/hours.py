# SPDX-License-Identifier: MIT
"""The hour of day as a point on a circle, times 1000: midnight has no edge there.

sin and cos of 2 pi (second of day) / 86400 from a table of full hours, linear in between: within 9 of 1000.
"""

_SIN = (0, 259, 500, 707, 866, 966, 1000)  # 1000 * sin(0, 15, ... 90 degrees), rounded


def sine(second):
    """1000 * sin of the time of day; `second` counts from local midnight, any number of days."""
    hour = second // 3600 % 24
    into = second % 3600
    return (_at(hour) * (3600 - into) + _at(hour + 1) * into + 1800) // 3600


def cosine(second):
    """1000 * cos of the time of day: the sine six hours on."""
    return sine(second + 21600)


def _at(hour):
    if hour >= 12:
        return -_at(hour - 12) if hour < 24 else 0
    return _SIN[hour if hour <= 6 else 12 - hour]
