# SPDX-License-Identifier: MIT
"""The frost example keeps its word: the model that is shipped can be made again to the byte, sees what a node
sees, and its README prints what it scores."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import REPOSITORY

FOLDER = REPOSITORY / "examples" / "frost"
sys.path.insert(0, str(FOLDER))

import study  # noqa: E402
import train  # noqa: E402

from torpor import config as node_bin  # noqa: E402
from torpor import node as device  # noqa: E402
from torpor.radio import reporter  # noqa: E402
from torpor_host.deploy import bundle  # noqa: E402
from torpor_host.project import prepare  # noqa: E402
from torpor_host.report import events  # noqa: E402
from torpor_host.simulate import state, world  # noqa: E402
from torpor_host.train import inputs as model_inputs  # noqa: E402

AGAIN = "run `python examples/frost/train.py --readme` and read the words around its tables again"


@pytest.fixture(scope="module")
def sites() -> dict[str, study.Site]:
    return {name: study.load(name) for name in study.SITES}


@pytest.fixture(scope="module")
def shipped(sites: dict[str, study.Site]) -> study.Model:
    home = sites[train.HOME]
    return study.fit(home, home.windows, train.SEED)


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return train.run_study()


def test_the_shipped_model_is_made_again_to_the_byte(tmp_path: Path) -> None:
    train.ship(tmp_path)
    for name in ("frost.tflite", "features.toml"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), AGAIN
    assert sorted(p.name for p in tmp_path.iterdir()) == ["features.toml", "frost.tflite"]


def test_another_seed_gives_another_model(tmp_path: Path) -> None:
    assert train.main(["--quick", "--seed", "2", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "frost.tflite").read_bytes() != (FOLDER / "frost.tflite").read_bytes()


@pytest.mark.parametrize("name", study.SITES)
def test_the_node_sees_what_the_study_saw(
    name: str, sites: dict[str, study.Site], shipped: study.Model
) -> None:
    site = sites[name]
    on_node = model_inputs.fill(
        shipped.inputs, site.counts, site.times_s, site.utc_offset_s, study.INPUT_SCALE
    )
    assert np.array_equal(on_node[study.ROWS - 1 :], shipped.inputs_of(site)[study.ROWS - 1 :])


def test_history_fits_the_nodes_ring_and_the_model_is_small(shipped: study.Model) -> None:
    assert model_inputs.rows_needed(shipped.inputs) == study.ROWS == 7
    assert shipped.net.size < 500


def test_no_window_crosses_a_months_end(sites: dict[str, study.Site]) -> None:
    for site in sites.values():
        month = site.year.month
        for rows, history_h in ((site.windows, study.ROWS - 1), (site.scored, study.DAY_H)):
            at = np.flatnonzero(rows)
            assert np.array_equal(month[at - history_h], month[at + study.AHEAD_H])
            assert len(at) == 8760 - 12 * (history_h + study.AHEAD_H)
        hour = int(np.flatnonzero(site.scored)[100])
        assert site.lowest_c[hour] == site.now_c[hour + 1 : hour + 7].min()
        assert site.drop_k[hour] == site.now_c[hour] - site.lowest_c[hour]


def test_a_month_left_out_was_not_trained_on(sites: dict[str, study.Site]) -> None:
    site = sites["greensboro"]
    seen: list[set[int]] = []

    def predict(rows: np.ndarray) -> list[np.ndarray]:
        seen.append(set(site.year.month[rows].tolist()))
        return [np.full(8760, len(seen))]

    (out,) = study.month_by_month(site, predict, 1)
    assert [set(range(1, 13)) - months for months in seen] == [{month} for month in range(1, 13)]
    assert np.array_equal(out, site.year.month)


def test_baselines_are_what_they_are_called(sites: dict[str, study.Site]) -> None:
    site = sites["greensboro"]
    rules = study.untrained(site)
    hour = int(np.flatnonzero(site.scored)[1000])
    now = site.now_c
    assert rules["temperature threshold"][hour] == now[hour]
    steady = now[hour] + min(now[hour - 23 : hour - 17] - now[hour - 24])
    assert rules["yesterday's shape"][hour] == pytest.approx(steady)
    slope = (now[hour] - now[hour - 3]) / 3
    assert rules["linear, last three hours"][hour] == pytest.approx(now[hour] + min(slope, 6 * slope))
    # The file gives humidity to 1 %RH only, so its own dew point differs; rarely by much.
    assert np.median(np.abs(rules["growers' dew-point rule"] - site.year.dew_point_c)) < 0.1


def test_ridge_is_given_the_hour_as_a_network_finds_it(sites: dict[str, study.Site]) -> None:
    site = sites["greensboro"]
    plain, rich = (
        study.LINES[name].inputs(site) for name in ("plain ridge, same inputs", "ridge, same inputs")
    )
    assert np.array_equal(plain, site.x / 100)
    assert rich.shape == (8760, 7 + 7 * 6 + 6)
    assert np.array_equal(rich[:, :7], plain)
    evening = site.year.hour_local == 18  # three quarters of a turn: sine -1, of the second harmonic 0
    assert rich[evening, 7] == pytest.approx(-plain[evening, 0])
    assert rich[evening, 9] == pytest.approx(0, abs=1e-9)
    assert rich[evening, -6:] == pytest.approx(np.tile([-1, 0, 0, -1, 1, 0], (365, 1)), abs=1e-9)
    seven, day = (
        study.LINES[f"ridge, {name}"].inputs(site) for name in ("same seven hours", "a day of history")
    )
    assert seven.shape[1] == rich.shape[1] + 6 + 3
    assert day.shape[1] == rich.shape[1] + 24 + 9
    assert np.array_equal(seven[100, 55:61], site.now_c[100] - site.now_c[99:93:-1])


def test_int8_scores_are_the_nodes_arithmetic(sites: dict[str, study.Site], shipped: study.Model) -> None:
    """From the shipped file, one row at a time, as docs/architecture.md (tag 5) has it."""
    site = sites[train.AWAY]
    data = (FOLDER / "frost.tflite").read_bytes()
    scores = shipped.scores(site, data)
    out = shipped.small.output
    q = study.infer(data, shipped.inputs_of(site)[100:110])
    for i in range(10):
        mul_q16 = round(-1.0 * out.scale * 100 * 65536)
        score = int(site.counts[100 + i, 0]) + ((int(q[i, 0]) - out.zero_point) * mul_q16 >> 16)
        assert scores[100 + i] == score
    assert np.abs(scores / 100 - shipped.float_c(site))[site.scored].mean() < 0.1


def readme_tables() -> str:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    inside = text.partition(train.BEGIN)[2].partition(train.END)[0]
    return inside.strip().removeprefix("```text\n").removesuffix("\n```")


def test_the_readme_prints_what_the_model_scores(result: dict[str, Any]) -> None:
    printed, measured = readme_tables().splitlines(), train.tables(result).splitlines()
    assert len(printed) == len(measured) > 50, AGAIN
    for old, new in zip(printed, measured):
        if "ridge" in new[:26]:
            # Ridge goes through LAPACK, whose last bit may turn a rounding.
            name, figures = new[:26], [float(t) for t in new[26:].split()]
            assert old[:26] == name
            assert [float(t) for t in old[26:].split()] == pytest.approx(figures, abs=0.0101), AGAIN
        else:
            assert old == new, AGAIN


def test_what_the_readme_says_in_words_is_so(result: dict[str, Any]) -> None:
    months, elsewhere = result["leave_one_month_out"], result["trained_elsewhere"]
    mlp, plain = "MLP, int8 on TFLM", "plain ridge, same inputs"
    seven, day = "ridge, same seven hours", "ridge, a day of history"
    rules = (
        "yesterday's shape",
        "linear, last three hours",
        "growers' dew-point rule",
        "temperature threshold",
    )
    for table in (months, elsewhere):
        for site in study.SITES:
            figures = table[site]
            assert all(figures[mlp]["ap"] > figures[rule]["ap"] for rule in rules)
            assert figures[mlp]["ap"] > figures[plain]["ap"]
            assert 1.1 < figures[plain]["mae_k"] / figures[mlp]["mae_k"] < 1.25
            assert figures[mlp]["mae_k"] - figures["MLP, float"]["mae_k"] < 0.02
    # Ties with ridge at home, and from Greensboro to Sand Point.
    for figures in (*months.values(), elsewhere["sand-point"]):
        assert figures[seven]["mae_k"] == pytest.approx(figures[mlp]["mae_k"], abs=0.02)
        assert figures[seven]["ap"] == pytest.approx(figures[mlp]["ap"], abs=0.01)
    assert months["greensboro"][day]["mae_k"] == pytest.approx(months["greensboro"][mlp]["mae_k"], abs=0.01)
    assert months["greensboro"][day]["ap"] == pytest.approx(months["greensboro"][mlp]["ap"], abs=0.01)
    # Losses.
    for figures in (months["sand-point"], elsewhere["sand-point"]):
        assert 0.015 < figures[day]["ap"] - figures[mlp]["ap"] < 0.035
    away = elsewhere["greensboro"]
    for line in ("ridge, same inputs", seven, day):
        assert away[line]["mae_k"] < result["seeds"]["mae_k"]["low"] - 0.05
        assert 0.005 < away[mlp]["ap"] - away[line]["ap"] < 0.02
    for rule in ("temperature threshold", "yesterday's shape"):
        assert elsewhere["sand-point"][mlp]["mae_k"] > elsewhere["sand-point"][rule]["mae_k"]


def test_what_the_readme_says_of_thermometers_is_so(result: dict[str, Any]) -> None:
    rows = {train.Setting(**row["setting"]): row for row in result["settings"]}
    ours = rows[train.SHIPPED]
    by_on = {setting.on_c: rows[setting] for setting in train.THERMOMETERS}
    two, same_warning = by_on[2.0][train.AWAY], by_on[2.5][train.AWAY]
    year = ours[train.AWAY]
    assert (year["caught"], year["false_alarms"]) == (33, 5)
    assert (two["caught"], two["false_alarms"]) == (35, 14)
    assert 0.7 < year["mean_lead_h"] - two["mean_lead_h"] < 1.0
    assert (same_warning["caught"], same_warning["false_alarms"]) == (35, 27)
    assert abs(year["mean_lead_h"] - same_warning["mean_lead_h"]) < 0.2
    year, slow = ours[train.HOME], by_on[2.5][train.HOME]
    assert slow["caught"] == year["caught"] == slow["events"] == 48
    assert (year["false_alarms"], slow["false_alarms"]) == (7, 18)
    assert 1.1 < slow["mean_lead_h"] - year["mean_lead_h"] < 1.3
    assert 3.2 < slow["idle_h"] / year["idle_h"] < 3.7


def test_what_the_readme_says_of_the_trigger_is_so(result: dict[str, Any]) -> None:
    rows = {train.Setting(**row["setting"]): row for row in result["settings"]}
    every_wake, four = (rows[train.TRIGGERS[i]] for i in (0, 2))
    assert train.TRIGGERS[2].below_c == train.SHIPPED.below_c
    for name in study.SITES:
        shipped = rows[train.SHIPPED][name]
        assert 0 <= shipped["ran"] - four[name]["ran"] <= 0.0145
        assert {k: v for k, v in shipped.items() if k != "ran"} == {
            k: v for k, v in four[name].items() if k != "ran"
        }
    year = rows[train.SHIPPED][train.AWAY]
    assert round(year["ran"], 2) == 0.22
    assert every_wake[train.AWAY]["mean_lead_h"] - year["mean_lead_h"] == pytest.approx(0.2, abs=0.05)


def test_settings_were_chosen_where_the_model_was_trained(result: dict[str, Any]) -> None:
    """The rules that README.md, "The node's settings", gives, on the home site's figures alone."""
    rows = {train.Setting(**row["setting"]): row[train.HOME] for row in result["settings"]}
    best = train.SHIPPED
    for setting in (*train.DECISIONS, best):
        assert (rows[setting]["caught"], -rows[setting]["false_alarms"]) <= (
            rows[best]["caught"],
            -rows[best]["false_alarms"],
        )
    always = {key: value for key, value in rows[train.TRIGGERS[0]].items() if key != "ran"}
    lossless = [
        setting.below_c
        for setting in train.TRIGGERS[1:]
        if {key: value for key, value in rows[setting].items() if key != "ran"} == always
    ]
    assert best.below_c == min(lossless) + 1.0
    assert rows[best]["ran"] < 0.6


