# SPDX-License-Identifier: MIT
"""What the frost model is worth: against baselines, on weather it was not trained on, and as a node uses it.

Prediction: the lowest temperature of the next six hours, scored as mean absolute error (MAE, K). Alarm:
hours that are above freezing now, ranked by the predicted minimum; the event is that one of the next six
readings is at or below 0 degC. Scored as average precision (AP). Hours that already freeze are left out:
there, a thermometer knows all there is to know.

Only hours whose window from a day before to six hours after lies within one month are scored: a typical
meteorological year is joined from months of different years. Every method is scored on the same hours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from torpor_host.report import events
from torpor_host.simulate import weather
from torpor_host.train import inputs as model_inputs
from torpor_host.train.inputs import COUNTS_PER_UNIT, Input
from torpor_host.train.mlp import Mlp, train
from torpor_host.train.quantize import Affine, QuantizedMlp, quantize
from torpor_host.train.rehearsal import Rehearsal, rehearse
from torpor_host.train.scores import average_precision, mean_absolute_error, ridge
from torpor_host.train.tflite import encode_mlp, infer

SITES = ("greensboro", "sand-point")
AHEAD_H = 6
ROWS = 7  # what the node's ring holds: retained state must stay small (256 bytes in all on nRF boards)
DAY_H = 24
HEARTBEAT_S = 86400
FRAMES_PREDICT = True  # node.toml's fields have the prediction: each frame needs a score
# One int8 step is 1/32 of a standard deviation: inputs span four of them to each side.
INPUT_SCALE = 1 / 32
INPUTS = (
    Input("value", "temperature"),
    Input("change", "temperature", 1),
    Input("change", "temperature", 3),
    Input("change", "temperature", 6),
    Input("dew_point_depression"),
    Input("hour_sine"),
    Input("hour_cosine"),
)
HIDDEN = (16, 8)


@dataclass(frozen=True)
class Site:
    """A site's year with its windows. x int64 [8760, INPUTS] raw inputs; lowest_c float64 [8760], the
    minimum of the next six readings (only meaningful where `windows` or `scored` are); windows, scored bool
    [8760]: whole months around the node's history, around a day of history."""

    year: weather.Weather
    counts: np.ndarray
    times_s: np.ndarray
    utc_offset_s: int
    x: np.ndarray
    lowest_c: np.ndarray
    windows: np.ndarray
    scored: np.ndarray

    @property
    def now_c(self) -> np.ndarray:
        return self.year.temperature_c

    @property
    def drop_k(self) -> np.ndarray:
        """What the model learns: how far it will fall below the present temperature; negative if it won't."""
        return self.now_c - self.lowest_c


def load(name: str) -> Site:
    year = weather.load(name)
    counts, times_s = year.counts(), year.times_s()
    utc_offset_s = round(year.utc_offset_h * 3600)
    x = model_inputs.raw(INPUTS, counts, times_s, utc_offset_s)
    hours = np.arange(weather.HOURS)
    ahead = [ago(year.temperature_c, -k) for k in range(1, AHEAD_H + 1)]

    def whole(history_h: int) -> np.ndarray:
        inside = (hours >= history_h) & (hours < weather.HOURS - AHEAD_H)
        return inside & (ago(year.month, history_h) == ago(year.month, -AHEAD_H))

    lowest_c = np.min(ahead, axis=0)
    return Site(year, counts, times_s, utc_offset_s, x, lowest_c, whole(ROWS - 1), whole(DAY_H))


def ago(values: np.ndarray, hours: int) -> np.ndarray:
    """[8760] -> [8760]: the value so many hours before (after, if negative); wraps at the year's ends,
    which no window reaches."""
    return np.roll(values, hours)


# --- the model ---


