# SPDX-License-Identifier: MIT
"""A whole encrypted node under power cuts, on the file systems of MicroPython: see tests/device/node_cut.py,
and erase_cut.py for flash that erases before it writes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from torpor_host.simulate.interpreter import command


def run(
    repository: Path, device: Path, script: str, *args: int | str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Return the process and its last line."""
    tests = repository / "tests" / "device"
    done = subprocess.run(
        [*command(), str(tests / script), str(device), str(tests), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done, (done.stdout.splitlines() or [""])[-1]


@pytest.mark.parametrize(
    ("flash", "retained_bytes", "first", "wakes", "least"),
    [
        ("fat", 2048, 0, 7, 400),  # the first wakes, which create the files, and all that follows
        ("fat", 0, 0, 4, 200),  # no retained memory: flash at each wake
        ("lfs", 2048, 2, 5, 400),  # frame and checkpoint; neither; frame and reservation
        ("lfs", 0, 2, 3, 400),
        ("512", 2048, 6, 9, 150),  # bytes erased before each write; the files exist by then
        ("4096", 0, 6, 7, 150),
    ],
)
def test_a_cut_step_loses_no_state_and_repeats_no_counter(
    repository: Path, flash: str, retained_bytes: int, first: int, wakes: int, least: int
) -> None:
    done, last = run(repository, repository / "device", "node_cut.py", flash, retained_bytes, first, wakes)
    assert done.returncode == 0, last + done.stderr
    cuts, starts, new = map(int, last.split())
    assert cuts >= least and starts == cuts * (3 if retained_bytes else 1)
    assert 0 < new < starts


@pytest.mark.parametrize("erase_bytes", [512, 4096])
def test_slots_apart_survive_flash_that_erases_whole_blocks(repository: Path, erase_bytes: int) -> None:
    done, last = run(repository, repository / "device", "erase_cut.py", erase_bytes, "apart", 6)
    assert done.returncode == 0, last + done.stderr
    assert int(last) >= 100


@pytest.mark.parametrize("erase_bytes", [512, 4096])
def test_slots_side_by_side_do_not(repository: Path, erase_bytes: int) -> None:
    """Else the test above would prove nothing: two entries of one FAT folder share its sector."""
    done, last = run(repository, repository / "device", "erase_cut.py", erase_bytes, "beside", 6)
    assert done.returncode == 1 and "LOST" in last


@pytest.mark.parametrize(
    ("script", "args", "module", "right", "wrong"),
    [
        (
            "node_cut.py",
            ("fat", 2048, 0, 7),
            "store/counters.py",
            'max(start, struct.unpack("<I", self._buffer)[0])',
            "start",
        ),
        ("node_cut.py", ("fat", 0, 0, 4), "store/slots.py", "!= crc:", "!= crc and False:"),
        ("node_cut.py", ("fat", 2048, 0, 7), "store/slots.py", "self._next = 1 - slot", "pass"),
        ("erase_cut.py", (4096, "apart", 6), "store/files.py", "_SECTORS = const(8)", "_SECTORS = const(1)"),
    ],
)
def test_the_test_notices_a_broken_node(
    repository: Path,
    tmp_path: Path,
    script: str,
    args: tuple[int | str, ...],
    module: str,
    right: str,
    wrong: str,
) -> None:
    shutil.copytree(
        repository / "device" / "torpor", tmp_path / "torpor", ignore=shutil.ignore_patterns("__pycache__")
    )
    mutant = tmp_path / "torpor" / module
    source = mutant.read_text()
    assert source.count(right) == 1
    mutant.write_text(source.replace(right, wrong))
    done, last = run(repository, tmp_path, script, *args)
    assert done.returncode == 1, last
    assert "LOST" in last
