# SPDX-License-Identifier: MIT
"""Trains the frost model, writes it beside this file, and says what it is worth.

    python examples/frost/train.py             # trains; writes frost.tflite, features.toml; prints the study
    python examples/frost/train.py --quick     # trains and writes only
    python examples/frost/train.py --json      # ... and prints the study as one object
    python examples/frost/train.py --readme    # ... and puts its tables into README.md

The shipped model is trained at Sand Point and runs at Greensboro. The same seed gives the same bytes on any
machine. Nothing is downloaded: the weather comes with the package `pvlib`.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import study
from study import Model, Setting, Site

from torpor_host.errors import TorporError
from torpor_host.train import inputs as model_inputs
from torpor_host.train.tflite import write_mlp

HERE = Path(__file__).resolve().parent
SEED = 1
SEEDS = (1, 2, 3, 4, 5)
HOME, AWAY = "sand-point", "greensboro"
NAMES = {"greensboro": "Greensboro", "sand-point": "Sand Point"}
BEGIN, END = "<!-- tables: train.py --readme -->", "<!-- end of tables -->"

# What node.toml says, and why: README.md, "The node's settings".
SHIPPED = Setting(below_c=4.0, falls_k=5.0, on_c=0.5, off_c=2.5)
TRIGGERS = (
    Setting(None, 0.0, 0.5, 2.5),
    Setting(5.0, 0.0, 0.5, 2.5),
    Setting(4.0, 0.0, 0.5, 2.5),
    Setting(3.0, 0.0, 0.5, 2.5),
    Setting(2.0, 0.0, 0.5, 2.5),
    Setting(1.0, 0.0, 0.5, 2.5),
)
DECISIONS = (
    Setting(4.0, 5.0, 0.0, 1.0),
    Setting(4.0, 5.0, 0.0, 2.0),
    Setting(4.0, 5.0, 0.5, 1.5),
    Setting(4.0, 5.0, 1.0, 2.0),
    Setting(4.0, 5.0, 1.0, 3.0),
)
THERMOMETERS = tuple(Setting(None, 0.0, on_c, on_c + 2.0, model=False) for on_c in (1.0, 2.0, 2.5, 3.0, 4.0))


def ship(folder: Path, seed: int = SEED) -> Model:
    """Train on the home site's whole year; write frost.tflite and features.toml to `folder`."""
    home = study.load(HOME)
    model = study.fit(home, home.windows, seed)
    write_mlp(model.small, folder / "frost.tflite", name=f"frost: minimum of six hours, from {NAMES[HOME]}")
    part = folder / "features.toml.part"
    part.write_text(features_toml(model), encoding="utf-8")
    os.replace(part, folder / "features.toml")
    return model


def features_toml(model: Model) -> str:
    return (
        "# SPDX-License-Identifier: MIT\n"
        "# What frost.tflite sees: (x - mean) / std of each, in this order. Written by train.py with the\n"
        "# model; a model trained anew has other numbers here.\n" + model_inputs.toml(model.inputs)
    )


def run_study(seed: int = SEED) -> dict[str, Any]:
    """The whole study as one JSON-able object."""
    sites = {name: study.load(name) for name in study.SITES}
    months, unseen = {}, {}
    for name, site in sites.items():
        months[name], unseen[name] = study.by_month(site, seed)
    return {
        "model": describe(study.fit(sites[HOME], sites[HOME].windows, seed)),
        "leave_one_month_out": months,
        "trained_elsewhere": trained_elsewhere(sites, seed),
        "seeds": seed_ranges(sites),
        "settings": settings(sites, unseen[HOME], seed),
    }


def describe(model: Model) -> dict[str, Any]:
    shape = [len(model.inputs), *(len(bias) for bias in model.net.biases)]
    return {"layers": shape, "parameters": model.net.size, "rows": model_inputs.rows_needed(model.inputs)}


