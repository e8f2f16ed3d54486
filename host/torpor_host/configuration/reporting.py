# SPDX-License-Identifier: MIT
"""Checks of what a node sends, lives on and keeps: link, frame, battery, retained state."""

from ..units import duration_text
from . import costs, schema
from .channels import ALARMS, BATTERY_ID, CHANNELS
from .context import Context
from .problems import nearest
from .spec import Part, slots_bytes, state_payload_bytes
from .toml_text import Key, show_key

# Links that this version can report over; every one is a module of device/torpor/radio.
LINKS = ("ble", "virtual")
TMY = "tmy:"
# A legacy advertisement's 31 bytes, less flags (3), service data header (4), BTHome device information (1)
# and packet id (2). Encrypting appends counter (4) and tag (4). Source: bthome.io/format, /encryption.
FRAME_BYTES = 31 - 3 - 4 - 1 - 2
ENCRYPTION_BYTES = 8


def link(context: Context, name: str | None, key: Key) -> None:
    board = context.board
    if name is None:
        return
    if name not in LINKS:
        has = board is not None and name in board.links
        what = f'reporting over "{name}" is not built yet' if has else f'there is no link "{name}"'
        context.add(key, what, nearest(name, ["ble"]))
    elif board is not None and name not in board.links:
        context.add(
            key,
            f'{board.name} ({board.chip}) has no link "{name}"',
            f"it has {', '.join(board.links) or 'none'}",
        )


def report_fields(
    context: Context,
    report: schema.ReportTable,
    battery: costs.Battery | None,
    score: str | None,
    alarm: str | None,
    has_model: bool,
) -> list[tuple[str, Part]]:
    """Return (name, record) of each field by ascending object id, and check that the frame holds them.

    score: the channel that is predicted, None for a plain number, "" where that is not known.
    """
    known = [*context.channels, "battery", "prediction", "alarm"]
    found: list[tuple[int, int, str, Part]] = []
    for i, name in enumerate(report.fields or ()):
        key: Key = ("report", "fields", i)
        if name is None:
            continue
        if name in report.fields[:i]:
            context.add(key, f'"{name}" is there twice', "name each field once")
        elif name in context.channels:
            c = CHANNELS[name]
            found.append(
                (
                    c.object_id,
                    c.width,
                    name,
                    Part("", (c.object_id, 0, context.channels.index(name), c.numerator, c.denominator)),
                )
            )
        elif name == "battery":
            full, empty = (battery.full_mv, battery.empty_mv) if battery else (3000, 2000)
            found.append((BATTERY_ID, 1, name, Part("", (BATTERY_ID, 3, empty, 100, full - empty))))
        elif name == "alarm":
            if alarm is None:
                context.add(key, "nothing decides on an alarm", "add a [decision], or remove this field")
                continue
            found.append((ALARMS[alarm], 1, name, Part("", (ALARMS[alarm], 2, 0, 1, 1))))
        elif name == "prediction":
            if not has_model:
                context.add(
                    key, "there is no model, so nothing is predicted", "add a [model], or remove this field"
                )
                continue
            if score == "":
                continue
            if score not in CHANNELS:
                context.add(
                    key,
                    "BTHome has no object for a plain number",
                    "remove this field; the alarm says as much",
                )
                continue
            c = CHANNELS[score]
            index = context.channels.index(score) if score in context.channels else 0
            found.append(
                (c.object_id, c.width, name, Part("", (c.object_id, 1, index, c.numerator, c.denominator)))
            )
        else:
            context.add(key, f'there is no field "{name}"', nearest(name, known))
    found.sort(key=lambda f: f[0])
    need = sum(1 + width for _, width, _, _ in found)
    have = FRAME_BYTES - (ENCRYPTION_BYTES if report.encrypt else 0)
    if need > have:
        sizes = ", ".join(f"{name} {1 + width}" for _, width, name, _ in found)
        fix = "remove a field" + (
            f", or set encrypt = false ({ENCRYPTION_BYTES} bytes)" if report.encrypt else ""
        )
        context.add(
            ("report", "fields"), f"{need} bytes ({sizes}) do not fit a frame, which has room for {have}", fix
        )
    return [(name, part) for _, _, name, part in found]


