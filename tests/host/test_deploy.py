# SPDX-License-Identifier: MIT
"""Deploys over a link that dies anywhere, and onto a mounted drive."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_bundle import IMAGE, Model, Spec

from torpor_host.deploy import bundle as bundles
from torpor_host.deploy.deploy import TEMPORARY, deploy
from torpor_host.deploy.folder_link import FolderLink
from torpor_host.deploy.link import BoardInfo, FakeLink, Step, open_link
from torpor_host.errors import DeviceError, DiskFullError, LinkLostError, PortError, TorporError

OLD = Spec(modules=("torpor/config.py", "torpor/errors.py", "torpor/energy/ledger.py"))
NEW = Spec(modules=(*OLD.modules[:2], "torpor/sense/ring.py"), node_bin=b"TPCF" + bytes(50))
NEW_IMAGE = IMAGE[::-1]
USERS = {"state.0": b"state", "count.1": b"\0\1", "key.bin": b"k" * 16, "boot.py": b"#", "lib/a.py": b"1"}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old") / "bundle"
    bundles.build(OLD, Model(), folder)
    return folder


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beside `old`: energy/ is gone, sense/ is new, node.bin and the model differ, the rest is the same."""
    folder = tmp_path_factory.mktemp("new") / "bundle"
    bundles.build(NEW, Model(image=NEW_IMAGE), folder)
    return folder


def on_board(bundle: Path) -> dict[str, bytes]:
    return {str(p.relative_to(bundle)): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}


def board_with(bundle: Path) -> FakeLink:
    return FakeLink(on_board(bundle) | USERS)


def assert_holds(files: dict[str, bytes], bundle: Path) -> None:
    """Exactly the bundle and the user's files, whatever happened before."""
    assert files == on_board(bundle) | USERS


def test_fresh_board(old: Path) -> None:
    link = FakeLink(dict(USERS))
    done: list[float] = []
    result = deploy(old, link, progress=done.append)
    assert_holds(link.files, old)
    manifest = bundles.read(old)
    assert result.sent == [f.path for f in manifest.files] and not result.unchanged and not result.removed
    assert result.bytes_sent == sum(len(d) for d in on_board(old).values()) == link.written
    assert done == sorted(done) and done[-1] == manifest.total_bytes
    assert result.warnings == [] and result.as_dict()["sent"] == result.sent


def test_nothing_is_sent_twice(old: Path) -> None:
    link = board_with(old)
    result = deploy(old, link)
    assert link.written == 0 and result.bytes_sent == 0 and not result.sent and not result.removed
    assert result.unchanged == [f.path for f in bundles.read(old).files]


def test_only_what_differs_is_sent(old: Path, new: Path) -> None:
    link = board_with(old)
    result = deploy(new, link)
    assert_holds(link.files, new)
    assert result.sent == ["model.tpm", "node.bin", "torpor/sense/ring.mpy"]
    assert result.unchanged == ["main.py", "torpor/config.mpy", "torpor/errors.mpy"]
    assert result.removed == ["torpor/energy/ledger.mpy"]
    sent = [(new / p).stat().st_size for p in (*result.sent, "manifest.json")]
    assert link.written == result.bytes_sent == sum(sent)


def test_a_file_altered_on_the_board_is_put_right(old: Path) -> None:
    link = board_with(old)
    link.files["torpor/config.mpy"] = b"M\x06altered"
    assert deploy(old, link).sent == ["torpor/config.mpy"]
    assert_holds(link.files, old)


def test_without_a_readable_manifest_nothing_is_removed(old: Path, new: Path) -> None:
    for broken in (None, b"", b"{}", b'{"format": 1, "files": [{"path": "boot.py"}]}'):
        link = board_with(old)
        if broken is None:
            del link.files["manifest.json"]
        else:
            link.files["manifest.json"] = broken
        assert deploy(new, link).removed == []
        ledger = "torpor/energy/ledger.mpy"
        assert link.files.pop(ledger) == (old / ledger).read_bytes()
        assert_holds(link.files, new)


def whole(files: dict[str, bytes], *bundles_: Path) -> bool:
    """Whether the board holds one of the bundles wholly, under its final names."""
    return any(all(files.get(p) == d for p, d in on_board(b).items()) for b in bundles_)


