# SPDX-License-Identifier: MIT
"""Checks of what a node is and senses: board, runtime, sensor, pins, triggers."""

from functools import partial

from .. import boards
from ..errors import ConfigError, UsageError
from ..files import is_file
from . import schema
from .board import Board, usable
from .channels import CHANNELS, SENSORS, Channel
from .context import Context, boards_like, one_of_kind, only_one
from .problems import Table, nearest
from .spec import Part
from .toml_text import Key

TMY = "tmy:"


def load_board(context: Context, name: str, key: Key) -> Board | None:
    """Return the board's profile; a path is taken from the node's folder."""
    path = context.folder / name
    try:
        return boards.load(path if name.endswith(".toml") else name)
    except UsageError as e:
        context.add(key, e.message, e.fix)
        context.maybe = boards_like(name)
    except ConfigError as e:
        for line in e.problems:
            context.add(key, f"this board profile is broken: {line}")
    return None


def choose_runtime(context: Context, node: schema.NodeTable, replaced: str | None = None) -> str | None:
    """Return the runtime asked for, or the board's first (also where a board replaces the node's own)."""
    board = context.board
    if board is None:
        return None
    if node.wrong("runtime"):
        return None
    if node.runtime is None or (replaced == board.name and node.runtime not in board.runtimes):
        return board.runtimes[0]
    if node.runtime not in board.runtimes:
        what = f'{board.name} does not run "{node.runtime}"'
        context.add(("node", "runtime"), what, nearest(node.runtime, list(board.runtimes)))
        return None
    return node.runtime


def sensor_channels(context: Context, sensor: schema.SensorTable) -> tuple[str, ...]:
    """Return the channels in the order in which the sensor's driver delivers them.

    Where one is wrong any that the sensor has may be meant, so all of those are returned, as not sure.
    """
    can = SENSORS[sensor.kind] if sensor.kind else tuple(CHANNELS)
    good: list[str] = []
    for i, name in enumerate(sensor.channels or ()):
        key = ("sensor", "channels", i)
        if name is None:
            continue
        if name not in can:
            which = sensor.kind or "a sensor"
            context.add(key, f'{which} has no channel "{name}"', nearest(name, list(can)))
        elif name in good:
            context.add(key, f'"{name}" is there twice', "name each channel once")
        else:
            good.append(name)
    if sensor.kind == "adc" and len(sensor.channels or ()) > 1:
        context.add(
            ("sensor", "channels"),
            "an analog pin gives one channel",
            f'write channels = ["{good[0] if good else "voltage"}"]',
        )
    context.sure = bool(sensor.kind) and len(good) == len(sensor.channels or ()) > 0
    return tuple(c for c in can if c in good or not context.sure)


_KEYS_OF = {
    "bme280": ("bus", "sda", "scl", "frequency", "address"),
    "adc": ("pin", "samples", "numerator", "denominator"),
}


def sensor_source(context: Context, sensor: schema.SensorTable) -> Part | None:
    """Return the source's record as for the node's own board."""
    for kind, keys in _KEYS_OF.items():
        for key in keys:
            if sensor.kind not in (None, kind) and getattr(sensor, key) is not None:
                own = ", ".join(_KEYS_OF[sensor.kind])
                context.add(
                    ("sensor", key), f"{sensor.kind} has no {key}", f"remove it; {sensor.kind} takes {own}"
                )
    if sensor.kind == "bme280" or (sensor.kind is None and (sensor.bus or sensor.sda or sensor.scl)):
        return _bme280(context, sensor)
    return _adc(context, sensor) if sensor.kind == "adc" or sensor.pin is not None else None


def _bme280(context: Context, sensor: schema.SensorTable) -> Part | None:
    address = 0x76 if sensor.address is None else sensor.address
    if address not in (0x76, 0x77):
        context.add(
            ("sensor", "address"),
            f"a BME280 has no address 0x{address:02x}",
            "write 0x76 (SDO low) or 0x77 (SDO high)",
        )
    board = context.board
    if board is None:
        known = {n for b in context.maybe for n, bus in b.bus.items() if bus.kind == "i2c"}
        if context.maybe and sensor.bus is not None and sensor.bus not in known:
            fix = f"{nearest(sensor.bus, sorted(known))}; or give sda and scl"
            context.add(("sensor", "bus"), f'no board that may be meant has an I2C bus "{sensor.bus}"', fix)
        for key in ("sda", "scl"):
            if sensor.bus is None and getattr(sensor, key) is not None:
                context.pin(getattr(sensor, key), (), ("sensor", key))
        return None
    if sensor.bus is None:
        if sensor.wrong("bus", "sda", "scl"):
            for key in ("sda", "scl"):
                if getattr(sensor, key) is not None and not sensor.wrong("bus"):
                    context.pin(
                        getattr(sensor, key), ("in", "out") if key == "sda" else ("out",), ("sensor", key)
                    )
            return None
        if sensor.sda is None or sensor.scl is None:
            buses = [n for n, b in board.bus.items() if b.kind == "i2c"]
            key = next((k for k in ("sda", "scl") if getattr(sensor, k) is not None), "bus")
            fix = f"add bus with one of {', '.join(buses)}, or sda and scl with two pins of {board.name}"
            context.add(("sensor", key), "no bus for the sensor", fix)
            return None
        number, frequency = 0, 400_000.0
        pins: list[tuple[str | int, Key]] = [(sensor.sda, ("sensor", "sda")), (sensor.scl, ("sensor", "scl"))]
    else:
        for key in ("sda", "scl"):
            if getattr(sensor, key) is not None:
                context.add(
                    ("sensor", key), "both a bus and its pins are given", f"remove {key}, or remove bus"
                )
        bus = board.bus.get(sensor.bus)
        if bus is None or bus.kind != "i2c" or bus.sda is None or bus.scl is None:
            what = (
                f'{board.name} has no bus "{sensor.bus}"' if bus is None else f'"{sensor.bus}" is no I2C bus'
            )
            fix = nearest(sensor.bus, [n for n, b in board.bus.items() if b.kind == "i2c"])
            context.add(("sensor", "bus"), what, f"{fix}; or give sda and scl" if fix else "give sda and scl")
            return None
        number, frequency = bus.id, float(bus.freq_hz)
        pins = [(bus.sda, ("sensor", "bus")), (bus.scl, ("sensor", "bus"))]
    sda = context.pin(pins[0][0], ("in", "out"), pins[0][1])
    scl = context.pin(pins[1][0], ("out",), pins[1][1])
    if sda is None or scl is None:
        return None
    mask = sum(
        bit
        for bit, name in ((1, "temperature"), (2, "humidity"), (4, "pressure"))
        if name in context.channels
    )
    return Part("bme280", (number, sda, scl, int(sensor.frequency or frequency), address, mask))


