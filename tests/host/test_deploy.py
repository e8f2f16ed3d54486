# SPDX-License-Identifier: MIT
"""Deploys over a link that dies anywhere, a drive, and the real mpremote to a real MicroPython."""

import hashlib
import os
import shutil
import threading
import tty
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_bundle import ALL_MODULES, IMAGE, Board, Model, Spec

from torpor_host.deploy import bundle as bundles
from torpor_host.deploy import manifest as manifests
from torpor_host.deploy.deploy import TEMPORARY, deploy
from torpor_host.deploy.folder_link import FolderLink
from torpor_host.deploy.link import BoardInfo, FakeLink, Link, open_link
from torpor_host.deploy.serial_link import SerialLink
from torpor_host.errors import DeviceError, DiskFullError, LinkLostError, PortError, TorporError
from torpor_host.simulate.virtual_board import VirtualBoard

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


# Real mpremote, real MicroPython, real littlefs


@pytest.fixture
def board(tmp_path: Path) -> Iterator[VirtualBoard]:
    with VirtualBoard(tmp_path / "board", flash_bytes=256 * 1024) as board:
        board.create()
        yield board


def stored(link: Link) -> dict[str, str]:
    """Every file on the board and its hash."""
    paths, folders = [], [""]
    for folder in folders:
        for name, size in link.list_files(folder).items():
            path = f"{folder}/{name}" if folder else name
            (folders if size < 0 else paths).append(path)
    return link.hashes(paths)


