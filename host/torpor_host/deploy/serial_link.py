# SPDX-License-Identifier: MIT
"""A board behind a serial port, over the transport of the real mpremote (its raw REPL).

Tested with mpremote 1.25, 1.26 and 1.29; 1.24 has no timeout for entering the raw REPL. What goes wrong
below is told apart in one place, `SerialLink._mapped`.
"""

import ast
import contextlib
import errno
import hashlib
import io
import re
import struct
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial.tools import list_ports

from ..errors import DeviceError, DiskFullError, LinkLostError, PortError
from .link import BoardInfo, Link, Progress, Step

_CHUNK_BYTES = 1024  # of content in one exec: measured, more gains nothing and asks more of a small heap

_DESCRIBE = """
import sys
i=sys.implementation
m=getattr(i,'_mpy',getattr(i,'mpy',0))
print([i.name,'.'.join([str(n) for n in i[1][:3]]),m&255,m>>10])
"""

_HASH = """
import hashlib
from binascii import hexlify
def _hash(p):
 try:
  f=open(p,'rb')
 except OSError:
  return
 with f:
  h=hashlib.sha256() if hasattr(hashlib,'sha256') else hashlib.new('sha256')
  b=bytearray(1024)
  m=memoryview(b)
  n=f.readinto(b)
  while n:
   h.update(m[:n])
   n=f.readinto(b)
 print(repr((p,hexlify(h.digest()).decode())))
for p in %r:_hash(p)
del _hash
"""

_STEPS = """
import os
for a,b in %r:
 if b:
  os.rename(a,b)
 else:
  try:
   os.remove(a)
  except OSError as e:
   if e.errno!=2:raise
  while '/' in a:
   a=a.rsplit('/',1)[0]
   try:
    os.rmdir(a)
   except OSError as e:
    if e.errno!=2:break
"""

_READ = """
from binascii import b2a_base64
try:
 f=open(%r,'rb')
except OSError as e:
 if e.errno!=2:raise
else:
 print('=')
 with f:
  b=f.read(384)
  while b:
   print(b2a_base64(b).decode(),end='')
   b=f.read(384)
"""

_LIST = """
import os
try:
 for e in os.ilistdir(%r):print(repr((e[0],-1 if e[1]&0x4000 else os.stat(%r+e[0])[6])))
except OSError as e:
 if e.errno!=2:raise
"""

_LIST_CIRCUITPYTHON = """
import os
try:
 for n in os.listdir(%r):
  s=os.stat(%r+n)
  print(repr((n,-1 if s[0]&0x4000 else s[6])))
except OSError as e:
 if e.errno!=2:raise
"""

_MKDIRS = """
import os
d=''
for n in %r.split('/'):
 d=d+n
 try:
  os.mkdir(d)
 except OSError as e:
  if e.errno!=17:raise
 d=d+'/'
"""

_CLOCK = """
y,M,d,h,m,s,w=%r
try:
 import rtc,time
 rtc.RTC().datetime=time.struct_time((y,M,d,h,m,s,w,-1,-1))
 print(1)
except ImportError:
 import machine
 if hasattr(machine,'RTC'):
  machine.RTC().datetime((y,M,d,w,h,m,s,0))
  print(1)
"""


