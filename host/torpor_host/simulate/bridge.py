# SPDX-License-Identifier: MIT
"""The virtual board's hardware, in a process of its own: starts interpreters and joins them to a terminal.

`VirtualBoard` runs this file as `python -I bridge.py '{"image": ..., "console": [...], "main": [...]}'`; the
two lists are MicroPython's command lines. It then obeys lines of JSON on stdin and answers each with one:

    {"do": "port"}    -> {"port": "/dev/pts/7"}  a terminal for mpremote; its first byte starts an interpreter
    {"do": "main", "timeout_s": 5 or null} -> {"exit": 10, "console": "..."}  main.py in a new process
    {"do": "cut"}     -> {}                      power is cut: the interpreter dies, the terminal hangs up
    end of stdin                                 the same, and the end

Why a fork: Python and its extension take 17 ms to start, a forked copy of a process that has loaded both
takes 1 ms, and a node that sleeps deeply starts once a wake. MicroPython never runs in the parent, so each
child initialises it from nothing.

Why terminals inside, too: when this process dies, however it dies, the terminals close and the kernel hangs
up their sessions, so no interpreter is left behind.
"""

import contextlib
import errno
import fcntl
import json
import os
import pty
import select
import signal
import sys
import termios
import time
import tty
from typing import Any

from micropython_module import run_main

_KEEP_BYTES = 65536  # of what the console printed last
_PATIENCE_S = 1.0  # what nobody reads for so long is lost, as on a serial line
_RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_FRIENDLY_BANNER = b'Type "help()" for more information.\r\n'
_PROMPTS = (b">>> ", b"... ", b"=== ")


def _terminal() -> tuple[int, int]:
    master, slave = pty.openpty()
    tty.setraw(slave)  # before anything runs: else mpremote waits for ever for the newlines it knows
    return master, slave


def _waits_at_prompt(tail: bytes) -> bool:
    """Whether an interpreter that printed `tail` last waits for input rather than runs a program."""
    return tail.endswith((b"\x04>", _RAW_BANNER + b">")) or tail.rpartition(b"\n")[2].startswith(_PROMPTS)


def _takes_interrupt(pid: int, tail: bytes) -> bool:
    """Whether SIGINT would be caught. MicroPython catches it only while a program runs; else it kills."""
    try:
        with open(f"/proc/{pid}/status") as f:
            caught = int(f.read().partition("SigCgt:")[2].split()[0], 16)
        return bool(caught & 1 << signal.SIGINT - 1)
    except (OSError, IndexError):  # no /proc, as on macOS, or gone
        return not _waits_at_prompt(tail)


class Interpreter:
    """One MicroPython process; it leads a session of its own on an inner terminal."""

    def __init__(self, argv: list[str]) -> None:
        self.fd, slave = _terminal()
        self.tail = b""
        self.unread = b""  # sent to it, not yet taken
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for fd in range(3):
                    os.dup2(slave, fd)
                os.closerange(3, 64)
                for number in (signal.SIGINT, signal.SIGPIPE):
                    signal.signal(number, signal.SIG_DFL)
                code = run_main(argv)
            finally:
                os._exit(code & 0xFF)
        os.close(slave)
        os.set_blocking(self.fd, False)  # a program that reads nothing must not stop the bridge

    def read(self) -> bytes:
        """Return what it printed, b"" once it has ended."""
        try:
            data = os.read(self.fd, 16384)
        except OSError as e:
            if e.errno != errno.EIO:  # Linux's way to say that the other side has closed
                raise
            data = b""
        self.tail = (self.tail + data)[-_KEEP_BYTES:]
        return data

    def write(self, data: bytes = b"") -> None:
        if b"\x03" in data and _takes_interrupt(self.pid, self.tail):
            os.kill(self.pid, signal.SIGINT)
            data, self.unread = data.replace(b"\x03", b""), b""
        self.unread += data
        with contextlib.suppress(OSError):  # full, or it has just ended, which the next read says
            self.unread = self.unread[os.write(self.fd, self.unread) :]

    def end(self, kill: bool = False) -> int:
        """Wait for its end; return the exit code, or minus the signal that killed it."""
        with contextlib.suppress(ProcessLookupError):
            if kill:
                os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)  # also hangs up, should it have closed its terminal and live on
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def read_until(self, token: bytes, timeout_s: float = 5.0) -> bytes:
        """Return the output up to `token`, or what came before its end or the timeout."""
        data, end = b"", time.monotonic() + timeout_s
        while token not in data and select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
            got = self.read()
            if not got:
                break
            data += got
        return data


