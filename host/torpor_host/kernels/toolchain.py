# SPDX-License-Identifier: MIT
"""The C sources of the native kernels, and the compilers that may be on this machine.

PyPI's `ziglang` is a whole clang for every target but Xtensa; it makes the .mpy modules. That for Xtensa is
made by Debian's clang-22 and llvm-22, which have it as an experimental target. For the shared library of this
machine any C compiler will do.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ..errors import TorporError
from ..paths import device_dir

KERNELS = (
    "image.c", "check.c", "add.c", "conv.c", "dense.c", "floats.c", "lookup.c", "move.c", "pad.c", "pool.c",
    "softmax.c", "cortex_m0.c", "cortex_m4.c",
    "svdf.c", "lstm.c", "spectrum.c", "filterbank.c", "ints.c",
    "reduce.c", "log_softmax.c", "resize.c", "to_float.c", "div.c", "requantize.c",
    "mixed.c", "convert.c", "pool16.c", "binary16.c", "softmax16.c", "sigmoid16.c",
)  # fmt: skip
LLVM = "22"
LLVM_PACKAGES = f"clang-{LLVM} llvm-{LLVM}"
# of all targets: ISO C without a library, and signed overflow wraps (see torpor.h)
COMMON = ("-std=c11", "-ffreestanding", "-fwrapv", "-fvisibility=hidden", "-g0", "-Wall", "-Wextra")


def sources_dir() -> Path:
    """Folder with the C sources."""
    return device_dir() / "kernels"


def zig() -> list[str]:
    """Return the command of `ziglang`; raise TorporError where it is not installed."""
    if find_spec("ziglang") is None:
        raise TorporError("no compiler for native modules", fix="pip install ziglang")
    return [sys.executable, "-m", "ziglang"]


def zig_version() -> str:
    """Return the version of the installed `ziglang`, "" where there is none."""
    try:
        return version("ziglang")
    except PackageNotFoundError:
        return ""


def llvm(tool: str) -> str:
    """Return the command of one of LLVM's tools that know Xtensa; raise TorporError where it is missing."""
    name = f"{tool}-{LLVM}"
    if shutil.which(name) is None:
        raise TorporError(
            f"no compiler for the native module of Xtensa: {name} is missing",
            fix=f"apt-get install {LLVM_PACKAGES}",
        )
    return name


def llvm_version() -> str:
    """Return the version of clang for Xtensa, "" where a tool is missing."""
    try:
        clang, *_ = [llvm(tool) for tool in ("clang", "llc", "llvm-mc")]
    except TorporError:
        return ""
    said = subprocess.run([clang, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\S+)", said)
    return found[1] if found else ""


def host_compiler() -> list[str]:
    """Return a command that compiles C for this machine; raise TorporError where there is none."""
    for name in ((sysconfig.get_config_var("CC") or "").split()[:1] or ["cc"]) + ["cc", "gcc", "clang"]:
        if shutil.which(name):
            return [name]
    if find_spec("ziglang") is not None:
        return [*zig(), "cc"]
    raise TorporError(
        "the native kernels must be compiled once for this machine, and it has no C compiler",
        fix="pip install ziglang, or install gcc or clang",
    )


def fingerprint(*more: str) -> str:
    """Return a hash over every C source and `more`."""
    total = hashlib.sha256()
    for path in sorted(sources_dir().glob("*.[chl]*")):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for text in more:
        total.update(text.encode() + b"\0")
    return total.hexdigest()[:16]


def run(command: list[str], folder: Path | None = None) -> None:
    """Run a compiler; raise TorporError with what it said first when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise TorporError(
            f"{command[0]} failed: {said[0] if said else 'no message'}", fix=f"see: {' '.join(command)}"
        )
