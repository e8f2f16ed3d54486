# SPDX-License-Identifier: MIT
"""A real node on the real HALs, on chips that are not there: it keeps time, and sleeps on whatever breaks."""

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
