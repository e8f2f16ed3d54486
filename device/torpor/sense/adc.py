# SPDX-License-Identifier: MIT
"""Source of one channel: an analog pin, averaged and scaled. args: (pin, samples, numerator, denominator).

    value = mean of `samples` readings in mV * numerator / denominator, rounded, saturated to int16

With 1, 1 the channel is voltage in mV; a TMP36 (10 mV/K, 500 mV at 0 degC) in 0.01 degC is 10, 1 with the
offset of 5000 left to the features' mean. |mean in mV * numerator| stays below 2^30 up to 4096 mV * 262143.
"""


class Source:
    channels = 1

    def __init__(self, args, hal):
        pin, self._samples, self._numerator, self._denominator = args
        self._adc = hal.adc(pin)

    def read_into(self, row):
        n = self._samples
        total = n >> 1
        for _ in range(n):
            total += self._adc.read_mv()
        d = self._denominator
        value = (total // n * self._numerator + (d >> 1)) // d
        row[0] = 32767 if value > 32767 else -32768 if value < -32768 else value


def create(args, hal):
    return Source(args, hal)
