# SPDX-License-Identifier: MIT
"""Chips that are not there: what the runtimes' modules do as far as the HALs use them, and what survives when
such a chip sleeps or loses power. Here `machine`, `esp32`, `bluetooth`; fake_circuitpython.py has the others.

    chip = Esp32()
    hal = chip.boot()                # a fresh interpreter: modules, then torpor.hal.micropython_esp32.Hal()
    with pytest.raises(DeepSleep):
        hal.sleep(60)
    hal = chip.wake("timer")
    remove()                         # at the end of a test

Sources of the behaviour: micropython ports/esp32 (modmachine.c, machine_rtc.c, modesp32.c) and extmod
(modbluetooth.c), circuitpython shared-bindings (alarm, busio, _bleio, storage) and ports/nordic.
"""

import importlib
import sys
import time as host_time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

_HAL = "torpor.hal."
_NAMES = (
    "machine",
    "esp32",
    "bluetooth",
    "alarm",
    "microcontroller",
    "busio",
    "analogio",
    "storage",
    "supervisor",
    "_bleio",
)


def remove() -> None:
    """Take every stand-in, and the HALs that were imported on them, out of this interpreter."""
    for name in (*_NAMES, _HAL + "micropython_esp32", _HAL + "circuitpython"):
        sys.modules.pop(name, None)


class DeepSleep(BaseException):
    """The chip went to sleep: no line of the program runs after this, `except` included."""


