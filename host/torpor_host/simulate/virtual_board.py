# SPDX-License-Identifier: MIT
"""A board without hardware: real MicroPython on real littlefs, behind a port that the real mpremote opens.

    board = VirtualBoard(Path("out/board"))
    board.create()
    with board:
        port = board.start()             # mpremote connect PORT fs ls
        ...
        board.run_until_end()            # as after a reset: main.py, and again after each deep sleep

What lies in the folder: docs/architecture.md, "The virtual board". The processes behind it: bridge.py.
Flash is an image of NOR blocks of 4 KiB under littlefs, so a full disk and a rename are what they are on a
board; the heap is bounded as on a board, `heap_bytes` holding the file system's buffers too.
"""

import contextlib
import json
import os
import secrets
import select
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import DeviceError, PortError, TorporError
from . import interpreter
from .state import BATTERY_MV, MAC, RETAINED_BYTES

WORLD_ENDED, DEEP_SLEEP, RESET = 0, 10, 11  # exit codes of main.py on the simulated chip

_HERE = Path(__file__).resolve().parent
_BOOT = _HERE / "firmware" / "boot.py"
_BLOCK_BYTES = 4096
_TICK_S = 0.2  # how often `progress` is called while main.py runs


@dataclass(frozen=True)
class RunResult:
    """How a run went: how often main.py was started, and the exit code of the last time."""

    wakes: int
    exit: int