def test_the_link_dies_at_every_operation(old: Path, new: Path) -> None:
    """At each point the old node is whole until the renames begin; then the next deploy ends right."""
    count = board_with(old)
    deploy(new, count)
    renames = 4 + 1  # four files and one removal
    for ops in range(count.ops):
        link = board_with(old)
        link.die_after_ops = ops
        with pytest.raises(LinkLostError):
            deploy(new, link)
        if ops <= count.ops - renames:
            assert whole(link.files, old), ops
        assert all(link.files[p] == d for p, d in USERS.items())
        if "manifest.json" in link.files:  # the manifest is last: a new one vouches for everything
            assert link.files["manifest.json"] == (old / "manifest.json").read_bytes()
        link.revive()
        deploy(new, link)
        assert_holds(link.files, new)


def test_the_link_dies_at_every_kind_of_byte(old: Path, new: Path) -> None:
    """First and last byte of each file, one around each, and some in between; what arrived is used."""
    count = board_with(old)
    total = deploy(new, count).bytes_sent
    edges, at = {0}, 0
    for path in [*("model.tpm", "node.bin", "torpor/sense/ring.mpy"), "manifest.json"]:
        size = (new / path).stat().st_size
        edges |= {at, at + 1, at + size // 2, at + size - 1, at + size, at + size + 1}
        at += size
    assert at == total
    for offset in sorted(e for e in edges if e < total):
        link = board_with(old)
        link.die_after_bytes = offset
        with pytest.raises(LinkLostError):
            deploy(new, link)
        assert whole(link.files, old), offset
        link.revive()
        before = link.written
        deploy(new, link)
        assert_holds(link.files, new)
        largest = max((new / p).stat().st_size for p in ("model.tpm", "node.bin", "torpor/sense/ring.mpy"))
        assert link.written - before <= total - offset + largest  # at most one file is sent again


def test_a_deploy_of_something_else_clears_what_an_interrupted_one_left(old: Path, new: Path) -> None:
    link = board_with(old)
    link.die_after_bytes = 3000
    with pytest.raises(LinkLostError):
        deploy(new, link)
    link.revive()
    assert any(p.endswith(TEMPORARY) for p in link.files)
    result = deploy(old, link)
    assert result.bytes_sent == 0
    assert_holds(link.files, old)


def test_what_lands_altered_is_sent_again_once(old: Path, new: Path) -> None:
    link = board_with(old)
    link.garble = "node.bin" + TEMPORARY
    deploy(new, link)
    assert_holds(link.files, new)

    class Worn(FakeLink):
        def write(self, path: str, data: bytes, progress: Callable[[int], None] | None = None) -> None:
            self.garble = "node.bin" + TEMPORARY
            super().write(path, data, progress)

    worn = Worn(on_board(old) | USERS)
    with pytest.raises(DeviceError, match=r"node\.bin"):
        deploy(new, worn)
    assert whole(worn.files, old) and "node.bin" + TEMPORARY not in worn.files


def test_too_full_from_the_start(old: Path, new: Path) -> None:
    link = board_with(old)
    link.disk_bytes = link.disk_bytes - link.free_bytes_now() + 12 * 1024
    with pytest.raises(DiskFullError, match=r"36,864 bytes needed beside .*, 12,288 free") as caught:
        deploy(new, link)
    assert link.written == 0 and "as it was" in caught.value.fix
    assert_holds(link.files, old)


def test_full_on_the_way(old: Path, new: Path) -> None:
    """Something else takes the space after it was asked for; what was sent goes, the old node stays."""

    class Shrinking(FakeLink):
        def write(self, path: str, data: bytes, progress: Callable[[int], None] | None = None) -> None:
            if path.startswith("node.bin"):
                self.disk_bytes -= self.free_bytes_now()
            super().write(path, data, progress)

    link = Shrinking(on_board(old) | USERS)
    with pytest.raises(DiskFullError):
        deploy(new, link)
    assert_holds(link.files, old)


def test_full_when_what_an_earlier_deploy_sent_lies_there_too(old: Path, new: Path) -> None:
    """That goes as well: room is what the user has to make now."""
    link = board_with(old)
    sent = {f.path: (new / f.path).read_bytes() for f in bundles.read(new).files}
    link.files["model.tpm" + TEMPORARY] = sent["model.tpm"]
    link.disk_bytes -= link.free_bytes_now()
    with pytest.raises(DiskFullError):
        deploy(new, link)
    assert link.written == 0
    assert_holds(link.files, old)


def test_full_and_then_lost(old: Path, new: Path) -> None:
    """That the board is full is what the user has to know."""

    class Failing(FakeLink):
        def rename_all(self, steps: Sequence[Step]) -> None:
            raise LinkLostError("pulled out")

    link = Failing(on_board(old) | USERS)
    link.disk_bytes -= link.free_bytes_now()
    with pytest.raises(DiskFullError):
        deploy(new, link)


@pytest.mark.parametrize(("runtime", "boot"), [("micropython", "main.py"), ("circuitpython", "code.py")])
def test_what_boots_the_node_comes_last_but_for_the_manifest(runtime: str, boot: str, tmp_path: Path) -> None:
    """CircuitPython may start code.py between two renames: all that it imports is then in place."""
    spec = Spec(modules=("torpor/config.py", "torpor/errors.py"), runtime=runtime)
    bundles.build(spec, Model(), tmp_path / "b")
    seen: list[str] = []

    class Watched(FakeLink):
        def rename_all(self, steps: Sequence[Step]) -> None:
            seen.extend(new for _, new in steps if new)
            super().rename_all(steps)

    link = Watched()
    link.info = BoardInfo(runtime, "10.0.3", -1)
    deploy(tmp_path / "b", link, secrets={"zebra.py": b"#"})
    assert seen[-3:] == ["zebra.py", boot, "manifest.json"]  # and sources come after bytecode and data
    assert sorted(seen) == sorted(link.files)


def test_secrets(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = b"sixteen secrets!"
    bundles.build(replace(OLD, encrypt=True), Model(), tmp_path / "secret")
    link = FakeLink()
    with pytest.raises(DeviceError, match=r"no key\.bin"):
        deploy(tmp_path / "secret", link)
    assert not link.files
    result = deploy(tmp_path / "secret", link, secrets={"key.bin": key})
    assert link.files["key.bin"] == key
    assert all(b"key.bin" not in d and key not in d for p, d in link.files.items() if p != "key.bin")
    assert "key.bin" not in str(result) and key.decode() not in capsys.readouterr().out + str(result)
    written = link.written
    deploy(tmp_path / "secret", link, secrets={"key.bin": key})
    assert link.written == written  # the same key is not written again
    deploy(tmp_path / "secret", link)  # a key that is there already will do
    assert link.files["key.bin"] == key
    deploy(tmp_path / "secret", link, secrets={"key.bin": key[::-1]})
    assert link.files["key.bin"] == key[::-1] and link.written == written + 16
    with pytest.raises(TorporError, match="both a file of the bundle and a secret"):
        deploy(old, FakeLink(), secrets={"node.bin": b"x"})


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (BoardInfo("circuitpython", "10.0.3", 6), "the board runs circuitpython 10.0.3"),
        (BoardInfo("micropython", "1.18.0", 5), "loads .mpy version 5, the bundle's is 6"),
        (BoardInfo("micropython", "1.24.0", 0), "loads .mpy version 0"),
    ],
)
def test_a_board_of_another_kind(info: BoardInfo, says: str, old: Path) -> None:
    link = FakeLink(dict(USERS))
    link.info = info
    with pytest.raises(DeviceError, match=says) as caught:
        deploy(old, link)
    assert link.files == USERS and caught.value.fix


