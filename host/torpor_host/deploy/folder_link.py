# SPDX-License-Identifier: MIT
"""A mounted CIRCUITPY drive: CircuitPython shows its file system as a USB drive, so files are copied there.

FAT has no atomic rename, and a drive may be pulled: each file is on the medium before the next step begins.
CircuitPython starts its program again 0.75 s after the last write, so it sees the renames, which come
together, as one change.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DiskFullError, LinkLostError, PortError
from .link import BoardInfo, Link, Progress, Step

_CHUNK_BYTES = 16384
_MARK = "boot_out.txt"  # CircuitPython writes it at each boot: version and board


class FolderLink(Link):
    """Raises PortError when `folder` is not the drive of a board that runs CircuitPython."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            text = (folder / _MARK).read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        match = re.match(r"Adafruit CircuitPython (\d+)\.(\d+)\.(\d+)", text)
        if not match:
            raise PortError(
                f"{folder}: no CircuitPython drive ({_MARK} is missing or says otherwise)",
                "give the folder where CIRCUITPY is mounted",
            )
        self._info = BoardInfo("circuitpython", ".".join(match.groups()), -1)

    @contextlib.contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            where = f"{self.folder}: {doing}: {e.strerror}"
            if e.errno == errno.ENOSPC:
                raise DiskFullError(where, "remove files from the drive") from None
            if e.errno == errno.EROFS:
                fix = "the board keeps its drive for itself; see storage.remount in its boot.py"
                raise PortError(where, fix) from None
            fix = "plug the board in again, then deploy again: it goes on where it stopped"
            raise LinkLostError(where, fix) from None

    def describe(self) -> BoardInfo:
        return self._info

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        contents = {p: self.read(p) for p in paths}
        return {p: hashlib.sha256(data).hexdigest() for p, data in contents.items() if data is not None}

    def read(self, path: str) -> bytes | None:
        with self._mapped(f"reading {path}"):
            try:
                return (self.folder / path).read_bytes()
            except FileNotFoundError:
                if not (self.folder / _MARK).is_file():
                    raise  # the drive is gone
                return None

    def write(self, path: str, data: bytes, progress: Progress | None = None) -> None:
        with self._mapped(f"writing {path}"), open(self.folder / path, "wb") as f:
            for start in range(0, len(data), _CHUNK_BYTES):
                chunk = data[start : start + _CHUNK_BYTES]
                f.write(chunk)
                f.flush()
                os.fsync(f.fileno())
                if progress:
                    progress(start + len(chunk))

    def rename_all(self, steps: Sequence[Step]) -> None:
        with self._mapped("putting the new files in place"):
            for old, new in steps:
                if new is not None:
                    os.replace(self.folder / old, self.folder / new)
                    _sync(self.folder / new)
                    continue
                (self.folder / old).unlink(missing_ok=True)
                _remove_empty((self.folder / old).parent, self.folder)
            _sync(self.folder)

    def list_files(self, folder: str) -> dict[str, int]:
        with self._mapped(f"listing {folder or 'files'}"):
            try:
                found = sorted((self.folder / folder).iterdir())
                return {p.name: -1 if p.is_dir() else p.stat().st_size for p in found}
            except FileNotFoundError:
                return {}

    def free_bytes(self) -> int:
        with self._mapped("asking for free space"):
            return shutil.disk_usage(self.folder).free

    def mkdirs(self, folder: str) -> None:
        with self._mapped(f"making {folder}"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Nothing to do: CircuitPython starts its program again once nothing more is written."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            _sync(self.folder)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder below root, and then what holds it, as long as nothing is in it.

    One that is not there is passed over: a disk may be full before it could be made.
    """
    while folder != root:
        if folder.is_dir():
            if any(folder.iterdir()):
                return
            folder.rmdir()
        folder = folder.parent


def _sync(path: Path) -> None:
    """Have a file's or folder's data written out; where the system can't sync a folder, let it be."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
