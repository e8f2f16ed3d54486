# SPDX-License-Identifier: MIT
"""The figures of a run, from what was received, what the sensors saw and what the node counted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..collect import store
from ..project import Project
from ..simulate.state import NodeState
from ..simulate.world import World
from .events import score
from .plot import Series

# What a node does that decides nothing: send each half hour, as the survey's reference node.
PERIODIC_S = 1800
DAY_S = 86400


def battery_life(project: Project, energy_uj: Mapping[str, int], seconds: int) -> dict[str, Any]:
    """Return the life of the node's battery in days as value, low and high.

    Power by cause is what the ledger counted, scaled to the low and high cost of the board's profile; the
    battery's usable energy and self-discharge are ranges too. The corners are combined (all low, all high),
    so the interval is the outer one. Life = E / (P + self-discharge), both over the same battery.
    """
    costs = project.spec.costs(project.model_report)
    costs["sleep"] = project.spec.sleep_uw
    power = [0.0, 0.0, 0.0]
    for cause, uj in energy_uj.items():
        value, low, high = costs[cause]
        for i, cost in enumerate((value, low, high)):
            power[i] += uj / seconds * (cost / value if value else 1.0)
    battery = project.spec.battery
    joules, leak = battery.usable_j, battery.self_discharge_per_year

    def days(energy_j: float, power_uw: float, yearly: float) -> float:
        return energy_j / (power_uw * 1e-6 + energy_j * yearly / (365.25 * DAY_S)) / DAY_S

    return {
        "name": battery.name,
        "usable_j": joules.value,
        "life_days": days(joules.value, power[0], leak.value),
        "life_low_days": days(joules.low, power[2], leak.high),
        "life_high_days": days(joules.high, power[1], leak.low),
        "average_low_uw": power[1],
        "average_high_uw": power[2],
    }


def alarms_of(events: list[dict[str, Any]], end_s: int) -> list[tuple[int, int]]:
    """Pair alarm-on with alarm-off frames; an alarm that is still on ends with the run."""
    alarms, since = [], None
    for event in events:
        if event["on"] and since is None:
            since = event["time_s"]
        elif not event["on"] and since is not None:
            alarms.append((since, event["time_s"]))
            since = None
    if since is not None:
        alarms.append((since, end_s))
    return alarms


def summarize(
    project: Project, world: World, database: Path, final: NodeState, deployed: Any
) -> tuple[dict[str, Any], Series]:
    """Return the summary (JSON-able) and what the plots need."""
    spec = project.spec
    times_s = world.times_s()
    end_s = world.start_s + world.seconds
    uplinks = store.frames(database, spec.name)
    alarms = alarms_of(store.events(database, spec.name), end_s)
    channel, threshold = spec.decision_channel, spec.event_threshold
    values = world.channel(channel)
    truth: list[tuple[int, int]] = []
    events = None
    if threshold is not None:
        sign = 1.0 if spec.decision_below else -1.0  # an event above its threshold is one below, upside down
        result = score(times_s, sign * values, alarms, threshold=sign * threshold)
        truth = [(e.start_s, e.end_s + world.step_s) for e in result.events]
        events = result.as_dict()
    periodic = max(1, world.seconds // PERIODIC_S)
    changes = len(store.events(database, spec.name))
    total = len(uplinks)
    energy_uj = final.energy_uj
    summary = {
        "name": spec.name,
        "board": spec.board.name,
        "runtime": spec.runtime,
        "ran_on": "virtual board (MicroPython)",
        "world": world.name,
        "days": world.seconds / DAY_S,
        "counters": final.counters,
        "events": events,
        "uplinks": {
            "total": total,
            "alarms": changes,
            "heartbeats": total - changes,
            "sent": final.counters["uplinks"],
            "periodic": periodic,
            "saved_percent": 100 * (1 - total / periodic),
        },
        "energy": {
            "by_cause_uj": energy_uj,
            "total_uj": sum(energy_uj.values()),
            "average_uw": sum(energy_uj.values()) / world.seconds,
        },
        "battery": battery_life(project, energy_uj, world.seconds),
        "model": project.model_report,
        "deploy": {
            "sent": len(deployed.sent),
            "bytes_sent": deployed.bytes_sent,
            "unchanged": len(deployed.unchanged),
        },
        "assumptions": spec.assumptions(),
    }
    series = Series(
        times_s,
        values,
        channel,
        spec.unit_of(channel),
        threshold,
        truth,
        alarms,
        [f["time_s"] for f in uplinks],
    )
    return summary, series
