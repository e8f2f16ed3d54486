# SPDX-License-Identifier: MIT
"""CircuitPython >= 10 with `alarm`: nRF52840, ESP32 family. Facts: its shared-bindings and ports sources.

Before trusting a measurement: with USB or a Bluetooth host connected the first deep sleep after power-on is
only played (the program restarts, the chip stays awake). Unplug to measure. On nRF "deep sleep" is System ON
idle followed by a reset.

The clock starts at 2000-01-01 after power-on. `torpor deploy` over serial sets it, to UTC; never set, only
the hour of day is wrong. On nRF time.time() counts a sleep of N s as N/1024 s (ports/nordic: deep sleep
prescales its RTC to 32 Hz, reset_cpu books ticks of 1/1024 s), so the last 8 bytes of alarm.sleep_memory
carry the time there. Only loss of power sets that clock back.

The node can write to the CIRCUITPY drive only while no computer has it mounted: else writing state raises
OSError(EROFS), which the store reports as StoreError, and retained memory alone carries the node.
Not run on a chip by this project's tests: they use stand-ins for the modules imported here.
"""

import struct
import time

import alarm
import busio
import microcontroller
from alarm import pin as _pin_alarms
from alarm import time as _time_alarms
from microcontroller import pin as _pins  # type: ignore[attr-defined]  # the stubs leave it out

from ..compat import const, crc32
from ..errors import ConfigError, LinkError, SensorError
from . import COLD, PIN, RESET, TIMER

_CLOCK_BYTES = const(8)  # kept back on every chip, so that profiles need not tell ports apart
_BOOT_S = const(1)  # from the alarm to Hal(), about: no measurement found


class _Retained:
    """alarm.sleep_memory but for the clock: 248 bytes on nRF, 3 or 4 KiB less 8 on ESP32. Cleared by loss of
    power, not by a reset."""

    def __init__(self):
        self.size = len(alarm.sleep_memory) - _CLOCK_BYTES

    def read_into(self, buf):
        buf[:] = alarm.sleep_memory[0 : len(buf)]

    def write(self, off, buf):
        alarm.sleep_memory[off : off + len(buf)] = buf