@dataclass(frozen=True)
class Model:
    inputs: list[Input]
    net: Mlp
    small: QuantizedMlp

    def inputs_of(self, site: Site) -> np.ndarray:
        """int8 [8760, INPUTS]; equal to what the node's code fills in (tests/host/test_train_export.py)."""
        return model_inputs.quantise(self.inputs, site.x, INPUT_SCALE)

    def float_c(self, site: Site) -> np.ndarray:
        """Predicted minimum, degC [8760], by the float network."""
        return site.now_c - self.net.forward(self.small.input.real(self.inputs_of(site)))

    def scores(self, site: Site, tflite: bytes | None = None) -> np.ndarray:
        """Predicted minimum in counts, int64 [8760], by the int8 network in TensorFlow Lite Micro and the
        node's own integer arithmetic: temperature minus the drop (docs/architecture.md, tag 5)."""
        q = infer(tflite or encode_mlp(self.small), self.inputs_of(site))[:, 0].astype(np.int64)
        mul_q16 = round(-self.small.output.scale * COUNTS_PER_UNIT * 65536)
        return site.counts[:, 0] + ((q - self.small.output.zero_point) * mul_q16 >> 16)


def fit(site: Site, rows: np.ndarray, seed: int) -> Model:
    """Train on the hours `rows` (bool [8760]) of a site."""
    fitted = model_inputs.standardise(INPUTS, site.x[rows])
    entry = Affine(INPUT_SCALE, 0)
    x = entry.real(model_inputs.quantise(fitted, site.x[rows], INPUT_SCALE))
    net = train(x, site.drop_k[rows], hidden=HIDDEN, seed=seed)
    return Model(fitted, net, quantize(net, x, INPUT_SCALE))


# --- what it is compared with ---


def untrained(site: Site) -> dict[str, np.ndarray]:
    """Rules that need no training: name -> predicted minimum, degC [8760]."""
    now = site.now_c
    slope = (now - ago(now, 3)) / 3
    shape = np.min([ago(now, DAY_H - k) - ago(now, DAY_H) for k in range(1, AHEAD_H + 1)], axis=0)
    return {
        # Tonight goes as yesterday went at this hour.
        "yesterday's shape": now + shape,
        # The last three hours go on as they went.
        "linear, last three hours": now + np.where(slope < 0, AHEAD_H * slope, slope),
        # Under a clear, calm sky the air cools until it meets its dew point, where condensation warms it.
        "growers' dew-point rule": now - site.x[:, 4] / COUNTS_PER_UNIT,
        "temperature threshold": now,
    }


@dataclass(frozen=True)
class Line:
    """What a ridge regression is given: the model's inputs in float, every hour of the last `history_h`, and
    the hour of the day. `by_hour`: three harmonics of it, and each input times each of them, so that a change
    in the evening can mean another thing than one in the morning, which a network finds out by itself. A
    plain line has the hour as the network is given it, one sine and one cosine."""

    history_h: int
    by_hour: bool = True

    def inputs(self, site: Site) -> np.ndarray:
        """float64 [8760, COLUMNS], in degC, K, %RH and their products with numbers of -1 to 1."""
        now, humidity = site.now_c, site.year.humidity_pct
        columns = [site.x[:, i] / COUNTS_PER_UNIT for i in range(len(INPUTS))]
        waves = hour_waves(site, HARMONICS) if self.by_hour else []
        columns += [column * wave for column in columns for wave in waves] + waves
        columns += [now - ago(now, k) for k in range(1, self.history_h + 1)]
        if self.history_h:
            columns += [humidity - ago(humidity, k) for k in range(0, self.history_h + 1, 3)]
        return np.stack(columns, axis=1)


def hour_waves(site: Site, harmonics: int) -> list[np.ndarray]:
    """Sine and cosine of local time, once, twice ... `harmonics` times a day: float64 [8760] each."""
    turn = 2 * np.pi * ((site.times_s + site.utc_offset_s) % 86400) / 86400
    return [wave(k * turn) for k in range(1, harmonics + 1) for wave in (np.sin, np.cos)]


HARMONICS = 3
LINES = {
    "plain ridge, same inputs": Line(0, by_hour=False),
    "ridge, same inputs": Line(0),
    "ridge, same seven hours": Line(ROWS - 1),
    "ridge, a day of history": Line(DAY_H),
}


# --- scoring ---


def judge(site: Site, predicted_c: np.ndarray) -> dict[str, float]:
    """Mean absolute error and average precision over the scored hours."""
    at = site.scored
    warm = at & (site.now_c > events.FREEZING_C)
    return {
        "mae_k": mean_absolute_error(predicted_c[at], site.lowest_c[at]),
        "ap": average_precision(site.lowest_c[warm] <= events.FREEZING_C, -predicted_c[warm]),
    }


