# SPDX-License-Identifier: MIT
"""The virtual board as its users meet it: the real mpremote command, resets, crashes, a cut of power."""

import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from torpor_host.deploy.link import open_link
from torpor_host.errors import DeviceError, DiskFullError, PortError, TorporError
from torpor_host.simulate import bridge, state, virtual_board
from torpor_host.simulate.virtual_board import DEEP_SLEEP, RESET, WORLD_ENDED, VirtualBoard


@pytest.fixture
def board(tmp_path: Path) -> Iterator[VirtualBoard]:
    with VirtualBoard(tmp_path / "board", flash_bytes=128 * 1024) as board:
        board.create()
        yield board
    assert not processes(tmp_path / "board")


def processes(folder: Path) -> list[str]:
    """Command lines that name the board: its bridge and the interpreters that this forked."""
    ps = subprocess.run(["ps", "-wwAo", "pid,stat,args"], capture_output=True, text=True, check=True)
    return [line for line in ps.stdout.splitlines() if str(folder / "flash.img") in line and " Z" not in line]


def mpremote(port: str, *arguments: str | Path, code: int = 0) -> str:
    """Run the command as a user does, return what it printed."""
    run = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", port, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == code, run.stdout + run.stderr
    return run.stdout + run.stderr


def put(board: VirtualBoard, **files: str) -> None:
    link = open_link(board.start())
    for name, source in files.items():
        link.write(f"{name}.py", textwrap.dedent(source).encode())
    link.close()


# mpremote


