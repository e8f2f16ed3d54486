# SPDX-License-Identifier: MIT
"""The whole life of the frost node on the virtual board: real mpremote, real MicroPython, real littlefs."""

import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from test_cli import refused, torpor

from conftest import REPOSITORY
from torpor_host import lifecycle
from torpor_host.collect.air import AirFrame, parse
from torpor_host.deploy import bundle as bundles
from torpor_host.deploy.link import open_link
from torpor_host.deployment import deploy_bundle
from torpor_host.errors import DeviceError
from torpor_host.project import Project, prepare
from torpor_host.simulate import state
from torpor_host.simulate.interpreter import command
from torpor_host.simulate.virtual_board import VirtualBoard
from torpor_host.simulate.world import World, from_weather

FROST = REPOSITORY / "examples" / "frost"
DAY_S = 86400
KEY = bytes(range(16))


@pytest.fixture(scope="module")
def project() -> Project:
    return prepare(FROST, "virtual")


@pytest.fixture(scope="module")
def winter(project: Project) -> World:
    return from_weather("greensboro", project.spec.channels).first(40 * DAY_S)


def heard(air: bytes) -> list[AirFrame]:
    batch = parse(air, 100_000)
    assert batch.offset == len(air) and batch.skipped_bytes == 0
    return batch.frames


def deployed_board(project: Project, world: World, folder: Path) -> VirtualBoard:
    """A virtual board with the node on it and the world around it; the caller stops it."""
    bundles.build(project.spec, project.compiled, folder / "bundle")
    board = VirtualBoard(folder / "board")
    board.create()
    link = open_link(board.start())
    try:
        deploy_bundle(folder / "bundle", link, quiet=True, key=KEY)
    finally:
        link.close()
    world.write(board.world / "world.bin")
    return board


def test_restart_at_every_sleep_changes_nothing(project: Project, winter: World, tmp_path: Path) -> None:
    """At least 500 wakes; the interpreter really exits and starts anew between them."""
    world = winter.first(21 * DAY_S)
    seen = []
    for restart in (False, True):
        folder = tmp_path / str(restart)
        folder.mkdir()
        with deployed_board(project, world, folder) as board:
            result = board.run_until_end(restart=restart)
        assert result.exit == 0
        assert result.wakes == (504 if restart else 1)
        final = state.read(board, project.node_bin())
        seen.append((final, (board.world / "air.bin").read_bytes()))
    (one, air), (other, other_air) = seen
    assert one.counters == other.counters and one.counters["wakes"] == 504
    assert one.counters["inferences"] > 50 and one.counters["uplinks"] >= 21
    assert one.counters["faults"] == one.counters["sensor_failures"] == 0
    assert one.energy_uj == other.energy_uj and all(v > 0 for v in one.energy_uj.values())
    assert one.payload == other.payload
    assert air == other_air and len(heard(air)) == one.counters["uplinks"]


def test_power_cut_in_the_middle_resumes_from_flash(project: Project, winter: World, tmp_path: Path) -> None:
    """Retained memory is lost with the power; the checkpoint in flash is not, and no counter comes twice."""
    with deployed_board(project, winter.first(20 * DAY_S), tmp_path) as board:
        board.run_until_end(restart=True, max_wakes=300)
        before = state.read(board, project.node_bin()).counters["wakes"]
        (board.world / "rtc.bin").unlink()
        board.run_until_end()
        after = state.read(board, project.node_bin())
    assert before == 300
    # The virtual clock starts over with the power; the node goes on from its last checkpoint.
    assert 300 - 24 <= after.counters["wakes"] - 480 <= 300
    payloads = [record.payload for record in heard((board.world / "air.bin").read_bytes())]
    counters = [int.from_bytes(p[-8:-4], "little") for p in payloads]
    assert counters == sorted(set(counters))