class VirtualBoard:
    """One board in `folder`. Raises TorporError where the system has no pseudo-terminals (Windows)."""

    def __init__(self, folder: Path, heap_bytes: int = 100 * 1024, flash_bytes: int = 2048 * 1024) -> None:
        if os.name != "posix":
            raise TorporError("the virtual board needs a pseudo-terminal, as Linux and macOS have", "use WSL")
        self.folder = Path(os.path.realpath(folder))
        self.world = self.folder / "world"
        self.flash = self.folder / "flash.img"
        self.heap_bytes = heap_bytes
        self.flash_bytes = flash_bytes // _BLOCK_BYTES * _BLOCK_BYTES
        self.console = ""  # what main.py printed when it last ran
        self._bridge: subprocess.Popen[bytes] | None = None
        self._restart = False

    def create(self) -> None:
        """Make what is missing: the folder, an empty world, an empty file system.

        Processes that do so at once share what the first of them made. Raises DeviceError when flash.img is
        there but is no littlefs, or the folder can't be written.
        """
        try:
            self.world.mkdir(parents=True, exist_ok=True)
            if not self.flash.exists():
                self._format()
        except OSError as e:
            fix = "make room, or give a folder that can be written"
            raise DeviceError(f"{self.folder}: {e.strerror or e}", fix=fix) from None
        if not self.flash.is_file() or self._firmware("console", self.flash).returncode:
            raise DeviceError(f"{self.flash}: not a littlefs image", fix="delete it to start afresh")

    def _format(self) -> None:
        """Put an empty file system in place, unless another process is faster."""
        part = self.folder / f"flash.{secrets.token_hex(8)}.part"
        try:
            with open(part, "xb") as f:
                f.write(b"\xff" * self.flash_bytes)
            done = self._firmware("format", part)
            if done.returncode:
                raise DeviceError(f"{self.flash}: could not be formatted", done.stdout)
            try:
                os.link(part, self.flash)  # unlike a rename it leaves what is there in place
            except FileExistsError:
                pass
            except OSError:  # a file system without links, such as exFAT
                os.replace(part, self.flash)
        finally:
            with contextlib.suppress(OSError):
                part.unlink()

    def start(self) -> str:
        """Plug the board in; return the port. Nothing runs but the REPL: main.py is left to run_main()."""
        return str(self._ask(do="port")["port"])

    def stop(self) -> None:
        """Unplug the board and end its processes; files stay."""
        bridge, self._bridge = self._bridge, None
        if bridge:
            assert bridge.stdin and bridge.stdout
            bridge.stdin.close()  # it takes this as the end, and its interpreter with it
            bridge.wait()
            bridge.stdout.close()

    def cut_power(self) -> None:
        """Kill the interpreter where it stands and hang up the port; `start` powers it up again."""
        self._ask(do="cut")

    def run_main(self, timeout_s: float | None = None, progress: Callable[[], None] | None = None) -> int:
        """Press reset: run /flash/main.py in a new process; return WORLD_ENDED, DEEP_SLEEP or RESET.

        An open port sees what it prints. `progress` is called now and then. Raises DeviceError with the
        traceback when main.py raised, and when it runs longer than timeout_s.
        """
        answer = self._ask(progress, do="main", timeout_s=timeout_s)
        code, self.console = answer["exit"], answer["console"]
        if code in (WORLD_ENDED, DEEP_SLEEP, RESET):
            return int(code)
        if code is None:
            raise DeviceError(f"main.py still runs after {timeout_s:g} s", self.console, "see what it prints")
        lines = self.console.strip().splitlines()
        what = lines[-1] if lines else f"exit code {code}"
        if code < 0:
            what = f"signal {-code} ended the interpreter"
        raise DeviceError(f"main.py stopped: {what}", self.console, "the traceback says where")

    def run_until_end(
        self,
        max_wakes: int | None = None,
        progress: Callable[[int], None] | None = None,
        restart: bool = False,
    ) -> RunResult:
        """Run main.py, again after each deep sleep and reset, until the world ends or max_wakes is reached.

        With `restart` each sleep of the chip is a deep sleep: the interpreter ends, all its memory with it.
        progress(wakes) is called after each process and now and then. Raises DeviceError as `run_main` does.
        """
        if restart != self._restart:
            self.stop()  # the bridge is told by its command line what the chip does
            self._restart = restart
        wakes, code = 0, DEEP_SLEEP
        while code != WORLD_ENDED and (max_wakes is None or wakes < max_wakes):
            code = self.run_main(progress=partial(progress, wakes) if progress else None)
            wakes += 1
            if progress:
                progress(wakes)
        return RunResult(wakes, code)

    def __enter__(self) -> "VirtualBoard":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _arguments(self, mode: str, image: Path) -> list[str]:
        chip = [str(int(self._restart)), MAC.hex(), str(BATTERY_MV), str(RETAINED_BYTES)]
        return [str(_BOOT), mode, str(image), str(self.world), *chip]

    def _firmware(self, mode: str, image: Path) -> subprocess.CompletedProcess[str]:
        """Run the boot script once, without a terminal."""
        command = interpreter.command(self.heap_bytes) + self._arguments(mode, image)
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _start_bridge(self) -> subprocess.Popen[bytes]:
        if not self.flash.is_file():
            raise DeviceError(f"{self.flash}: no such board", fix="make it with VirtualBoard.create()")
        interpreter.command()  # raises where MicroPython is not installed, which the bridge calls too
        options = ["-X", f"heapsize={self.heap_bytes}"]
        orders = {
            "image": str(self.flash),
            "console": ["micropython", *options, "-i", *self._arguments("console", self.flash)],
            "main": ["micropython", *options, *self._arguments("main", self.flash)],
        }
        return subprocess.Popen(
            [sys.executable, "-I", str(_HERE / "bridge.py"), json.dumps(orders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the user's terminal is for the host alone
            bufsize=0,
        )

    def _ask(self, progress: Callable[[], None] | None = None, **command: Any) -> dict[str, Any]:
        """Send one command to the bridge, started when it is not there, and return its answer."""
        if self._bridge is None:
            self._bridge = self._start_bridge()
            if self._answer()["busy"]:
                self.stop()
                raise PortError(f"{self.folder}: another process runs it", "end it, or use another folder")
        assert self._bridge.stdin
        try:
            self._bridge.stdin.write(json.dumps(command).encode() + b"\n")
        except BrokenPipeError:
            self._lost()
        return self._answer(progress)

    def _answer(self, progress: Callable[[], None] | None = None) -> dict[str, Any]:
        assert self._bridge and self._bridge.stdout
        pipe, line = self._bridge.stdout, b""
        while not line.endswith(b"\n"):
            while progress and not select.select([pipe], [], [], _TICK_S)[0]:
                progress()
            got = pipe.read(65536)
            if not got:
                self._lost()
            line += got or b""
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _lost(self) -> None:
        self.stop()
        raise DeviceError(f"{self.folder}: the virtual board's process died", fix="run it again")
