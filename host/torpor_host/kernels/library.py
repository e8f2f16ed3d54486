# SPDX-License-Identifier: MIT
"""The native kernels as a shared library for CPython, compiled on first use for this very machine.

    with library.installed():
        model = Model(image, "native")

The library is kept in the user's cache folder under a name that hashes sources, compiler, flags and
processor, so that neither an update nor a home folder shared by two machines finds the wrong one.
"""

import ctypes
import os
import platform
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import toolchain

MODULE = "torpor_native"
FLAGS = (*toolchain.COMMON, "-O3", "-march=native", "-fPIC", "-shared")
_EXPORTED = ('-DTORPOR_API=__attribute__((visibility("default")))',)


def cache_dir() -> Path:
    """Folder of what can be made anew: $XDG_CACHE_HOME/torpor, by default ~/.cache/torpor."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torpor"


def _processor() -> str:
    """Whatever names the instructions that this processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.node()
    return "\n".join(sorted({x for x in lines if x.startswith(("flags", "Features", "model name"))}))


def compile_to(target: Path, flags: tuple[str, ...] = FLAGS) -> None:
    """Compile the kernels into the shared library `target`, whole or not at all. Raises TorporError."""
    sources = [str(toolchain.sources_dir() / name) for name in toolchain.KERNELS]
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder, target.name)
        toolchain.run([*toolchain.host_compiler(), *flags, *_EXPORTED, "-o", str(made), *sources])
        os.replace(made, target)


def path() -> Path:
    """Return the library's file, compiled if it is not there yet. Raises TorporError."""
    compiler = toolchain.host_compiler()
    said = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False).stdout
    name = toolchain.fingerprint(" ".join(compiler), said, " ".join(FLAGS), platform.machine(), _processor())
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        folder = Path(tempfile.mkdtemp(prefix="torpor-"))
    target = folder / f"{MODULE}-{name}.so"
    if not target.exists():
        compile_to(target)
    return target


def bind(file: Path) -> ModuleType:
    """Return the library in `file` as boards import it; see device/kernels/module.c."""
    library = ctypes.CDLL(str(file))
    library.torpor_check.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
    library.torpor_check.restype = ctypes.c_int32
    library.torpor_invoke.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.torpor_invoke.restype = None
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.torpor_check_step.argtypes = [pointer, size, pointer, size, size]
    library.torpor_check_step.restype = ctypes.c_int32
    library.torpor_run_step.argtypes = [pointer, pointer, pointer]
    library.torpor_run_step.restype = None

    def check(image: Any, arena: Any) -> int:
        found: int = library.torpor_check(_address(image), len(image), len(arena))
        return found

    def invoke(image: Any, arena: Any) -> None:
        library.torpor_invoke(_address(image), _address(arena))

    def check_step(step: Any, window: Any, arena: Any) -> int:
        bytes_of = memoryview(step).nbytes
        found: int = library.torpor_check_step(
            _address(step), bytes_of, _address(window), len(window), len(arena)
        )
        return found

    def step(step: Any, window: Any, arena: Any) -> None:
        library.torpor_run_step(_address(step), _address(window), _address(arena))

    module = ModuleType(MODULE, "the native kernels, compiled for this machine")
    module.__dict__.update(check=check, invoke=invoke, check_step=check_step, step=step, __file__=str(file))
    return module


def _address(buffer: Any) -> int | bytes:
    """What ctypes passes as a pointer to the bytes; the two that a Model uses take no array to be made."""
    if isinstance(buffer, bytes):
        return buffer
    if isinstance(buffer, array):
        return buffer.buffer_info()[0]
    if not len(buffer):
        return 0
    address: int = np.frombuffer(buffer, np.uint8).__array_interface__["data"][0]
    return address


@cache
def module() -> ModuleType:
    """Return the kernels of this machine. Raises TorporError where they can't be compiled."""
    return bind(path())


@contextmanager
def installed() -> Iterator[None]:
    """Let `import torpor_native` find them within the block. Raises TorporError."""
    before = sys.modules.get(MODULE)
    sys.modules[MODULE] = module()
    if user := sys.modules.get("torpor.nn.native"):  # perhaps with kernels of another processor
        user.__dict__[MODULE] = module()
    try:
        yield
    finally:
        if before is None:
            sys.modules.pop(MODULE, None)
        else:
            sys.modules[MODULE] = before
