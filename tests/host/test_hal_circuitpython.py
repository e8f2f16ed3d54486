# SPDX-License-Identifier: MIT
"""The CircuitPython HAL on stand-ins for alarm, microcontroller, busio, analogio, storage and _bleio."""

from array import array
from collections.abc import Iterator

import pytest

from fake_circuitpython import CircuitPython, PinAlarm, TimeAlarm
from fakes import DeepSleep, Registers, remove
from torpor.errors import ConfigError, LinkError, SensorError
from torpor.hal import COLD, PIN, RESET, TIMER
from torpor.sense import adc, bme280


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    remove()


def test_wake_reasons() -> None:
    chip = CircuitPython()
    assert chip.boot().wake_reason() == COLD
    assert chip.wake("timer").wake_reason() == TIMER
    assert chip.wake("pin").wake_reason() == PIN
    for reason in (chip.SOFTWARE, chip.RESET_PIN, chip.WATCHDOG):
        assert chip.reset(reason).wake_reason() == RESET
    assert chip.reset(chip.BROWNOUT).wake_reason() == COLD


def test_first_sleep_on_a_cable_is_only_played() -> None:
    chip = CircuitPython(usb=True)
    with pytest.raises(DeepSleep):
        chip.boot().sleep(60)
    hal = chip.wake("timer")
    assert chip.reset_reason is chip.POWER_ON  # no reset took place
    assert hal.wake_reason() == TIMER


def test_deep_sleep() -> None:
    chip = CircuitPython()
    hal = chip.boot()
    with pytest.raises(DeepSleep):
        hal.sleep(1800, (11, ~41))
    ((kind, alarms),) = chip.slept
    assert kind == "deep"
    timer, high, low = alarms
    assert isinstance(timer, TimeAlarm)
    assert timer.monotonic_time == 1812.5
    assert isinstance(high, PinAlarm)
    assert (high.pin, high.value) == ("P0_11", True)
    assert (low.pin, low.value) == ("P1_09", False)
    assert high.pull and low.pull


def test_light_sleep_returns() -> None:
    chip = CircuitPython()
    hal = chip.boot()
    hal.deep = False
    hal.sleep(5)
    assert chip.slept[0][0] == "light"


@pytest.mark.parametrize("size", [256, 4096])
def test_retained_memory(size: int) -> None:
    chip = CircuitPython(memory_bytes=size)
    hal = chip.boot()
    left = size - 8
    assert hal.retained.size == left
    hal.retained.write(0, b"abc")
    hal.retained.write(left - 2, memoryview(bytearray(b"yz")))
    hal.retained.write(1, b"X")
    want = b"aXc" + bytes(left - 5) + b"yz"
    whole = bytearray(left)
    hal.now_s()  # the clock beside it spoils nothing
    for again in (chip.wake("timer"), chip.reset(chip.WATCHDOG)):
        again.retained.read_into(whole)
        assert whole == want
        start = bytearray(4)
        again.retained.read_into(memoryview(start))
        assert start == want[:4]
    chip.reset(chip.POWER_ON).retained.read_into(whole)
    assert whole == bytes(left)


def test_chip_without_sleep_memory() -> None:
    assert CircuitPython(memory_bytes=0).boot().retained is None


def test_clock() -> None:
    chip = CircuitPython()
    hal = chip.boot()
    chip.unix_s = 1795392000
    assert hal.now_s() == 1795392000
    assert hal.ticks_ms() == 12500


def test_sensor_that_comes_back_while_ram_is_kept() -> None:
    chip = CircuitPython()
    hal = chip.boot()
    args = (0, 26, 27, 100000, 0x76, 1)
    with pytest.raises(SensorError):
        bme280.create(args, hal)
    with pytest.raises(SensorError, match="no answer"):  # not "in use": the bus is made once
        bme280.create(args, hal)
    with pytest.raises(SensorError, match="in use"):
        hal.adc(27)


