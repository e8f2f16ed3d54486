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

from torpor_host.report import events  # noqa: E402
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
        if new.startswith("ridge"):
            # Ridge goes through LAPACK, whose last bit may turn a rounding.
            name, figures = new[:26], [float(t) for t in new[26:].split()]
            assert old[:26] == name
            assert [float(t) for t in old[26:].split()] == pytest.approx(figures, abs=0.0101), AGAIN
        else:
            assert old == new, AGAIN


def test_what_the_readme_says_in_words_is_so(result: dict[str, Any]) -> None:
    months, elsewhere = result["leave_one_month_out"], result["trained_elsewhere"]
    mlp, day = "MLP, int8 on TFLM", "ridge, a day of history"
    rules = (
        "yesterday's shape",
        "linear, last three hours",
        "growers' dew-point rule",
        "temperature threshold",
    )
    short = ("ridge, same inputs", "ridge, same seven hours")
    for table in (months, elsewhere):
        for site in study.SITES:
            figures = table[site]
            assert all(figures[mlp]["ap"] > figures[rule]["ap"] for rule in rules)
            assert all(figures[mlp]["ap"] > figures[line]["ap"] for line in short)
            assert all(figures[mlp]["mae_k"] < figures[line]["mae_k"] for line in short)
            assert figures[mlp]["mae_k"] - figures["MLP, float"]["mae_k"] < 0.02
    # Losses and ties.
    assert months["sand-point"][day]["ap"] > months["sand-point"][mlp]["ap"]
    for key in ("mae_k", "ap"):
        assert elsewhere["greensboro"][day][key] == pytest.approx(
            elsewhere["greensboro"][mlp][key], abs=0.015
        )
    for rule in ("temperature threshold", "yesterday's shape"):
        assert elsewhere["sand-point"][mlp]["mae_k"] > elsewhere["sand-point"][rule]["mae_k"]


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