def test_run_reports(tmp_path: Path) -> None:
    run = torpor("run", FROST, "--on", "virtual", "--for", "40d", "--out", tmp_path, "--json")
    assert run.returncode == 0, run.stderr
    s = json.loads(run.stdout)
    assert s == json.loads((tmp_path / "report.json").read_text())
    assert s["counters"]["wakes"] == 960
    assert s["uplinks"]["total"] == s["uplinks"]["sent"] >= 40
    assert s["uplinks"]["periodic"] == 40 * 48
    assert s["energy"]["total_uj"] == sum(s["energy"]["by_cause_uj"].values())
    assert 0 < s["battery"]["life_low_days"] < s["battery"]["life_days"] < s["battery"]["life_high_days"]
    assert sum(s["events"][k] for k in ("caught", "late", "missed")) == s["events"]["events"] > 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in html and not re.search(r"(src|href)=.?https?:", html)
    assert (tmp_path / "report.png").read_bytes()[:4] == b"\x89PNG"
    with sqlite3.connect(tmp_path / "telemetry.sqlite") as db:
        assert db.execute("select count(*) from frames").fetchone()[0] == s["uplinks"]["total"]
    db.close()

    again = torpor("run", FROST, "--on", "virtual", "--for", "40d", "--out", tmp_path, "--json")
    t = json.loads(again.stdout)
    assert t["deploy"] == {"sent": 0, "bytes_sent": 0, "unchanged": s["deploy"]["sent"]}
    for key in ("counters", "events", "uplinks", "energy"):
        assert t[key] == s[key]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,temperature_c\n0,1\n3600,2\n", "humidity_pct"),
        ("time,temperature_c,humidity_pct\n0,1,50\n3600,nan,50\n7200,1,50\n", ":3: temperature_c"),
        ("time,temperature_c,humidity_pct\n0,1,50\n3600,1,50\n9000,1,50\n", ":4: time"),
        ("time,temperature_c,humidity_pct\n0,1,50\n3600,1,\n7200,1,50\n", ":3: humidity_pct"),
        ("time,temperature_c,humidity_pct\n0,1,50\n3600,1\n", ":3: 2 columns"),
        ("time,temperature_c,humidity_pct\nyesterday,1,50\n3600,1,50\n", ":2: time"),
        ("time,temperature_c,humidity_pct\n0,900,50\n3600,1,50\n", ":2: temperature_c"),
        ("time,temperature_c,humidity_pct\n0,1,50\n3600,1,50\n", "covers 0.1 days"),
        ("", "empty"),
    ],
)
def test_bad_trace(text: str, said: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(text, encoding="utf-8")
    run = torpor(
        "run", FROST, "--on", "virtual", "--for", "1d", "--trace", trace, "--out", tmp_path / "out", "--json"
    )
    assert said in refused(run)


def test_csv_trace_runs(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    rows = [f"2025-01-01T{h:02d}:00,{5 - h / 2},80" for h in range(24)]
    trace.write_text("time,temperature_c,humidity_pct\n" + "\n".join(rows) + "\n", encoding="utf-8")
    run = torpor(
        "run", FROST, "--on", "virtual", "--for", "24h", "--trace", trace, "--out", tmp_path / "o", "--json"
    )
    assert run.returncode == 0, run.stderr
    s = json.loads(run.stdout)
    assert s["counters"]["wakes"] == 24 and s["events"]["caught"] == 1


def test_crash_on_the_board_is_told_with_its_traceback(
    project: Project, winter: World, tmp_path: Path
) -> None:
    with deployed_board(project, winter, tmp_path) as board:
        link = open_link(board.start())
        try:
            link.remove("node.bin")
        finally:
            link.close()
        with pytest.raises(DeviceError) as caught:
            board.run_until_end()
    assert "ConfigError" in caught.value.traceback


def test_a_damaged_model_does_not_silence_the_node(project: Project, winter: World, tmp_path: Path) -> None:
    """Bits rot: heartbeats go on, and the fault is counted."""
    folder = tmp_path / "x"
    folder.mkdir()
    with deployed_board(project, winter.first(5 * DAY_S), folder) as board:
        link = open_link(board.start())
        try:
            link.write("model.tpm", b"TPM\x1a" + bytes(60))
        finally:
            link.close()
        board.run_until_end()
        final = state.read(board, project.node_bin())
    assert final.counters["inferences"] == 0 and final.counters["faults"] > 0
    assert final.counters["uplinks"] >= 5


def test_nothing_to_see(tmp_path: Path) -> None:
    node = tmp_path / "node"
    shutil.copytree(FROST, node)
    text = (node / "node.toml").read_text(encoding="utf-8")
    (node / "node.toml").write_text(re.sub(r"\nvirtual = .*", "", text), encoding="utf-8")
    run = torpor("run", node, "--on", "virtual", "--for", "1d", "--out", tmp_path / "out")
    assert "--trace" in refused(run, code=2)


def test_lifecycle_is_a_library_call(tmp_path: Path) -> None:
    said: list[str] = []
    summary = lifecycle.run_virtual(FROST, 2 * DAY_S, out=tmp_path, say=said.append, quiet=True)
    assert [line.split()[0] for line in said] == ["check", "compile", "build", "deploy", "run"]
    assert summary["counters"]["wakes"] == 48


def test_steady_state_allocates_nothing(project: Project, winter: World, tmp_path: Path) -> None:
    """The frost node's own step under micropython.heap_lock(), the model included."""
    bundles.build(project.spec, project.compiled, tmp_path / "bundle")
    (tmp_path / "world").mkdir()
    winter.first(20 * DAY_S).write(tmp_path / "world" / "world.bin")
    script = REPOSITORY / "tests" / "host" / "frost_heap.py"
    run = subprocess.run(
        [*command(100 * 1024), str(script), str(tmp_path / "bundle"), str(tmp_path / "world")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    steps, inferences, faults = map(int, run.stdout.split())
    assert (steps, faults) == (300, 0) and inferences > 100
