# SPDX-License-Identifier: MIT
"""The native modules that the package carries, so that nobody needs a compiler: built/ARCHITECTURE.mpy knows
all records, built/ARCHITECTURE-small.mpy those of most int8 networks; a board loads its module to RAM.

`python tools/build_native.py` makes them; built/made.json says from which sources and with which compilers:
Xtensa has one of its own, so the file says it for both.
"""

import json
import platform
from pathlib import Path

from ..errors import TorporError
from . import mpy, toolchain

FOLDER = Path(__file__).resolve().parent / "built"
NOTE = "made.json"
SOURCES, ZIG, CLANG_SOURCES, CLANG = "sources", "ziglang", "sources of xtensawin", "clang"  # in it
_MACHINES = {"x86_64": "x64", "amd64": "x64"}  # platform.machine() in lower case


def name_of(architecture: str, small: bool) -> Path:
    """Return where the file of a module belongs."""
    return FOLDER / f"{architecture}{'-small' if small else ''}.mpy"


def path(architecture: str, small: bool = False) -> Path:
    """Return the file of a module for an architecture of .mpy files. Raises TorporError: there is none."""
    found = name_of(architecture, small)
    if not found.is_file():
        raise TorporError(
            f"no native kernels for {architecture}", fix=f"there are some for {', '.join(mpy.TARGETS)}"
        )
    return found


def smallest(architecture: str, codes: frozenset[int]) -> Path:
    """As path(), of the smallest module that knows the record codes, the whole one where none does."""
    return path(architecture, codes <= mpy.SMALL_CODES)


def for_machine() -> str | None:
    """Return the architecture of a MicroPython that runs here, None where there are no kernels for it."""
    return _MACHINES.get(platform.machine().lower())


def for_this_machine() -> Path:
    """Return the module for a MicroPython that runs here. Raises TorporError where there is none."""
    architecture = for_machine()
    if architecture is None:
        raise TorporError(
            f"no native kernels for a MicroPython on {platform.machine()}",
            fix="use the reference kernels there",
        )
    return path(architecture)


def loads(board: int, module: int) -> bool:
    """Say whether a board of one architecture number loads native code of another.

    Source: MicroPython py/persistentcode.h, MPY_FEATURE_ARCH_TEST: Cortex-M loads what is made for a lesser
    one, all others only their own.
    """
    cortex_m = range(4, 9)  # armv6m to armv7emdp
    return module == board or (module in cortex_m and board in cortex_m and module < board)


def best(board: int, codes: frozenset[int]) -> Path | None:
    """Return the module that suits a board of that architecture number best and knows the record codes."""
    for target in sorted(mpy.TARGETS.values(), key=lambda t: -t.number):
        if loads(board, target.number) and codes <= mpy.CODES:
            return smallest(target.name, codes)
    return None


def note() -> dict[str, str]:
    """Return what the modules would be made from now: hash of sources and flags, the compilers' versions."""
    flags = [
        *mpy.FLAGS,
        *mpy.SMALL_FLAGS,
        *mpy.LINK,
        *mpy.LLC,
        *mpy.ASSEMBLE,
        *(f for t in mpy.TARGETS.values() for f in t.flags),
    ]
    sources = toolchain.fingerprint(*flags)
    return {
        SOURCES: sources,
        ZIG: toolchain.zig_version(),
        CLANG_SOURCES: sources,
        CLANG: toolchain.llvm_version(),
    }


def recorded() -> dict[str, str]:
    """Return the note of what is carried, {} where there is none."""
    try:
        found: dict[str, str] = json.loads((FOLDER / NOTE).read_text(encoding="utf-8"))
    except OSError:
        return {}
    return found
