# SPDX-License-Identifier: MIT
"""write_whole: all or nothing, through links, and onto nothing but a file."""

import os
import stat
from pathlib import Path

import pytest

from torpor_host.errors import TorporError
from torpor_host.files import is_file, write_whole


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_new_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "y"
    old = os.umask(0o027)
    try:
        write_whole(path, b"one")
    finally:
        os.umask(old)
    assert path.read_bytes() == b"one" and stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    write_whole(path, b"two")
    assert path.read_bytes() == b"two" and stat.S_IMODE(path.stat().st_mode) == 0o604
    assert names(tmp_path) == ["y"]


def test_the_longest_name_there_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, b"1")
    assert path.read_bytes() == b"1"


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    there, dangling = tmp_path / "there", tmp_path / "dangling"
    there.symlink_to("far/there")
    dangling.symlink_to("far/new")
    (tmp_path / "far" / "there").write_bytes(b"old")
    for link in (there, dangling):
        write_whole(link, b"new")
        assert link.is_symlink() and link.read_bytes() == b"new"
    assert names(tmp_path) == ["dangling", "far", "there"] and names(tmp_path / "far") == ["new", "there"]


def test_a_device_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe stands in for the device, since anybody can make one: os.replace would destroy either."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(TorporError, match="is a pipe, nothing is written there; give the path of a file"):
            write_whole(path, b"1")
    assert stat.S_ISFIFO(pipe.stat().st_mode) and names(tmp_path) == ["link", "pipe"]
    # as root a slip would harm the machine's own device, so here nothing can be renamed
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("replaced"))
    with pytest.raises(TorporError, match="is a device"):
        write_whole(Path(os.devnull), b"1")


def test_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for path, why in (
        (tmp_path / "file" / "y", "Not a directory"),
        (tmp_path / "none" / "y", "No such file"),
        (tmp_path / ("n" * 300), "File name too long"),
        (tmp_path / "loop", "symbolic links"),
        (tmp_path / "nul\0", "null"),
        (tmp_path, "is a folder"),
        (Path(""), "is a folder"),
        (Path("/"), "is a folder"),
    ):
        with pytest.raises(TorporError, match=why) as caught:
            write_whole(path, b"1")
        assert caught.value.fix
    assert names(tmp_path) == ["file", "loop"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "y").write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TorporError, match="y: can't be written: No space left on device"):
        write_whole(tmp_path / "y", b"new")
    assert (tmp_path / "y").read_bytes() == b"old" and names(tmp_path) == ["y"]

    def gone(path: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", gone)  # the medium fails wholly: the first reason is told
    with pytest.raises(TorporError, match="No space left"):
        write_whole(tmp_path / "y", b"new")


def test_is_file(tmp_path: Path) -> None:
    (tmp_path / "y").touch()
    assert is_file(tmp_path / "y")
    for path in (tmp_path, tmp_path / "n", tmp_path / ("n" * 300), tmp_path / "nul\0"):
        assert not is_file(path)