def test_warns_of_sources_that_would_run_instead(old: Path) -> None:
    link = FakeLink(USERS | {"torpor/config.py": b"print('stray')"})
    assert deploy(old, link).warnings == ["torpor/config.py on the board hides torpor/config.mpy: remove it"]


def test_an_altered_bundle_is_not_deployed(old: Path, tmp_path: Path) -> None:
    shutil.copytree(old, tmp_path / "b")
    (tmp_path / "b" / "node.bin").write_bytes(b"TPCF")
    link = FakeLink()
    with pytest.raises(TorporError, match="altered"):
        deploy(tmp_path / "b", link)
    assert link.ops == 0


# A mounted drive


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    folder = tmp_path / "CIRCUITPY"
    folder.mkdir()
    said = "Adafruit CircuitPython 10.0.3 on 2025-10-17; Adafruit Feather nRF52840 Sense with nRF52840\r\n"
    (folder / "boot_out.txt").write_text(said + "Board ID:feather_nrf52840_sense\r\n")
    (folder / "settings.toml").write_text("MINE=1\n")
    return folder


def test_drive(drive: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    bundles.build(replace(OLD, runtime="circuitpython"), Model(), first)
    bundles.build(replace(NEW, runtime="circuitpython"), Model(), second)
    kept = on_board(drive)
    for bundle, sent in ((first, 6), (first, 0), (second, 2)):
        link = open_link(str(drive))
        result = deploy(bundle, link)
        link.close()
        assert len(result.sent) == sent
        assert on_board(drive) == on_board(bundle) | kept
    assert not (drive / "torpor" / "energy").exists() and (drive / "code.py").is_file()


def test_drive_refuses_bytecode_and_other_folders(drive: Path, old: Path) -> None:
    with pytest.raises(DeviceError, match="the board runs circuitpython"):
        deploy(old, open_link(str(drive)))
    for said in ("", "Something else 1.0.0"):
        (drive / "boot_out.txt").write_text(said)
        with pytest.raises(PortError, match="no CircuitPython drive"):
            open_link(str(drive))


def test_drive_full_or_gone(drive: Path) -> None:
    link = FolderLink(drive)
    if Path("/dev/full").exists():
        (drive / "full").symlink_to("/dev/full")
        with pytest.raises(DiskFullError):
            link.write("full", b"x" * 100)
    assert link.read("absent") is None and link.list_files("absent") == {} and link.hash("absent") is None
    shutil.rmtree(drive)
    for use in (lambda: link.read("code.py"), lambda: link.write("code.py", b"1"), link.free_bytes):
        with pytest.raises(LinkLostError, match="plug the board in again"):
            use()


@pytest.fixture
def small_drive(tmp_path: Path) -> Iterator[Path]:
    """A drive of 32 KiB: a real one in memory, which only root may mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        (folder / "boot_out.txt").write_text("Adafruit CircuitPython 10.0.3 on 2025-10-17\n")
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


DEEP = replace(OLD, runtime="circuitpython", modules=(*OLD.modules, "torpor/hal/__init__.py"))


def test_drive_really_full(small_drive: Path, tmp_path: Path) -> None:
    bundles.build(DEEP, Model(image=bytes(200_000)), tmp_path / "b")
    before = on_board(small_drive)
    with pytest.raises(DiskFullError, match="bytes needed beside the old files"):
        deploy(tmp_path / "b", FolderLink(small_drive))
    assert on_board(small_drive) == before

    class Hopeful(FolderLink):  # another program takes the space in between
        def free_bytes(self) -> int:
            return 1 << 30

    with pytest.raises(DiskFullError, match="No space left on device; remove files from the drive"):
        deploy(tmp_path / "b", Hopeful(small_drive))
    assert on_board(small_drive) == before
    assert [p.name for p in small_drive.iterdir()] == ["boot_out.txt"]  # and no empty folder


@pytest.mark.parametrize(
    "at", ["torpor", "torpor/energy", "torpor/hal", "code.py", "torpor/energy/ledger.py"]
)
def test_drive_full_at_any_moment(
    at: str, drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without root: the space ends when this folder is made, or this file is written."""
    bundles.build(DEEP, Model(), tmp_path / "b")
    before = on_board(drive)
    mkdirs, write = FolderLink.mkdirs, FolderLink.write

    def failing_mkdirs(link: FolderLink, folder: str) -> None:
        if folder == at:
            raise DiskFullError("no room for a folder")
        mkdirs(link, folder)

    def failing_write(link: FolderLink, path: str, data: bytes, progress: Any = None) -> None:
        if path == at + TEMPORARY:
            write(link, path, data[: len(data) // 2])
            raise DiskFullError("no room for a file")
        write(link, path, data, progress)

    monkeypatch.setattr(FolderLink, "mkdirs", failing_mkdirs)
    monkeypatch.setattr(FolderLink, "write", failing_write)
    with pytest.raises(DiskFullError, match="no room"):
        deploy(tmp_path / "b", FolderLink(drive))
    assert on_board(drive) == before and not (drive / "torpor").exists()


def test_drive_removal_below_a_folder_that_was_never_made(drive: Path) -> None:
    (drive / "torpor").mkdir()
    (drive / "x.py").touch()
    FolderLink(drive).rename_all([("torpor/hal/deep/a.py", None), ("no/a.py", None), ("x.py", None)])
    assert not (drive / "torpor").exists() and not (drive / "x.py").exists()
    assert (drive / "boot_out.txt").is_file()
