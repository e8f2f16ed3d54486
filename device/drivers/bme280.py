# SPDX-License-Identifier: MIT
"""Bosch BME280: temperature, humidity, pressure over I2C, one forced measurement at a time.

    chip = BME280(i2c, 0x76)         # i2c: readfrom_mem_into(addr, reg, buf), writeto_mem(addr, reg, buf)
    chip.measure()
    chip.temperature, chip.humidity, chip.pressure      # 0.01 degC, 0.01 %RH, 0.1 hPa

Registers, timing and compensation: Bosch data sheet BST-BME280-DS002 (sections 4.2.3, 5.4, 9.1). The integer
formulas are its 32-bit ones, rearranged where an intermediate would pass 2^30 and become a heap object on a
32-bit board; over -40..85 degC and 300..1100 hPa they stay within 0.01 degC, 0.1 %RH and 0.2 hPa of the data
sheet's floating point (tested).
"""

from time import sleep

from torpor.compat import const
from torpor.errors import SensorError

_CALIBRATION_1 = const(0x88)  # T1..T3, P1..P9, (reserved), H1: 26 bytes
_ID = const(0xD0)
_CALIBRATION_2 = const(0xE1)  # H2..H6: 7 bytes
_CTRL_HUM = const(0xF2)  # takes effect with the next write to CTRL_MEAS
_STATUS = const(0xF3)
_CTRL_MEAS = const(0xF4)
_CONFIG = const(0xF5)
_DATA = const(0xF7)  # pressure, temperature 20 bits each, humidity 16: 8 bytes in one burst
_CHIP_ID = const(0x60)  # 0x58 is a BMP280, which has no humidity
_MEASURING = const(0x08)
_COPYING = const(0x01)  # calibration on its way from NVM to the registers, after power-on
_FORCED_T = const(0x21)  # temperature x1, forced mode
_PRESSURE_X1 = const(0x04)
_SKIPPED_20 = const(0x80000)  # value of a measurement that was not made
_SKIPPED_16 = const(0x8000)
_POLLS = const(10)  # with a pause of 2 ms: as long again as everything at x1 may take, 9.3 ms (section 9.1)


