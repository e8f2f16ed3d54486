# SPDX-License-Identifier: MIT
"""What `run` and `collect` say when the machine or the recording is in the way; and that what an
earlier run left stays whole."""

import fcntl
import json
from pathlib import Path

import pytest
from test_cli import refused, torpor

from conftest import REPOSITORY

FROST = REPOSITORY / "examples" / "frost"
RUN = ("run", FROST, "--on", "virtual", "--for")


@pytest.mark.parametrize("where", ["file", "file/below", "/dev/null/x"])
def test_output_that_is_no_folder(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep me")
    run = torpor(*RUN, "1d", "--out", tmp_path / where if where[0] != "/" else where)
    assert "--out" in run.stderr.splitlines()[-1] and run.returncode == 1 and "Traceback" not in run.stderr
    assert (tmp_path / "file").read_text() == "keep me"


def test_a_run_that_fails_leaves_the_last_one_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert torpor(*RUN, "2d", "--out", out).returncode == 0
    names = ("report.json", "report.html", "report.png", "telemetry.sqlite")
    before = {name: (out / name).read_bytes() for name in names}
    (out / "board" / "key.bin").write_bytes(b"short")
    said = torpor(*RUN, "3d", "--out", out)
    assert said.returncode == 1 and "a key has 16" in said.stderr
    assert {name: (out / name).read_bytes() for name in names} == before
    with open(out / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another run" in torpor(*RUN, "1d", "--out", out).stderr
    assert {name: (out / name).read_bytes() for name in names} == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,temperature_c,humidity_pct\nnan,1,50\n3600,1,50\n", ":2: time"),
        ("time,temperature_c,humidity_pct\ninf,1,50\n3600,1,50\n", ":2: time"),
        ("time,temperature_c,humidity_pct\n1965-01-01,1,50\n1965-01-02,1,50\n", ":2: time"),
        ("time,temperature_c,humidity_pct\n0,1,50\n5e9,1,50\n", ":3: time"),
        ("time,temperature_c,humidity_pct\n0,1,50\n3600,1,150\n", ":3: humidity_pct"),
        ("time,temperature_c,humidity_pct\n0,-300,50\n3600,1,50\n", ":2: temperature_c"),
        ("time,temperature_c,temperature_c,humidity_pct\n0,1,1,50\n3600,1,1,50\n", "there twice"),
        ("time,temperature_c,humidity_pct\n0," + "1" * 200_000 + ",50\n", "not a CSV"),
    ],
)
def test_impossible_recordings(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text(text)
    run = torpor(*RUN, "1h", "--trace", tmp_path / "trace.csv", "--out", tmp_path / "out", "--json")
    assert said in refused(run)


def test_a_run_shorter_than_a_period(tmp_path: Path) -> None:
    rows = "".join(f"{60 * i},1,50\n" for i in range(10))
    (tmp_path / "trace.csv").write_text("time,temperature_c,humidity_pct\n" + rows)
    run = torpor(*RUN, "5min", "--trace", tmp_path / "trace.csv", "--out", tmp_path / "out", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["uplinks"]["periodic"] == 1


def test_collect_reads_a_virtual_board_with_its_own_key(tmp_path: Path) -> None:
    out = tmp_path / "pear-tree"
    assert torpor(*RUN, "3d", "--out", out).returncode == 0
    source = f"virtual:{out}/board"
    first = torpor("collect", source, "--db", tmp_path / "t.sqlite")
    assert first.returncode == 0 and "pear-tree" in first.stdout and "temperature" in first.stdout
    again = json.loads(torpor("collect", source, "--db", tmp_path / "t.sqlite", "--json").stdout)
    assert again["frames"] == 0
    (out / "board" / "key.bin").write_bytes(bytes(16))
    wrong = torpor("collect", source, "--db", tmp_path / "u.sqlite")
    assert wrong.returncode == 1 and "rejected" in wrong.stderr and "key" in wrong.stderr
    (tmp_path / "noise").write_bytes(b"no frame here" * 50)
    assert "no frame in it" in torpor("collect", tmp_path / "noise", "--db", tmp_path / "v.sqlite").stderr


def test_full_standard_output() -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("needs /dev/full")
    import subprocess
    import sys

    with full.open("w") as out:
        run = subprocess.run(
            [sys.executable, "-m", "torpor_host.cli", "boards"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 1 and "No space left" in run.stderr and "Traceback" not in run.stderr
