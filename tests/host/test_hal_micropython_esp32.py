# SPDX-License-Identifier: MIT
"""The ESP32 HAL on stand-ins for machine, esp32 and bluetooth."""

from array import array
from collections.abc import Iterator
from typing import Any

import pytest

from fakes import WAKE_CAUSES, DeepSleep, Esp32, Registers, remove
from torpor.errors import ConfigError, LinkError, SensorError
from torpor.hal import COLD, PIN, RESET, TIMER, load
from torpor.sense import adc, bme280

C3 = ("gpio", "bluetooth", "memory")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    remove()


def asleep(hal: Any, seconds: int, pins: tuple[int, ...] = ()) -> None:
    with pytest.raises(DeepSleep):
        hal.sleep(seconds, pins)


def test_load_by_name() -> None:
    Esp32().boot()
    assert type(load("micropython_esp32")).__module__ == "torpor.hal.micropython_esp32"
    with pytest.raises(ImportError):
        load("no_such_chip")


def test_wake_reasons() -> None:
    chip = Esp32()
    assert chip.boot().wake_reason() == COLD
    for by, reason in (("timer", TIMER), ("ext0", PIN), ("ext1", PIN), ("gpio", PIN)):
        assert chip.wake(by).wake_reason() == reason
    for cause in (chip.HARD, chip.WATCHDOG, chip.SOFT, 0):
        assert chip.reset(cause).wake_reason() == RESET
    assert chip.reset(chip.POWER).wake_reason() == COLD


def test_deep_sleep_does_not_return() -> None:
    chip = Esp32()
    asleep(chip.boot(), 1800)
    assert chip.sleeps == [("deep", 1800000, {})]


def test_longer_than_the_timer_takes() -> None:
    chip = Esp32()
    asleep(chip.boot(), 40 * 86400)
    kind, ms, _ = chip.sleeps[0]
    assert kind == "deep"
    assert ms == (1 << 30) - 1  # the largest small integer: 12.4 days, then it is just another wake


def test_light_sleep_returns() -> None:
    chip = Esp32()
    hal = chip.boot()
    hal.deep = False
    chip.reason = WAKE_CAUSES["timer"]
    hal.sleep(30)
    assert chip.sleeps == [("light", 30000, {})]
    assert hal.wake_reason() == TIMER  # although this boot came from power-on
    chip.reason = WAKE_CAUSES["gpio"]
    assert hal.wake_reason() == PIN


@pytest.mark.parametrize(
    ("pins", "armed"),
    [
        ((4,), {"ext1": ([4], True)}),
        ((~4,), {"ext0": ([4], False)}),
        ((4, 14, ~0), {"ext1": ([4, 14], True), "ext0": ([0], False)}),
    ],
)
def test_wake_pins_of_an_esp32(pins: tuple[int, ...], armed: dict[str, Any]) -> None:
    chip = Esp32()
    asleep(chip.boot(), 60, pins)
    assert chip.sleeps == [("deep", 60000, armed)]


@pytest.mark.parametrize(
    ("pins", "armed"), [((4, 5), {"gpio": ([4, 5], True)}), ((~4, ~5), {"gpio": ([4, 5], False)})]
)
def test_wake_pins_of_a_c3(pins: tuple[int, ...], armed: dict[str, Any]) -> None:
    chip = Esp32(C3)
    asleep(chip.boot(), 60, pins)
    assert chip.sleeps == [("deep", 60000, armed)]


@pytest.mark.parametrize(("features", "pins"), [(None, (~4, ~5)), (C3, (4, ~5))])
def test_pins_it_can_not_wait_for(features: tuple[str, ...] | None, pins: tuple[int, ...]) -> None:
    chip = Esp32(features) if features else Esp32()
    with pytest.raises(ConfigError):
        chip.boot().sleep(60, pins)
    assert chip.sleeps == []