def _adc(context: Context, sensor: schema.SensorTable) -> Part | None:
    if sensor.wrong("pin"):
        return None
    if sensor.pin is None:
        which = f" with one of {usable(context.board, ('adc',))}" if context.board else ""
        context.add(("sensor", "pin"), "missing", f'add pin = "..."{which}')
        return None
    number = context.pin(sensor.pin, ("adc",), ("sensor", "pin"))
    if number is None:
        return None
    return Part(
        "adc",
        (
            number,
            sensor.samples or 8,
            1 if sensor.numerator is None else sensor.numerator,
            sensor.denominator or 1,
        ),
    )


def virtual(context: Context, sensor: schema.SensorTable) -> None:
    """A recording named for the virtual board must be there."""
    name = sensor.virtual
    if name is None or name.startswith(TMY):
        return
    if not is_file(context.folder / name):
        fix = 'give a CSV file, or real weather such as "tmy:greensboro"'
        context.add(("sensor", "virtual"), f"{context.folder / name} is not there", fix)


def triggers(context: Context, data: object) -> tuple[list[Part], int]:
    """Return the triggers' records and how many rows of history they look at."""
    found: list[tuple[Key, Table]] = []
    if isinstance(data, dict) and ("any" in data or "kind" not in data):
        listed = context.problems.partial(schema.TriggerList, data, ("trigger",))
        for i, item in enumerate((listed.any if listed else None) or ()):
            key: Key = ("trigger", "any", i)
            if table := one_of_kind(context, item, key, schema.TRIGGERS):
                found.append((key, table))
    elif table := one_of_kind(context, data, ("trigger",), schema.TRIGGERS):
        found.append((("trigger",), table))
    parts: list[Part] = []
    rows = 1
    for key, table in found:
        names = context.channel(table.channel, (*key, "channel"))  # type: ignore[attr-defined]
        part = context.problems.common([partial(_trigger, context, table, n, key) for n in names])
        if part:
            parts.append(part)
        window = getattr(table, "window", None) or 1
        rows = max(rows, window + 1 if isinstance(table, schema.ZScore) else window)
    return parts, rows


def _trigger(context: Context, table: Table, name: str, key: Key) -> Part | None:
    channel, index = CHANNELS[name], context.index(name)
    if isinstance(table, schema.Level):
        return _level(context, table, channel, index, key)
    if isinstance(table, schema.Change):
        return _change(context, table, channel, index, key)
    if isinstance(table, schema.Energy):
        return _energy(context, table, channel, index, key)
    if not isinstance(table, schema.ZScore) or table.wrong("window", "above"):
        return None
    return Part("zscore", (index, table.window, round(100 * table.above)))


def _level(context: Context, t: schema.Level, channel: Channel, index: int, key: Key) -> Part | None:
    side = only_one(context, t, ("below", "above"), key, channel.example)
    hysteresis = context.counts(channel, t.hysteresis, (*key, "hysteresis"), difference=True)
    if hysteresis is not None and hysteresis < 0:
        fix = "write it without the sign: it is how far beyond the level the reading must come back"
        context.add((*key, "hysteresis"), f"{t.hysteresis!r} is the wrong way round", fix)
    if side is None:
        for other in ("below", "above"):
            context.counts(channel, getattr(t, other), (*key, other))
        return None
    level = context.counts(channel, getattr(t, side), (*key, side))
    if level is None or hysteresis is None:
        return None
    return Part("level", (index, -1 if side == "below" else 1, level, hysteresis))


def _change(context: Context, t: schema.Change, channel: Channel, index: int, key: Key) -> Part | None:
    direction = only_one(context, t, ("falls", "rises", "either"), key, '"3K"')
    if direction is None:
        for other in ("falls", "rises", "either"):
            context.counts(channel, getattr(t, other), (*key, other), difference=True)
        return None
    amount = context.counts(channel, getattr(t, direction), (*key, direction), difference=True)
    if amount is None:
        return None
    if amount < 1:
        context.add(
            (*key, direction),
            f"{getattr(t, direction)!r} is no change",
            "write an amount above zero, without sign",
        )
        return None
    return Part("change", (index, {"falls": -1, "rises": 1, "either": 0}[direction], amount))


def _energy(context: Context, t: schema.Energy, channel: Channel, index: int, key: Key) -> Part | None:
    rms = context.counts(channel, t.above, (*key, "above"), difference=True)
    if rms is None:
        return None
    if rms < 1:
        context.add(
            (*key, "above"), f"{t.above!r} is less than one step of the sensor", "write a larger level"
        )
        return None
    return None if t.wrong("window") else Part("energy", (index, t.window, rms))
