# SPDX-License-Identifier: MIT
"""A chip under CircuitPython that is not there; see fakes.py."""

from types import ModuleType, SimpleNamespace
from typing import Any

from fakes import DeepSleep, _Chip


class SleepMemory:
    """alarm.sleep_memory: indexing and slices of equal length, nothing else."""

    def __init__(self, size: int) -> None:
        self._cells = bytearray(size)

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, index: int | slice) -> int | bytearray:
        return self._cells[index]

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice) and len(self._cells[index]) != len(value):
            raise ValueError("Slice and value different lengths.")
        self._cells[index] = value


class TimeAlarm:
    def __init__(self, *, monotonic_time: float | None = None, epoch_time: int | None = None) -> None:
        if (monotonic_time is None) == (epoch_time is None):
            raise ValueError("Supply one of monotonic_time or epoch_time")
        self.monotonic_time = monotonic_time


class PinAlarm:
    def __init__(self, pin: Any, value: bool, edge: bool = False, pull: bool = False) -> None:
        self.pin, self.value, self.edge, self.pull = pin, value, edge, pull


class CircuitPython(_Chip):
    """An nRF52840 (pins P0_00 to P1_15, 256 bytes of sleep memory) or, with espressif, an ESP32-S3."""

    HAL = "circuitpython"
    POWER_ON, BROWNOUT, SOFTWARE, DEEP_SLEEP_ALARM, RESET_PIN, WATCHDOG = (object() for _ in range(6))

    def __init__(self, espressif: bool = False, usb: bool = False, memory_bytes: int = 256) -> None:
        super().__init__()
        self.espressif = espressif
        self.usb = usb  # a computer is attached
        self.mounted = usb  # and has the drive: some time later
        self.memory = SleepMemory(memory_bytes)
        self.wake_alarm: Any = None
        self.reset_reason = self.POWER_ON
        self.remounts: list[tuple[str, bool]] = []
        self.pull_ups = True
        self.i2c_error: Exception | None = None
        self.slept: list[tuple[str, list[Any]]] = []
        self.in_use: set[Any] = set()
        self.bluetooth = True
        self.radio_on = False
        self.monotonic_s = 12.5  # nRF: goes on across resets
        self.real_s = 0.0  # that went by, whatever the chip's clock says
        self.awake_s = 0.0  # of it, since this boot
        names = (
            [f"GPIO{n}" for n in range(49)] if espressif else [f"P{n >> 5}_{n & 31:02d}" for n in range(48)]
        )
        self.pins = SimpleNamespace(**{name: name for name in names})

    def wake(self, by: str) -> Any:
        """Boot after deep sleep; the first with a computer attached was only played, so no reset shows."""
        self.wake_alarm = TimeAlarm(monotonic_time=0.0) if by == "timer" else PinAlarm("P0_11", True)
        if self.usb:
            self.usb = self.mounted = False
        else:
            self.reset_reason = self.DEEP_SLEEP_ALARM
        return self.boot()

    def stay_awake(self, seconds: float) -> None:
        for clock in ("unix_s", "monotonic_s", "real_s", "awake_s"):
            setattr(self, clock, getattr(self, clock) + seconds)

    def sleep_through(self, by: str = "timer", seconds: float | None = None) -> Any:
        """Let the deep sleep last as its alarm says, or so long till a pin or a reset ends it; boot takes a
        second. An nRF's clocks lose the time awake (tick_uninit clears the counter) and count the sleep at
        32 Hz, booked as 1/1024 s (tick_set_prescaler, reset_cpu); an ESP32's know the time."""
        if seconds is None:
            seconds = self.slept[-1][1][0].monotonic_time - self.monotonic_s
        self.real_s += seconds
        booked = seconds if self.espressif else seconds / 1024 - self.awake_s
        self.unix_s += booked
        self.monotonic_s = 0.0 if self.espressif else self.monotonic_s + booked
        self.awake_s = 0.0
        self.stay_awake(1.0)
        return self.reset(self.RESET_PIN) if by == "reset" else self.wake(by)

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self.stay_awake(seconds)

    def reset(self, reason: Any) -> Any:
        """Boot after power-on or brown-out (sleep memory cleared) or another reset (kept)."""
        if reason in (self.POWER_ON, self.BROWNOUT):
            self.memory = SleepMemory(len(self.memory))
            self.unix_s = 946684800.0
        self.reset_reason, self.wake_alarm = reason, None
        return self.boot()

    def time(self) -> SimpleNamespace:
        return SimpleNamespace(
            time=lambda: int(self.unix_s),
            monotonic=lambda: self.monotonic_s,
            monotonic_ns=lambda: int(self.monotonic_s * 1e9),
            sleep=self.wait,
        )

    def modules(self) -> dict[str, ModuleType]:
        self.in_use = set()
        self.radio_on = False
        names = ("alarm", "microcontroller", "busio", "analogio", "storage", "supervisor", "_bleio")
        made: dict[str, Any] = {name: ModuleType(name) for name in names}
        a = made["alarm"]
        a.sleep_memory, a.wake_alarm = self.memory, self.wake_alarm
        a.time, a.pin = SimpleNamespace(TimeAlarm=TimeAlarm), SimpleNamespace(PinAlarm=PinAlarm)
        a.exit_and_deep_sleep_until_alarms = self._deep
        a.light_sleep_until_alarms = lambda *alarms: self.slept.append(("light", list(alarms)))
        m = made["microcontroller"]
        m.pin = self.pins
        m.cpu = SimpleNamespace(reset_reason=self.reset_reason)
        m.ResetReason = SimpleNamespace(POWER_ON=self.POWER_ON, BROWNOUT=self.BROWNOUT)
        made["busio"].I2C = self._bus()
        made["analogio"].AnalogIn = self._analog()
        made["storage"].remount = self._remount
        made["supervisor"].runtime = SimpleNamespace(usb_connected=self.usb)
        made["_bleio"].BluetoothError = BluetoothError
        made["_bleio"].adapter = Adapter(self) if self.bluetooth else None
        return made

    def claim(self, pin: str) -> None:
        if pin in self.in_use:
            raise ValueError(f"{pin} in use")
        self.in_use.add(pin)

    def _deep(self, *alarms: Any) -> None:
        self.slept.append(("deep", list(alarms)))
        raise DeepSleep

    def _remount(self, path: str, readonly: bool = False) -> None:
        if self.mounted:
            raise RuntimeError("Cannot remount path when visible via USB.")
        self.remounts.append((path, readonly))

    def _bus(self) -> type:
        chip = self

        class I2C:
            def __init__(self, scl: str, sda: str, *, frequency: int = 100000) -> None:
                if not chip.pull_ups:
                    raise RuntimeError("No pull up found on SDA or SCL; check your wiring")
                if chip.i2c_error:
                    raise chip.i2c_error
                chip.claim(scl)
                chip.claim(sda)
                self.wired, self.locked = (scl, sda, frequency), False

            def try_lock(self) -> bool:
                self.locked, was = True, self.locked
                return not was

            def writeto(self, address: int, buffer: bytes, *, start: int = 0, end: int = 1 << 30) -> None:
                if not self.locked:
                    raise RuntimeError("Function requires lock")
                data = bytes(buffer)[start:end]
                chip.find(address).put(data[0], data[1:])

            def writeto_then_readfrom(self, address: int, out: bytes, buffer: bytearray) -> None:
                if not self.locked:
                    raise RuntimeError("Function requires lock")
                buffer[:] = chip.find(address).cells[out[0] : out[0] + len(buffer)]

        return I2C

    def _analog(self) -> type:
        chip = self

        class AnalogIn:
            reference_voltage = 3.3

            def __init__(self, pin: str) -> None:
                chip.claim(pin)
                number = int(pin[4:]) if chip.espressif else int(pin[1]) * 32 + int(pin[3:])
                self.value = round(chip.millivolts[number] * 65535 / 3300)

        return AnalogIn


