# SPDX-License-Identifier: MIT
"""ESP32 family under MicroPython >= 1.24. Facts: its ports/esp32 (modmachine.c, machine_rtc.c, modesp32.c).

The clock runs on in deep sleep but starts at 2000-01-01 after power-on. `torpor deploy` over serial sets it,
to UTC (`mpremote rtc --set` would send local time); never set, only the hour of day is wrong.
Not run on a chip by this project's tests: they use stand-ins for `machine`, `esp32` and `bluetooth`.
"""

import time

import esp32
import machine
from machine import ADC, I2C, RTC, Pin

from ..errors import ConfigError, LinkError, SensorError
from . import COLD, PIN, RESET, TIMER

_RETAINED_BYTES = 2048  # MICROPY_HW_RTC_USER_MEM_MAX as shipped
_LONGEST_MS = 0x3FFFFFFF  # 12 days: a small integer, and within the C int that deepsleep() takes


class _Retained:
    """RTC slow memory through RTC.memory(), which is in every release; machine.mem_backup(), new in 1.29, is
    the same storage without its length field, so the two must not be mixed. RTC.memory() only writes from the
    start, hence the mirror. Survives deep sleep, watchdog and crash, not the EN button: callers validate."""

    size = _RETAINED_BYTES

    def __init__(self):
        self._rtc = RTC()
        self._mirror = bytearray(_RETAINED_BYTES)
        kept = self._rtc.memory()
        self._mirror[: len(kept)] = kept

    def read_into(self, buf):
        buf[:] = memoryview(self._mirror)[: len(buf)]

    def write(self, off, buf):
        self._mirror[off : off + len(buf)] = buf
        self._rtc.memory(self._mirror)


class _Adc:
    def __init__(self, pin):
        try:
            self._adc = ADC(Pin(pin), atten=ADC.ATTN_11DB)  # the widest range, to about 3.1 V
        except (OSError, ValueError) as e:
            raise SensorError("adc", e.args[0])

    def read_mv(self):
        return self._adc.read_uv() // 1000  # read_uv() applies the factory's calibration


class Hal:
    """`deep` False: light sleep, which returns and keeps RAM (cheaper below some minutes: no boot).

    `battery`: (pin, numerator, denominator) of the divider, where one is wired.
    """

    def __init__(self):
        self.deep = True
        self.battery = ()
        self.flash_dir = ""  # the root: names are joined with a slash
        self.retained = _Retained() if hasattr(RTC, "memory") else None
        self._epoch_s = 946684800 if time.gmtime(0)[0] == 2000 else 0  # seconds from 1970 to 2000
        self._slept = False
        self._ble = None
        self._mac = b""

    def now_s(self):
        """Unix seconds: above 2^30 since 2004, so a heap object on this chip; one a wake."""
        return time.time() + self._epoch_s

    def ticks_ms(self):
        return time.ticks_ms()

    def wake_reason(self):
        cause = machine.reset_cause()
        if self._slept or cause == machine.DEEPSLEEP_RESET:
            # Pins report as EXT0, EXT1 or, with no name in `machine`, GPIO: whatever is not the timer.
            return TIMER if machine.wake_reason() == machine.TIMER_WAKE else PIN
        return COLD if cause == machine.PWRON_RESET else RESET

    def sleep(self, seconds, pins=()):
        """Sleep that long or until a pin wakes. Longer than 12 days: wakes then, which is just another wake.

        Raises ConfigError for pins this chip can't wait for at once.
        """
        _wait_for(pins)
        self._silence()
        ms = _LONGEST_MS if seconds > _LONGEST_MS // 1000 else seconds * 1000
        if self.deep:
            machine.deepsleep(ms)
        self._slept = True
        machine.lightsleep(ms)

    def battery_mv(self):
        if not self.battery:
            return 0
        pin, numerator, denominator = self.battery
        return _Adc(pin).read_mv() * numerator // denominator

    @property
    def mac(self):
        """As printed, most significant byte first. Switches the radio on: asked for just before a frame."""
        if not self._mac:
            try:
                self._mac = bytes(self._radio().config("mac")[1])
            except ImportError:  # ESP32-S2 has no Bluetooth
                self._mac = machine.unique_id()
            except OSError as e:
                raise LinkError(e.args[0])
        return self._mac

    def i2c(self, args):
        """args: (bus, sda, scl, freq_hz, ...). Raises SensorError for a bus or pins it has not."""
        try:
            return I2C(args[0], scl=Pin(args[2]), sda=Pin(args[1]), freq=args[3])
        except (OSError, ValueError) as e:
            raise SensorError("i2c", e.args[0])

    def adc(self, pin):
        """Raises SensorError for a pin without a converter."""
        return _Adc(pin)

    def advertise(self, payload, interval_ms, events):
        """Broadcast payload (AD structures, <= 31 bytes) about `events` times. Raises LinkError(errno)."""
        try:
            ble = self._radio()
            ble.gap_advertise(interval_ms * 1000, payload, connectable=False)
            time.sleep_ms(interval_ms * events)
            ble.gap_advertise(None)
        except ImportError:
            raise LinkError("bluetooth")
        except OSError as e:
            raise LinkError(e.args[0])
        finally:
            self._silence()

    def _radio(self):
        if not self._ble:
            from bluetooth import BLE  # late: the radio's stack takes tens of kilobytes of RAM

            self._ble = BLE()
            self._ble.active(True)
        return self._ble

    def _silence(self):
        if self._ble:
            ble, self._ble = self._ble, None
            try:
                ble.active(False)  # left on it draws milliamperes through deep sleep (micropython#6396)
            except OSError:  # no reason to stay awake
                pass


def _wait_for(pins):
    """Arm wake-up pins. ESP32, S2, S3: ext1 wakes when any of its pins is high, ext0 has one pin of either
    level (ext1's low level means *all* low on the ESP32). C3: gpio, any number of pins of one level."""
    high = [Pin(p, Pin.IN) for p in pins if p >= 0]
    low = [Pin(~p, Pin.IN) for p in pins if p < 0]
    if not pins:
        return
    if hasattr(esp32, "wake_on_ext0"):
        if len(low) > 1:
            raise ConfigError("pins")
        if low:
            esp32.wake_on_ext0(low[0], False)
        if high:
            esp32.wake_on_ext1(high, True)
    elif high and low:
        raise ConfigError("pins")
    else:
        esp32.wake_on_gpio(high or low, bool(high))
