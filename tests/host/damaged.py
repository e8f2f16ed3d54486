# SPDX-License-Identifier: MIT
"""Damaged images of every record code, what readers and kernels make of them, and the C with sanitizers."""

import platform
import signal
import struct
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from compiler.kinds import KINDS
from conftest import REPOSITORY
from torpor.errors import ImageError
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes
from torpor_host.kernels import library, toolchain

PROCESSORS = ("native", "x86-64") if platform.machine().lower() in ("x86_64", "amd64") else ("native",)
VALUES = (-1, 0, 1, 2, 3, 127, -128, 1 << 16, 1 << 24, 1 << 29, 1 << 30, -(1 << 31), (1 << 31) - 1)
LARGE = 1 << 20  # RAM that a damaged image may ask for and get, though slowly
OUTCOMES = ("ran", "stopped", "refused", "refused by the reader", "large")


@cache
def images() -> list[bytes]:
    """Sound ones, of every kind and every record code."""
    return [
        compile_bytes(KINDS[kind](np.random.default_rng([seed, i])).model, kind).image
        for i, kind in enumerate(sorted(KINDS))
        for seed in range(8 if kind.startswith(("sub", "div")) else 3)  # SUB_FROM and DIV_INTO are rare
    ]


def mutated(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    """A sound image with 1 to 4 changes, mostly in its records, under a right CRC."""
    data = bytearray(sound[int(rng.integers(len(sound)))])
    operators, weights = struct.unpack_from("<II", data, 28)
    for _ in range(int(rng.integers(1, 5))):
        how = int(rng.integers(8))
        if how == 0:
            data[int(rng.integers(16, len(data)))] = int(rng.integers(256))
            continue
        at = int(rng.integers(operators if weights > operators and how > 1 else 16, weights - 3)) & ~3
        (old,) = struct.unpack_from("<i", data, at)
        if how < 4:
            new = int(rng.choice(VALUES))
        elif how < 7:  # slightly more or less: the bounds
            new = old + int(rng.choice([-2, -1, 1, 2, 4, 8, 16, -16]))
        else:
            new = old ^ 1 << int(rng.integers(31))
        struct.pack_into("<i", data, at, max(-(1 << 31), min((1 << 31) - 1, new)))
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


class _Stopped(Exception):
    pass


@contextmanager
def _seconds(limit: float) -> Iterator[None]:
    """Raise _Stopped within the block when it takes longer."""

    def stop(*_: object) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(data: bytes, run_seconds: float = 0) -> str:
    """One of OUTCOMES, of the reference kernels, run for `run_seconds` at most (0: not run, and "ran").

    Raises AssertionError where the native check says anything else; whatever but an ImageError comes from the
    reference is raised too.
    """
    ram_bytes = sum(struct.unpack_from("<II", data, 16))
    if ram_bytes > LARGE:
        return "large"
    try:
        model = Model(data, "reference")
        good = True
    except ImageError as e:
        good = False
        if e.args[1] < struct.unpack_from("<I", data, 28)[0]:
            return "refused by the reader"  # header and tensors: Image alone reads them
    found = library.module().check(data, bytearray(ram_bytes))
    assert found < 0 or (found == 0) == good, f"native says {found}, the reference {good}"
    if not good:
        return "refused"
    if run_seconds:
        try:
            with _seconds(run_seconds):
                model.run()
        except _Stopped:
            return "stopped"
    return "ran"


def sanitized(folder: Path, processor: str) -> Path:
    """The kernels and the driver with sanitizers. Raises TorporError where the compiler has none."""
    program = folder / f"fuzz-{processor}"
    sources = [toolchain.sources_dir() / name for name in toolchain.KERNELS]
    flags = [f for f in toolchain.COMMON if f not in ("-ffreestanding", "-g0")]
    toolchain.run(
        [
            *toolchain.host_compiler(), *flags, "-O1", "-g", f"-march={processor}",
            "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            f"-I{toolchain.sources_dir()}", "-o", str(program),
            str(REPOSITORY / "tests/host/native_fuzz.c"), *map(str, sources),
        ]
    )  # fmt: skip
    return program


def run_corpus(program: Path, corpus: list[bytes], folder: Path) -> list[int]:
    """How many of `corpus` a sanitized program refused, did not know, and ran. Raises AssertionError, with
    what a sanitizer said."""
    file = folder / "corpus"
    file.write_bytes(b"".join(struct.pack("<I", len(data)) + data for data in corpus))
    done = subprocess.run(
        [str(program), str(file)], capture_output=True, text=True, check=False, errors="replace"
    )
    assert done.returncode == 0, done.stderr[:4000]
    return [int(v) for v in done.stdout.split()]
