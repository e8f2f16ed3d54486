# SPDX-License-Identifier: MIT
"""`torpor new NAME --board B`: a folder with a node.toml that passes `torpor check`, each line explained.

What it makes is a whole node, without a model: it samples, and raises an alarm on a threshold.
"""

import os
import re
import tempfile
from pathlib import Path

from . import boards, config
from .configuration.board import Board, pin_fault
from .configuration.schema import NAME
from .errors import TorporError, UsageError

_TEXT = """\
# {name} on {title}.
# Check it with `torpor check {name}`; quantities carry their unit.

[node]
name = "{name}"
board = "{board}"
runtime = {runtime:24}# this board runs: {runtimes}
wake_every = "10min"            # how often it samples
utc_offset = "0h"               # local time less UTC

[sensor]
{sensor}

[trigger]                       # cheap, asked on each wake: is it worth a closer look?
any = [
  {{ kind = "level", channel = "{channel}", {side} = "{near}", hysteresis = "{step}" }},
  # {{ kind = "change", channel = "{channel}", either = "{step}" }},   # since the last report
  # {{ kind = "zscore", channel = "{channel}", window = 24, above = 3.0 }},
]

# A model takes the place of decision.channel once there is one:
# [features]
# file = "features.toml"        # written by the training script
# [model]
# file = "model.tflite"         # int8
# output = {{ unit = "{unit}", plus = "{channel}" }}

[decision]
name = "{alarm}"
channel = "{channel}"
on_{side} = "{on}"
off_{back} = "{off}"
average = 1                     # of how many scores
hold_off = "30min"              # no two changes within

[report]
link = "{link}"
format = "bthome"
encrypt = true                  # the key stays in your computer's keys and on the board
heartbeat = "24h"               # also when nothing happens; "0s" for never
fields = {fields}

[energy]
battery = "{battery}"
# battery_pin = "..."           # an analog pin on a divider; then "battery" can join report.fields
# battery_divider = 2.0         # two equal resistors
boot = "stock"                  # {frozen}
supply = "board"                # "module" when you build with the bare module: no LED, no USB bridge
"""
_BME280 = """\
kind = "bme280"                 # I2C, on the board's {bus}: {pins}
channels = ["temperature", "humidity"]
bus = "{bus}"
address = 0x76
# virtual = "trace.csv"         # what `torpor run --on virtual` replays"""
_ADC = """\
kind = "adc"                    # this board's profile has no I2C bus
channels = ["voltage"]
pin = "{pin}"
samples = 8
# virtual = "trace.csv"         # what `torpor run --on virtual` replays"""


def create(name: str, board: str, folder: Path) -> Path:
    """Write folder/node.toml and return its path.

    Raises UsageError for a name that can't be one or a board that is not known, TorporError when the folder
    is there already (nothing is overwritten) or can't be made.
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f'"{name}" can\'t be the name of a node',
            'use lower-case letters, digits, "-" and "_", at most 31',
        )
    profile = boards.load(board)
    text = _text(name, board, profile)
    taken = TorporError(f"{folder} is there already", "choose another name, or edit the node.toml in it")
    try:
        if folder.exists() or folder.is_symlink():
            raise taken
        if not folder.parent.is_dir():
            folder.parent.mkdir(parents=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.parent))
        try:
            (scratch / config.FILE).write_text(text, encoding="utf-8")
            try:
                folder.mkdir()
            except FileExistsError:  # another process was faster
                raise taken from None
            os.replace(scratch / config.FILE, folder / config.FILE)
        finally:
            for left in scratch.iterdir():
                left.unlink()
            scratch.rmdir()
    except OSError as e:
        raise TorporError(f"{folder}: {e.strerror}", "choose a place that can be written") from None
    return folder / config.FILE


def _text(name: str, board: str, profile: Board) -> str:
    bus = next((n for n, b in profile.bus.items() if b.kind == "i2c"), None)
    if bus is not None:
        pins = ", ".join(f"{role} {pin}" for role, pin in profile.bus[bus].lines().items())
        quantity = {
            "sensor": _BME280.format(bus=bus, pins=pins),
            "channel": "temperature", "side": "below", "back": "above", "near": "4degC", "step": "1K",
            "unit": "K", "alarm": "frost", "on": "0degC", "off": "1degC",
            "fields": '["temperature", "humidity", "alarm"]',
        }  # fmt: skip
    else:
        pin = next(
            (n for n in profile.pins if not profile.pins[n].caution and not pin_fault(profile, n, ("adc",))),
            None,
        )
        if pin is None:
            raise TorporError(
                f"{board} has neither an I2C bus nor a converter", "describe one in its profile"
            )
        quantity = {
            "sensor": _ADC.format(pin=pin),
            "channel": "voltage", "side": "above", "back": "below", "near": "1.5V", "step": "100mV",
            "unit": "V", "alarm": "high", "on": "2.0V", "off": "1.8V",
            "fields": '["voltage", "alarm"]',
        }  # fmt: skip
    frozen = profile.runtime[profile.runtimes[0]].boot_frozen_uj is not None
    if "ble" not in profile.links:
        raise TorporError(
            f"{board} has no ble, the one link of this version",
            f"it has {', '.join(profile.links) or 'none'}",
        )
    return _TEXT.format(
        name=name,
        board=Path(board).resolve().as_posix() if board.endswith(".toml") else board,
        title=profile.title,
        runtime=f'"{profile.runtimes[0]}"',
        runtimes=", ".join(profile.runtimes),
        link="ble",
        frozen='"frozen" when the firmware carries the code'
        if frozen
        else "this firmware has no frozen start",
        battery="lipo-400mAh" if profile.chip == "nrf52840" else "2xAA-L91",
        **quantity,
    )
