# SPDX-License-Identifier: MIT
"""Checks of what a node thinks: features, the model's output, the decision."""

from functools import partial

from .. import errors
from ..files import is_file
from ..units import UnitError
from . import schema, toml_text
from .channels import ALARMS, BY_UNIT, CHANNELS, PLAIN, Channel
from .context import Context, one_of_kind, only_one
from .problems import Table, nearest
from .spec import Feature, Output, Part
from .toml_text import Document, Key

_TIMES_MOST = 1e9  # far beyond what any score can hold, far below where floats end


def features(context: Context, table: schema.FeaturesTable) -> tuple[list[Feature], int, Document | None]:
    """Return the model's inputs, the rows of history they need, and their file, if not node.toml."""
    document: Document | None = None
    prefix: Key = ("features",)
    listed = table.inputs or []
    if table.file is not None and table.inputs is not None:
        context.add(("features", "inputs"), "both file and inputs are given", "keep one of them")
    if table.file is not None:
        path = context.folder / table.file
        if not is_file(path):
            context.add(
                ("features", "file"), f"{path} is not there", "run the training script, which writes it"
            )
            return [], 1, None
        try:
            document = toml_text.read(path, "features file")
        except errors.ConfigError as e:
            for line in e.problems:
                context.problems.foreign(line)
            return [], 1, None
        prefix = ()
        read = context.problems.partial(schema.FeaturesFile, document.data, (), document)
        listed = (read.inputs if read else None) or []
    elif table.inputs is None and not table.wrong("file", "inputs"):
        context.add(("features",), "neither file nor inputs is given", 'add file = "features.toml"')
    found: list[Feature] = []
    rows = 1
    for i, item in enumerate(listed):
        key: Key = (*prefix, "inputs", i)
        one = one_of_kind(context, item, key, schema.FEATURES, document)
        made = _feature(context, one, key, document) if one else None
        if made:
            found.append(made)
            rows = max(rows, made.age + 1 if made.kind <= 1 else made.age if made.kind <= 3 else 1)
    return found, rows, document


def _feature(context: Context, table: Table, key: Key, document: Document | None) -> Feature | None:
    name = table.kind  # type: ignore[attr-defined]
    number = list(schema.FEATURES).index(name)
    if isinstance(table, schema.Hour):
        if table.wrong("mean", "std"):
            return None
        return Feature(number, name, 0, 0, round(1000 * table.mean), 1000 * table.std, key)
    index, age = 0, 0
    if isinstance(table, schema.DewPoint):
        lacking = [c for c in ("temperature", "humidity") if c not in context.channels]
        if lacking:
            fix = f"add {' and '.join(lacking)} to sensor.channels"
            context.add((*key, "kind"), f"the dew point needs {' and '.join(lacking)}", fix, document)
        channel = CHANNELS["temperature"]
        index, age = context.index("temperature"), context.index("humidity")
        return _scaled(context, table, number, channel, index, age, key, document)
    if isinstance(table, schema.Value):
        if name != "value" and table.age is not None and table.age < 1:
            context.add(
                (*key, "age"),
                f"{name} over {table.age} rows is always the same",
                "write age = 1 or more rows",
                document,
            )
        return context.problems.common(
            [
                partial(
                    _scaled, context, table, number, CHANNELS[c], context.index(c), table.age, key, document
                )
                for c in context.channel(table.channel, (*key, "channel"), document)
            ]
        )
    return None


def _scaled(
    context: Context,
    table: schema.DewPoint | schema.Value,
    number: int,
    channel: Channel,
    index: int,
    age: int | None,
    key: Key,
    document: Document | None,
) -> Feature | None:
    name = table.kind
    of_difference = name in ("change", "dew_point_depression")
    mean = context.counts(channel, table.mean, (*key, "mean"), difference=of_difference, document=document)
    written = table.std
    if written is None:
        return None
    try:
        std = channel.spread(written)
    except UnitError as e:
        context.add((*key, "std"), e.message, e.fix, document)
        return None
    if std <= 0:
        context.add(
            (*key, "std"),
            f"{written!r} is not above zero",
            "write the standard deviation of the training data",
            document,
        )
        return None
    if std > 65535:  # two int16 counts differ by no more
        most = 65535 / channel.counts
        fix = f"readings differ by {most:g} {channel.unit} at most".rstrip()
        context.add((*key, "std"), f"{written!r} is out of range", fix, document)
        return None
    return None if mean is None or age is None else Feature(number, name, index, age, mean, std, key)