def month_by_month(
    site: Site, predict: Callable[[np.ndarray], Sequence[np.ndarray]], count: int
) -> np.ndarray:
    """Each month predicted by what was trained on the other eleven: float64 [count, 8760]. `predict(rows)`
    trains on rows and returns `count` predictions of the whole year."""
    out = np.zeros((count, weather.HOURS))
    for month in range(1, 13):
        held_out = site.year.month == month
        for i, whole_year in enumerate(predict(site.windows & ~held_out)):
            out[i, held_out] = whole_year[held_out]
    return out


def by_month(site: Site, seed: int) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    """Leave one month out: method -> scores; and the int8 model's predictions in counts, int64 [8760]."""

    def models(rows: np.ndarray) -> list[np.ndarray]:
        model = fit(site, rows, seed)
        return [model.float_c(site), model.scores(site)]

    def lines(rows: np.ndarray) -> list[np.ndarray]:
        return [site.now_c - ridge(x[rows], site.drop_k[rows])(x) for x in tables]

    tables = [line.inputs(site) for line in LINES.values()]
    floats, counts = month_by_month(site, models, 2)
    result = {"MLP, float": judge(site, floats), "MLP, int8 on TFLM": judge(site, counts / COUNTS_PER_UNIT)}
    result |= {n: judge(site, p) for n, p in zip(LINES, month_by_month(site, lines, len(LINES)))}
    result |= {name: judge(site, predicted) for name, predicted in untrained(site).items()}
    return result, counts.astype(np.int64)


def across(model: Model, home: Site, away: Site) -> dict[str, dict[str, float]]:
    """Trained at home, run away: method -> scores."""
    result = {
        "MLP, float": judge(away, model.float_c(away)),
        "MLP, int8 on TFLM": judge(away, model.scores(away) / COUNTS_PER_UNIT),
    }
    for name, line in LINES.items():
        drop_k = ridge(line.inputs(home)[home.windows], home.drop_k[home.windows])
        result[name] = judge(away, away.now_c - drop_k(line.inputs(away)))
    return result | {name: judge(away, predicted) for name, predicted in untrained(away).items()}


# --- as a node uses it ---


@dataclass(frozen=True)
class Setting:
    """A node's trigger and decision, in degC, K and hours. below_c None: the model runs on every wake;
    falls_k 0: no second trigger; model False: the decision looks at the thermometer itself."""

    below_c: float | None
    falls_k: float
    on_c: float
    off_c: float
    hold_off_h: int = 3
    model: bool = True

    @property
    def triggers(self) -> list[tuple[str, tuple[int, ...]]]:
        """As the node's configuration has them: kind and args in counts."""
        parts: list[tuple[str, tuple[int, ...]]] = []
        if self.below_c is not None:
            parts.append(("level", (0, -1, _counts(self.below_c), _counts(1.0))))
        if self.falls_k:
            parts.append(("change", (0, -1, _counts(self.falls_k))))
        return parts

    @property
    def decision(self) -> tuple[int, int, int, int, int]:
        return -1, _counts(self.on_c), _counts(self.off_c), 1, self.hold_off_h * 3600

    def run(self, site: Site, scores: np.ndarray) -> Rehearsal:
        """One year of the node at the site. scores int64 [8760]: the model's, in counts."""
        seen = scores if self.model else site.counts[:, 0].astype(np.int64)
        return rehearse(
            site.times_s, site.counts, seen, ROWS, self.triggers, self.decision, HEARTBEAT_S, FRAMES_PREDICT
        )

    def rehearse(self, site: Site, scores: np.ndarray) -> dict[str, Any]:
        """What the node sent in its year, how often it ran the model, and how its alarms met the frosts."""
        run = self.run(site, scores)
        score = events.score(site.times_s, site.now_c, run.alarms)
        return score.as_dict() | {
            "ran": run.inferences / run.wakes if self.model else 0.0,
            "uplinks": run.uplinks,
        }


def _counts(value: float) -> int:
    return round(value * COUNTS_PER_UNIT)
