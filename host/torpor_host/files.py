# SPDX-License-Identifier: MIT
"""Writes a file whole or not at all, and onto nothing but a file."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from .errors import TorporError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def write_whole(path: Path, data: bytes) -> None:
    """Make `path` a file that holds `data`; until it does, what was there stays as it was.

    A symbolic link stays, and the file that it leads to is written; an existing file keeps its permissions.
    Raises TorporError when there is something other than a file (a rename would put a file in the place of a
    device) or the path can't be written; then nothing is left beside it either.
    """
    temporary = None
    try:
        mode = _mode(path)
        target = Path(os.path.realpath(path))  # a rename onto the link itself would replace the link
        temporary = target.with_name(f".torpor-{secrets.token_hex(8)}.part")
        with open(temporary, "xb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        if mode is not None:
            with contextlib.suppress(OSError):  # FAT has none to keep
                os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except (OSError, ValueError) as e:  # ValueError: a NUL in the path, or letters that no path can have
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        why = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise TorporError(f"{path}: can't be written: {why}", "give a path that can be written") from None


def is_file(path: Path) -> bool:
    """Whether a file is there; False, too, for a path that no file can have, such as one that is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def _mode(path: Path) -> int | None:
    """Return the mode of the file at `path`, None when there is nothing."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "no regular file")
        raise TorporError(f"{path}: is {kind}, nothing is written there", "give the path of a file")
    return mode