class Registers:
    """A sensor as 256 registers behind one I2C address."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.cells = bytearray(256)

    def put(self, register: int, data: bytes) -> None:
        self.cells[register : register + len(data)] = data


WAKE_CAUSES = {"ext0": 2, "ext1": 3, "timer": 4, "gpio": 7}  # esp_sleep_wakeup_cause_t


class _Chip:
    """What both chips share: a clock, sensors on a bus, modules that live as long as one boot."""

    HAL = ""
    EPOCH_S = 0  # what time.time() counts from, in Unix seconds

    def __init__(self) -> None:
        self.unix_s: float = 946684800  # 2000-01-01: a clock that was never set
        self.sensors: list[Registers] = []
        self.millivolts: dict[int, int] = {}
        self.on_air: list[dict[str, Any]] = []
        self.slept_ms: list[int] = []  # waits of the program, not sleeps of the chip
        self.radio_broken = False  # can't be switched on
        self.radio_stuck = False  # ... off

    def modules(self) -> dict[str, ModuleType]:
        raise NotImplementedError

    def time(self) -> SimpleNamespace:
        raise NotImplementedError

    def boot(self) -> Any:
        """Start the interpreter anew and return its Hal(). What the last boot made is gone."""
        remove()
        sys.modules.update(self.modules())
        module = importlib.import_module(_HAL + self.HAL)
        module.time = self.time()  # type: ignore[attr-defined]
        return module.Hal()

    def wait(self, seconds: float) -> None:
        self.slept_ms.append(round(seconds * 1000))

    def find(self, address: int) -> Registers:
        for sensor in self.sensors:
            if sensor.address == address:
                return sensor
        raise OSError(19)  # ENODEV: nobody pulled the line low


class Esp32(_Chip):
    """The ESP32 family under MicroPython. features: which of esp32.wake_on_* the chip has, and more."""

    HAL = "micropython_esp32"
    POWER, HARD, WATCHDOG, DEEP, SOFT = 1, 2, 3, 4, 5  # machine.reset_cause()

    def __init__(self, features: tuple[str, ...] = ("ext0", "ext1", "gpio", "bluetooth", "memory")) -> None:
        super().__init__()
        self.features = features
        self.cause = self.POWER
        self.reason = 0
        self.memory = b""
        self.memory_max = 2048
        self.armed: dict[str, tuple[list[int], bool]] = {}
        self.radio_on = False
        self.i2c_error = 0  # what the driver's installation fails with
        self.sleeps: list[tuple[str, int | None, dict[str, tuple[list[int], bool]]]] = []

    def wake(self, by: str) -> Any:
        """Boot after deep sleep. RTC memory and the clock are as they were."""
        self.cause, self.reason = self.DEEP, WAKE_CAUSES[by]
        return self.boot()

    def reset(self, cause: int) -> Any:
        """Boot after power-on (memory and clock gone) or another reset (memory kept, wake reason 0)."""
        if cause == self.POWER:
            self.memory = b""
            self.unix_s = 946684800
        self.cause, self.reason = cause, 0
        return self.boot()

    def time(self) -> SimpleNamespace:
        return SimpleNamespace(
            time=lambda: self.unix_s - 946684800,  # this port counts from 2000
            gmtime=lambda s: host_time.gmtime(s + 946684800),
            ticks_ms=lambda: 1234,
            sleep_ms=lambda ms: self.wait(ms / 1000),
        )

    def modules(self) -> dict[str, ModuleType]:
        self.armed = {}  # a boot forgets what the last one armed
        self.radio_on = False
        made = {name: ModuleType(name) for name in ("machine", "esp32")}
        self._machine(made["machine"])
        self._esp32(made["esp32"])
        made["bluetooth"] = ModuleType("bluetooth")
        if "bluetooth" in self.features:
            made["bluetooth"].BLE = lambda: Ble(self)  # type: ignore[attr-defined]
        return made

    def _machine(self, m: Any) -> None:
        chip = self

        class Pin:
            IN = 1

            def __init__(self, number: int, mode: int = -1) -> None:
                if not 0 <= number < 49:
                    raise ValueError("invalid pin")
                self.number = number

        class RTC:
            pass

        def memory(_: Any, data: bytes | None = None) -> bytes | None:
            if data is None:
                return chip.memory
            if len(data) > chip.memory_max:
                raise ValueError("buffer too long")
            chip.memory = bytes(data)
            return None

        if "memory" in self.features:
            RTC.memory = memory  # type: ignore[attr-defined]

        class ADC:
            ATTN_11DB = 3

            def __init__(self, pin: Pin, *, atten: int = 0) -> None:
                if pin.number not in (*range(32, 40), 0, 2, 4, *range(12, 16), *range(25, 28)):
                    raise ValueError("invalid pin")
                self.pin, self.atten = pin, atten

            def read_uv(self) -> int:
                ceiling = 3100 if self.atten == self.ATTN_11DB else 950
                return min(chip.millivolts[self.pin.number], ceiling) * 1000 + 999

        class I2C:
            def __init__(self, bus: int, *, scl: Pin, sda: Pin, freq: int) -> None:
                if bus not in (0, 1):
                    raise ValueError(f"I2C({bus}) doesn't exist")
                if chip.i2c_error:
                    raise OSError(chip.i2c_error)
                self.wired = (bus, scl.number, sda.number, freq)

            def readfrom_mem_into(self, address: int, register: int, buf: bytearray) -> None:
                buf[:] = chip.find(address).cells[register : register + len(buf)]

            def writeto_mem(self, address: int, register: int, buf: bytes) -> None:
                chip.find(address).put(register, bytes(buf))

        def sleep(kind: str, ms: int | None) -> None:
            if ms is not None and not 0 <= ms < 1 << 31:
                raise OverflowError("overflow converting long int to machine word")
            chip.sleeps.append((kind, ms, dict(chip.armed)))
            if chip.radio_on:
                raise AssertionError("the radio was left on")

        def deepsleep(ms: int | None = None) -> None:
            sleep("deep", ms)
            raise DeepSleep

        m.Pin, m.RTC, m.ADC, m.I2C = Pin, RTC, ADC, I2C
        m.deepsleep, m.lightsleep = deepsleep, lambda ms=None: sleep("light", ms)
        m.reset_cause, m.wake_reason = lambda: chip.cause, lambda: chip.reason
        m.PWRON_RESET, m.HARD_RESET, m.WDT_RESET, m.DEEPSLEEP_RESET, m.SOFT_RESET = 1, 2, 3, 4, 5
        m.TIMER_WAKE = 4
        m.unique_id = lambda: b"\x24\x6f\x28\xaa\xbb\xcc"

    def _esp32(self, m: Any) -> None:
        def one(pin: Any, level: bool) -> None:
            self.armed["ext0"] = ([pin.number], level)

        def many(name: str) -> Callable[[list[Any], bool], None]:
            def arm(pins: list[Any], level: bool) -> None:
                self.armed[name] = ([p.number for p in pins], level)

            return arm

        if "ext0" in self.features:
            m.wake_on_ext0 = one
        if "ext1" in self.features:
            m.wake_on_ext1 = many("ext1")
        m.wake_on_gpio = many("gpio")  # there on every chip; in deep sleep only the C3 and its kin obey it


class Ble:
    """bluetooth.BLE: nothing works before active(True)."""

    def __init__(self, chip: Esp32) -> None:
        self.chip = chip

    def active(self, on: bool) -> None:
        if on and self.chip.radio_broken:
            raise OSError(12)
        if not on and self.chip.radio_stuck:
            raise OSError(5)
        self.chip.radio_on = on

    def config(self, name: str) -> tuple[int, bytes]:
        if not self.chip.radio_on:
            raise OSError(19)
        assert name == "mac"
        return 0, b"\x24\x6f\x28\xaa\xbb\xce"

    def gap_advertise(
        self, interval_us: int | None, data: Any = None, /, *, connectable: bool = True
    ) -> None:
        if not self.chip.radio_on:
            raise OSError(19)
        if interval_us is None:
            self.chip.on_air.append({"stop": True})
            return
        if len(data) > 31 or interval_us < 20000:
            raise OSError(22)
        self.chip.on_air.append({"interval_us": interval_us, "data": bytes(data), "connectable": connectable})
