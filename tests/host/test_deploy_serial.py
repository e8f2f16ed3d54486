# SPDX-License-Identifier: MIT
"""Deploys with the real mpremote to a real MicroPython on a real littlefs, which loses power anywhere."""

import hashlib
import os
import threading
import tty
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_bundle import ALL_MODULES, Board, Model, Spec
from test_deploy import NEW, USERS, new, old, on_board

from conftest import REPOSITORY
from torpor_host import keys
from torpor_host.deploy import bundle as bundles
from torpor_host.deploy import manifest as manifests
from torpor_host.deploy.deploy import TEMPORARY, deploy
from torpor_host.deploy.link import BoardInfo, Link, open_link
from torpor_host.deploy.serial_link import SerialLink
from torpor_host.deployment import NO_CLOCK, deploy_node
from torpor_host.errors import DeviceError, DiskFullError, LinkLostError, PortError
from torpor_host.simulate.virtual_board import VirtualBoard

__all__ = ["new", "old"]  # fixtures


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
    assert link.describe() == BoardInfo("micropython", "1.29.0", 6, 2)
    link.close()


def test_serial_removal_below_a_folder_that_was_never_made(board: VirtualBoard) -> None:
    link = open_link(board.start())
    link.mkdirs("torpor")
    link.write("x.py", b"1")
    link.rename_all([("torpor/hal/deep/a.py", None), ("no/a.py", None), ("x.py", None)])
    assert link.list_files("") == {}
    link.close()


def test_serial_names_and_sizes(board: VirtualBoard) -> None:
    """What could be mistaken for something else on the way: quotes, control bytes, the edges of a chunk."""
    link = open_link(board.start())
    data = bytes(range(256)) * 12
    for size in (0, 1, 383, 384, 385, 1023, 1024, 1025, 3072):
        told: list[int] = []
        link.write('it\'s "x".bin', data[:size], told.append)
        assert link.read('it\'s "x".bin') == data[:size]
        assert link.hash('it\'s "x".bin') == hashlib.sha256(data[:size]).hexdigest()
        assert told == sorted(told) and (not size or told[-1] == size)
    link.remove('it\'s "x".bin')
    link.remove("never was")
    assert link.list_files("") == {} == link.list_files("no/such")
    link.close()


def test_start_is_a_soft_reset(board: VirtualBoard) -> None:
    link = SerialLink(board.start())
    link._exec("left_over = 1", "testing")
    link.start()
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


def test_clock_is_set_where_there_is_one(board: VirtualBoard) -> None:
    """machine.RTC as on ESP32: (year, month, day, weekday, hours, minutes, seconds, subseconds), UTC."""
    link = open_link(board.start())
    assert isinstance(link, SerialLink)
    assert link.set_clock(0) is False  # the unix port has none
    link._exec(
        "import sys\nclass R:\n def datetime(s,t):R.t=t\nclass M:\n RTC=R\nsys.modules['machine']=M", "faking"
    )
    assert link.set_clock(1_798_761_600 + 3661) is True
    assert link._exec("print(R.t)", "reading").strip() == "(2027, 1, 1, 4, 1, 1, 1, 0)"
    link.close()


def test_deploy_command_starts_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`torpor deploy` as users call it: sends all, then nothing; the port is free again."""
    monkeypatch.setenv("TORPOR_HOME", str(tmp_path / "home"))
    frost = REPOSITORY / "examples" / "frost"
    with VirtualBoard(tmp_path / "board") as board:
        board.create()
        port = board.start()
        first = deploy_node(frost, port, on="virtual", quiet=True)
        assert "torpor/node.mpy" in first.sent and NO_CLOCK in first.warnings
        assert deploy_node(frost, port, on="virtual", quiet=True).bytes_sent == 0
        link = open_link(port)
        assert link.read("key.bin") == keys.find("orchard-1")
        link.close()
