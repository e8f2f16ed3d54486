# SPDX-License-Identifier: MIT
"""What a node would do with a model's scores: its own trigger, decision and schedule over a recording.

    >>> run = rehearse(times_s, counts, scores, rows=7, triggers=[("level", (0, -1, 1000, 100))],
    ...                decision=(-1, 0, 100, 1, 0), heartbeat_s=86400)
    >>> run.alarms, run.inferences, run.uplinks

The parts are those of device/torpor, on CPython, so that settings can be weighed in a second instead of a run
on the virtual board; radio, store and sensor are left out, and every wake is on time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from torpor.decision import Decision
from torpor.schedule import Schedule
from torpor.sense.ring import Ring


@dataclass(frozen=True)
class Rehearsal:
    """alarms: (on_s, off_s), the last one ended by the recording's end if need be; counts of wakes, of wakes
    on which the model ran (for the decision or for a frame), and of frames sent (heartbeats and alarm
    changes)."""

    alarms: list[tuple[int, int]]
    wakes: int
    inferences: int
    uplinks: int


def rehearse(
    times_s: np.ndarray,
    counts: np.ndarray,
    scores: np.ndarray,
    rows: int,
    triggers: Sequence[tuple[str, tuple[int, ...]]],
    decision: tuple[int, int, int, int, int],
    heartbeat_s: int,
    frames_predict: bool = False,
) -> Rehearsal:
    """times_s int64 [N]; counts int16 [N, CHANNELS]; scores int [N], what the model would say at each wake,
    in counts. triggers: (kind, args) and decision: args, as the node's configuration has them; no triggers:
    the model runs on every wake that has `rows` of history. frames_predict: `prediction` is among the
    report's fields, so the model also runs for each frame of a wake without a score (torpor/report.py)."""
    ring = Ring(rows, counts.shape[1])
    parts = [import_module(f"torpor.sense.{kind}").create(args) for kind, args in triggers]
    judge = Decision(decision)
    schedule = Schedule(heartbeat_s)
    alarms: list[tuple[int, int]] = []
    since = -1
    inferences = 0
    for now, row, score in zip(times_s.tolist(), counts.tolist(), scores.tolist()):
        ring.push(row)
        fired, scored = not parts, False
        for part in parts:  # each one, since each keeps state
            fired = part.fired(ring) or fired
        event = 0
        if not fired:
            event = judge.quiet(now)
        elif ring.count >= rows:
            scored = True
            event = judge.update(score, now)
        if event > 0:
            since = now
        elif event < 0:
            alarms.append((since, now))
        if schedule.due(now, event):
            scored = scored or (frames_predict and ring.count >= rows)
            schedule.sent()
            for part in parts:
                part.reported(ring)
        inferences += scored
    if judge.active:
        alarms.append((since, int(times_s[-1])))
    return Rehearsal(alarms, len(times_s), inferences, schedule.uplinks)
