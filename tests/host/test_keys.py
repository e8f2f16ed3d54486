# SPDX-License-Identifier: MIT
"""The store of keys: made once, private, whole at every moment, never overwritten when it can't be read."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from torpor_host import keys
from torpor_host.errors import TorporError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORPOR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_made_once_and_different_for_each_node(home: Path) -> None:
    assert keys.find("frost") is None
    assert not home.exists()  # looking makes nothing
    first = keys.get_or_create("frost")
    assert len(first) == 16
    assert keys.get_or_create("frost") == first
    assert keys.find("frost") == first
    other = keys.get_or_create("grove")
    assert other != first
    assert keys.known() == {"frost": first, "grove": other}


def test_readable_by_its_owner_only(home: Path) -> None:
    old = os.umask(0)
    try:
        keys.get_or_create("frost")
    finally:
        os.umask(old)
    assert stat.S_IMODE((home / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert sorted(p.name for p in home.iterdir()) == ["keys.json", "keys.lock"]  # nothing temporary is left


def test_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORPOR_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert keys.path() == tmp_path / "xdg" / "torpor" / "keys.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keys.path() == tmp_path / ".config" / "torpor" / "keys.json"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"format": 2, "keys": {}}', b'{"format": 1}',
        b'{"format": 1, "keys": []}', b'{"format": 1, "keys": {"frost": "00"}}',
        b'{"format": 1, "keys": {"frost": 5}}', b"[" * 100_000, b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_file_is_reported_and_kept(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / "keys.json").write_bytes(content)
    for ask in (keys.find, keys.get_or_create):
        with pytest.raises(TorporError, match=r"keys\.json: .*; restore it from a backup"):
            ask("frost")
    assert (home / "keys.json").read_bytes() == content


def test_a_write_that_fails_leaves_what_was_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keys.get_or_create("frost")
    before = (home / "keys.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TorporError, match="can't be written: No space left on device; make room"):
        keys.get_or_create("grove")
    assert (home / "keys.json").read_bytes() == before
    assert sorted(p.name for p in home.iterdir()) == ["keys.json", "keys.lock"]
    assert keys.find("frost") == first


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORPOR_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(TorporError, match="can't be written"):
        keys.get_or_create("frost")


def test_processes_at_once_lose_no_key(repository: Path, home: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from torpor_host.keys import get_or_create; get_or_create(sys.argv[2])"
    )
    args = [sys.executable, "-c", code, str(repository / "host")]
    for process in [subprocess.Popen([*args, f"node{i}"]) for i in range(6)]:
        assert process.wait() == 0
    assert sorted(keys.known()) == [f"node{i}" for i in range(6)]
    assert json.loads((home / "keys.json").read_text())["format"] == 1


def test_a_byte_order_mark_does_no_harm(home: Path) -> None:
    first = keys.get_or_create("frost")
    (home / "keys.json").write_bytes(b"\xef\xbb\xbf" + (home / "keys.json").read_bytes())
    assert keys.get_or_create("frost") == first