class BluetoothError(Exception):
    pass


class Adapter:
    """_bleio.adapter: nothing works while it is not enabled."""

    def __init__(self, chip: CircuitPython) -> None:
        self.chip = chip
        self.advertising = False

    @property
    def enabled(self) -> bool:
        return self.chip.radio_on

    @enabled.setter
    def enabled(self, on: bool) -> None:
        if self.chip.radio_broken if on else self.chip.radio_stuck:
            self.chip.radio_on = True  # half way
            raise RuntimeError("Update failed") if self.chip.espressif else BluetoothError("NRF_ERROR_NO_MEM")
        self.chip.radio_on = on

    @property
    def address(self) -> SimpleNamespace:
        if not self.chip.radio_on:
            raise BluetoothError("Adapter not enabled")
        return SimpleNamespace(address_bytes=b"\x06\x05\x04\x03\x02\xc1")  # least significant first

    def start_advertising(self, data: Any, *, connectable: bool = True, interval: float = 0.1) -> None:
        if not self.chip.radio_on:
            raise BluetoothError("Adapter not enabled")
        if self.advertising or not 0.02 <= interval <= 10.24:
            raise BluetoothError("Already advertising.")
        self.advertising = True
        self.chip.on_air.append({"interval": interval, "data": bytes(data), "connectable": connectable})

    def stop_advertising(self) -> None:
        self.advertising = False
        self.chip.on_air.append({"stop": True})