def test_drive() -> None:
    chip = CircuitPython()
    chip.boot()
    assert chip.remounts == [("/", False)]
    chip = CircuitPython(usb=True)
    chip.boot()  # boots all the same; the store will meet a read-only drive
    assert chip.remounts == []
    chip = CircuitPython(usb=True)
    chip.mounted = False  # the node is faster than the computer, which would get a read-only drive
    chip.boot()
    assert chip.remounts == []


@pytest.mark.parametrize(("espressif", "pin"), [(False, 48), (True, 49)])
def test_pin_it_has_not(espressif: bool, pin: int) -> None:
    hal = CircuitPython(espressif).boot()
    with pytest.raises(ConfigError):
        hal.adc(pin)
    with pytest.raises(ConfigError):
        hal.sleep(5, (pin,))


@pytest.mark.parametrize("espressif", [False, True])
def test_analog(espressif: bool) -> None:
    chip = CircuitPython(espressif)
    hal = chip.boot()
    chip.millivolts = {4: 1234, 31: 2000}
    row = array("h", [0])
    adc.create((4, 3, 2, 1), hal).read_into(row)
    assert abs(row[0] - 2468) <= 2
    assert hal.battery_mv() == 0
    hal.battery = (31, 2, 1)
    for _ in range(2):  # a pin in use can't be claimed a second time
        assert abs(hal.battery_mv() - 4000) <= 2


def test_i2c_sensor() -> None:
    chip = CircuitPython()
    sensor = Registers(0x76)
    sensor.put(0xD0, b"\x60")
    # Bosch's worked example (see tests/device/test_bme280.py): 25.08 degC.
    sensor.put(0x88, bytes.fromhex("706b436718fc7d8e43d6d00b270b8c00f9ff8c3cf8c670170000"))
    sensor.put(0xF7, bytes.fromhex("655ac07eed000000"))
    chip.sensors.append(sensor)
    hal = chip.boot()
    source = bme280.create((0, 26, 27, 100000, 0x76, 5), hal)
    row = array("h", [0, 0])
    source.read_into(row)
    assert row[0] == 2508
    assert abs(row[1] - 10065) <= 1
    assert (sensor.cells[0xF2], sensor.cells[0xF4], sensor.cells[0xF5]) == (0, 0x25, 0)
    chip.sensors.clear()
    with pytest.raises(SensorError, match="no answer"):
        source.read_into(row)


def test_bus_without_pull_ups() -> None:
    chip = CircuitPython()
    chip.pull_ups = False
    with pytest.raises(SensorError, match="pull up"):
        chip.boot().i2c((0, 26, 27, 100000))


def test_bus_writes_more_than_a_byte() -> None:
    chip = CircuitPython()
    chip.sensors.append(Registers(0x40))
    bus = chip.boot().i2c((0, 26, 27, 400000))
    bus.writeto_mem(0x40, 0x10, b"abcd")
    bus.writeto_mem(0x40, 0x11, b"X")
    back = bytearray(5)
    bus.readfrom_mem_into(0x40, 0x10, back)
    assert back == b"aXcd\x00"


def test_mac_is_as_printed() -> None:
    chip = CircuitPython()
    hal = chip.boot()
    assert hal.mac == b"\xc1\x02\x03\x04\x05\x06"
    with pytest.raises(DeepSleep):
        hal.sleep(5)
    assert not chip.radio_on


def test_advertising() -> None:
    chip = CircuitPython()
    hal = chip.boot()
    hal.advertise(b"\x02\x01\x06", 100, 8)
    assert chip.on_air == [{"interval": 0.1, "data": b"\x02\x01\x06", "connectable": False}, {"stop": True}]
    assert chip.slept_ms == [800]
    assert not chip.radio_on


def test_radio_that_fails() -> None:
    chip = CircuitPython()
    hal = chip.boot()
    chip.radio_broken = True
    with pytest.raises(LinkError):
        hal.advertise(b"", 100, 8)
    assert not chip.radio_on
    chip.bluetooth = False
    with pytest.raises(LinkError):
        _ = chip.boot().mac