def test_retained_memory() -> None:
    chip = Esp32()
    hal = chip.boot()
    assert hal.retained.size == 2048
    whole = bytearray(b"\xee" * 2048)
    hal.retained.read_into(whole)
    assert whole == bytes(2048)
    hal.retained.write(0, b"abc")
    hal.retained.write(2000, bytes(range(48)))
    hal.retained.write(1, memoryview(bytearray(b"X")))
    want = b"aXc" + bytes(1997) + bytes(range(48))
    for again in (chip.wake("timer"), chip.reset(chip.WATCHDOG), chip.reset(chip.SOFT)):
        again.retained.read_into(whole)
        assert whole == want
        start = bytearray(4)
        again.retained.read_into(memoryview(start))
        assert start == want[:4]
    chip.reset(chip.POWER).retained.read_into(whole)
    assert whole == bytes(2048)


def test_memory_that_another_program_left() -> None:
    chip = Esp32()
    chip.memory = b"\x01garbage"  # shorter than the region: the rest reads as zeros
    whole = bytearray(2048)
    chip.wake("timer").retained.read_into(whole)
    assert whole == b"\x01garbage" + bytes(2040)


def test_firmware_without_memory() -> None:
    assert Esp32(("ext0", "ext1", "gpio")).boot().retained is None


def test_clock() -> None:
    chip = Esp32()
    hal = chip.boot()
    chip.unix_s = 1795392000  # 2026-11-23
    assert hal.now_s() == 1795392000
    assert hal.ticks_ms() == 1234


def test_battery() -> None:
    chip = Esp32()
    hal = chip.boot()
    assert hal.battery_mv() == 0
    chip.millivolts[35] = 1850
    hal.battery = (35, 2, 1)
    assert hal.battery_mv() == 3700


def test_sensors() -> None:
    chip = Esp32()
    hal = chip.boot()
    chip.millivolts[34] = 2900  # above what the converter's default range reaches
    row = array("h", [0])
    adc.create((34, 4, 1, 1), hal).read_into(row)
    assert list(row) == [2900]
    with pytest.raises(SensorError, match="no answer"):
        bme280.create((0, 21, 22, 400000, 0x76, 1), hal)
    chip.sensors.append(Registers(0x76))
    with pytest.raises(SensorError) as wrong:
        bme280.create((0, 21, 22, 400000, 0x76, 1), hal)
    assert wrong.value.args == ("bme280", 0)
    assert hal.i2c((1, 21, 22, 400000)).wired == (1, 22, 21, 400000)


def test_advertising() -> None:
    chip = Esp32()
    hal = chip.boot()
    hal.advertise(b"\x02\x01\x06", 100, 8)
    sent = {"interval_us": 100000, "data": b"\x02\x01\x06", "connectable": False}
    assert chip.on_air == [sent, {"stop": True}]
    assert chip.slept_ms == [800]
    assert not chip.radio_on
    asleep(hal, 60)


def test_mac_leaves_the_radio_to_sleep() -> None:
    chip = Esp32()
    hal = chip.boot()
    assert hal.mac == hal.mac == b"\x24\x6f\x28\xaa\xbb\xce"
    assert chip.radio_on
    asleep(hal, 60)  # the stand-in refuses to sleep with the radio on
    assert not chip.radio_on


def test_without_bluetooth() -> None:
    hal = Esp32(("ext0", "ext1", "gpio", "memory")).boot()  # ESP32-S2
    assert hal.mac == b"\x24\x6f\x28\xaa\xbb\xcc"
    with pytest.raises(LinkError):
        hal.advertise(b"", 100, 8)


def test_radio_that_fails() -> None:
    chip = Esp32()
    hal = chip.boot()
    with pytest.raises(LinkError) as refused:
        hal.advertise(bytes(32), 100, 8)
    assert refused.value.args == (22,)
    assert not chip.radio_on
    chip.radio_broken = True
    with pytest.raises(LinkError) as broken:
        hal.advertise(b"", 100, 8)
    assert broken.value.args == (12,)
    with pytest.raises(LinkError):
        _ = hal.mac
    asleep(hal, 60)


def test_radio_that_can_not_be_switched_off() -> None:
    chip = Esp32()
    hal = chip.boot()
    assert hal.mac
    chip.radio_stuck = True
    with pytest.raises(AssertionError, match="radio was left on"):  # it got as far as machine.deepsleep()
        hal.sleep(60)


def test_bus_and_converter_it_has_not() -> None:
    hal = Esp32().boot()
    with pytest.raises(SensorError):
        hal.i2c((2, 21, 22, 400000))
    with pytest.raises(SensorError):
        hal.adc(21)