class SerialLink(Link):
    """Open `port` for itself alone and stop what runs on the board.

    Raises PortError when there is no such port, it is taken, or nothing answers within timeout_s.
    """

    def __init__(self, port: str, timeout_s: float = 10) -> None:
        self.port = port
        try:
            self._transport = SerialTransport(port)
        except (TransportError, OSError) as e:
            raise _no_port(port, e) from None
        self._transport.serial.timeout = timeout_s  # else a read on a silent pseudo-terminal waits for ever
        self._timeout_s = timeout_s
        self._circuitpython = False
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what it got instead
                self._transport.enter_raw_repl(timeout_overall=timeout_s)
        except (TransportError, OSError):
            self.close()
            raise PortError(
                f"{port}: no MicroPython or CircuitPython answers",
                "press reset and try again at once (a sleeping node answers only while awake); "
                "a blank board needs its firmware first",
            ) from None

    @contextlib.contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        """Turn what mpremote and pyserial raise into errors of ours."""
        try:
            yield
        except (TransportError, OSError, struct.error, UnicodeDecodeError, SyntaxError, ValueError) as e:
            why = str(e).splitlines()[0] if str(e) else type(e).__name__
            raise LinkLostError(
                f"{self.port}: link lost while {doing} ({why})",
                "check cable and power, then deploy again: it goes on where it stopped",
            ) from None

    def _exec(self, code: str, doing: str) -> str:
        with self._mapped(doing):
            out, error = self._transport.exec_raw(code.strip(), timeout=max(self._timeout_s, 30))
            text: str = out.decode()
        if error:
            raise _device_error(error.decode(errors="replace"), f"{self.port}: {doing}")
        return text

    def _values(self, code: str, doing: str) -> list[tuple[str, str]]:
        out = self._exec(code, doing)
        with self._mapped(doing):
            return [ast.literal_eval(line) for line in out.splitlines()]

    def describe(self) -> BoardInfo:
        out = self._exec(_DESCRIBE, "asking which firmware runs")
        with self._mapped("asking which firmware runs"):
            runtime, version, mpy, native = ast.literal_eval(out.strip())
        self._circuitpython = runtime == "circuitpython"
        return BoardInfo(runtime, version, mpy, native)

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        if not paths:
            return {}
        try:
            return dict(self._values(_HASH % (tuple(paths),), "hashing files"))
        except DeviceError as e:
            if "ImportError" not in e.traceback:
                raise
        contents = {p: self.read(p) for p in paths}  # a firmware without hashlib: its files come here instead
        return {p: hashlib.sha256(data).hexdigest() for p, data in contents.items() if data is not None}

    def read(self, path: str) -> bytes | None:
        lines = self._exec(_READ % path, f"reading {path}").split()
        with self._mapped(f"reading {path}"):
            return b"".join(b64decode(line, validate=True) for line in lines[1:]) if lines else None

    def write(self, path: str, data: bytes, progress: Progress | None = None) -> None:
        doing = f"writing {path}"
        self._exec(f"from binascii import a2b_base64 as _a\n_f=open({path!r},'wb')", doing)
        try:
            for start in range(0, len(data), _CHUNK_BYTES):
                chunk = data[start : start + _CHUNK_BYTES]
                self._exec(f"_f.write(_a({b64encode(chunk)!r}))", doing)
                if progress:
                    progress(start + len(chunk))
            self._exec("_f.close()", doing)
        except (DiskFullError, DeviceError):
            with contextlib.suppress(DiskFullError, DeviceError):
                self._exec("_f.close()", doing)
            raise

    def rename_all(self, steps: Sequence[Step]) -> None:
        self._exec(_STEPS % (tuple(steps),), "putting the new files in place")

    def list_files(self, folder: str) -> dict[str, int]:
        code = _LIST_CIRCUITPYTHON if self._circuitpython else _LIST
        prefix = folder + "/" if folder else ""
        found = self._values(code % (folder or ".", prefix), f"listing {folder or 'files'}")
        return {name: int(size) for name, size in found}

    def free_bytes(self) -> int:
        out = self._exec("import os\ns=os.statvfs(os.getcwd())\nprint(s[0]*s[3])", "asking for free space")
        with self._mapped("asking for free space"):
            return int(out)

    def mkdirs(self, folder: str) -> None:
        self._exec(_MKDIRS % folder, f"making {folder}")

    def set_clock(self, unix_s: float) -> bool:
        t = time.gmtime(unix_s)
        now = (t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_wday)
        return bool(self._exec(_CLOCK % (now,), "setting the clock").strip())

    def start(self) -> None:
        # A soft reset: a hard one would stop some chips' clocks, and USB would vanish under the console.
        with contextlib.suppress(TransportError, OSError):
            self._transport.exit_raw_repl()
            self._transport.serial.write(b"\x04")
            self._transport.read_until(1, b"soft reboot\r\n", timeout_overall=self._timeout_s)

    def close(self) -> None:
        with contextlib.suppress(TransportError, OSError):
            if self._transport.in_raw_repl:
                self._transport.exit_raw_repl()
        with contextlib.suppress(OSError):
            self._transport.close()
        with contextlib.suppress(OSError):
            self._transport.serial.close()  # transport.close() gives up before this when the port is gone


def _device_error(output: str, doing: str) -> DeviceError | DiskFullError:
    last = output.strip().splitlines()[-1] if output.strip() else "no message"
    number = re.search(r"OSError: (?:\[Errno )?(\d+)", last)
    code = int(number[1]) if number else 0
    if code == errno.ENOSPC or "ENOSPC" in last:
        return DiskFullError(f"{doing}: the board's file system is full", "remove files from the board")
    fix = "the board's own message says why"
    if code == errno.EROFS or "EROFS" in last:
        fix = "while its drive is mounted a board may not write: give the drive's folder as --port instead"
    elif "MemoryError" in last:
        fix = "reset the board and try again"
    return DeviceError(f"{doing}: {last}", output, fix)


def _no_port(port: str, failure: Exception) -> PortError:
    """Say why a port can't be opened: mpremote keeps the reason to itself, so ask once more."""
    found = [p.device for p in list_ports.comports() if p.vid is not None]
    ports = f"ports found: {', '.join(found)}" if found else "no USB serial port found: plug the board in"
    try:
        serial.serial_for_url(port, exclusive=True).close()
    except (OSError, ValueError) as e:  # SerialException is an OSError
        text, number = str(e), getattr(e, "errno", None)
        if number == errno.ENOENT or "FileNotFound" in text or isinstance(e, ValueError):
            return PortError(f"{port}: no such port", ports)
        if number == errno.EACCES:
            return PortError(f"{port}: no permission", "join the port's group (often dialout), log in again")
        if number == errno.EBUSY or "exclusively lock" in text or "PermissionError" in text:
            return PortError(f"{port}: busy, another program has it open", "close that program and try again")
        return PortError(f"{port}: not a serial port ({text})", ports)
    return PortError(f"{port}: could not be opened ({failure})", "try again")
