# SPDX-License-Identifier: MIT
"""Quantities as people write them: "30min", "1.5degC", "2K", "55%", "2000mAh".

    parse("1h30min", "duration")    # 5400.0 seconds
    parse("48KB", "bytes")          # 49152.0
    parse("4K", "temperature")      # UnitError: '4K' is not a temperature; ...

A fixed table, no arithmetic on units. A temperature ("4degC") and a difference of temperatures ("4K") are
two things: adding an offset of 32 to a hysteresis is a mistake that this catches.
"""

import math
import re
from collections.abc import Mapping

from .errors import UsageError

# kind -> unit -> how many base units one of it is. The first unit is the base unit.
TABLE: Mapping[str, Mapping[str, float]] = {
    "duration": {
        "s": 1,
        "ms": 1e-3,
        "min": 60,
        "h": 3600,
        "d": 86400,
        "day": 86400,
        "days": 86400,
        "w": 604800,
    },
    "temperature": {"degC": 1, "°C": 1},
    "difference": {"K": 1, "mK": 1e-3},
    "humidity": {"%": 1, "%RH": 1},
    "ratio": {"%": 0.01},
    "pressure": {"hPa": 1, "Pa": 0.01, "kPa": 10, "mbar": 1, "bar": 1000},
    "voltage": {"V": 1, "mV": 1e-3},
    "acceleration": {"mg": 1, "g": 1000, "m/s2": 1000 / 9.80665},
    "charge": {"mAh": 1, "Ah": 1000},
    "energy": {"J": 1, "mJ": 1e-3, "uJ": 1e-6, "kJ": 1e3, "Wh": 3600, "mWh": 3.6},
    "power": {"W": 1, "mW": 1e-3, "uW": 1e-6, "nW": 1e-9},
    "current": {"mA": 1, "A": 1000, "uA": 1e-3},
    "area": {"m2": 1, "cm2": 1e-4, "mm2": 1e-6},
    "bytes": {"B": 1, "KB": 1024, "KiB": 1024, "MB": 1048576, "MiB": 1048576},
    "frequency": {"Hz": 1, "kHz": 1e3, "MHz": 1e6},
}
EXAMPLES: Mapping[str, str] = {
    "duration": "30min", "temperature": "4degC", "difference": "2K", "humidity": "55%", "ratio": "55%",
    "pressure": "1013hPa", "voltage": "3.3V", "acceleration": "20mg", "charge": "2000mAh", "energy": "10kJ",
    "power": "5mW", "current": "10mA", "area": "25cm2", "bytes": "48KB", "frequency": "400kHz",
    "number": "0.5",
}  # fmt: skip
_NUMBER = r"[+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?"
_ONE = re.compile(rf"({_NUMBER})\s*(\S+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


class UnitError(UsageError, ValueError):
    """A ValueError too, so that pydantic takes it for one from a validator."""


def parse(text: object, kind: str) -> float:
    """Return `text` in the base unit of `kind` (the first unit in its row of TABLE).

    kind "number" is a plain number without unit. Durations may be joined: "1h30min", and signed. Raises
    UnitError naming what would be right: a number without unit, a unit of another kind, or no number.
    """
    if kind == "number":
        if isinstance(text, (int, float)) and not isinstance(text, bool) and math.isfinite(text):
            return float(text)
        raise UnitError(
            f"{text!r} is not a plain number", f"write {EXAMPLES['number']}, without quotes or unit"
        )
    units = TABLE[kind]
    example = f'write "{EXAMPLES[kind]}"'
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        raise UnitError(f"{text!r} is not a {kind}", example)
    if not isinstance(text, str):
        raise UnitError(f"{text} has no unit", f"{example}; units: {', '.join(units)}")
    stripped = text.strip()
    whole = _ONE.fullmatch(stripped)
    if whole and whole[2] in units:
        value = float(whole[1]) * units[whole[2]]
        if math.isfinite(value):
            return value
    if kind == "duration":
        joined = _joined_duration(stripped, units)
        if joined is not None:
            return joined
    if whole and re.fullmatch(r"\S*[A-Za-z%°]\S*", whole[2]) and not re.search(r"\d", whole[2][:1]):
        raise UnitError(
            f"{text!r} is not a {kind}", f"{example}; units: {', '.join(units)}{_other(whole[2], kind)}"
        )
    if re.fullmatch(_NUMBER, stripped):
        raise UnitError(f"{text!r} has no unit", f"{example}; units: {', '.join(units)}")
    raise UnitError(f"{text!r} is not a {kind}", f"{example}; units: {', '.join(units)}")


def _joined_duration(text: str, units: Mapping[str, float]) -> float | None:
    """Return seconds for '1h30min' or '-5h30min', None when it is not of that form."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    total, at = 0.0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if not part or part[2] not in units:
            return None
        total += float(part[1]) * units[part[2]]
        at = part.end()
    return sign * total if at else None


def _other(unit: str, wanted: str) -> str:
    """Say what a unit of another kind would mean, since degC and K are easily mixed up."""
    if {wanted} & {"temperature", "difference"} and unit in (*TABLE["temperature"], *TABLE["difference"]):
        return " (degC is a temperature, K the difference of two)"
    near = next((u for u in TABLE[wanted] if u.lower() == unit.lower()), None)
    return f"; did you mean {near}?" if near else ""


def duration_text(seconds: float) -> str:
    """Return seconds as people say it: '90s', '30min', '6h', '2d', '1h30min'."""
    rest = round(seconds)
    sign, rest = ("-", -rest) if rest < 0 else ("", rest)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return sign + ("".join(parts) or "0s")
