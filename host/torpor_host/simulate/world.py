# SPDX-License-Identifier: MIT
"""What the sensors of a virtual board see: a recording as `world.bin`, from weather files or a CSV.

A CSV has a header; the first column is `time` (ISO 8601, or seconds), one column per channel of the node,
in the unit named behind it: `time,temperature_c,humidity_pct`. Its rows are equally spaced. A gap, a NaN, an
unknown or missing column is refused with the line it is on: a simulation on silently repaired data is worth
nothing.
"""

import csv
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ..errors import TraceError
from ..units import parse
from . import weather

# channel -> (column in a CSV, counts per unit, least, most), docs/architecture.md "Numbers on the device are
# integers"; the bounds are int16's, or what can't be a reading.
COLUMNS = {
    "temperature": ("temperature_c", 100.0, -273.15, 327.67),
    "humidity": ("humidity_pct", 100.0, 0.0, 100.0),
    "pressure": ("pressure_hpa", 10.0, 0.0, 3276.7),
    "voltage": ("voltage_v", 1000.0, -32.767, 32.767),
    "acceleration": ("acceleration_g", 1000.0, -32.767, 32.767),
    "raw": ("raw", 1.0, -32767.0, 32767.0),
}
_LAST_S = (1 << 32) - 1  # world.bin holds times as uint32
MAGIC = b"TPWD"
NO_READING = -32768
# TMY3 months come from different years; the demo gives them all one year, which is not a leap year.
TMY_YEAR = 2025


@dataclass(frozen=True)
class World:
    """samples int16 [rows, channels] in counts; row i is what is seen from start_s + i*step_s (UTC) on."""

    name: str
    channels: tuple[str, ...]
    start_s: int
    step_s: int
    samples: np.ndarray

    @property
    def seconds(self) -> int:
        return len(self.samples) * self.step_s

    def times_s(self) -> np.ndarray:
        return self.start_s + self.step_s * np.arange(len(self.samples), dtype=np.int64)

    def channel(self, name: str) -> np.ndarray:
        """Return the channel in its unit, float64 [rows]."""
        return self.samples[:, self.channels.index(name)] / COLUMNS[name][1]

    def first(self, seconds: int) -> "World":
        """Return the first `seconds` of this world. Raises TraceError when it is shorter."""
        rows = math.ceil(seconds / self.step_s)
        if rows > len(self.samples):
            raise TraceError(
                f"{self.name} covers {self.seconds / 86400:.1f} days, not {seconds / 86400:.1f}",
                "ask for a shorter --for, or bring a longer recording with --trace",
            )
        return World(self.name, self.channels, self.start_s, self.step_s, self.samples[:rows])

    def write(self, path: Path) -> None:
        head = struct.pack("<4sIIHH", MAGIC, self.start_s, self.step_s, len(self.channels), 0)
        path.write_bytes(head + self.samples.astype("<i2").tobytes())


def _counts(values: np.ndarray, channel: str) -> np.ndarray:
    counts = np.rint(values * COLUMNS[channel][1])
    return np.clip(counts, -32767, 32767).astype(np.int16)


def from_weather(site: str, channels: Sequence[str]) -> World:
    """Return a typical meteorological year as a world. Raises TraceError for a channel it does not have."""
    w = weather.load(site)
    have = {"temperature": w.temperature_c, "humidity": w.humidity_pct, "pressure": w.pressure_hpa}
    for channel in channels:
        if channel not in have:
            raise TraceError(f"weather of {site} has no {channel}", f"it has {', '.join(have)}")
    samples = np.stack([_counts(have[c], c) for c in channels], axis=1)
    midnight = datetime(TMY_YEAR, 1, 1, tzinfo=UTC).timestamp() - w.utc_offset_h * 3600
    first_hour = int(w.hour_local[0]) if int(w.hour_local[0]) else 24
    return World(w.site, tuple(channels), int(midnight) + 3600 * (first_hour % 24), 3600, samples)


