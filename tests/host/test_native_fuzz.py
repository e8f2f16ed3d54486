# SPDX-License-Identifier: MIT
"""Damaged images: the native check refuses what the reference refuses, and nothing that it lets through reads
or writes outside image and arena (the C is built with the address and undefined-behaviour sanitizers).
`make soak` damages 100,000."""

from pathlib import Path

import numpy as np
import pytest

from host.damaged import PROCESSORS, images, mutated, outcome, run_corpus, sanitized
from torpor_host.compiler.image import CODES, read
from torpor_host.errors import TorporError
from torpor_host.kernels import toolchain

COUNT = 4000


def corpus(seed: int, count: int = COUNT) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [mutated(rng, images()) for _ in range(count)]


def program(folder: Path, processor: str) -> Path:
    try:
        return sanitized(folder, processor)
    except TorporError as e:
        pytest.skip(f"no sanitizers here: {e}")


def test_every_code_is_mutated() -> None:
    assert {op.code for data in images() for op in read(data, "image").operators} == set(CODES)


def test_refuses_what_the_reference_refuses() -> None:
    found = [outcome(data) for data in corpus(1, 3000)]
    assert min(found.count("ran"), found.count("refused")) > 500


@pytest.mark.parametrize("processor", PROCESSORS)
def test_sanitizers_find_nothing(processor: str, tmp_path: Path) -> None:
    refused, _, run = run_corpus(program(tmp_path, processor), corpus(2), tmp_path)
    assert refused > 500 and run > 500


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
    broken = program(tmp_path, "native")
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        run_corpus(broken, corpus(2, 1000), tmp_path)
