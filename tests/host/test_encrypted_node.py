# SPDX-License-Identifier: MIT
"""Reporter, counter files and key file on the node's side; collector on the other, over the virtual air."""

import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from peer import Peer

from torpor.errors import ConfigError
from torpor.radio.reporter import create
from torpor.schedule import Schedule
from torpor_host.collect import Collector, bthome, open_receiver, store

MAC = bytes.fromhex("a4c1388d18b2")
WHO = "A4:C1:38:8D:18:B2"
KEY = bytes(range(100, 116))
FIELDS = [("", (0x02, 0, 0, 1, 1)), ("", (0x18, 2, 0, 1, 1))]


class Board:
    """A HAL with a virtual radio: each boot is a new process on the same flash."""

    mac = MAC

    def __init__(self, folder: Path) -> None:
        self.flash_dir = str(folder)
        self.air_bin = folder / "air.bin"
        self.now_s = 1_700_000_000

    def air(self, payload: bytes) -> None:
        head = struct.pack("<BBIhb6s", 0xA5, len(payload), self.now_s, 0, -60, MAC)
        with self.air_bin.open("ab") as f:
            f.write(head + bytes(payload))


def test_every_frame_is_believed_whatever_the_power_does(tmp_path: Path) -> None:
    """Warm wakes go on from retained memory, cold ones from flash; no receiver ever sees a counter fall."""
    (tmp_path / "key.bin").write_bytes(KEY)
    board = Board(tmp_path)
    ring = SimpleNamespace(count=1, at=lambda age, channel: 100)
    schedule = Schedule(0)
    state, checkpoint = bytearray(Schedule.STATE_BYTES), bytearray(Schedule.STATE_BYTES)
    sent = 0
    for wake in range(300):
        board.now_s += 3600
        if wake % 50 == 49:  # power was away; a checkpoint of long ago is all there is
            schedule = Schedule(0)
            schedule.load_from(checkpoint, 0)
        elif wake % 7 == 0:  # deep sleep
            schedule.save_into(state, 0)
            schedule = Schedule(0)
            schedule.warm = True
            schedule.load_from(state, 0)
        if schedule.due(board.now_s, 1):
            reporter = create(("virtual", (0, 1)), FIELDS, board, schedule)
            sent += reporter.report(board.now_s, ring, None, wake % 2, 0)
        if wake == 20:
            schedule.save_into(checkpoint, 0)
    assert sent == 300
    db = tmp_path / "db.sqlite"
    with Collector(db, {"frost": KEY}) as c:
        assert c.drain(open_receiver(str(board.air_bin))) == 300
        assert c.counts["rejected"] == 0
    kept = store.frames(db, "frost")
    counters = [f["counter"] for f in kept]
    assert counters == sorted(set(counters))
    assert counters[-1] < 300 + 7 * 64
    peer = Peer(WHO, KEY)
    for frame in kept:
        data = bthome.service_data(frame["payload"])
        assert data
        assert peer.hear(data).sensors["temperature"] == (1.0, "°C")
    assert len(store.events(db, "frost")) == 299


@pytest.mark.parametrize("key", [b"", KEY[:15], KEY + b"!"])
def test_a_key_of_the_wrong_length(tmp_path: Path, key: bytes) -> None:
    (tmp_path / "key.bin").write_bytes(key)
    with pytest.raises(ConfigError):
        create(("virtual", (0, 1)), FIELDS, Board(tmp_path), Schedule(0))
