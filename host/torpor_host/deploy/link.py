# SPDX-License-Identifier: MIT
"""The way to a board's files: one interface, over mpremote, over a mounted drive, or in memory for tests.

    link = open_link("/dev/ttyACM0")       # or a folder: a mounted CIRCUITPY drive
    try:
        deploy(bundle, link)
    finally:
        link.close()

Paths are relative to the folder that holds main.py. Each method may raise LinkLostError (the link died),
DiskFullError, or DeviceError (code on the board raised).
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeviceError, DiskFullError, LinkLostError
from .bundle import folders_of, stored_bytes

Progress = Callable[[int], None]  # takes the bytes of this file that are over so far
Step = tuple[str, str | None]


@dataclass(frozen=True)
class BoardInfo:
    """runtime "micropython" or "circuitpython"; mpy: version of .mpy files it loads, 0 none, -1 unknown;
    native: number of the architecture whose machine code it loads, 0 none, -1 unknown."""

    runtime: str
    version: str
    mpy: int
    native: int = -1


class Link(ABC):
    @abstractmethod
    def describe(self) -> BoardInfo: ...

    @abstractmethod
    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """Return SHA-256 in hex, worked out at the other end, of those files that exist."""

    def hash(self, path: str) -> str | None:
        return self.hashes([path]).get(path)

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return a file's content, None when it does not exist."""

    @abstractmethod
    def write(self, path: str, data: bytes, progress: Progress | None = None) -> None:
        """Write a file, not atomically: what was there is gone, what is there after an error is undefined."""

    @abstractmethod
    def rename_all(self, steps: Sequence[Step]) -> None:
        """Rename (old, new), replacing what is there, or remove (old, None), in this order, in one go.

        What does not exist is not removed, and is no error; a folder that a removal leaves empty goes too.
        """

    def remove(self, path: str) -> None:
        self.rename_all([(path, None)])

    @abstractmethod
    def list_files(self, folder: str) -> dict[str, int]:
        """Return name -> bytes of what is in a folder ("" is the root), -1 for folders; {} when absent."""

    @abstractmethod
    def free_bytes(self) -> int: ...

    @abstractmethod
    def mkdirs(self, folder: str) -> None:
        """Make a folder and its parents; no error when it is there."""

    def set_clock(self, unix_s: float) -> bool:
        """Set the board's clock to UTC. False where it has none, or can't be told over this link."""
        return False

    @abstractmethod
    def start(self) -> None:
        """Start the board anew, so that it runs its main.py."""

    @abstractmethod
    def close(self) -> None: ...


def open_link(port: str) -> Link:
    """Open a mounted CIRCUITPY drive when `port` is a folder, else a serial port. Raises PortError."""
    if Path(port).is_dir():
        from .folder_link import FolderLink

        return FolderLink(Path(port))
    from .serial_link import SerialLink

    return SerialLink(port)


class FakeLink(Link):
    """A board in memory, which dies or lies on demand; for tests.

    disk_bytes: size of its file system. die_after_ops: operations, each rename and removal being one, before
    the link dies. die_after_bytes: bytes written before it dies, in the middle of a file. garble: path whose
    next write lands altered. `revive()` plugs it in again: its files are as they were.
    """

    def __init__(self, files: dict[str, bytes] | None = None, disk_bytes: int = 1 << 20) -> None:
        self.files = dict(files or {})
        self.folders = folders_of(self.files)
        self.disk_bytes = disk_bytes
        self.info = BoardInfo("micropython", "1.29.0", 6)
        self.die_after_ops: int | None = None
        self.die_after_bytes: int | None = None
        self.garble = ""
        self.ops = 0
        self.written = 0
        self.starts = 0
        self.dead = False

    def revive(self) -> None:
        self.die_after_ops = self.die_after_bytes = None
        self.dead = False

    def _op(self) -> None:
        if self.dead or self.ops == self.die_after_ops:
            self.dead = True
            raise LinkLostError("fake link: died", "revive it")
        self.ops += 1

    def describe(self) -> BoardInfo:
        self._op()
        return self.info

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        self._op()
        return {p: hashlib.sha256(self.files[p]).hexdigest() for p in paths if p in self.files}

    def read(self, path: str) -> bytes | None:
        self._op()
        return self.files.get(path)

    def write(self, path: str, data: bytes, progress: Progress | None = None) -> None:
        self._op()
        if not folders_of([path]) <= self.folders:
            raise DeviceError(f"write {path}: ENOENT")
        self.files.pop(path, None)
        budget = len(data) if self.die_after_bytes is None else self.die_after_bytes - self.written
        room = self.free_bytes_now()
        landed = data[: max(0, min(budget, room))]
        self.written += len(landed)
        self.files[path] = landed
        if budget < len(data):
            self.dead = True
            raise LinkLostError("fake link: died while writing", "revive it")
        if len(landed) < len(data):
            raise DiskFullError(f"{path}: no space left on the board")
        if path == self.garble:
            self.files[path], self.garble = bytes([landed[0] ^ 1]) + landed[1:], ""
        if progress:
            progress(len(data))

    def rename_all(self, steps: Sequence[Step]) -> None:
        for old, new in steps:
            self._op()
            if new is None:
                self.files.pop(old, None)
                self.folders -= folders_of([old]) - folders_of(self.files)
            elif old not in self.files:
                raise DeviceError(f"rename {old}: ENOENT")
            else:
                self.files[new] = self.files.pop(old)

    def list_files(self, folder: str) -> dict[str, int]:
        self._op()
        found: dict[str, int] = {}
        prefix = folder + "/" if folder else ""
        for path, data in self.files.items():
            if path.startswith(prefix):
                name, _, below = path[len(prefix) :].partition("/")
                found[name] = -1 if below else len(data)
        return found

    def free_bytes_now(self) -> int:
        return self.disk_bytes - stored_bytes((len(d) for d in self.files.values()), len(self.folders))

    def free_bytes(self) -> int:
        self._op()
        return self.free_bytes_now()

    def mkdirs(self, folder: str) -> None:
        self._op()
        self.folders |= {folder} | folders_of([folder])

    def start(self) -> None:
        self._op()
        self.starts += 1

    def close(self) -> None:
        pass
