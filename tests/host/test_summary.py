# SPDX-License-Identifier: MIT
"""The report of a node that warns of heat, and the edges that the frost node's reports never touch."""

import struct
from pathlib import Path

import numpy as np
import pytest

from torpor_host import lifecycle
from torpor_host.collect.air import parse
from torpor_host.report.events import score
from torpor_host.simulate.world import World

H = 3600
HOT = """\
[node]
name = "greenhouse"
board = "esp32c3-devkitm-1"
runtime = "micropython"
wake_every = "1h"
utc_offset = "0h"

[sensor]
kind = "bme280"
channels = ["temperature"]
bus = "i2c0"
address = 0x76
virtual = "trace.csv"

[trigger]
any = [{ kind = "level", channel = "temperature", above = "25degC", hysteresis = "1K" }]

[decision]
name = "heat"
channel = "temperature"
on_above = "28degC"
off_below = "26degC"
event_above = "30degC"

[report]
link = "ble"
format = "bthome"
encrypt = false
heartbeat = "24h"
fields = ["temperature", "alarm"]

[energy]
battery = "2xAA-L91"
boot = "stock"
supply = "module"
"""


def test_a_node_that_warns_of_heat(tmp_path: Path) -> None:
    """On at 28 degC two hours ahead of the first event; at once above 30 in the second: late."""
    celsius = [20.0] * 30
    celsius[8:16] = [27, 28.5, 29, 31, 32, 30, 27, 25.5]  # alarm from 9 h to 15 h, event 11 h to 13 h
    celsius[23:26] = [31, 25, 20]  # alarm from 23 h to 24 h, event in the same wake
    node = tmp_path / "greenhouse"
    node.mkdir()
    (node / "node.toml").write_text(HOT, encoding="utf-8")
    rows = [f"{1_750_032_000 + i * H},{c}" for i, c in enumerate(celsius)]
    (node / "trace.csv").write_text("time,temperature_c\n" + "\n".join(rows) + "\n", encoding="utf-8")
    summary = lifecycle.run_virtual(node, 30 * H, out=tmp_path / "out", say=lambda line: None, quiet=True)
    events = summary["events"]
    assert (events["events"], events["caught"], events["late"], events["missed"]) == (2, 1, 1, 0)
    assert (events["alarms"], events["false_alarms"]) == (2, 0)
    assert events["mean_lead_h"] == 2.0
    assert events["alarm_h"] == 7.0
    assert summary["uplinks"]["alarms"] == 4  # on and off, twice
    assert summary["counters"]["faults"] == 0


@pytest.mark.parametrize(
    ("on", "off", "outcome"),
    [(2, 5, "caught"), (2, 4, "missed"), (4, 9, "caught"), (5, 9, "late"), (2, 9, "caught")],
)
def test_an_alarm_that_ends_as_the_frost_begins_was_still_on(on: int, off: int, outcome: str) -> None:
    values = np.array([5.0] * 5 + [-1.0] * 3 + [5.0] * 3)
    assert score(np.arange(11) * H, values, [(on * H, off * H)]).outcomes == [outcome]


@pytest.mark.parametrize(("ms", "frames"), [(0, 1), (999, 1), (1000, 0), (-1, 0), (32767, 0)])
def test_a_record_whose_millisecond_can_not_be_is_none(ms: int, frames: int) -> None:
    payload = bytes.fromhex("0201060616d2fc440001")
    record = struct.pack("<BBIhb6s", 0xA5, len(payload), 1_700_000_000, ms, -60, b"\xc2\0\0\0\0\1") + payload
    batch = parse(record, 10)
    assert len(batch.frames) == frames
    assert batch.skipped_bytes == (0 if frames else len(record))


@pytest.mark.parametrize(("seconds", "rows"), [(1, 1), (H - 1, 1), (H, 1), (H + 1, 2), (3 * H, 3)])
def test_a_world_covers_the_time_that_was_asked_for(seconds: int, rows: int) -> None:
    world = World("w", ("temperature",), 0, H, np.zeros((3, 1), dtype=np.int16))
    assert len(world.first(seconds).samples) == rows
