# SPDX-License-Identifier: MIT
"""report.png: the run as four pictures on one sheet."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

_INK = "#22303c"
_SIGNAL = "#7d93a6"
_TRUTH = "#9ecae8"
_ALARM = "#c8452f"
_OURS = "#2a7f62"
CAUSE_COLOURS = {
    "sleep": "#b8c4ce",
    "boot": "#e0a458",
    "sense": "#5b8e7d",
    "trigger": "#a3c4bc",
    "features": "#bc4b51",
    "infer": "#8f2d56",
    "radio": "#2f6690",
    "flash": "#6c757d",
}


@dataclass(frozen=True)
class Series:
    """What is drawn: the decision's channel over time, and intervals in seconds since 1970 (UTC).

    times_s int64 [rows], values float64 [rows] in `unit`; truth and alarms are [(from_s, to_s)];
    uplinks_s are the times of the frames received.
    """

    times_s: np.ndarray
    values: np.ndarray
    channel: str
    unit: str
    threshold: float | None
    truth: list[tuple[int, int]]
    alarms: list[tuple[int, int]]
    uplinks_s: list[int]


def _dates(times_s: Any) -> list[datetime]:
    return [datetime.fromtimestamp(int(t), UTC) for t in times_s]


def _signal(axes: Any, series: Series, summary: dict[str, Any]) -> None:
    axes.plot(_dates(series.times_s), series.values, color=_SIGNAL, linewidth=0.6, label=series.channel)
    if series.threshold is not None:
        axes.axhline(series.threshold, color=_INK, linewidth=0.7, linestyle=":")
    for i, (start, end) in enumerate(series.truth):
        axes.axvspan(*_dates((start, end)), color=_TRUTH, label="" if i else "event (truth)")
    low = float(np.min(series.values))
    at = low - 0.06 * float(np.ptp(series.values))
    for i, (start, end) in enumerate(series.alarms):
        axes.plot(
            _dates((start, end)),
            (at, at),
            color=_ALARM,
            linewidth=5,
            solid_capstyle="butt",
            label="" if i else "alarm (node)",
        )
    axes.set_ylabel(f"{series.channel} ({series.unit})")
    events = summary.get("events")
    axes.set_title(
        f"{summary['name']}: {summary['days']:g} days of {summary['world']}"
        + (
            f"; {events['caught']} of {events['events']} events caught, {events['false_alarms']} false alarms"
            if events
            else ""
        )
    )
    axes.legend(loc="upper right", ncols=3, frameon=False)
    axes.margins(x=0.01)
    _date_axis(axes)


def _uplinks(axes: Any, series: Series, summary: dict[str, Any]) -> None:
    up = summary["uplinks"]
    times = np.linspace(series.times_s[0], series.times_s[-1], 200)
    axes.plot(
        _dates(times),
        np.linspace(1, up["periodic"], 200),
        color=_SIGNAL,
        label=f"every 30 min: {up['periodic']:,}",
    )
    if series.uplinks_s:
        axes.step(
            _dates(series.uplinks_s),
            np.arange(1, len(series.uplinks_s) + 1),
            where="post",
            color=_OURS,
            label=f"this node: {up['total']:,}",
        )
    axes.set_yscale("log")
    axes.set_ylabel("frames sent so far")
    axes.set_title(f"uplinks: {up['saved_percent']:.1f} % fewer")
    axes.legend(loc="lower right", frameon=False)
    _date_axis(axes)


def _date_axis(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _energy(axes: Any, summary: dict[str, Any]) -> None:
    energy = summary["energy"]
    causes = sorted(energy["by_cause_uj"].items(), key=lambda item: item[1])
    joules = [max(uj, 1) / 1e6 for _, uj in causes]
    axes.barh([c for c, _ in causes], joules, color=[CAUSE_COLOURS.get(c, _SIGNAL) for c, _ in causes])
    for i, (_, uj) in enumerate(causes):
        share = 100 * uj / max(energy["total_uj"], 1)
        axes.text(joules[i], i, f" {share:.2g} %", va="center", fontsize=8, color=_INK)
    axes.set_xscale("log")
    axes.set_xlim(right=max(joules) * 6)
    axes.set_xlabel("J over the run")
    axes.set_title(f"energy by cause: {energy['average_uw']:.0f} uW on average")


def _battery(axes: Any, summary: dict[str, Any]) -> None:
    battery = summary["battery"]
    years = [battery[k] / 365.25 for k in ("life_low_days", "life_days", "life_high_days")]
    axes.barh([battery["name"]], [years[1]], color=_OURS, height=0.4)
    axes.errorbar([years[1]], [0], xerr=[[years[1] - years[0]], [years[2] - years[1]]], color=_INK, capsize=6)
    axes.set_xlabel("years")
    axes.set_xlim(left=0)
    axes.set_ylim(-0.8, 0.8)
    axes.set_title(f"battery life: {years[1]:.1f} years ({years[0]:.1f} to {years[2]:.1f})")


def draw(summary: dict[str, Any], series: Series, path: Path) -> None:
    """Write the sheet as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
        }
    ):
        figure = pyplot.figure(figsize=(12, 7.2), layout="constrained")
        grid = figure.add_gridspec(2, 3, height_ratios=(1.3, 1))
        _signal(figure.add_subplot(grid[0, :]), series, summary)
        _uplinks(figure.add_subplot(grid[1, 0]), series, summary)
        _energy(figure.add_subplot(grid[1, 1]), summary)
        _battery(figure.add_subplot(grid[1, 2]), summary)
        figure.savefig(path, dpi=110)
        pyplot.close(figure)
