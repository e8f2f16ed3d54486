# SPDX-License-Identifier: MIT
"""What a model sees, on the host exactly as on the node.

    >>> inputs = [Input("value", "temperature"), Input("change", "temperature", age=3)]
    >>> inputs = standardise(inputs, raw(inputs, counts, times_s, utc_offset_s))
    >>> x = fill(inputs, counts, times_s, utc_offset_s, INPUT_SCALE)     # by the node's own code, int8 [N, 2]

`fill` runs device/torpor/dsp/features.py over a recording. `raw` and `quantise` are the same arithmetic on
whole arrays, for training that quantises the same year a hundred times; a test holds the two together on
every hour of real weather.

Counts are int16 [N, CHANNELS], a column per name of CHANNELS, in the units of the node's channels: one
hundred to the degC or %RH.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from torpor.dsp import dewpoint, features, hours
from torpor.sense.ring import Ring

CHANNELS = ("temperature", "humidity")
COUNTS_PER_UNIT = 100
KINDS = ("value", "change", "minimum", "maximum", "dew_point_depression", "hour_sine", "hour_cosine")
# Hours are given as 1000 * sin, cos; unless told otherwise the model sees plain sin and cos.
HOUR_COUNTS = 1000


@dataclass(frozen=True)
class Input:
    """One input of a model: (x - mean) / std, both in counts. `age` in rows, as the device's table says."""

    kind: str
    channel: str = ""
    age: int = 0
    mean: int = 0
    std: int = HOUR_COUNTS

    @property
    def of_hour(self) -> bool:
        return self.kind.startswith("hour_")

    @property
    def rows(self) -> int:
        """Rows of history that it takes."""
        if self.kind in ("value", "change"):
            return self.age + 1
        return self.age if self.kind in ("minimum", "maximum") else 1

    def record(self, input_scale: float) -> tuple[int, int, int, int, int]:
        """(kind, channel, age, mean, mul_q16) as the node's configuration has it."""
        kind = KINDS.index(self.kind)
        mul_q16 = round(65536 / (self.std * input_scale))
        if self.kind == "dew_point_depression":
            return kind, CHANNELS.index("temperature"), CHANNELS.index("humidity"), self.mean, mul_q16
        return kind, CHANNELS.index(self.channel) if self.channel else 0, self.age, self.mean, mul_q16


def rows_needed(inputs: Sequence[Input]) -> int:
    return max(i.rows for i in inputs)


def raw(inputs: Sequence[Input], counts: np.ndarray, times_s: np.ndarray, utc_offset_s: int) -> np.ndarray:
    """Each input's x in counts, int64 [N, INPUTS]. The first `rows_needed` - 1 rows, which lack history,
    repeat the recording's first row in its place: leave them out."""
    table = counts.astype(np.int64)
    at = np.arange(len(table))

    def back(column: np.ndarray, age: int) -> np.ndarray:
        return column[np.maximum(at - age, 0)]

    out = np.empty((len(table), len(inputs)), dtype=np.int64)
    for i, item in enumerate(inputs):
        if item.of_hour:
            wave = hours.sine if item.kind == "hour_sine" else hours.cosine
            out[:, i] = [wave(int(now) % 86400 + utc_offset_s) for now in times_s]
        elif item.kind == "dew_point_depression":
            out[:, i] = [dewpoint.depression(int(t), int(h)) for t, h in table]
        else:
            column = table[:, CHANNELS.index(item.channel)]
            if item.kind == "value":
                out[:, i] = back(column, item.age)
            elif item.kind == "change":
                out[:, i] = column - back(column, item.age)
            else:
                window = np.stack([back(column, age) for age in range(item.age)])
                out[:, i] = window.min(axis=0) if item.kind == "minimum" else window.max(axis=0)
    return out


def standardise(inputs: Sequence[Input], x: np.ndarray) -> list[Input]:
    """`inputs` with mean and standard deviation of their columns in `x` (from `raw`), rounded to whole
    counts; hours stay as they are. Sums are of integers, hence exact: the same result on every machine."""
    fitted = list(inputs)
    for i, item in enumerate(inputs):
        if not item.of_hour:
            column = x[:, i]
            mean = int(column.sum()) / len(column)
            std = (int((column * column).sum()) / len(column) - mean * mean) ** 0.5
            fitted[i] = replace(item, mean=round(mean), std=max(1, round(std)))
    return fitted


def quantise(inputs: Sequence[Input], x: np.ndarray, input_scale: float) -> np.ndarray:
    """int64 [N, INPUTS] from `raw` -> int8 [N, INPUTS], zero point 0; the node's arithmetic."""
    records = [item.record(input_scale) for item in inputs]
    mean = np.array([record[3] for record in records])
    mul_q16 = np.array([record[4] for record in records])
    return np.clip(((x - mean) * mul_q16 + 32768) >> 16, -128, 127).astype(np.int8)


def fill(
    inputs: Sequence[Input],
    counts: np.ndarray,
    times_s: np.ndarray,
    utc_offset_s: int,
    input_scale: float,
    zero_point: int = 0,
) -> np.ndarray:
    """Every row's inputs by the node's ring and features, int8 [N, INPUTS]; zeros while history is too
    short."""
    parts = features.Features(tuple(item.record(input_scale) for item in inputs), utc_offset_s)
    ring = Ring(parts.needs, counts.shape[1])
    out = np.zeros((len(counts), len(inputs)), dtype=np.int8)
    for i, (row, now) in enumerate(zip(counts.tolist(), times_s.tolist())):
        ring.push(row)
        if ring.count >= parts.needs:
            parts.fill(ring, now, out[i], zero_point)
    return out


def toml(inputs: Sequence[Input]) -> str:
    """The `inputs` of a node.toml's [features], one a line; means and deviations with their units."""
    return "inputs = [\n" + "".join(f"    {_item(item)},\n" for item in inputs) + "]\n"


def _item(item: Input) -> str:
    if item.of_hour:
        parts = [f'kind = "{item.kind}"']
        parts += [f"mean = {item.mean / HOUR_COUNTS:.3f}"] if item.mean else []
        parts += [f"std = {item.std / HOUR_COUNTS:.3f}"] if item.std != HOUR_COUNTS else []
        return "{ " + ", ".join(parts) + " }"
    humid = item.channel == "humidity"
    level = item.kind in ("value", "minimum", "maximum")
    mean_unit = "%RH" if humid else "degC" if level else "K"
    std_unit = "%RH" if humid else "K"
    parts = [f'kind = "{item.kind}"']
    if item.kind != "dew_point_depression":
        parts += [f'channel = "{item.channel}"', f"age = {item.age}"]
    parts.append(f'mean = "{item.mean / COUNTS_PER_UNIT:.2f}{mean_unit}"')
    parts.append(f'std = "{item.std / COUNTS_PER_UNIT:.2f}{std_unit}"')
    return "{ " + ", ".join(parts) + " }"