def test_files(board: VirtualBoard, tmp_path: Path) -> None:
    port = board.start()
    data = bytes(range(256)) * 20
    (tmp_path / "a.bin").write_bytes(data)
    mpremote(port, "fs", "mkdir", ":sub", "+", "fs", "cp", tmp_path / "a.bin", ":sub/a.bin")
    assert re.search(r"^\s+5120 a\.bin$", mpremote(port, "fs", "ls", ":sub"), re.MULTILINE)
    mpremote(port, "fs", "cp", ":sub/a.bin", tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == data
    mpremote(port, "exec", "f = open('hello.txt', 'w'); f.write('grüß'); f.close()")
    assert mpremote(port, "fs", "cat", ":hello.txt") == "grüß"
    mpremote(port, "fs", "rm", ":sub/a.bin", "+", "fs", "rmdir", ":sub")
    listing = mpremote(port, "fs", "ls")
    assert "hello.txt" in listing and "sub" not in listing
    board.stop()
    assert mpremote(board.start(), "fs", "cat", ":hello.txt") == "grüß"  # it is in the image, not in memory


def test_code(board: VirtualBoard, tmp_path: Path) -> None:
    port = board.start()
    assert mpremote(port, "eval", "6 * 7") == "42\n"
    script = "import os, sys; print(os.getcwd(), sys.path[0], sys.argv)"
    assert mpremote(port, "exec", script) == "/flash  ['']\n"
    (tmp_path / "script.py").write_text("import sys\nprint('ran on', sys.implementation.name)\n")
    assert mpremote(port, "run", tmp_path / "script.py") == "ran on micropython\n"
    assert "ValueError: 7" in mpremote(port, "exec", "raise ValueError(7)", code=1)
    assert mpremote(port, "eval", "'still here'") == "still here\n"


def test_soft_reset(board: VirtualBoard) -> None:
    port = board.start()
    mpremote(port, "exec", "x = 5")
    assert mpremote(port, "resume", "eval", "x") == "5\n"
    mpremote(port, "soft-reset")
    assert "NameError" in mpremote(port, "resume", "eval", "x", code=1)
    mpremote(port, "exec", "import sys; sys.exit(3)")  # ends the interpreter, as a soft reset does
    assert mpremote(port, "eval", "1 + 1") == "2\n"


def test_mount(board: VirtualBoard, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "local.py").write_text("answer = 42\n")
    script = "import os, local; print(local.answer, os.listdir())"
    said = mpremote(board.start(), "mount", tmp_path / "here", "exec", script)
    assert said.endswith("42 ['local.py']\n")


def test_soft_reset_at_the_friendly_prompt(board: VirtualBoard) -> None:
    with serial.Serial(board.start(), timeout=5, exclusive=True) as port:
        port.write(b"x = 1\r")
        assert port.read_until(b"x = 1\r\n>>> ").endswith(b">>> ")
        port.write(b"\x04")
        said = port.read_until(b"information.\r\n>>> ")
        assert b"MPY: soft reboot\r\nMicroPython" in said
        port.write(b"x\r")
        assert b"NameError" in port.read_until(b"defined\n>>> ")


def test_interrupt(board: VirtualBoard) -> None:
    """Ctrl-C stops a program, raw REPL or not, and leaves a waiting interpreter alone."""
    with serial.Serial(board.start(), timeout=5, exclusive=True) as port:
        port.write(b"\x03\x03\r")
        port.read_until(b">>> ")
        port.write(b"x = 7; print('r' + 'uns'); exec('while 1: pass')\r")
        assert port.read_until(b"runs\n").endswith(b"runs\n")
        port.write(b"\x03")
        assert port.read_until(b"KeyboardInterrupt: \n>>> ").endswith(b">>> ")
        port.write(b"\x01")
        port.read_until(b"exit\r\n>")
        port.write(b"print('r' + 'uns')\nwhile 1: pass\x04")
        port.read_until(b"runs\n")
        port.write(b"\x03")
        assert b"KeyboardInterrupt" in port.read_until(b"\x04>")
        port.write(b"\x03\x03print(x)\x04")  # the same interpreter: it still knows x
        assert port.read_until(b"7\n").endswith(b"7\n")
    link = open_link(board.start())  # a new connection interrupts what runs
    link._transport.exec_raw_no_follow("while 1: pass")  # type: ignore[attr-defined]
    link.close()
    assert mpremote(board.start(), "eval", "'answers'") == "answers\n"


def test_interrupts_without_proc() -> None:
    """Where the system does not tell whether SIGINT is caught, what was printed last must."""
    raw = b"raw REPL; CTRL-B to exit\r\n>"
    for tail in (b">>> ", b"...\r\n>>> x = ", b"\r\n... ", b"OK\x04\x04>", raw, b"=== x"):
        assert bridge._waits_at_prompt(tail), tail
    for tail in (b"", b">>> f()\r\n", b"OK", raw + b"OK", b"OKabc\r\n", b"\x04>OK 12"):
        assert not bridge._waits_at_prompt(tail), tail


def test_nobody_reads(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that prints for ever into a closed port stops neither the bridge nor the next user."""
    with serial.Serial(board.start(), timeout=5, exclusive=True) as port:
        port.write(b"\x01")
        port.read_until(b"exit\r\n>")
        port.write(b"while 1: print('x' * 1000)\x04")
        assert len(port.read(100_000)) == 100_000
    assert mpremote(board.start(), "eval", "3") == "3\n"


def test_nothing_reads_on_the_board(board: VirtualBoard) -> None:
    with serial.Serial(board.start(), timeout=5, write_timeout=0.5, exclusive=True) as port:
        port.write(b"\x01")
        port.read_until(b"exit\r\n>")
        port.write(b"while 1: pass\x04")
        port.read_until(b"OK")
        with pytest.raises(serial.SerialTimeoutException):
            for _ in range(64):
                port.write(b"y" * 4096)
    board.cut_power()
    assert mpremote(board.start(), "eval", "4") == "4\n"


# The chip


def test_heap_is_bounded(board: VirtualBoard) -> None:
    link = open_link(board.start())
    free = int(link._exec("import gc; gc.collect(); print(gc.mem_free())", "asking"))  # type: ignore[attr-defined]
    assert 90 * 1024 < free < 100 * 1024
    with pytest.raises(DeviceError, match="MemoryError"):
        link._exec("x = bytearray(100 * 1024)", "taking too much")  # type: ignore[attr-defined]
    link.close()


def test_flash_is_bounded(board: VirtualBoard, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(200 * 1024))
    said = mpremote(board.start(), "fs", "cp", tmp_path / "large.bin", ":large.bin", code=1)
    assert "No space left" in said or "ENOSPC" in said  # the words depend on the version of mpremote
    link = open_link(board.start())
    link.remove("large.bin")
    with pytest.raises(DiskFullError):
        link.write("large.bin", bytes(200 * 1024))
    link.remove("large.bin")
    link.write("small.bin", bytes(50 * 1024))
    link.close()
    assert board.flash.stat().st_size == 128 * 1024


def test_run_main(board: VirtualBoard) -> None:
    for code in (WORLD_ENDED, DEEP_SLEEP, RESET):
        put(board, main=f"import sys\nprint('code', __name__)\nsys.exit({code})\n")
        assert board.run_main() == code
        assert board.console == "code __main__\n"
    put(board, main="x = 1\n")
    assert board.run_main() == WORLD_ENDED


def test_main_that_crashes(board: VirtualBoard) -> None:
    put(board, main="import part\n", part="def f():\n    raise OSError(5)\n\nf()\n")
    with pytest.raises(DeviceError, match=r"main\.py stopped: OSError: \[Errno 5\] EIO") as caught:
        board.run_main()
    assert 'File "part.py", line 2, in f' in caught.value.traceback
    assert 'File "main.py", line 1' in caught.value.traceback
    assert "\n" not in str(caught.value)
    put(board, main="import sys\nsys.exit(7)\n")
    with pytest.raises(DeviceError, match="exit code 7"):
        board.run_main()
    put(board, main="def f():\n    return f() + 1\n\nf()\n")
    with pytest.raises(DeviceError, match="RuntimeError: maximum recursion depth"):
        board.run_main()
    put(board, main="x = bytearray(200000)\n")
    with pytest.raises(DeviceError, match="MemoryError"):
        board.run_main()
    link = open_link(board.start())
    link.remove("main.py")
    link.close()
    with pytest.raises(DeviceError, match="ENOENT"):
        board.run_main()


def test_main_that_does_not_end(board: VirtualBoard) -> None:
    put(board, main="print('on and on')\nwhile True:\n    pass\n")
    seen = []
    with pytest.raises(DeviceError, match=r"still runs after 0\.5 s") as caught:
        board.run_main(timeout_s=0.5, progress=lambda: seen.append(1))
    assert caught.value.traceback == "on and on\n" and seen
    assert mpremote(board.start(), "eval", "1") == "1\n"


def test_main_that_is_killed(board: VirtualBoard) -> None:
    put(board, main="import os\nos.system('kill -9 $PPID')\nwhile True:\n    pass\n")
    with pytest.raises(DeviceError, match="signal 9 ended the interpreter"):
        board.run_main()


def test_each_wake_is_a_new_process(board: VirtualBoard) -> None:
    put(
        board,
        main="""
        import sys
        import virtual_chip
        assert "seen" not in globals()
        seen = True
        path = virtual_chip.world + "/count"
        try:
            with open(path) as f:
                n = int(f.read())
        except OSError:
            n = 0
        with open(path, "w") as f:
            f.write(str(n + 1))
        print(virtual_chip.restart, virtual_chip.flash, virtual_chip.mac, virtual_chip.battery_mv,
              virtual_chip.retained_bytes, virtual_chip.radio_fails)
        sys.exit(0 if n == 9 else 11 if n % 2 else 10)
        """,
    )
    told: list[int] = []
    result = board.run_until_end(progress=told.append, restart=True)
    assert (result.wakes, result.exit) == (10, WORLD_ENDED) and told[-1] == 10 and told == sorted(told)
    words = ("True", "/flash", str(state.MAC), str(state.BATTERY_MV), str(state.RETAINED_BYTES), "None")
    assert board.console.split() == list(words)
    (board.world / "count").unlink()
    result = board.run_until_end(max_wakes=3)
    assert (result.wakes, result.exit) == (3, DEEP_SLEEP) and board.console.startswith("False")


def test_an_open_port_sees_what_main_prints(board: VirtualBoard) -> None:
    put(board, main="print('from main')\n")
    with serial.Serial(board.start(), timeout=5, exclusive=True) as port:
        board.run_main()
        assert port.read_until(b"from main\n").endswith(b"from main\n")
        port.write(b"\r")  # and then has a REPL again
        assert port.read_until(b">>> ").endswith(b">>> ")


# Power and processes


def test_cut_power(board: VirtualBoard) -> None:
    link = open_link(board.start())
    link.write("kept.bin", b"kept")
    board.cut_power()
    with pytest.raises(TorporError, match="link lost"):
        link.read("kept.bin")
    link.close()
    link = open_link(board.start())
    assert link.read("kept.bin") == b"kept"
    link.close()


def test_create_keeps_what_is_there(board: VirtualBoard) -> None:
    put(board, main="print(1)\n")
    board.stop()
    before = board.flash.read_bytes()
    board.create()
    assert board.flash.read_bytes() == before
    board.flash.write_bytes(bytes(128 * 1024))
    with pytest.raises(DeviceError, match=r"flash\.img: not a littlefs image; delete it"):
        board.create()
    assert os.listdir(board.folder / "world") == []


def test_no_board_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such board"):
        VirtualBoard(tmp_path / "none").start()


def test_one_process_a_board(board: VirtualBoard) -> None:
    board.start()
    with VirtualBoard(board.folder) as other, pytest.raises(PortError, match="another process runs it"):
        other.start()
    board.stop()
    with VirtualBoard(board.folder) as other:
        other.start()


def test_where_there_are_no_terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_board.os, "name", "nt")
    with pytest.raises(TorporError, match="needs a pseudo-terminal"):
        VirtualBoard(tmp_path)


def test_the_bridge_dies(board: VirtualBoard) -> None:
    put(board, main="while True:\n    pass\n")
    bridge_pid = int(processes(board.folder)[0].split()[0])
    seen: list[int] = []

    def kill() -> None:
        if not seen:
            os.kill(bridge_pid, signal.SIGKILL)
        seen.append(1)

    with pytest.raises(DeviceError, match="process died"):
        board.run_main(progress=kill)
    wait_until_gone(board.folder)
    put(board, main="x = 1\n")
    assert board.run_main() == WORLD_ENDED


def wait_until_gone(folder: Path) -> None:
    end = time.monotonic() + 20
    while processes(folder) and time.monotonic() < end:
        time.sleep(0.02)
    assert not processes(folder)


@pytest.mark.parametrize("how", ["main", "console"])
def test_nothing_is_left_when_the_host_is_killed(how: str, board: VirtualBoard) -> None:
    """Not even an interpreter in an endless loop outlives the process that started the board."""
    loop = "import virtual_chip\nopen(virtual_chip.world + '/looping', 'w').close()\nwhile True:\n    pass\n"
    put(board, main=loop, loop=loop)
    board.stop()
    script = """
import sys
from pathlib import Path
from torpor_host.deploy.link import open_link
from torpor_host.simulate.virtual_board import VirtualBoard
board = VirtualBoard(Path(sys.argv[1]))
link = open_link(board.start())
print("up", flush=True)
if sys.argv[2] == "main":
    board.run_main()
link._exec("import loop", "looping")
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(board.folder), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as host:
        try:
            assert host.stdout and select.select([host.stdout], [], [], 30)[0]
            assert host.stdout.readline() == b"up\n"
            end = time.monotonic() + 20
            while not (board.world / "looping").exists() and time.monotonic() < end:
                time.sleep(0.01)
            assert len(processes(board.folder)) == 2  # the bridge and an interpreter
        finally:
            host.kill()
    wait_until_gone(board.folder)


def test_processes_that_create_one_board_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from torpor_host.simulate.virtual_board import VirtualBoard\n"
        "VirtualBoard(Path(sys.argv[1]), flash_bytes=65536).create()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(tmp_path / "b")]
    creators = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(4)]
    for process in creators:
        assert not process.communicate()[1] and process.returncode == 0
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["flash.img", "world"]


def test_what_another_process_made_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board, other = (
        VirtualBoard(tmp_path / "b", flash_bytes=65536),
        VirtualBoard(tmp_path / "b", flash_bytes=65536),
    )
    firmware = VirtualBoard._firmware

    def faster(self: VirtualBoard, mode: str, image: Path) -> subprocess.CompletedProcess[str]:
        if mode == "format":
            monkeypatch.setattr(VirtualBoard, "_firmware", firmware)
            other.create()
        return firmware(self, mode, image)

    monkeypatch.setattr(VirtualBoard, "_firmware", faster)
    links: list[int] = []
    link = os.link
    monkeypatch.setattr(os, "link", lambda a, b: (link(a, b), links.append(os.stat(b).st_ino)))
    board.create()
    assert links == [board.flash.stat().st_ino]  # of two only the other's got there
    assert sorted(p.name for p in board.folder.iterdir()) == ["flash.img", "world"]


def test_folders_that_cannot_be_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for folder in (tmp_path / "file", tmp_path / "file" / "b", tmp_path / "loop", tmp_path / ("n" * 300)):
        with pytest.raises(DeviceError, match="give a folder that can be written"):
            VirtualBoard(folder).create()
    (tmp_path / "c" / "flash.img").mkdir(parents=True)
    with pytest.raises(DeviceError, match="not a littlefs image"):
        VirtualBoard(tmp_path / "c").create()

    def refuses(a: Path, b: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuses)  # exFAT
    board = VirtualBoard(tmp_path / "b", flash_bytes=65536)
    board.create()
    assert sorted(p.name for p in board.folder.iterdir()) == ["flash.img", "world"]
    monkeypatch.setattr(os, "replace", refuses)
    with pytest.raises(DeviceError, match="Operation not permitted; make room"):
        VirtualBoard(tmp_path / "d", flash_bytes=65536).create()
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["world"]