def trained_elsewhere(sites: dict[str, Site], seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Run at -> method -> scores, trained on the other site's whole year."""
    result = {}
    for home, away in ((HOME, AWAY), (AWAY, HOME)):
        model = study.fit(sites[home], sites[home].windows, seed)
        result[away] = study.across(model, sites[home], sites[away])
    return result


def seed_ranges(sites: dict[str, Site]) -> dict[str, dict[str, float]]:
    """How far chance goes: the shipped model's figures at Greensboro, trained from other random numbers."""
    figures: dict[str, list[float]] = {}
    for seed in SEEDS:
        model = study.fit(sites[HOME], sites[HOME].windows, seed)
        scores = model.scores(sites[AWAY])
        year = SHIPPED.rehearse(sites[AWAY], scores)
        year |= study.judge(sites[AWAY], scores / study.COUNTS_PER_UNIT)
        for key in ("mae_k", "ap", "caught", "false_alarms", "mean_lead_h", "uplinks"):
            figures.setdefault(key, []).append(year[key])
    return {key: {"low": min(values), "high": max(values)} for key, values in figures.items()}


def settings(sites: dict[str, Site], unseen_home: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """Each setting's year: at home with every month predicted by a model that never saw it (what settings are
    chosen by), and away with the shipped model."""
    shipped = study.fit(sites[HOME], sites[HOME].windows, seed).scores(sites[AWAY])
    return [
        {
            "setting": vars(setting),
            "shipped": setting == SHIPPED,
            HOME: setting.rehearse(sites[HOME], unseen_home),
            AWAY: setting.rehearse(sites[AWAY], shipped),
        }
        for setting in (SHIPPED, *TRIGGERS, *DECISIONS, *THERMOMETERS)
    ]


# --- tables ---


def tables(result: dict[str, Any]) -> str:
    model, seeds = result["model"], result["seeds"]
    layers = "-".join(map(str, model["layers"]))
    lines = [
        f"MLP {layers}, {model['parameters']} weights and biases, {model['rows']} hours of history.",
        "",
        "Leave one month out: each month predicted by what was trained on the other eleven",
        *score_table(result["leave_one_month_out"], [(name, f"at {NAMES[name]}") for name in (AWAY, HOME)]),
        "",
        "Trained on one site, run on the other (left: the shipped model)",
        *score_table(
            result["trained_elsewhere"],
            [(AWAY, f"{NAMES[HOME]} -> {NAMES[AWAY]}"), (HOME, f"{NAMES[AWAY]} -> {NAMES[HOME]}")],
        ),
        "",
        f"The shipped model's figures with seeds {SEEDS[0]} to {SEEDS[-1]}: "
        f"MAE {_range(seeds['mae_k'], 2)} K, AP {_range(seeds['ap'], 2)},",
        f"frosts caught {_range(seeds['caught'], 0)}, false alarms {_range(seeds['false_alarms'], 0)}, "
        f"lead {_range(seeds['mean_lead_h'], 1)} h, uplinks {_range(seeds['uplinks'], 0)}.",
    ]
    for name, whose in ((HOME, "each month by a model that never saw it"), (AWAY, "the shipped model")):
        lines += ["", f"A node's year at {NAMES[name]}, {whose}", *setting_table(result["settings"], name)]
    return "\n".join(lines)


def score_table(scores: dict[str, Any], columns: list[tuple[str, str]]) -> Iterable[str]:
    yield " " * 26 + "".join(f"{title:>28}" for _, title in columns)
    yield " " * 26 + f"{'MAE K':>20}{'AP':>8}" * len(columns)
    for method in scores[columns[0][0]]:
        cells = (scores[name][method] for name, _ in columns)
        yield f"{method:26}" + "".join(f"{cell['mae_k']:20.2f}{cell['ap']:8.2f}" for cell in cells)


def setting_table(rows: list[dict[str, Any]], name: str) -> Iterable[str]:
    yield f"{'':35}{'model':>6}  {'frosts':>6}{'':14}{'alarms':>9}{'lead':>10}{'idle':>6}{'uplinks':>9}"
    yield f"{'trigger':17}{'alarm on/off':18}{'runs':>6}  {'caught':>6}{'late':>5}{'missed':>8}" + (
        f"{'all':>5}{'false':>7}{'h':>6}{'h':>7}{'a year':>9}"
    )
    for row in rows:
        setting, year = Setting(**row["setting"]), row[name]
        trigger = "every wake" if setting.below_c is None else f"below {setting.below_c:g} degC"
        if setting.falls_k:
            trigger = f"{setting.below_c:g} degC, -{setting.falls_k:g} K"
        levels = f"{setting.on_c:g}/{setting.off_c:g} degC"
        mark = " *" if row["shipped"] else "" if setting.model else " T"
        yield (
            f"{trigger:17}{levels + mark:18}{year['ran']:6.0%}  {year['caught']:6d}{year['late']:5d}"
            f"{year['missed']:8d}{year['alarms']:5d}{year['false_alarms']:7d}{year['mean_lead_h']:6.1f}"
            f"{year['idle_h']:7.0f}{year['uplinks']:9d}"
        )
    yield "* as shipped.  T: no model, the thermometer itself, on every wake."


def _range(figure: dict[str, float], digits: int) -> str:
    low, high = f"{figure['low']:.{digits}f}", f"{figure['high']:.{digits}f}"
    return low if low == high else f"{low} to {high}"


def put_into(readme: Path, text: str) -> None:
    """Replace what stands between the two markers. Raises ValueError where they are missing."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{readme}: no '{BEGIN}' ... '{END}'")
    part = readme.with_name(readme.name + ".part")
    part.write_text(f"{before}{BEGIN}\n```text\n{text}\n```\n{END}{after}", encoding="utf-8")
    os.replace(part, readme)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train the frost model, write it, say what it is worth.")
    parser.add_argument("--quick", action="store_true", help="train and write the model, no study")
    parser.add_argument("--json", action="store_true", help="print the study as JSON")
    parser.add_argument("--readme", action="store_true", help="put the study's tables into README.md")
    parser.add_argument("--seed", type=int, default=SEED, help="of the random numbers (default %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: this file's)")
    args = parser.parse_args(argv)
    if not args.out.is_dir():
        parser.error(f"--out {args.out}: no such folder")
    try:
        ship(args.out, args.seed)
        print(f"wrote {args.out / 'frost.tflite'} and features.toml", file=sys.stderr)
        if args.quick:
            return 0
        result = run_study(args.seed)
    except TorporError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=2) if args.json else tables(result))
    if args.readme:
        put_into(args.out / "README.md", tables(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
