# SPDX-License-Identifier: MIT
"""Power cuts at every byte that a commit changes, in flash: see tests/device/power_cut.py."""

import subprocess
from pathlib import Path

import pytest

from torpor_host.simulate.interpreter import command


def run(repository: Path, device: Path, *args: str) -> subprocess.CompletedProcess[str]:
    tests = repository / "tests" / "device"
    return subprocess.run(
        [*command(), str(tests / "power_cut.py"), str(device), str(tests), *args],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("filesystem", ["lfs", "fat"])
@pytest.mark.parametrize(
    ("what", "payload_bytes", "commits"),
    [("slots", 60, 7), ("slots", 700, 4), ("counters", 4, 12)],  # within one block; in two; 12 bytes in all
)
def test_no_cut_loses_state_or_repeats_a_counter(
    repository: Path, filesystem: str, what: str, payload_bytes: int, commits: int
) -> None:
    done = run(repository, repository / "device", filesystem, what, str(payload_bytes), str(commits))
    assert done.returncode == 0, done.stdout + done.stderr
    cuts, old, new = map(int, done.stdout.splitlines()[-1].split())
    assert cuts == old + new
    assert cuts > 8 * commits  # at least the bytes of a slot's head, each commit
    assert new >= (commits if what == "slots" else 1)  # the cut after the last byte leaves the new state


@pytest.mark.parametrize(
    ("filesystem", "what", "size", "module", "right", "wrong"),
    [
        ("fat", "slots", "60", "store/slots.py", "!= crc:", "!= crc and False:"),
        ("fat", "slots", "60", "store/slots.py", "self._next = 1 - slot", "pass"),
        ("lfs", "counters", "4", "store/counters.py", "start = max(start,", "start = max(0 * start, -1 +"),
    ],
)
def test_the_test_notices_a_broken_store(
    repository: Path,
    tmp_path: Path,
    filesystem: str,
    what: str,
    size: str,
    module: str,
    right: str,
    wrong: str,
) -> None:
    """Mutants of the store: each must be caught, or the test above proves nothing."""
    for path in (repository / "device" / "torpor").glob("*.py"):
        (tmp_path / "torpor").mkdir(exist_ok=True)
        (tmp_path / "torpor" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "torpor" / "store").mkdir()
    for path in (repository / "device" / "torpor" / "store").glob("*.py"):
        (tmp_path / "torpor" / "store" / path.name).write_bytes(path.read_bytes())
    mutant = tmp_path / "torpor" / module
    source = mutant.read_text()
    assert source.count(right) == 1
    mutant.write_text(source.replace(right, wrong))
    done = run(repository, tmp_path, filesystem, what, size, "4")
    assert done.returncode == 1, done.stdout[-500:]
    assert "LOST" in done.stdout
