# SPDX-License-Identifier: MIT
"""CircuitPython >= 10 with `alarm`: nRF52840, ESP32 family. Facts: its shared-bindings and ports sources.

Before trusting a measurement: with USB or a Bluetooth host connected the first deep sleep after power-on is
only played (the program restarts, the chip stays awake). Unplug to measure. On nRF "deep sleep" is System ON
idle followed by a reset. The clock starts at 2000-01-01 after power-on.

The node can write to the CIRCUITPY drive only while no computer has it mounted: else writing state raises
OSError(EROFS), which the store reports as StoreError, and retained memory alone carries the node.
Not run on a chip by this project's tests: they use stand-ins for the modules imported here.
"""

import time

import alarm
import busio
import microcontroller
from alarm import pin as _pin_alarms
from alarm import time as _time_alarms
from microcontroller import pin as _pins  # type: ignore[attr-defined]  # the stubs leave it out

from ..errors import ConfigError, LinkError, SensorError
from . import COLD, PIN, RESET, TIMER


class _Retained:
    """alarm.sleep_memory: 256 bytes on nRF, 3 or 4 KiB on ESP32. Cleared by loss of power, not by a reset."""

    def __init__(self):
        self.size = len(alarm.sleep_memory)

    def read_into(self, buf):
        buf[:] = alarm.sleep_memory[0 : len(buf)]

    def write(self, off, buf):
        alarm.sleep_memory[off : off + len(buf)] = buf


class _Bus:
    """busio.I2C with the two methods that drivers know from MicroPython. Holds the bus's lock for good."""

    def __init__(self, i2c):
        if not i2c.try_lock():
            raise SensorError("i2c", "locked")
        self._i2c = i2c
        self._register = bytearray(1)
        self._out = bytearray(17)

    def readfrom_mem_into(self, address, register, buf):
        self._register[0] = register
        self._i2c.writeto_then_readfrom(address, self._register, buf)

    def writeto_mem(self, address, register, buf):
        """Write up to 16 bytes to a register."""
        self._out[0] = register
        n = 1
        for value in buf:
            self._out[n] = value
            n += 1
        self._i2c.writeto(address, self._out, end=n)


class _Adc:
    def __init__(self, pin):
        from analogio import AnalogIn

        self._adc = AnalogIn(_pin(pin))
        self._full_mv = int(self._adc.reference_voltage * 1000)

    def read_mv(self):
        return self._adc.value * self._full_mv // 65535


class Hal:
    """`deep` False: light sleep, which returns and keeps RAM. `battery`: (pin, numerator, denominator) of the
    divider, where one is wired (the chip's own supply, cpu.voltage, is behind a regulator on most boards)."""

    def __init__(self):
        self.deep = True
        self.battery = ()
        self.flash_dir = ""  # the root: names are joined with a slash
        self.retained = _Retained() if alarm.sleep_memory else None
        self._divider = None
        self._mac = b""
        try:
            from storage import remount

            remount("/", readonly=False)
        except (ImportError, RuntimeError):  # RuntimeError: a computer has the drive
            pass

    def now_s(self):
        """Unix seconds: above 2^30 since 2004, so a heap object on these chips; one a wake."""
        return time.time()

    def ticks_ms(self):
        return time.monotonic_ns() // 1000000

    def wake_reason(self):
        woke = alarm.wake_alarm  # also set after a deep sleep that was only played
        if woke is None:
            why = microcontroller.cpu.reset_reason
            reasons = microcontroller.ResetReason
            return COLD if why in (reasons.POWER_ON, reasons.BROWNOUT) else RESET
        return TIMER if isinstance(woke, _time_alarms.TimeAlarm) else PIN

    def sleep(self, seconds, pins=()):
        """Sleep that long or until a pin wakes. Which pins can is the chip's affair: ValueError names it."""
        if self._mac:  # it was asked for, so the radio was on
            _radio().enabled = False
        timer = _time_alarms.TimeAlarm(monotonic_time=time.monotonic() + seconds)
        wires = [_pin_alarms.PinAlarm(_pin(p if p >= 0 else ~p), p >= 0, pull=True) for p in pins]
        if self.deep:
            alarm.exit_and_deep_sleep_until_alarms(timer, *wires)
        alarm.light_sleep_until_alarms(timer, *wires)

    def battery_mv(self):
        if not self.battery:
            return 0
        pin, numerator, denominator = self.battery
        if self._divider is None:
            self._divider = _Adc(pin)  # once: a pin in use can't be claimed again
        return self._divider.read_mv() * numerator // denominator

    @property
    def mac(self):
        """As printed, most significant byte first."""
        if not self._mac:
            radio = _radio()
            radio.enabled = True
            low_first = radio.address.address_bytes
            self._mac = bytes([low_first[i] for i in range(5, -1, -1)])
        return self._mac

    def i2c(self, args):
        """args: (bus, sda, scl, freq_hz, ...); the runtime picks the bus itself. Raises SensorError without
        pull-ups on the wires."""
        try:
            return _Bus(busio.I2C(_pin(args[2]), _pin(args[1]), frequency=args[3]))
        except RuntimeError as e:
            raise SensorError("i2c", str(e))

    def adc(self, pin):
        return _Adc(pin)

    def advertise(self, payload, interval_ms, events):
        """Broadcast payload (AD structures, <= 31 bytes) about `events` times. Raises LinkError(text)."""
        from _bleio import BluetoothError

        radio = _radio()
        try:
            radio.enabled = True
            radio.start_advertising(payload, connectable=False, interval=interval_ms / 1000)
            time.sleep(interval_ms * events / 1000)
            radio.stop_advertising()
        except (BluetoothError, OSError, RuntimeError) as e:
            raise LinkError(str(e))
        finally:
            radio.enabled = False  # the radio's stack keeps the processor from its lowest current


def _radio():
    try:
        from _bleio import adapter
    except ImportError:
        raise LinkError("bluetooth")
    if adapter is None:
        raise LinkError("bluetooth")
    return adapter


def _pin(number):
    """The runtime has no pins by number: GPIO4 on Espressif, P1_09 for 41 on nRF (port * 32 + pin)."""
    found = getattr(_pins, "GPIO" + str(number), None)
    if found is None:
        found = getattr(_pins, "P%d_%02d" % (number >> 5, number & 31), None)
    if found is None:
        raise ConfigError("pin " + str(number))
    return found
