# SPDX-License-Identifier: MIT
"""What a virtual board's node remembers: its retained memory, read with the device's own code."""

import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DeviceError

if TYPE_CHECKING:
    from .virtual_board import VirtualBoard

MAC = b"\xc2TORPO"  # the two top bits set: a static random address
BATTERY_MV = 3000
RETAINED_BYTES = 2048


@contextmanager
def virtual_chip(world: Path, flash: Path, **wiring: Any) -> Iterator[types.ModuleType]:
    """Put the module in place that torpor.hal.simulated reads its surroundings from; for CPython."""
    chip = types.ModuleType("virtual_chip")
    chip.__dict__.update(
        {
            "world": str(world),
            "flash": str(flash),
            "restart": False,
            "mac": MAC,
            "battery_mv": BATTERY_MV,
            "retained_bytes": RETAINED_BYTES,
            "radio_fails": None,
        }
        | wiring
    )
    for name in ("virtual_chip", "torpor.hal.simulated"):
        sys.modules.pop(name, None)
    sys.modules["virtual_chip"] = chip
    try:
        yield chip
    finally:
        for name in ("virtual_chip", "torpor.hal.simulated"):
            sys.modules.pop(name, None)


@dataclass(frozen=True)
class NodeState:
    """counters by name; energy in microjoules by cause; the payload as committed."""

    counters: dict[str, int]
    energy_uj: dict[str, int]
    payload: bytes


def counters(node: Any) -> dict[str, int]:
    """Return what a device node counted over its life, by name."""
    return {
        "wakes": node.wakes,
        "inferences": node.inferences,
        "uplinks": node.schedule.uplinks,
        "failed_uplinks": node.schedule.failures,
        "sensor_failures": node.sensor_failures,
        "faults": node.faults,
    }


def read(board: "VirtualBoard", node_bin: bytes) -> NodeState:
    """Read the state that the node on `board` committed last. Raises DeviceError when there is none."""
    return read_world(board.world, node_bin)


def read_world(world: Path, node_bin: bytes) -> NodeState:
    if not (world / "rtc.bin").is_file():
        raise DeviceError(f"{world}/rtc.bin: the node never went to sleep", fix="look at the board's console")
    from torpor import config
    from torpor.energy.ledger import CAUSES

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "node.bin"
        path.write_bytes(node_bin)
        with virtual_chip(world, Path(scratch)):
            from torpor.hal.simulated import Hal
            from torpor.node import Node

            hal = Hal()
            node = Node(*config.load(str(path)), hal)
            hal.close()
    if not node.restored:
        raise DeviceError(f"{world}/rtc.bin: holds no state of this configuration", fix="run the node again")
    return NodeState(
        counters(node),
        {cause: node.ledger.microjoules(i) for i, cause in enumerate(CAUSES)},
        bytes(node.payload),
    )