def _seconds(text: str, path: Path, line: int) -> float:
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if not 0 <= seconds <= _LAST_S:
            raise TraceError(
                f"{path}:{line}: time: {text!r} is no second since 1970", "write ISO 8601, or Unix seconds"
            )
        return seconds
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        raise TraceError(
            f"{path}:{line}: time: {text!r} is no time", "write ISO 8601 (2025-01-31T06:00) or seconds"
        ) from None
    seconds = (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds <= _LAST_S:
        raise TraceError(f"{path}:{line}: time: {text!r} is out of range", "use a time between 1970 and 2106")
    return seconds


def from_csv(path: Path, channels: Sequence[str]) -> World:
    """Read a recording; raises TraceError naming file, line and column."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as e:
        raise TraceError(f"{path}: {e.strerror}", "give the path of a CSV") from None
    except UnicodeDecodeError:
        raise TraceError(f"{path}: not a text file", "export it as UTF-8 CSV") from None
    try:
        rows = list(csv.reader(text.splitlines()))
    except csv.Error as e:
        raise TraceError(f"{path}: not a CSV ({e})", "export it as UTF-8 CSV") from None
    if not rows:
        raise TraceError(f"{path}: empty", f"first line: time,{','.join(COLUMNS[c][0] for c in channels)}")
    header = [h.strip() for h in rows[0]]
    wanted = ["time"] + [COLUMNS[c][0] for c in channels]
    missing = [w for w in wanted if w not in header]
    if missing:
        raise TraceError(
            f"{path}:1: no column {', '.join(missing)}; it has {', '.join(header)}",
            f"the node's channels need {','.join(wanted)}",
        )
    twice = [w for w in wanted if header.count(w) > 1]
    if twice:
        raise TraceError(f"{path}:1: column {', '.join(twice)} is there twice", "keep the one that is meant")
    at = [header.index(w) for w in wanted]
    values = np.empty((len(rows) - 1, len(wanted)))
    for i, row in enumerate(rows[1:]):
        line = i + 2
        if len(row) <= max(at):
            raise TraceError(
                f"{path}:{line}: {len(row)} columns, {len(header)} expected", "complete the line"
            )
        values[i, 0] = _seconds(row[at[0]].strip(), path, line)
        for k in range(1, len(at)):
            try:
                values[i, k] = float(row[at[k]])
            except ValueError:
                values[i, k] = math.nan
            if not math.isfinite(values[i, k]):
                raise TraceError(
                    f"{path}:{line}: {wanted[k]}: {row[at[k]]!r} is not a number",
                    "cut the recording there, or fill the gap yourself",
                )
    return _equally_spaced(path, channels, values)


def _equally_spaced(path: Path, channels: Sequence[str], values: np.ndarray) -> World:
    if len(values) < 2:
        raise TraceError(f"{path}: {len(values)} rows", "a recording needs at least two")
    steps = np.diff(values[:, 0])
    step = steps[0]
    bad = np.nonzero(np.abs(steps - step) > 0.5)[0]
    if step < 1 or len(bad):
        line = int(bad[0]) + 3 if len(bad) else 3
        raise TraceError(
            f"{path}:{line}: time: a step of {steps[line - 3]:g} s where {step:g} s is the spacing",
            "the rows must be equally spaced, one second or more apart, with no gap",
        )
    for k, channel in enumerate(channels):
        name, _, least, most = COLUMNS[channel]
        column = values[:, k + 1]
        over = np.nonzero((column < least) | (column > most))[0]
        if len(over):
            raise TraceError(
                f"{path}:{int(over[0]) + 2}: {name}: {column[over[0]]:g} can't be",
                f"it must be {least:g} to {most:g}; check the unit",
            )
    samples = np.stack([_counts(values[:, k + 1], c) for k, c in enumerate(channels)], axis=1)
    return World(path.name, tuple(channels), round(values[0, 0]), round(step), samples)


def duration_s(text: str) -> int:
    """Parse a `--for` duration ("365d", "90min") to seconds. Raises UsageError."""
    return int(parse(text, "duration"))