def hashed(files: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def test_serial_deploys(board: VirtualBoard, old: Path, new: Path) -> None:
    link = open_link(board.start())
    for path, data in USERS.items():
        link.mkdirs(str(Path(path).parent)) if "/" in path else None
        link.write(path, data)
    assert len(deploy(old, link).sent) == 6
    assert stored(link) == hashed(on_board(old) | USERS)
    again = deploy(old, link)
    assert again.sent == [] and again.bytes_sent == 0
    result = deploy(new, link)
    assert result.sent == ["model.tpm", "node.bin", "torpor/sense/ring.mpy"]
    assert stored(link) == hashed(on_board(new) | USERS)
    assert "energy" not in link.list_files("torpor")
    assert link.hashes(["node.bin", "absent"]) == {"node.bin": hashlib.sha256(NEW.encode({1: 1})).hexdigest()}
    assert link.describe() == BoardInfo("micropython", "1.29.0", 6)
    link.close()


def test_serial_names_and_sizes(board: VirtualBoard) -> None:
    """What could be mistaken for something else on the way: quotes, control bytes, the edges of a chunk."""
    link = open_link(board.start())
    data = bytes(range(256)) * 12
    for size in (0, 1, 383, 384, 385, 1023, 1024, 1025, 3072):
        told: list[int] = []
        link.write("it's \"x\".bin", data[:size], told.append)
        assert link.read("it's \"x\".bin") == data[:size]
        assert link.hash("it's \"x\".bin") == hashlib.sha256(data[:size]).hexdigest()
        assert told == sorted(told) and (not size or told[-1] == size)
    link.remove("it's \"x\".bin")
    link.remove("never was")
    assert link.list_files("") == {} == link.list_files("no/such")
    link.close()


def test_serial_soft_resets_when_the_board_has_no_other_reset(board: VirtualBoard) -> None:
    link = SerialLink(board.start())
    link._exec("left_over = 1", "testing")
    link.reset()
    link.close()
    link = SerialLink(board.start())
    with pytest.raises(DeviceError, match="NameError") as caught:
        link._exec("left_over", "testing")
    assert "Traceback" in caught.value.traceback
    link.close()


class Cutting(SerialLink):
    """Loses power before the n-th exec, or in the middle of it."""

    def __init__(self, board: VirtualBoard, cut_at: int | None = None, after_s: float | None = None) -> None:
        self.execs, self._board, self._cut_at, self._after_s = 0, board, cut_at, after_s
        super().__init__(board.start(), timeout_s=5)

    def _exec(self, code: str, doing: str) -> str:
        self.execs += 1
        if self.execs - 1 != self._cut_at:
            return super()._exec(code, doing)
        if self._after_s is None:
            self._board.cut_power()
            return super()._exec(code, doing)
        timer = threading.Timer(self._after_s, self._board.cut_power)
        timer.start()
        try:
            return super()._exec(code, doing)
        finally:
            timer.join()


def test_power_is_cut_anywhere(board: VirtualBoard, old: Path, new: Path) -> None:
    """Before each exec of a deploy, even the last: the old node is whole, the next deploy finishes."""
    link = open_link(board.start())
    deploy(old, link)
    link.close()
    board.stop()
    start = board.flash.read_bytes()
    count = Cutting(board)
    deploy(new, count)
    count.close()
    for cut_at in range(count.execs):
        board.stop()
        board.flash.write_bytes(start)
        link = Cutting(board, cut_at)
        with pytest.raises(LinkLostError) as caught:
            deploy(new, link)
        assert "\n" not in str(caught.value) and "goes on where it stopped" in str(caught.value)
        link.close()
        link = open_link(board.start())
        assert hashed(on_board(old)).items() <= stored(link).items(), cut_at
        deploy(new, link)
        assert stored(link) == hashed(on_board(new))
        link.close()


@pytest.mark.parametrize("after_s", [0.0, 0.0005, 0.001, 0.002, 0.004])
def test_power_is_cut_within_the_renames(after_s: float, board: VirtualBoard, old: Path, new: Path) -> None:
    """There each file is either the old or the new one, and the manifest is new only when all files are."""
    link = open_link(board.start())
    deploy(old, link)
    link.close()
    board.stop()
    start = board.flash.read_bytes()
    count = Cutting(board)
    deploy(new, count)
    count.close()
    board.stop()
    board.flash.write_bytes(start)
    link = Cutting(board, count.execs - 1, after_s)  # the last exec is the one that renames
    try:
        deploy(new, link)
    except LinkLostError:
        pass  # otherwise the cut came when all was over
    link.close()
    link = open_link(board.start())
    files = stored(link)
    for path, data in files.items():
        if not path.endswith(TEMPORARY):
            assert data in (hashed(on_board(old)).get(path), hashed(on_board(new)).get(path)), path
    assert {"main.py", "node.bin", "model.tpm", "torpor/config.mpy"} <= set(files)
    if files["manifest.json"] == hashed(on_board(new))["manifest.json"]:
        assert files == hashed(on_board(new))
    deploy(new, link)
    assert stored(link) == hashed(on_board(new))
    link.close()


def test_real_disk_full(board: VirtualBoard, old: Path, tmp_path: Path) -> None:
    link = open_link(board.start())
    deploy(old, link)
    before = stored(link)
    bundles.build(replace(NEW, board=Board(size=1 << 30)), Model(image=bytes(300_000)), tmp_path / "large")
    with pytest.raises(DiskFullError, match=r"bytes needed beside the old files"):
        deploy(tmp_path / "large", link)
    assert stored(link) == before
    with pytest.raises(DiskFullError, match="the board's file system is full"):
        link.write("filler", bytes(300_000))
    with pytest.raises(DiskFullError):  # now it is full, and a deploy meets that on its own
        deploy(tmp_path / "large", link)
    link.remove("filler")
    assert stored(link) == before
    link.close()


def test_enospc_on_the_way_leaves_the_old_node(board: VirtualBoard, old: Path, new: Path) -> None:
    class Optimist(SerialLink):
        def free_bytes(self) -> int:
            return 1 << 20

    link = Optimist(board.start())
    deploy(old, link)
    link.write("filler", bytes(SerialLink.free_bytes(link) - 8192))
    before = stored(link)
    with pytest.raises(DiskFullError, match="file system is full"):
        deploy(new, link)
    assert stored(link) == before
    link.remove("filler")
    deploy(new, link)
    assert stored(link) == hashed(on_board(new))
    link.close()


def test_port_is_busy(board: VirtualBoard) -> None:
    port = board.start()
    link = open_link(port)
    with pytest.raises(PortError, match="busy, another program has it open") as caught:
        open_link(port)
    assert caught.value.fix
    link.close()
    open_link(port).close()


def test_port_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PortError, match=r"no such port; .*port") as caught:
        open_link(str(tmp_path / "ttyACM7"))
    assert "\n" not in str(caught.value)
    (tmp_path / "file").write_text("no port")
    with pytest.raises(PortError, match="not a serial port"):
        open_link(str(tmp_path / "file"))


def test_port_where_nobody_answers(capfd: pytest.CaptureFixture[str]) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        with pytest.raises(PortError, match="no MicroPython or CircuitPython answers"):
            SerialLink(os.ttyname(slave), timeout_s=0.2)
    finally:
        os.close(master)
        os.close(slave)
    assert capfd.readouterr() == ("", "")


def test_all_modules_at_once(tmp_path: Path) -> None:
    """All device code, onto a disk that it nearly fills, through a heap of 100 KiB."""
    manifest = bundles.build(Spec(modules=ALL_MODULES), None, tmp_path / "all")
    sizes = [*(f.bytes for f in manifest.files), len(manifest.encode())]
    need = bundles.stored_bytes(sizes, len(bundles.folders_of(f.path for f in manifest.files)))
    with VirtualBoard(tmp_path / "board", flash_bytes=need + 4 * bundles.BLOCK_BYTES) as board:
        board.create()
        link = open_link(board.start())
        result = deploy(tmp_path / "all", link)
        assert len(result.sent) == len(manifest.files) > 20
        assert manifests.decode(link.read("manifest.json") or b"", "board") == manifest
        link.close()
