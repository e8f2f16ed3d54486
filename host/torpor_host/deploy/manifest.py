# SPDX-License-Identifier: MIT
"""What a bundle holds: each file's path on the board, size and SHA-256; the same JSON lies on the board.

    {"format": 1, "name": "frost", "board": "virtual", "runtime": "micropython", "encrypt": false,
     "id": "<sha256 over the files>", "files": [{"path": "main.py", "bytes": 210, "sha256": "..."}, ...]}

Keys, state and files of the user are never in it, so a deploy never touches them.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from ..errors import TorporError

FORMAT = 1
FILE = "manifest.json"
RUNTIMES = ("micropython", "circuitpython")
_REBUILD = "build it again with `torpor build`"


@dataclass(frozen=True)
class Entry:
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """encrypt: the node needs a key on the board that no bundle carries. files are in order of path."""

    name: str
    board: str
    runtime: str
    encrypt: bool
    files: tuple[Entry, ...]

    @property
    def id(self) -> str:
        """SHA-256, in hex, over every file's path, size and hash: equal when two bundles' files are."""
        lines = (f"{f.path}\0{f.bytes}\0{f.sha256}\n" for f in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def total_bytes(self) -> int:
        return sum(f.bytes for f in self.files)

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "board": self.board,
            "runtime": self.runtime,
            "encrypt": self.encrypt,
            "id": self.id,
            "files": [asdict(f) for f in self.files],
        }

    def encode(self) -> bytes:
        return (json.dumps(self.as_dict(), indent=1) + "\n").encode()


def entry(path: str, data: bytes) -> Entry:
    return Entry(path, len(data), hashlib.sha256(data).hexdigest())


def decode(data: bytes, where: str) -> Manifest:
    """Read what `Manifest.encode` wrote; `where` names it in errors.

    Raises TorporError when it is no manifest, is of another format, was altered, or has a path that leads
    out of the bundle.
    """
    try:
        raw = json.loads(data)
        if raw["format"] != FORMAT:
            raise TorporError(f"{where}: format {raw['format']!r}, this torpor reads {FORMAT}", _REBUILD)
        files = tuple(Entry(str(f["path"]), int(f["bytes"]), str(f["sha256"])) for f in raw["files"])
        name, board, runtime = (str(raw[key]) for key in ("name", "board", "runtime"))
        manifest = Manifest(name, board, runtime, bool(raw["encrypt"]), files)
        stated = raw["id"]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as e:
        raise TorporError(f"{where}: not a bundle's manifest ({type(e).__name__}: {e})", _REBUILD) from None
    for f in files:
        path = PurePosixPath(f.path)
        if path.is_absolute() or ".." in path.parts or str(path) != f.path or f.path == FILE:
            raise TorporError(f"{where}: {f.path!r} can't be a file of a bundle", _REBUILD)
    if stated != manifest.id:
        raise TorporError(f"{where}: altered, its id and its files differ", _REBUILD)
    if manifest.runtime not in RUNTIMES:
        raise TorporError(f"{where}: runtime {manifest.runtime!r}, known are {', '.join(RUNTIMES)}", _REBUILD)
    return manifest