def model_output(context: Context, output: schema.Output) -> tuple[Output | None, Channel | None]:
    """Return how the model's output becomes the score, and the channel whose unit the score has."""
    units = [*BY_UNIT, "1"]
    own = PLAIN if output.unit == "1" else CHANNELS.get(BY_UNIT.get(output.unit, ""))
    if own is None and output.unit is not None:
        context.add(
            ("model", "output", "unit"),
            f'"{output.unit}" is no unit of an output',
            nearest(output.unit, units),
        )
    if output.times is None:
        pass
    elif output.times == 0:
        context.add(("model", "output", "times"), "times 0 makes every score the same", "write times = 1.0")
    elif abs(output.times) > _TIMES_MOST:
        fix = f"must be at most {_TIMES_MOST:g}, of either sign"
        context.add(("model", "output", "times"), f"{output.times:g} is out of range", fix)
    plus = -1
    if output.plus is not None:
        names = context.channel(output.plus, ("model", "output", "plus"))
        channel = CHANNELS[output.plus] if names == [output.plus] else None
        if channel and own and channel is not own:
            what = f"{output.plus} is in {channel.unit or 'counts'}, the output in {output.unit}"
            fix = "take a channel of the same unit, or remove plus"
            context.add(("model", "output", "plus"), what, fix)
        plus = context.index(output.plus)
    offset: int | None = 0
    if output.offset is not None:
        may = [own] if own else [PLAIN, *CHANNELS.values()]
        key = ("model", "output", "offset")
        offset = context.problems.common(
            [partial(context.counts, c, output.offset, key, difference=True) for c in may]
        )
    if own is None or offset is None or output.times is None:
        return None, own
    return Output(plus, own.counts, output.times, offset), own


def decision(
    context: Context, table: schema.DecisionTable, score: Channel
) -> tuple[Part, float, float, bool] | None:
    """Return the decision's record, its level and that of the event in the score's unit, whether on below.

    The event is what the alarm is about, for the report: event_below or event_above, else the alarm's level.
    """
    on_key = only_one(context, table, ("on_below", "on_above"), ("decision",), score.example)
    if on_key is None:
        for key in ("on_below", "on_above", "off_above", "off_below", "event_below", "event_above"):
            context.counts(score, getattr(table, key), ("decision", key))
        return None
    below = on_key == "on_below"
    off_key, wrong = ("off_above", "off_below") if below else ("off_below", "off_above")
    if getattr(table, wrong) is not None:
        context.add(
            ("decision", wrong), f"{on_key} goes with {off_key}", f"write {off_key} instead of {wrong}"
        )
    on = context.counts(score, getattr(table, on_key), ("decision", on_key))
    off = on
    if getattr(table, off_key) is not None:
        off = context.counts(score, getattr(table, off_key), ("decision", off_key))
    if on is not None and off is not None and ((off < on) if below else (off > on)):
        side = "at or above" if below else "at or below"
        what = f"{getattr(table, off_key)} is the wrong way round: the alarm would go off before it goes on"
        context.add(("decision", off_key), what, f"write a value {side} {on_key} ({getattr(table, on_key)})")
    event: int | None = on
    event_key, not_that = ("event_below", "event_above") if below else ("event_above", "event_below")
    if getattr(table, not_that) is not None:
        context.add(
            ("decision", not_that),
            f"{on_key} goes with {event_key}",
            f"write {event_key} instead of {not_that}",
        )
    if getattr(table, event_key) is not None:
        event = context.counts(score, getattr(table, event_key), ("decision", event_key))
    if on is None or off is None or event is None or table.wrong("hold_off", "average"):
        return None
    hold_off = round(table.hold_off)
    return (
        Part("threshold", (-1 if below else 1, on, off, table.average, hold_off)),
        on / score.counts,
        event / score.counts,
        below,
    )


def alarm_object(context: Context, table: schema.DecisionTable, score: str, below: bool) -> str:
    """Return the name of the BTHome binary object that the alarm is sent as."""
    if table.alarm is not None:
        if table.alarm not in ALARMS:
            context.add(
                ("decision", "alarm"),
                f'BTHome has no alarm "{table.alarm}"',
                nearest(table.alarm, list(ALARMS)),
            )
            return "generic"
        return table.alarm
    if score == "temperature":
        return "cold" if below else "heat"
    return "moisture" if score == "humidity" and not below else "generic"
