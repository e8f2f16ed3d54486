# SPDX-License-Identifier: MIT
"""Every failure that a user can cause or meet, as one tree.

    TorporError              exit 1: something went wrong; the message says what to do next
    +-- UsageError           exit 2: the command line is wrong
    +-- ConfigError          node.toml or a board profile; carries every problem found
    +-- CompileError         a model that cannot become an image; names the layer
    +-- FitError             it does not fit the board; region, need and have in bytes
    +-- ImageFileError       a .tpm that is missing, truncated or altered
    +-- TraceError           a recording with a gap, NaN or the wrong columns
    +-- PortError            no such port, busy, or no MicroPython behind it
    +-- LinkLostError        the link died half-way; what was there before is still whole
    +-- DiskFullError        the board's file system is full
    +-- DeviceError          code on the board raised; carries its traceback
    +-- CollectError         frames that can't be received or stored

Only `cli.main()` catches TorporError. Anything else is a bug and keeps its traceback.
"""


class TorporError(Exception):
    """Base. `message` says what and where; `fix` says what to do next (both one line)."""

    exit_code = 1

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


class UsageError(TorporError):
    exit_code = 2


class ConfigError(TorporError):
    """`problems` are lines 'FILE:LINE: key.path: what is wrong; the fix', all found in one pass."""

    def __init__(self, problems: list[str]) -> None:
        count = len(problems)
        super().__init__("\n".join(problems), "" if count == 1 else f"{count} problems")
        self.problems = problems

    def __str__(self) -> str:
        return self.message


class CompileError(TorporError):
    """`layer` is the operator's index in the .tflite, -1 when the file as a whole is meant."""

    def __init__(self, message: str, fix: str = "", layer: int = -1) -> None:
        super().__init__(message, fix)
        self.layer = layer


class FitError(TorporError):
    def __init__(self, region: str, need_bytes: int, have_bytes: int, fix: str = "") -> None:
        super().__init__(f"{region}: {need_bytes} bytes needed, {have_bytes} available", fix)
        self.region = region
        self.need_bytes = need_bytes
        self.have_bytes = have_bytes


class ImageFileError(TorporError):
    pass


class TraceError(TorporError):
    pass


class PortError(TorporError):
    pass


class LinkLostError(TorporError):
    pass


class DiskFullError(TorporError):
    pass


class DeviceError(TorporError):
    """`traceback` is what the interpreter on the board printed."""

    def __init__(self, message: str, traceback: str = "", fix: str = "") -> None:
        super().__init__(message, fix)
        self.traceback = traceback


class CollectError(TorporError):
    pass
