# SPDX-License-Identifier: MIT
"""Channels: what one count is, how a quantity about one is written, which BTHome object carries it.

Counts are the device's int16 (docs/architecture.md, "Numbers on the device are integers").
"""

from dataclasses import dataclass

from ..units import EXAMPLES, UnitError, parse


@dataclass(frozen=True)
class Channel:
    """kind, difference: of units.TABLE, for values and for differences of values. counts: per base unit.

    objects: BTHome v2 object id, its width in bytes, and counts * numerator / denominator = its unit.
    """

    kind: str
    difference: str
    counts: float
    unit: str
    object_id: int
    width: int
    numerator: int = 1
    denominator: int = 1

    def value(self, written: object) -> int:
        """Return counts of a quantity such as "4degC". Raises UnitError."""
        return round(parse(written, self.kind) * self.counts)

    def step(self, written: object) -> int:
        """Return counts of a difference such as "2K". Raises UnitError."""
        return round(parse(written, self.difference) * self.counts)

    def spread(self, written: object) -> float:
        """Return counts of a standard deviation, written as "2K" or as "2degC". Raises UnitError."""
        try:
            return parse(written, self.kind) * self.counts
        except UnitError:
            return parse(written, self.difference) * self.counts

    @property
    def example(self) -> str:
        return EXAMPLES[self.kind] if self.kind == "number" else f'"{EXAMPLES[self.kind]}"'


# Objects: bthome.io/format, checked against PyPI bthome-ble in tests. Acceleration goes out in 0.001 m/s2:
# 1 mg = 9.80665 of that, as 9807 / 1000 so that the product stays below 2^30.
CHANNELS: dict[str, Channel] = {
    "temperature": Channel("temperature", "difference", 100, "degC", 0x02, 2),
    "humidity": Channel("humidity", "humidity", 100, "%", 0x03, 2),
    "pressure": Channel("pressure", "pressure", 10, "hPa", 0x04, 3, 10, 1),
    "voltage": Channel("voltage", "voltage", 1000, "V", 0x0C, 2),
    "acceleration": Channel("acceleration", "acceleration", 1, "mg", 0x51, 2, 9807, 1000),
    "raw": Channel("number", "number", 1, "", 0x5A, 2),
}
# A model's output that is no quantity (a probability): kept in thousandths, no BTHome object carries it.
PLAIN = Channel("number", "number", 1000, "", 0, 0)
BY_UNIT = {
    "K": "temperature",
    "degC": "temperature",
    "%": "humidity",
    "hPa": "pressure",
    "V": "voltage",
    "mg": "acceleration",
}

# Which channels a sensor has, in the order in which its driver delivers them.
SENSORS: dict[str, tuple[str, ...]] = {
    "bme280": ("temperature", "humidity", "pressure"),
    "adc": tuple(CHANNELS),
}

BATTERY_ID = 0x01
# Binary objects for an alarm, by what they are called in BTHome; each 1 byte.
ALARMS: dict[str, int] = {
    "generic": 0x0F, "cold": 0x18, "gas": 0x1C, "heat": 0x1D, "light": 0x1E, "moisture": 0x20, "motion": 0x21,
    "moving": 0x22, "occupancy": 0x23, "presence": 0x25, "problem": 0x26, "safety": 0x28, "smoke": 0x29,
    "sound": 0x2A, "tamper": 0x2B, "vibration": 0x2C,
}  # fmt: skip