def battery(context: Context, table: schema.EnergyTable) -> costs.Battery | None:
    if table.battery is not None:
        for key in ("capacity", "voltage"):
            if getattr(table, key) is not None:
                context.add(
                    ("energy", key),
                    "both a known battery and its figures are given",
                    f"remove {key}, or remove battery",
                )
        found = costs.battery(table.battery)
        if found is None:
            context.add(
                ("energy", "battery"),
                f'no battery "{table.battery}" is known',
                costs.battery_fix(table.battery),
            )
            return None
        return found.behind(table.converter_efficiency or 1.0)
    if table.wrong("battery", "capacity", "voltage"):
        return None
    if table.capacity is None or table.voltage is None:
        lacking = [k for k in ("capacity", "voltage") if getattr(table, k) is None]
        fix = 'add battery = "2xAA-L91"' if len(lacking) == 2 else f"add {lacking[0]}"
        context.add(("energy",), "the battery is not described", fix)
        return None
    return costs.custom_battery(table.capacity, table.voltage).behind(table.converter_efficiency or 1.0)


def supply(context: Context, table: schema.EnergyTable, battery: costs.Battery) -> None:
    """Warn of a bare module that hangs on a battery whose voltage it was not made for."""
    board = context.board
    if (
        board is None
        or table.supply != "module"
        or (table.converter_efficiency or 0) < 1
        or battery.fits(board)
    ):
        return
    low, high = board.power.supply_min_mv.value, board.power.supply_max_mv.value
    key = ("energy", "voltage" if table.battery is None else "battery")
    at = context.problems.document
    others = [name for name, b in costs.BATTERIES.items() if b.fits(board)]
    context.warnings.append(
        f"{at.path}:{at.line(key)}: {show_key(key)}: {battery.name} gives {battery.empty_mv} to "
        f"{battery.full_mv} mV, the module needs {low:g} to {high:g}; add a converter (converter_efficiency)"
        + (f", or choose {' or '.join(others)}" if others else "")
    )


def battery_pin(context: Context, table: schema.EnergyTable, fields: list[str]) -> tuple[int, ...]:
    """Return how the node measures its battery: pin, numerator, denominator, or nothing."""
    if table.battery_pin is not None:
        pin = context.pin(table.battery_pin, ("adc",), ("energy", "battery_pin"))
        return () if pin is None else (pin, round(1000 * (table.battery_divider or 1.0)), 1000)
    if "battery" in fields and context.board is not None and context.board.chip != "virtual":
        at = context.problems.document
        where = f"{at.path}:{at.line(('report', 'fields'))}: report.fields"
        context.warnings.append(
            f"{where}: battery is left out of frames; add [energy] battery_pin, an analog pin on a divider"
        )
    return ()


def boot(context: Context, table: schema.EnergyTable, runtime: str | None) -> None:
    board = context.board
    if table.boot == "frozen" and board and runtime and board.runtime[runtime].boot_frozen_uj is None:
        context.add(
            ("energy", "boot"), f"{runtime} on {board.name} has no frozen start", 'write boot = "stock"'
        )


def state(
    context: Context, runtime: str | None, rows: int, parts: list[Part], decided: Part | None, why: Key
) -> None:
    """Two copies of the node's state must fit into what the chip retains in deep sleep."""
    if context.board is None or runtime is None or not context.sure:
        return
    if rows > 65535:
        return
    need = slots_bytes(state_payload_bytes(rows, len(context.channels), tuple(parts), decided))
    have = int(context.board.runtime[runtime].retained_bytes.value)
    if need > have:
        history = 2 * 2 * rows * len(context.channels)
        what = (
            f"the node's state takes {need} bytes ({history} of them for {rows} rows of history), "
            f"{context.board.name} retains {have} in deep sleep"
        )
        fix = "look back over fewer rows (age, window), average over fewer scores, or name fewer channels"
        context.add(why, what, fix)


def whole_seconds(context: Context, seconds: float | None, key: Key) -> int:
    if seconds is None:  # refused already
        return 0
    if seconds != round(seconds):
        context.add(key, "not a whole number of seconds", f'write "{max(1, round(seconds))}s"')
    return round(seconds)


def heartbeat(context: Context, report: schema.ReportTable, wake_every_s: int) -> int:
    seconds = whole_seconds(context, report.heartbeat, ("report", "heartbeat"))
    if 0 < seconds < wake_every_s:
        every = duration_text(wake_every_s)
        fix = f'write "{every}" or more, or "0s" for none'
        context.add(
            ("report", "heartbeat"),
            f"{duration_text(seconds)} is shorter than node.wake_every ({every})",
            fix,
        )
    return seconds
