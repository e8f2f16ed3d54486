# SPDX-License-Identifier: MIT
"""Receivers -> decoder -> database.

    with Collector(db, keys) as collector:
        collector.drain(open_receiver("virtual:out/frost/board"))

A batch of frames, what they say and the receiver's new offset are one transaction: a collector that is
killed at any moment neither loses a frame nor stores one twice.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import keys as known_keys
from ..errors import CollectError
from . import bthome, store
from .air import AirFrame, FileReceiver, Receiver
from .hci import HciReceiver

Keys = Mapping[str, bytes] | Callable[[str], bytes | None]
OnFrame = Callable[[dict[str, Any]], None]

REPEAT_S = 4  # the same payload within this time is the same frame, as in bthome-ble 3
_BATCH = 512
_POLL_S = 0.05
_VIRTUAL, _HCI, _BLE = "virtual:", "hci:", "ble"


def open_receiver(spec: str) -> Receiver:
    """Return the receiver of "virtual:BOARD-FOLDER", "hci:CAPTURE", "ble" or a path to an air.bin.

    Raises CollectError.
    """
    if spec == _BLE:
        from .ble import BleReceiver

        return BleReceiver()
    if spec.startswith(_HCI):
        return HciReceiver(_existing(Path(spec[len(_HCI) :])))
    if spec.startswith(_VIRTUAL):
        folder = Path(spec[len(_VIRTUAL) :])
        if not folder.is_dir():
            raise CollectError(f"{folder}: no virtual board there", "`torpor run DIR --on virtual` makes one")
        return FileReceiver(folder / "world" / "air.bin", must_exist=False)
    return FileReceiver(_existing(Path(spec)))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise CollectError(
            f"{path}: no such recording", "give ble, virtual:BOARD-FOLDER, hci:CAPTURE or an air.bin"
        )
    return path


class Collector:
    """keys: node name or address -> 16 bytes, as a mapping (the key that fits names the node) or a function
    (asked with the node's name if known, else its address). name: for nodes that no key names.

    counts: stored, repeated, rejected (with reasons in the database), foreign (not BTHome).
    """

    def __init__(self, db: Path, keys: Keys | None = None, name: str | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.last_s: int | None = None
        self._db = db
        self._keys = keys if keys is not None else {}
        self._name = name
        self._sql = store.create(db)

    def close(self) -> None:
        self._sql.close()

    def __enter__(self) -> "Collector":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def drain(self, receiver: Receiver, on_frame: OnFrame | None = None) -> int:
        """Store all that is there now; return how many frames were new. Raises CollectError."""
        before = self.counts["stored"]
        while self._take(receiver, on_frame):
            pass
        return self.counts["stored"] - before

    def follow(
        self,
        receiver: Receiver,
        stop: threading.Event | None = None,
        on_frame: OnFrame | None = None,
        for_s: float | None = None,
        poll_s: float = _POLL_S,
    ) -> int:
        """Store frames as they come until `stop` is set or for_s seconds passed; return how many were new.

        What was there when `stop` was set is still taken.
        """
        stop = stop or threading.Event()
        until = None if for_s is None else time.monotonic() + for_s
        before = self.counts["stored"]
        while True:
            last = stop.is_set() or (until is not None and time.monotonic() >= until)
            self.drain(receiver, on_frame)
            if last:
                return self.counts["stored"] - before
            stop.wait(poll_s)

    def _take(self, receiver: Receiver, on_frame: OnFrame | None) -> bool:
        """Store one batch; False: there was nothing."""
        stored = []
        counts: Counter[str] = Counter()
        with store.explained(self._db), store.transaction(self._sql):
            # The offset is read inside the transaction: two collectors on one file take turns.
            row = self._sql.execute(
                "SELECT offset, identity FROM receivers WHERE source = ?", (receiver.source,)
            ).fetchone()
            offset, identity = row or (0, b"")
            batch = receiver.read(offset, identity, _BATCH)
            for frame in batch.frames:
                outcome, report = self._accept(frame)
                counts[outcome] += 1
                if report:
                    stored.append(report)
            moved = batch.offset != offset or batch.identity != identity
            if moved or batch.skipped_bytes:
                self._sql.execute(
                    "INSERT INTO receivers VALUES (?1, ?2, ?3, ?4) ON CONFLICT(source) DO UPDATE "
                    "SET offset = ?2, identity = ?3, skipped_bytes = skipped_bytes + ?4",
                    (receiver.source, batch.offset, batch.identity, batch.skipped_bytes),
                )
        self.counts += counts
        self.counts["skipped_bytes"] += batch.skipped_bytes
        for report in stored:
            self.last_s = report["time_s"]
            if on_frame:
                on_frame(report)
        return bool(batch.frames) or moved

    def _accept(self, frame: AirFrame) -> tuple[str, dict[str, Any] | None]:
        """Store one frame if it is BTHome, new and believable; return what became of it."""
        data = bthome.service_data(frame.payload)
        if data is None:
            return "foreign", None
        node, name, encrypted, restart_s = self._sql.execute(
            "SELECT id, name, encrypted, restart_s FROM nodes WHERE mac = ?", (frame.mac,)
        ).fetchone() or (None, None, 0, 0)
        if node is not None and self._is_repeated(node, frame):
            return "repeated", None
        try:
            if encrypted and not bthome.is_encrypted(data):
                raise bthome.FrameError("not encrypted any more")
            decoded, found = self._decode(data, frame.mac, name)
            if node is not None and decoded.counter is not None:
                self._check_counter(node, decoded.counter, frame.time_s, restart_s)
        except bthome.FrameError as e:
            self._sql.execute(
                "INSERT INTO rejected VALUES (?1, ?2, 1, ?3) ON CONFLICT(mac, reason) DO UPDATE "
                "SET count = count + 1, last_s = max(last_s, ?3)",
                (frame.mac, e.reason, frame.time_s),
            )
            return "rejected", None
        if node is None:
            node = self._sql.execute("INSERT INTO nodes(mac) VALUES (?)", (frame.mac,)).lastrowid
        if (name, encrypted) != (found or name, int(decoded.encrypted)):
            name = found or name
            self._sql.execute(
                "UPDATE nodes SET name = ?, encrypted = ? WHERE id = ?", (name, int(decoded.encrypted), node)
            )
        frame_id = self._sql.execute(
            "INSERT INTO frames(node, time_s, ms, rssi_dbm, counter, packet_id, payload) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (node, frame.time_s, frame.ms, frame.rssi_dbm, decoded.counter, decoded.packet_id, frame.payload),
        ).lastrowid
        self._sql.executemany(
            "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?)",
            [(frame_id, node, frame.time_s, m.quantity, m.value, m.unit) for m in decoded.measurements],
        )
        return "stored", {
            "time_s": frame.time_s,
            "node": name or frame.mac,
            "mac": frame.mac,
            "rssi_dbm": frame.rssi_dbm,
            "readings": [
                {"quantity": m.quantity, "value": m.value, "unit": m.unit} for m in decoded.measurements
            ],
        }

    def _is_repeated(self, node: int, frame: AirFrame) -> bool:
        """Was this very payload heard a moment ago, or by another receiver?"""
        return bool(
            self._sql.execute(
                "SELECT 1 FROM frames WHERE node = ? AND time_s BETWEEN ? AND ? AND payload = ?",
                (node, frame.time_s - REPEAT_S, frame.time_s + REPEAT_S, frame.payload),
            ).fetchone()
        )

    def _check_counter(self, node: int, counter: int, time_s: int, restart_s: int) -> None:
        """A counter is used once, and never falls as time goes by; raises FrameError("replayed").

        A receiver that is read late brings older frames with older counters: those are no replays.
        """
        if self._sql.execute(
            "SELECT 1 FROM frames WHERE node = ?1 AND time_s >= ?4 "
            "AND (counter = ?2 OR counter > ?2 AND time_s < ?3) LIMIT 1",
            (node, counter, time_s, restart_s),
        ).fetchone():
            raise bthome.FrameError("replayed")

    def _decode(self, data: bytes, mac: str, name: str | None) -> tuple[bthome.Decoded, str | None]:
        """Decode with the key that fits; return also the name of the node."""
        if not bthome.is_encrypted(data):
            return bthome.decode(data, mac, None), name or self._name
        if callable(self._keys):
            return bthome.decode(data, mac, self._keys(name or mac)), name or self._name
        if mac in self._keys:
            return bthome.decode(data, mac, self._keys[mac]), name or self._name
        if name is not None and name in self._keys:
            return bthome.decode(data, mac, self._keys[name]), name
        if not self._keys:
            return bthome.decode(data, mac, None), None  # raises, with the reason
        reason = bthome.FrameError("no key")
        for candidate, key in self._keys.items():
            try:
                return bthome.decode(data, mac, key), candidate
            except bthome.FrameError as e:
                reason = e
        raise reason


def run(
    source: str,
    db: Path,
    follow: bool = False,
    for_s: float | None = None,
    on_frame: OnFrame | None = None,
    keys: Keys | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Collect from `source` into `db`: what is there, or with `follow`, for_s or ble what comes until Ctrl-C.

    keys: this user's own (torpor_host.keys) unless given. Returns frames (new), repeated, rejected (by
    reason, as the database has it), foreign, skipped_bytes, last_s. Raises CollectError.
    """
    follow = follow or for_s is not None or source == _BLE
    receiver = open_receiver(source)
    try:
        with Collector(db, known_keys.known() if keys is None else keys) as collector:
            try:
                if follow:
                    collector.follow(receiver, stop, on_frame, for_s)
                else:
                    collector.drain(receiver, on_frame)
            except KeyboardInterrupt:
                if not follow:
                    raise
            counts, last_s = collector.counts, collector.last_s
    finally:
        receiver.close()
    return {
        "source": source,
        "db": str(db),
        "frames": counts["stored"],
        "repeated": counts["repeated"],
        "rejected": counts["rejected"],
        "foreign": counts["foreign"],
        "skipped_bytes": counts["skipped_bytes"],
        "last_s": last_s,
    }
