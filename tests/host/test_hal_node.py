# SPDX-License-Identifier: MIT
"""A real node on the real HALs, on chips that are not there: it keeps time, and sleeps on whatever breaks.
Last, the clock by itself that CircuitPython's HAL keeps for an nRF."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_circuitpython import CircuitPython
from fakes import DeepSleep, Esp32, remove
from torpor.node import ENERGY, FIELDS, NODE, REPORT, SOURCE, Node


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    remove()


def build_node(hal: Any, folder: Path, sensor: tuple[int, ...] = ()) -> Any:
    """An hourly node with a daily frame, of a BME280 with these arguments or else of analog pin 4."""
    records = {
        NODE: [("", (3600, 0, 4, 1, 24, 1))],
        SOURCE: [("bme280", sensor) if sensor else ("adc", (4, 1, 1, 1))],
        REPORT: [("ble", (86400, 0))],
        FIELDS: [("", (0x02, 0, 0, 1, 1))],
        ENERGY: [("", (1000, 200, 10, 50, 300, 40000, 2000, 30, 500))],
    }
    hal.flash_dir = str(folder)
    return Node(records, 0x1234, hal, str(folder) + "/")


def wake_node(chip: Any, hal: Any, folder: Path, sensor: tuple[int, ...] = ()) -> Any:
    """One wake of that node, down to the sleep; return the chip."""
    chip.millivolts[4] = 1500
    node = build_node(hal, folder, sensor)
    try:
        hal.sleep(node.step())
    except DeepSleep:
        return chip
    raise AssertionError("the node stayed awake")


@pytest.mark.parametrize("espressif", [False, True])
def test_heartbeats(espressif: bool, tmp_path: Path) -> None:
    """Twelve days of a node that wakes every hour: a frame a day, by the clock on the wall."""
    chip = CircuitPython(espressif)
    hal = chip.boot()
    hours = []
    while chip.real_s < 12 * 86400 - 1800:
        before = chip.real_s
        if wake_node(chip, hal, tmp_path).on_air:
            hours.append(before / 3600)
        chip.on_air.clear()
        hal = chip.sleep_through()
    assert len(hours) == 12
    assert all(abs(hour - 24 * day) < 1.1 for day, hour in enumerate(hours))


@pytest.mark.parametrize("espressif", [False, True])
@pytest.mark.parametrize("broken", ["radio", "radio_stuck", "pull_ups", "ValueError", "OSError", "absent"])
def test_circuitpython_sleeps_on_whatever_breaks(espressif: bool, broken: str, tmp_path: Path) -> None:
    chip = CircuitPython(espressif)
    chip.radio_broken, chip.radio_stuck = broken == "radio", broken == "radio_stuck"
    chip.pull_ups = broken != "pull_ups"
    chip.i2c_error = {"ValueError": ValueError("in use"), "OSError": OSError(5)}.get(broken)
    sensor = () if broken.startswith("radio") else (0, 26, 27, 100000, 0x76, 1)
    hal = chip.boot()
    for _ in range(5):
        wake_node(chip, hal, tmp_path, sensor)
        hal = chip.sleep_through()
    assert len(chip.slept) == 5
    node = build_node(hal, tmp_path, sensor)
    assert node.wakes == 5
    assert node.sensor_failures == (5 if sensor else 0)
    assert (node.faults > 0) == (broken == "radio")
    assert node.schedule.uplinks == (broken != "radio")  # one that can't be switched off has sent


@pytest.mark.parametrize("broken", ["radio", "bus", "absent"])
def test_micropython_sleeps_on_whatever_breaks(broken: str, tmp_path: Path) -> None:
    chip = Esp32()
    chip.radio_broken = broken == "radio"
    chip.i2c_error = 259 if broken == "bus" else 0
    sensor = () if chip.radio_broken else (0, 21, 22, 400000, 0x76, 1)
    hal = chip.boot()
    for _ in range(5):
        wake_node(chip, hal, tmp_path, sensor)
        chip.unix_s += 3600
        hal = chip.wake("timer")
    assert len(chip.sleeps) == 5
    node = build_node(hal, tmp_path, sensor)
    assert node.wakes == 5
    assert node.sensor_failures == (5 if sensor else 0)
    assert (node.faults > 0) == chip.radio_broken


def asleep(hal: Any, seconds: int) -> None:
    with pytest.raises(DeepSleep):
        hal.sleep(seconds)


@pytest.mark.parametrize("espressif", [False, True])
@pytest.mark.parametrize("start_s", [946684800, 1795392000])  # never set, and 2026-11-23
def test_clock_in_deep_sleep(espressif: bool, start_s: int) -> None:
    chip = CircuitPython(espressif)
    hal = chip.boot()
    chip.unix_s = start_s  # `torpor deploy` sets it while the node runs
    for _ in range(100):
        chip.stay_awake(3)
        asleep(hal, 3600 - hal.now_s() % 3600)
        hal = chip.sleep_through()
        assert abs(hal.now_s() - start_s - chip.real_s) <= 2
    if not espressif:
        assert chip.unix_s < start_s + 3600  # what the port itself believes, after four days


def test_clock_of_nrf_when_a_sleep_ends_early() -> None:
    chip = CircuitPython()
    hal = chip.boot()
    for by in ("pin", "reset", "pin"):
        before = hal.now_s()
        asleep(hal, 7200)
        real = chip.real_s
        hal = chip.sleep_through(by, 100)
        after = hal.now_s()
        assert before <= after <= before + chip.real_s - real  # not the 7200 s that were planned
    chip.stay_awake(50)
    assert hal.now_s() == after + 50
    assert chip.reset(chip.WATCHDOG).now_s() == after + 50  # crashed while awake
    asleep(hal, 90 * 86400)  # more minutes than 16 bits hold
    later = chip.sleep_through("pin", 5).now_s()
    assert after <= later <= after + 90 * 86400 + 60
    assert chip.reset(chip.POWER_ON).now_s() == 946684800


def test_clock_with_what_another_program_left() -> None:
    chip = CircuitPython()
    chip.memory[248:256] = b"\xff" * 8
    assert chip.wake("timer").now_s() == 946684800
