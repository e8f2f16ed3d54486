# SPDX-License-Identifier: MIT
"""Source: temperature (0.01 degC), humidity (0.01 %RH), pressure (0.1 hPa) of a BME280, as the mask asks.

args: (bus, sda, scl, freq_hz, address, mask); mask is the sum of 1 temperature, 2 humidity, 4 pressure, and
the channels come in that order. What is not asked for is not measured: less time, less energy.
"""

from drivers.bme280 import BME280

from ..compat import const

_TEMPERATURE = const(1)
_HUMIDITY = const(2)
_PRESSURE = const(4)


class Source:
    """Raises SensorError at construction (no answer, another chip) and from read_into."""

    def __init__(self, args, hal):
        mask = args[5]
        self._chip = BME280(hal.i2c(args), args[4], mask & _HUMIDITY, mask & _PRESSURE)
        self._mask = mask
        self.channels = (mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1)

    def read_into(self, row):
        chip = self._chip
        chip.measure()
        i = 0
        if self._mask & _TEMPERATURE:
            row[i] = chip.temperature
            i += 1
        if self._mask & _HUMIDITY:
            row[i] = chip.humidity
            i += 1
        if self._mask & _PRESSURE:
            row[i] = chip.pressure


def create(args, hal):
    return Source(args, hal)