def test_a_year_of_the_shipped_node_is_worth_running(result: dict[str, Any]) -> None:
    year = next(row for row in result["settings"] if row["shipped"])[train.AWAY]
    assert year["caught"] + year["late"] + year["missed"] == year["events"] > 30
    assert year["caught"] >= 0.85 * year["events"]
    assert year["missed"] == 0
    assert year["false_alarms"] <= 0.2 * year["alarms"]
    assert year["uplinks"] < 0.1 * 17520, "more than 90 % below half-hourly reports"
    assert year["ran"] < 0.25


def test_the_node_does_what_was_rehearsed(
    tmp_path: Path, sites: dict[str, study.Site], shipped: study.Model
) -> None:
    """A year at Greensboro of the node that node.toml describes, by the device's own code on CPython: its
    settings, its score on each wake, its alarms and its counters are those of the study."""
    site = sites[train.AWAY]
    scores = shipped.scores(site)
    project = prepare(FOLDER, "virtual")
    bundle.build(project.spec, project.compiled, tmp_path / "bundle")
    records, _ = node_bin.load(str(tmp_path / "bundle" / "node.bin"))
    assert project.spec.virtual == f"tmy:{train.AWAY}"
    assert [(kind, tuple(args)) for kind, args in records[device.TRIGGERS]] == train.SHIPPED.triggers
    assert tuple(records[device.DECISION][0][1]) == train.SHIPPED.decision
    assert records[device.REPORT][0][1][0] == study.HEARTBEAT_S
    assert records[device.NODE][0][1][:3] == (3600, site.utc_offset_s, study.ROWS)
    assert any(a[1] == reporter.PREDICTION for _, a in records[device.FIELDS]) == study.FRAMES_PREDICT

    for name in ("world", "flash"):
        (tmp_path / name).mkdir()
    (tmp_path / "flash" / "key.bin").write_bytes(bytes(16))
    year = world.from_weather(train.AWAY, project.spec.channels)
    assert np.array_equal(year.samples, site.counts)
    assert np.array_equal(year.times_s(), site.times_s)
    year.write(tmp_path / "world" / "world.bin")
    alarms: list[tuple[int, int]] = []
    scored, since = 0, 0
    with state.virtual_chip(tmp_path / "world", tmp_path / "flash"):
        node = device.boot(str(tmp_path / "bundle"))
        for now_s, score in zip(site.times_s.tolist(), scores.tolist()):
            assert node.hal.now_s() == now_s
            before = node.alarm()
            seconds = node.step()
            assert node.score in (None, score)
            scored += node.score is not None
            if node.alarm() and not before:
                since = now_s
            elif before and not node.alarm():
                alarms.append((since, now_s))
            if node.wakes < len(scores):
                node.hal.sleep(seconds)
        counted = state.counters(node)
        node.hal.close()
    assert not node.alarm()
    run = train.SHIPPED.run(site, scores)
    assert alarms == run.alarms
    assert counted == {
        "wakes": run.wakes,
        "inferences": run.inferences,
        "uplinks": run.uplinks,
        "failed_uplinks": 0,
        "sensor_failures": 0,
        "faults": 0,
    }
    # The wakes on which the model ran for the frame alone: README.md, "The node's settings".
    assert 0.025 < (run.inferences - scored) / run.wakes < 0.035


def test_the_study_is_one_json_object(result: dict[str, Any]) -> None:
    again = json.loads(json.dumps(result))
    assert again["model"] == {"layers": [7, 16, 8, 1], "parameters": 273, "rows": 7}
    assert set(again["leave_one_month_out"]) == set(again["trained_elsewhere"]) == set(study.SITES)


def test_the_threshold_of_the_study_is_that_of_the_events() -> None:
    assert events.FREEZING_C == 0.0
    assert events.HORIZON_H == study.AHEAD_H


def test_bad_usage_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        train.main(["--quick", "--out", str(tmp_path / "absent")])
    assert caught.value.code == 2
    assert "no such folder" in capsys.readouterr().err


def test_tables_go_between_the_markers_or_nowhere(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{train.BEGIN}\nold\n{train.END}\nafter\n")
    train.put_into(page, "new")
    assert page.read_text() == f"before\n{train.BEGIN}\n```text\nnew\n```\n{train.END}\nafter\n"
    page.write_text("no markers")
    with pytest.raises(ValueError, match=re.escape(train.BEGIN)):
        train.put_into(page, "new")
    assert page.read_text() == "no markers"
