# SPDX-License-Identifier: MIT
"""Damaged images: the native check refuses what the reference refuses, and nothing that it lets through reads
or writes outside image and arena (the C is built with the address and undefined-behaviour sanitizers)."""

import platform
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from compiler.kinds import KINDS
from conftest import REPOSITORY
from torpor.errors import ImageError
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes
from torpor_host.compiler.image import CODES, read
from torpor_host.errors import TorporError
from torpor_host.kernels import library, toolchain

PROCESSORS = ("native", "x86-64") if platform.machine().lower() in ("x86_64", "amd64") else ("native",)
VALUES = (-1, 0, 1, 2, 3, 127, -128, 1 << 16, 1 << 24, 1 << 29, 1 << 30, -(1 << 31), (1 << 31) - 1)
IMAGES = [
    compile_bytes(KINDS[kind](np.random.default_rng([seed, i])).model, kind).image
    for i, kind in enumerate(sorted(KINDS))
    for seed in range(8 if kind.startswith(("sub", "div")) else 3)  # SUB_FROM and DIV_INTO are rare
]


def test_every_code_is_mutated() -> None:
    assert {op.code for data in IMAGES for op in read(data, "image").operators} == set(CODES)


def mutated(rng: np.random.Generator) -> bytes:
    """A sound image with 1 to 4 changes, mostly in its records, under a right CRC."""
    data = bytearray(IMAGES[int(rng.integers(len(IMAGES)))])
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


def test_refuses_what_the_reference_refuses() -> None:
    rng = np.random.default_rng(1)
    counts = {True: 0, False: 0}
    for i in range(400):
        data = mutated(rng)
        if sum(struct.unpack_from("<II", data, 16)) > 1 << 20:
            continue  # allowed, but slow
        try:
            reference = Model(data, "reference")
            good = True
            arena = bytearray(sum(struct.unpack_from("<II", data, 16)))
        except ImageError as e:
            good = False
            if e.args[1] < struct.unpack_from("<I", data, 28)[0]:
                continue  # header and tensors: Image alone reads them
            arena = bytearray(min(1 << 25, sum(struct.unpack_from("<II", data, 16))))
        found = library.module().check(data, arena)
        counts[good] += 1
        if found >= 0:
            assert (found == 0) == good, f"case {i}: native says {found}"
        elif good:
            assert reference.kernels == "reference"
    assert min(counts.values()) > 60


def sanitized(folder: Path, processor: str) -> Path:
    """The kernels and the driver with sanitizers, or a skip where the compiler has none."""
    program = folder / "fuzz"
    sources = [toolchain.sources_dir() / name for name in toolchain.KERNELS]
    flags = [f for f in toolchain.COMMON if f not in ("-ffreestanding", "-g0")]
    try:
        toolchain.run(
            [
                *toolchain.host_compiler(), *flags, "-O1", "-g", f"-march={processor}",
                "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
                f"-I{toolchain.sources_dir()}", "-o", str(program),
                str(REPOSITORY / "tests/host/native_fuzz.c"), *map(str, sources),
            ]
        )  # fmt: skip
    except TorporError as e:
        pytest.skip(f"no sanitizers here: {e}")
    return program


def run_corpus(folder: Path, seed: int, count: int, processor: str = "native") -> list[int]:
    rng = np.random.default_rng(seed)
    corpus = folder / "corpus"
    with open(corpus, "wb") as f:
        for _ in range(count):
            data = mutated(rng)
            f.write(struct.pack("<I", len(data)) + data)
    done = subprocess.run(
        [str(sanitized(folder, processor)), str(corpus)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:4000]
    return [int(v) for v in done.stdout.split()]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_sanitizers_find_nothing(processor: str, tmp_path: Path) -> None:
    refused, _, run = run_corpus(tmp_path, 2, 4000, processor)
    assert refused > 500 and run > 500


@pytest.mark.soak
@pytest.mark.parametrize("processor", PROCESSORS)
def test_sanitizers_find_nothing_soak(processor: str, tmp_path: Path) -> None:
    refused, _, run = run_corpus(tmp_path, 3, 100_000, processor)
    assert refused > 10_000 and run > 10_000


def test_sanitizers_would_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the arena's bound taken out of the check, the same corpus must not pass."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    for path in toolchain.sources_dir().glob("*.[ch]"):
        text = path.read_text().replace("size <= m->ram_bytes &&", "size <= m->ram_bytes + 64 &&")
        (folder / path.name).write_text(
            text.replace("offset <= m->ram_bytes - size", "offset <= m->ram_bytes")
        )
    monkeypatch.setattr(toolchain, "sources_dir", lambda: folder)
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        run_corpus(tmp_path, 2, 1000)