class _Clock:
    """Time that goes on where time.time() does not: `<IHH` planned wake in Unix seconds, minutes slept until
    then (rounded down, 0 while awake), low half of the CRC-32 of both."""

    def __init__(self, ticks_ms, woke):
        self._boot_ms = ticks_ms  # this port's monotonic clock goes on across resets
        self._boot_s = 0
        buf = bytes(alarm.sleep_memory[len(alarm.sleep_memory) - _CLOCK_BYTES : len(alarm.sleep_memory)])
        wake_s, minutes, check = struct.unpack("<IHH", buf)
        if crc32(buf[:6]) & 0xFFFF == check:
            # After a pin or a reset only when that sleep began is sure.
            self._boot_s = wake_s + _BOOT_S if woke == TIMER else wake_s - 60 * minutes

    def now_s(self, ticks_ms):
        """Ahead of it, time.time() has been set meanwhile. Kept, so that no crash sets the clock back."""
        now_s = max(time.time(), self._boot_s + (ticks_ms - self._boot_ms) // 1000)
        self.keep(now_s, 0)
        return now_s

    def keep(self, wake_s, minutes):
        buf = bytearray(_CLOCK_BYTES)
        struct.pack_into("<IH", buf, 0, wake_s, min(minutes, 0xFFFF))
        struct.pack_into("<H", buf, 6, crc32(buf[:6]) & 0xFFFF)
        alarm.sleep_memory[len(alarm.sleep_memory) - _CLOCK_BYTES : len(alarm.sleep_memory)] = buf


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

        try:
            self._adc = AnalogIn(_pin(pin))
        except (OSError, RuntimeError, ValueError) as e:
            raise SensorError("adc", str(e))
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
        self._clock = None
        if alarm.sleep_memory and hasattr(_pins, "P0_00"):  # nRF; elsewhere time.time() goes on
            self._clock = _Clock(self.ticks_ms(), self.wake_reason())
        self._wired = {}  # buses and converters: a pin in use can't be claimed again
        self._mac = None  # not asked for
        _own_the_drive()

    def now_s(self):
        """Unix seconds: above 2^30 since 2004, so a heap object on these chips; one a wake."""
        return self._clock.now_s(self.ticks_ms()) if self._clock else time.time()

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
        if self._mac is not None:  # so the radio is on, or half way
            _switch(_radio(), False)
        timer = _time_alarms.TimeAlarm(monotonic_time=time.monotonic() + seconds)
        wires = [_pin_alarms.PinAlarm(_pin(p if p >= 0 else ~p), p >= 0, pull=True) for p in pins]
        if self.deep:
            if self._clock:
                self._clock.keep(self.now_s() + seconds, seconds // 60)
            alarm.exit_and_deep_sleep_until_alarms(timer, *wires)
        alarm.light_sleep_until_alarms(timer, *wires)

    def battery_mv(self):
        if not self.battery:
            return 0
        pin, numerator, denominator = self.battery
        return self.adc(pin).read_mv() * numerator // denominator

    @property
    def mac(self):
        """As printed, most significant byte first. Leaves the radio on. Raises LinkError(text)."""
        if not self._mac:
            radio = _radio()
            self._mac = b""  # asked for
            low_first = _switch(radio, True).address_bytes
            self._mac = bytes([low_first[i] for i in range(5, -1, -1)])
        return self._mac

    def i2c(self, args):
        """args: (bus, sda, scl, freq_hz, ...); the runtime picks the bus itself. Raises SensorError without
        pull-ups on the wires: a sensor without power pulls them low."""
        wires = (args[1], args[2])
        if wires not in self._wired:
            try:
                bus = busio.I2C(_pin(args[2]), _pin(args[1]), frequency=args[3])
            except (OSError, RuntimeError, ValueError) as e:
                raise SensorError("i2c", str(e))
            self._wired[wires] = _Bus(bus)
        return self._wired[wires]

    def adc(self, pin):
        """Raises SensorError for a pin in use, or one without a converter."""
        if pin not in self._wired:
            self._wired[pin] = _Adc(pin)
        return self._wired[pin]

    def advertise(self, payload, interval_ms, events):
        """Broadcast payload (AD structures, <= 31 bytes) about `events` times. Raises LinkError(text)."""
        from _bleio import BluetoothError

        radio = _radio()
        try:
            _switch(radio, True)
            radio.start_advertising(payload, connectable=False, interval=interval_ms / 1000)
            time.sleep(interval_ms * events / 1000)
            radio.stop_advertising()
        except (BluetoothError, OSError, RuntimeError, ValueError) as e:
            raise LinkError(str(e))
        finally:
            _switch(radio, False)  # the radio's stack keeps the processor from its lowest current


def _own_the_drive():
    """Make the drive writable to the node, but leave it to a computer that is attached: before one has
    mounted it, remount() would succeed and make it read-only to that computer."""
    try:
        import supervisor
        from storage import remount

        if not supervisor.runtime.usb_connected:
            remount("/", readonly=False)
    except (ImportError, RuntimeError):  # RuntimeError: a computer has the drive
        pass


def _switch(radio, on):
    """Return the address, if on. Raises LinkError when it does not come on: Espressif's RuntimeError("Update
    failed"), nRF's BluetoothError. When it does not go off, the frame is sent all the same: sleep."""
    from _bleio import BluetoothError

    try:
        radio.enabled = on
        return radio.address if on else None
    except (BluetoothError, OSError, RuntimeError) as e:
        if on:
            raise LinkError(str(e))


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
    on_nrf = getattr(_pins, "P%d_%02d" % (number >> 5, number & 31), None)
    found = getattr(_pins, "GPIO" + str(number), on_nrf)
    if found is None:
        raise ConfigError("pin " + str(number))
    return found