class Bridge:
    def __init__(self, console_argv: list[str], main_argv: list[str]) -> None:
        self._console_argv = console_argv
        self._main_argv = main_argv
        self._cpu: Interpreter | None = None  # a board has one processor, so never two
        self._running_main = False
        self._deadline: float | None = None
        self._outer = self._slave = -1
        self._pending = b""  # printed, not yet taken by whoever has the port open
        self._refused_since: float | None = None
        self._raw = False
        self._commands = b""

    def serve(self) -> None:
        while True:
            reads, writes = [0], list[int]()
            if self._outer >= 0:
                if not self._cpu or len(self._cpu.unread) < _KEEP_BYTES:
                    reads.append(self._outer)
                if self._pending:
                    writes.append(self._outer)
            if self._cpu:
                if len(self._pending) < _KEEP_BYTES:
                    reads.append(self._cpu.fd)
                if self._cpu.unread:
                    writes.append(self._cpu.fd)
            timeouts = [self._deadline] if self._deadline else []
            if self._pending:
                timeouts.append((self._refused_since or time.monotonic()) + _PATIENCE_S)
            wait_s = max(0.0, min(timeouts) - time.monotonic()) if timeouts else None
            ready, writable, _ = select.select(reads, writes, [], wait_s)
            if self._cpu and self._cpu.fd in writable:
                self._cpu.write()
            if self._cpu and self._cpu.fd in ready:
                self._from_interpreter(self._cpu)
            if self._outer in ready:
                self._from_port()
            self._to_port()
            if self._cpu and self._deadline and time.monotonic() > self._deadline:
                self._main_ended(self._cpu, timed_out=True)
            if 0 in ready and not self._from_host():
                break
        self._cut()

    def _from_host(self) -> bool:
        got = os.read(0, 4096)
        self._commands += got
        while b"\n" in self._commands:
            line, _, self._commands = self._commands.partition(b"\n")
            command = json.loads(line)
            if command["do"] == "port":
                if self._outer < 0:
                    self._outer, self._slave = _terminal()
                    os.set_blocking(self._outer, False)
                self._answer(port=os.ttyname(self._slave))
            elif command["do"] == "main":
                self._stop_cpu()
                self._cpu, self._running_main = Interpreter(self._main_argv), True
                self._deadline = command["timeout_s"] and time.monotonic() + command["timeout_s"]
            else:
                self._cut()
                self._answer()
        return bool(got)

    def _answer(self, **fields: Any) -> None:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()

    def _stop_cpu(self) -> None:
        if self._cpu:
            self._cpu.end(kill=True)
            self._cpu, self._running_main, self._raw = None, False, False

    def _cut(self) -> None:
        self._stop_cpu()
        self._deadline, self._pending = None, b""
        if self._outer >= 0:
            os.close(self._slave)
            os.close(self._outer)
            self._outer = self._slave = -1

    def _main_ended(self, cpu: Interpreter, timed_out: bool = False) -> None:
        console = cpu.tail.decode("utf-8", "replace").replace("\r\n", "\n")
        code = cpu.end(kill=timed_out)
        self._cpu, self._running_main, self._deadline = None, False, None
        self._answer(exit=None if timed_out else code, console=console)

    def _print(self, data: bytes) -> None:
        if self._outer >= 0:
            self._pending += data

    def _from_interpreter(self, cpu: Interpreter) -> None:
        data = cpu.read()
        if data:
            self._print(data)
            recent = cpu.tail[-len(data) - len(_FRIENDLY_BANNER) :]
            raw, friendly = recent.rfind(_RAW_BANNER), recent.rfind(_FRIENDLY_BANNER)
            if raw != friendly:  # at least one was printed; the later one holds
                self._raw = raw > friendly
        elif self._running_main:
            self._main_ended(cpu)
        else:  # Ctrl-D, or a program called sys.exit(): what a board answers with a soft reset
            raw = self._raw
            self._stop_cpu()
            self._print(b"MPY: soft reboot\r\n")
            self._start_console(raw)

    def _start_console(self, raw: bool = False) -> Interpreter:
        cpu = Interpreter(self._console_argv)
        shown = cpu.read_until(b">>> ")
        if raw:  # a soft reset keeps the raw REPL, and prints no friendly banner in between
            cpu.write(b"\x01")
            shown = cpu.read_until(_RAW_BANNER + b">").rpartition(b">>> ")[2].lstrip(b"\r\n")
        self._cpu, self._raw = cpu, raw
        self._print(shown)
        return cpu

    def _from_port(self) -> None:
        data = os.read(self._outer, 16384)
        (self._cpu or self._start_console()).write(data)

    def _to_port(self) -> None:
        if not self._pending:
            self._refused_since = None
            return
        try:
            sent = os.write(self._outer, self._pending)
        except BlockingIOError:
            sent = 0
        self._pending = self._pending[sent:]
        now = time.monotonic()
        if sent:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since > _PATIENCE_S:
            self._pending, self._refused_since = b"", None


def main() -> None:
    orders = json.loads(sys.argv[1])
    image = os.open(orders["image"], os.O_RDWR)
    try:
        fcntl.flock(image, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print(json.dumps({"busy": True}), flush=True)
        return
    for name in ("HOME", "MICROPYPATH", "MICROPYINSPECT"):  # a board has no history file and no such path
        os.environ.pop(name, None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host
    print(json.dumps({"busy": False}), flush=True)
    Bridge(orders["console"], orders["main"]).serve()


if __name__ == "__main__":
    main()
