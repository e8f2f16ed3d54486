# SPDX-License-Identifier: MIT
"""What a receiver heard, and the file in which a virtual board keeps what its radio sent (air.bin)."""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..errors import CollectError
from . import bthome

MARK = 0xA5
_HEAD = struct.Struct("<BBIhb6s")  # mark, payload length, second (UTC), millisecond, RSSI, MAC
_IDENTITY_BYTES = 64  # of a file's start, by which another recording in its place is known


@dataclass(frozen=True)
class AirFrame:
    """One advertisement: when (UTC), how strong in dBm, from whom ("AA:BB:..."), its AD structures."""

    time_s: int
    ms: int
    rssi_dbm: int
    mac: str
    payload: bytes


@dataclass
class Batch:
    """What one read gave: frames, where to go on, bytes that were no records, the source's identity."""

    frames: list[AirFrame] = field(default_factory=list)
    offset: int = 0
    skipped_bytes: int = 0
    identity: bytes = b""


class Receiver(Protocol):
    """A source of frames. `source` names it in the database; offsets are its own and only rise."""

    source: str

    def read(self, offset: int, identity: bytes, most: int) -> Batch:
        """Return up to `most` frames after offset, at once; raises CollectError."""

    def close(self) -> None: ...


def parse(data: bytes, most: int) -> Batch:
    """Split data into records; batch.offset counts from the start of data.

    A record that is cut off at the end is left for later. Bytes that begin no record are skipped up to the
    next mark and counted; a record counts only if its time and its AD structures add up.
    """
    batch = Batch()
    at = 0
    while at < len(data) and len(batch.frames) < most:
        if data[at] == MARK:
            if at + _HEAD.size > len(data):
                break
            _, length, second, ms, rssi, mac = _HEAD.unpack_from(data, at)
            if length and 0 <= ms < 1000:
                end = at + _HEAD.size + length
                if end > len(data):
                    break
                payload = data[at + _HEAD.size : end]
                if _adds_up(payload):
                    name = ":".join(f"{b:02X}" for b in mac)
                    batch.frames.append(AirFrame(second, ms, rssi, name, payload))
                    at = end
                    continue
        following = data.find(MARK, at + 1)
        following = len(data) if following < 0 else following
        batch.skipped_bytes += following - at
        at = following
    batch.offset = at
    return batch


def _adds_up(payload: bytes) -> bool:
    try:
        for _ in bthome.structures(payload):
            pass
    except bthome.FrameError:
        return False
    return True


def unreadable(path: Path, error: OSError) -> CollectError:
    return CollectError(f"{path}: can't be read: {error.strerror}", "check the file and its rights")


class FileReceiver:
    """Follows an air.bin; `must_exist` False: the board may not have sent anything yet."""

    def __init__(self, path: Path, must_exist: bool = True) -> None:
        self.source = f"air:{path.resolve()}"
        self._path = path
        self._must_exist = must_exist

    def read(self, offset: int, identity: bytes, most: int) -> Batch:
        try:
            with self._path.open("rb") as f:
                start = f.read(_IDENTITY_BYTES)
                f.seek(0, 2)
                if f.tell() < offset or not start.startswith(identity):
                    offset = 0  # another recording lies here now
                f.seek(offset)
                batch = parse(f.read(max(1024, most * 64)), most)
        except FileNotFoundError:
            if self._must_exist:
                raise CollectError(f"{self._path}: no such recording", "give an existing air.bin") from None
            return Batch(offset=offset, identity=identity)
        except OSError as e:
            raise unreadable(self._path, e) from None
        batch.offset += offset
        batch.identity = start
        return batch

    def close(self) -> None:
        pass
