# SPDX-License-Identifier: MIT
"""Sends files to a board under temporary names, each verified by the hash that the board works out."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import PurePosixPath

from ..errors import DeviceError, DiskFullError
from .link import Link

TEMPORARY = ".deploy"  # ending of the names under which files arrive


def listing(link: Link, paths: set[str]) -> set[str]:
    """Return the files in all folders that `paths` lie in."""
    folders = sorted({"" if (p := str(PurePosixPath(path).parent)) == "." else p for path in paths})
    found = set()
    for folder in folders:
        prefix = folder + "/" if folder else ""
        found |= {prefix + name for name, size in link.list_files(folder).items() if size >= 0}
    return found


def check_space(link: Link, need_bytes: int) -> None:
    have_bytes = link.free_bytes() if need_bytes else 0
    if need_bytes > have_bytes:
        what = f"the board's file system is full: {need_bytes:,} bytes needed beside the old files"
        raise DiskFullError(f"{what}, {have_bytes:,} free", "remove files; the node on it is as it was")


def send(
    link: Link,
    contents: Mapping[str, bytes],
    wanted: Mapping[str, str],
    sending: list[str],
    progress: Callable[[float], None],
) -> None:
    """Write temporary files and verify each."""
    done = sum(len(data) for path, data in contents.items() if path not in sending)
    progress(done)
    for path in sending:
        _send_one(link, path + TEMPORARY, contents[path], wanted[path], partial(_tell, progress, done))
        done += len(contents[path])


def _send_one(link: Link, path: str, data: bytes, wanted: str, progress: Callable[[int], None]) -> None:
    for _attempt in range(2):
        link.write(path, data, progress)
        if link.hash(path) == wanted:
            return
    link.remove(path)
    raise DeviceError(f"{path}: the board stored something else than sent, twice", fix="replace the board")


def _tell(progress: Callable[[float], None], before: int, done: int) -> None:
    progress(before + done)


def shadows(paths: Iterable[str], there: set[str]) -> list[str]:
    """MicroPython prefers name.py to name.mpy, so a stray source file would run in place of ours."""
    return [
        f"{path[:-4]}.py on the board hides {path}: remove it"
        for path in paths
        if path.endswith(".mpy") and path[:-4] + ".py" in there
    ]