class BME280:
    """Raises SensorError("bme280", got): "no answer", "busy", "calibration", another chip's id, or the value
    that is outside the data sheet's operating range."""

    def __init__(self, i2c, address=0x76, humidity=True, pressure=True):
        self._i2c = i2c
        self._address = address
        self._one = bytearray(1)
        self._data = bytearray(8)
        self._with_humidity = bool(humidity)
        self._with_pressure = bool(pressure)
        self.temperature = self.humidity = self.pressure = 0
        self._read(_ID, self._one)
        if self._one[0] != _CHIP_ID:
            raise SensorError("bme280", self._one[0])
        self._wait(_COPYING)
        self._calibrate()
        self._write(_CONFIG, 0)  # no IIR filter: samples are minutes apart

    def measure(self):
        """Measure once and set the three values; those not asked for stay 0. Takes about 10 ms.

        Allocates nothing as long as it succeeds.
        """
        self._write(_CTRL_HUM, 1 if self._with_humidity else 0)
        self._write(_CTRL_MEAS, _FORCED_T | (_PRESSURE_X1 if self._with_pressure else 0))
        sleep(0.01)
        self._wait(_MEASURING)
        d = self._data
        self._read(_DATA, d)
        raw = d[3] << 12 | d[4] << 4 | d[5] >> 4
        if raw == _SKIPPED_20:
            raise SensorError("bme280", raw)
        fine = self._fine(raw)
        self.temperature = _within(fine * 5 + 128 >> 8, -4000, 8500)
        if self._with_humidity:
            raw = d[6] << 8 | d[7]
            if raw == _SKIPPED_16:
                raise SensorError("bme280", raw)
            self.humidity = self._humidity(raw, fine)
        if self._with_pressure:
            raw = d[0] << 12 | d[1] << 4 | d[2] >> 4
            if raw == _SKIPPED_20:
                raise SensorError("bme280", raw)
            self.pressure = _within((self._pascal(raw, fine) + 5) // 10, 3000, 11000)

    def _fine(self, raw):
        """Temperature as the other two formulas take it, 1/5120 degC. Small integers up to 102 degC."""
        a = ((raw >> 3) - (self._t1 << 1)) * self._t2 >> 11
        b = (raw >> 4) - self._t1
        return a + ((b * b >> 12) * self._t3 >> 14)

    def _humidity(self, raw, fine):
        v = fine - 76800
        a = (raw << 14) - (self._h4 << 20) - self._h5 * v + 16384 >> 15
        b = (v * self._h6 >> 10) * ((v * self._h3 >> 11) + 32768) >> 10
        v = a * ((b + 2097152) * self._h2 + 8192 >> 14)
        v -= ((v >> 15) * (v >> 15) >> 7) * self._h1 >> 4
        v = 0 if v < 0 else 419430400 if v > 419430400 else v  # 100 % as Q22.10, times 4096
        return (v >> 12) * 100 + 512 >> 10

    def _pascal(self, raw, fine):
        v = (fine >> 1) - 64000
        # The data sheet squares v / 4, too large below -26 degC; v / 8 costs 1 in 20,000 of a small term.
        square = (v >> 3) * (v >> 3)
        offset = ((square >> 9) * self._p6 + (v * self._p5 << 1) >> 2) + (self._p4 << 16)
        slope = ((square >> 11) * self._p3 >> 3) + (v >> 1) * self._p2 >> 18
        slope = self._p1 + (slope * self._p1 >> 15)
        if slope <= 0:
            raise SensorError("bme280", "calibration")
        v = 1048576 - raw - (offset >> 12)
        p = v // slope * 6250 + v % slope * 6250 // slope  # v * 6250 / slope without the large product
        a = ((p >> 3) * (p >> 3) >> 13) * self._p9 >> 12
        return p + (a + ((p >> 2) * self._p8 >> 13) + self._p7 >> 4)

    def _calibrate(self):
        """Read the factory's coefficients. Source of the layout: section 4.2.2, table 16."""
        c = bytearray(26)
        self._read(_CALIBRATION_1, c)
        self._t1 = c[0] | c[1] << 8
        self._t2 = _signed(c, 2)
        self._t3 = _signed(c, 4)
        self._p1 = c[6] | c[7] << 8
        self._p2 = _signed(c, 8)
        self._p3 = _signed(c, 10)
        self._p4 = _signed(c, 12)
        self._p5 = _signed(c, 14)
        self._p6 = _signed(c, 16)
        self._p7 = _signed(c, 18)
        self._p8 = _signed(c, 20)
        self._p9 = _signed(c, 22)
        self._h1 = c[25]
        c = bytearray(7)
        self._read(_CALIBRATION_2, c)
        self._h2 = _signed(c, 0)
        self._h3 = c[2]
        self._h4 = (c[3] - 256 if c[3] > 127 else c[3]) << 4 | c[4] & 15
        self._h5 = (c[5] - 256 if c[5] > 127 else c[5]) << 4 | c[4] >> 4
        self._h6 = c[6] - 256 if c[6] > 127 else c[6]
        if self._t1 in (0, 0xFFFF) or self._p1 in (0, 0xFFFF):  # a bus that floats, or a chip half awake
            raise SensorError("bme280", "calibration")

    def _wait(self, bit):
        for _ in range(_POLLS):
            self._read(_STATUS, self._one)
            if not self._one[0] & bit:
                return
            sleep(0.002)
        raise SensorError("bme280", "busy")

    def _read(self, register, buf):
        try:
            self._i2c.readfrom_mem_into(self._address, register, buf)
        except OSError:
            raise SensorError("bme280", "no answer")

    def _write(self, register, value):
        self._one[0] = value
        try:
            self._i2c.writeto_mem(self._address, register, self._one)
        except OSError:
            raise SensorError("bme280", "no answer")


def _signed(buf, i):
    v = buf[i] | buf[i + 1] << 8
    return v - 65536 if v > 32767 else v


def _within(value, low, high):
    if low <= value <= high:
        return value
    raise SensorError("bme280", value)
