# SPDX-License-Identifier: MIT
"""Frost events in a recording, and how well alarms met them.

    >>> score(times_s, temperature_c, alarms=[(1000, 9000)]).caught

A *frost event* is a maximal run of samples at or below the threshold; runs that are less than `merge_h` apart
are one event (a grower who is up for the first is up for the second). Each event is exactly one of

    caught    an alarm went on strictly before the event's first frozen sample and was still on then; an alarm
              in the very wake that reads frost is a thermometer, not a warning
    late      not caught, but an alarm was on at some time during the event
    missed    no alarm during the event, or one that was withdrawn before it began

and an alarm is *false* if it overlaps no event's span [start - horizon_h, end]. An alarm that never ends
would catch everything and be false never, so the hours for which alarms were on, and those of them outside
every event's span (`idle_h`), belong to the score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

HOUR_S = 3600
FREEZING_C = 0.0
MERGE_H = 6.0
HORIZON_H = 6.0


@dataclass(frozen=True)
class Event:
    """start_s, end_s: times of the first and last sample at or below the threshold; minimum: the lowest."""

    start_s: int
    end_s: int
    minimum: float


@dataclass(frozen=True)
class EventScore:
    """Counts as the module's first lines define them; `outcomes[i]` names that of `events[i]`. `lead_h[j]` is
    how long the j-th caught event's alarm had been on, at most the horizon: an alarm that stands since the
    night before did not foresee today."""

    events: list[Event]
    outcomes: list[str]
    alarms: int
    false_alarms: int
    alarm_h: float
    idle_h: float
    lead_h: list[float] = field(default_factory=list)

    @property
    def caught(self) -> int:
        return self.outcomes.count("caught")

    @property
    def late(self) -> int:
        return self.outcomes.count("late")

    @property
    def missed(self) -> int:
        return self.outcomes.count("missed")

    @property
    def mean_lead_h(self) -> float:
        """0 when nothing was caught."""
        return sum(self.lead_h) / len(self.lead_h) if self.lead_h else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the counts, without the list of events."""
        return {
            "events": len(self.events),
            "caught": self.caught,
            "late": self.late,
            "missed": self.missed,
            "alarms": self.alarms,
            "false_alarms": self.false_alarms,
            "mean_lead_h": round(self.mean_lead_h, 2),
            "alarm_h": round(self.alarm_h, 2),
            "idle_h": round(self.idle_h, 2),
        }


def find(
    times_s: Sequence[int] | np.ndarray,
    values: Sequence[float] | np.ndarray,
    threshold: float = FREEZING_C,
    merge_h: float = MERGE_H,
) -> list[Event]:
    """Events in order. times_s [N] ascending, seconds; values [N], NaN (no reading) is not frost.

    Raises ValueError if the two differ in length or times don't ascend.
    """
    times = np.asarray(times_s, dtype=np.int64)
    levels = np.asarray(values, dtype=np.float64)
    if times.shape != levels.shape or times.ndim != 1:
        raise ValueError(f"{times.shape} times for {levels.shape} values")
    if np.any(np.diff(times) <= 0):
        raise ValueError("times must ascend")
    events: list[Event] = []
    frozen_before = False
    for now, value in zip(times.tolist(), levels.tolist()):
        frozen = value <= threshold
        if frozen:
            last = events[-1] if events else None
            if last and (frozen_before or now - last.end_s < merge_h * HOUR_S):
                events[-1] = Event(last.start_s, now, min(last.minimum, value))
            else:
                events.append(Event(now, now, value))
        frozen_before = frozen
    return events


def score(
    times_s: Sequence[int] | np.ndarray,
    values: Sequence[float] | np.ndarray,
    alarms: Sequence[tuple[int, int]],
    threshold: float = FREEZING_C,
    merge_h: float = MERGE_H,
    horizon_h: float = HORIZON_H,
) -> EventScore:
    """Hold `alarms`, (on_s, off_s) pairs in ascending order and without overlap, against the recording. An
    alarm that is still on ends with the recording: give the last time as its off_s.

    Raises ValueError for what `find` refuses and for alarms out of order.
    """
    for (_, off), (on, _) in pairwise(alarms):
        if on < off:
            raise ValueError(f"alarm on at {on} s before the one until {off} s ended")
    if any(off < on for on, off in alarms):
        raise ValueError("an alarm ends before it starts")
    events = find(times_s, values, threshold, merge_h)
    outcomes: list[str] = []
    lead_h: list[float] = []
    for event in events:
        ahead = [on for on, off in alarms if on < event.start_s <= off]
        if ahead:
            outcomes.append("caught")
            lead_h.append(min((event.start_s - ahead[0]) / HOUR_S, horizon_h))
        elif any(on <= event.end_s and off >= event.start_s for on, off in alarms):
            outcomes.append("late")
        else:
            outcomes.append("missed")
    spans = _union([(event.start_s - round(horizon_h * HOUR_S), event.end_s) for event in events])
    false_alarms = sum(not any(on <= high and off >= low for low, high in spans) for on, off in alarms)
    total = sum(off - on for on, off in alarms)
    useful = sum(max(0, min(off, high) - max(on, low)) for on, off in alarms for low, high in spans)
    return EventScore(
        events, outcomes, len(alarms), false_alarms, total / HOUR_S, (total - useful) / HOUR_S, lead_h
    )


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ascending spans with those that touch joined."""
    joined: list[tuple[int, int]] = []
    for low, high in spans:
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined
