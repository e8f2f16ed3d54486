# SPDX-License-Identifier: MIT
"""Bluetooth captures as text, the way `hcidump --raw` prints them: `> 04 3E 2B 02 01 03 ...`.

Only LE advertising reports are used. Source: Bluetooth Core 5.4 vol 4 part E 7.7.65.2. The text carries no
times: all frames of a capture get the file's time of last change.
"""

import re
from pathlib import Path

from ..errors import CollectError
from .air import AirFrame, Batch, unreadable

_LINE = re.compile(rb"^(?:.*[<>])?\s*((?:[0-9A-Fa-f]{2}\s*)+)$")
_LE_META_EVENT = b"\x04\x3e"
_ADVERTISING_REPORT = 0x02


def reports(event: bytes) -> list[tuple[str, bytes, int]]:
    """Return (mac, payload, rssi) of each report in one HCI event, [] for other or malformed events."""
    if len(event) < 5 or event[:2] != _LE_META_EVENT or event[3] != _ADVERTISING_REPORT:
        return []
    found = []
    at = 5
    for _ in range(event[4]):
        if at + 9 > len(event):
            return []
        mac = ":".join(f"{b:02X}" for b in reversed(event[at + 2 : at + 8]))
        end = at + 9 + event[at + 8]
        if end >= len(event):
            return []
        found.append((mac, event[at + 9 : end], event[end] - 256 if event[end] > 127 else event[end]))
        at = end + 1
    return found


class HciReceiver:
    """Reads a capture; the offset counts bytes of text up to the last whole event."""

    def __init__(self, path: Path) -> None:
        self.source = f"hci:{path.resolve()}"
        self._path = path

    def read(self, offset: int, identity: bytes, most: int) -> Batch:
        try:
            text = self._path.read_bytes()
            time_s = int(self._path.stat().st_mtime)
        except FileNotFoundError:
            raise CollectError(f"{self._path}: no such capture", "give one made by hcidump --raw") from None
        except OSError as e:
            raise unreadable(self._path, e) from None
        start = text[:64]
        if len(text) < offset or not start.startswith(identity):
            offset = 0
        batch = Batch(offset=offset, identity=start)
        event = b""
        at = offset
        for line in text[offset:].splitlines(keepends=True):
            at += len(line)
            match = _LINE.match(line.rstrip())
            if match is None and not line.endswith(b"\n"):
                break  # still being written
            if line[:1] in b"<>" or match is None:
                event = b""
            if match:
                event += bytes.fromhex(match[1].decode())
            if match is None or (len(event) >= 3 and len(event) >= 3 + event[2]):
                for mac, payload, rssi in reports(event):
                    batch.frames.append(AirFrame(time_s, 0, rssi, mac, payload))
                event = b""
                batch.offset = at
                if len(batch.frames) >= most:
                    break
        return batch

    def close(self) -> None:
        pass
