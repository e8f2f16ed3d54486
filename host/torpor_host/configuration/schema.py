# SPDX-License-Identifier: MIT
"""The shape of node.toml and features.toml, table by table. What tables must agree on is in checks.py.

A quantity whose unit depends on the channel it is about stays as written here; checks.py reads it once the
channel is known.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ..units import parse
from .problems import Table

# A quantity as written: text with its unit, or a plain number for channels that have none.
Written = str | int | float
PinName = str | int


def _quantity(kind: str) -> BeforeValidator:
    return BeforeValidator(lambda text: parse(text, kind))


Duration = Annotated[float, _quantity("duration")]
Frequency = Annotated[float, _quantity("frequency")]
Charge = Annotated[float, _quantity("charge")]
Volts = Annotated[float, _quantity("voltage")]
Watts = Annotated[float, _quantity("power")]

NAME = r"^[a-z0-9][a-z0-9_-]{0,30}$"


class NodeTable(Table):
    name: str = Field(
        pattern=NAME, examples=['"orchard-1" (lower-case letters, digits, "-", "_"; at most 31)']
    )
    board: str = Field(examples=['"esp32s3-devkitc-1" (see: torpor boards)'])
    runtime: str | None = Field(default=None, examples=['"micropython"'])
    wake_every: Duration = Field(ge=1, le=86400 * 366, examples=['"30min"'])
    utc_offset: Duration = Field(default=0.0, ge=-14 * 3600, le=14 * 3600, examples=['"-5h"'])
    sleep: Literal["deep", "light"] = Field(default="deep", examples=['"deep"'])
    checkpoint_every: Duration = Field(default=86400.0, gt=0, le=86400 * 366, examples=['"24h"'])


class SensorTable(Table):
    kind: Literal["bme280", "adc"] = Field(examples=['"bme280"'])
    channels: list[str] = Field(min_length=1, max_length=8, examples=['["temperature", "humidity"]'])
    virtual: str | None = Field(default=None, examples=['"tmy:greensboro" or "trace.csv"'])
    # bme280
    bus: str | None = Field(default=None, examples=['"i2c0"'])
    sda: PinName | None = Field(default=None, examples=['"GPIO8"'])
    scl: PinName | None = Field(default=None, examples=['"GPIO9"'])
    frequency: Frequency | None = Field(default=None, ge=10_000, le=1_000_000, examples=['"400kHz"'])
    address: int | None = Field(default=None, examples=["0x76"])
    # adc
    pin: PinName | None = Field(default=None, examples=['"GPIO4"'])
    samples: int | None = Field(default=None, ge=1, le=4096, examples=["8"])
    numerator: int | None = Field(default=None, ge=-262143, le=262143, examples=["1"])
    denominator: int | None = Field(default=None, ge=1, le=1 << 20, examples=["1"])


class Level(Table):
    kind: Literal["level"]
    channel: str = Field(examples=['"temperature"'])
    below: Written | None = Field(default=None, examples=['"4degC"'])
    above: Written | None = Field(default=None, examples=['"30degC"'])
    hysteresis: Written = Field(default=0, examples=['"1K"'])


class Change(Table):
    kind: Literal["change"]
    channel: str = Field(examples=['"temperature"'])
    falls: Written | None = Field(default=None, examples=['"3K"'])
    rises: Written | None = Field(default=None, examples=['"3K"'])
    either: Written | None = Field(default=None, examples=['"3K"'])


class ZScore(Table):
    kind: Literal["zscore"]
    channel: str = Field(examples=['"temperature"'])
    window: int = Field(ge=2, le=4096, examples=["24"])
    above: float = Field(ge=1, le=8, examples=["3.0"])


class Energy(Table):
    kind: Literal["energy"]
    channel: str = Field(examples=['"acceleration"'])
    window: int = Field(ge=2, le=4096, examples=["8"])
    above: Written = Field(examples=['"500mg"'])


TRIGGERS: dict[str, type[Table]] = {"level": Level, "change": Change, "zscore": ZScore, "energy": Energy}


class TriggerList(Table):
    any: list[dict[str, object]] = Field(min_length=1, max_length=16, examples=["[ { kind = ... }, ... ]"])


class FeaturesTable(Table):
    file: str | None = Field(default=None, examples=['"features.toml"'])
    inputs: list[dict[str, object]] | None = Field(default=None, examples=["[ { kind = ... }, ... ]"])


class FeaturesFile(Table):
    inputs: list[dict[str, object]] = Field(
        min_length=1, max_length=4096, examples=["[ { kind = ... }, ... ]"]
    )


class Value(Table):
    kind: Literal["value", "change", "minimum", "maximum"]
    channel: str = Field(examples=['"temperature"'])
    age: int = Field(default=0, ge=0, le=4095, examples=["3"])
    mean: Written = Field(examples=['"3.1degC"'])
    std: Written = Field(examples=['"4.2K"'])


class DewPoint(Table):
    kind: Literal["dew_point_depression"]
    mean: Written = Field(examples=['"3K"'])
    std: Written = Field(examples=['"2K"'])


class Hour(Table):
    kind: Literal["hour_sine", "hour_cosine"]
    mean: float = Field(default=0.0, ge=-1, le=1, examples=["0.0"])
    std: float = Field(default=1.0, gt=0, le=10, examples=["1.0"])


# In the order of the numbers that device/torpor/dsp/features.py knows them by.
FEATURES: dict[str, type[Table]] = {
    "value": Value,
    "change": Value,
    "minimum": Value,
    "maximum": Value,
    "dew_point_depression": DewPoint,
    "hour_sine": Hour,
    "hour_cosine": Hour,
}


class Output(Table):
    """score = plus channel + times * output + offset; unit "1" is a plain number, kept in thousandths."""

    unit: str = Field(examples=['"K"'])
    plus: str | None = Field(default=None, examples=['"temperature"'])
    offset: Written | None = Field(default=None, examples=['"0K"'])
    times: float = Field(default=1.0, examples=["1.0"])


class ModelTable(Table):
    file: str = Field(examples=['"model.tflite"'])
    output: Output
    kernels: Literal["auto", "reference", "ulab", "viper", "native"] = Field(
        default="auto", examples=['"auto"']
    )


class DecisionTable(Table):
    kind: Literal["threshold"] = Field(default="threshold", examples=['"threshold"'])
    name: str = Field(pattern=NAME, examples=['"frost"'])
    channel: str | None = Field(default=None, examples=['"temperature"'])
    on_below: Written | None = Field(default=None, examples=['"0degC"'])
    on_above: Written | None = Field(default=None, examples=['"30degC"'])
    off_above: Written | None = Field(default=None, examples=['"1degC"'])
    off_below: Written | None = Field(default=None, examples=['"28degC"'])
    event_below: Written | None = Field(default=None, examples=['"0degC"'])
    event_above: Written | None = Field(default=None, examples=['"30degC"'])
    average: int = Field(default=1, ge=1, le=255, examples=["1"])
    hold_off: Duration = Field(default=0.0, ge=0, le=86400 * 366, examples=['"3h"'])
    alarm: str | None = Field(default=None, examples=['"cold"'])


class ReportTable(Table):
    link: str = Field(examples=['"ble"'])
    format: Literal["bthome"] = Field(default="bthome", examples=['"bthome"'])
    encrypt: bool = Field(default=True, examples=["true"])
    heartbeat: Duration = Field(default=86400.0, ge=0, le=86400 * 366, examples=['"24h"'])
    fields: list[str] = Field(min_length=1, max_length=16, examples=['["battery", "temperature", "alarm"]'])
    # 20 ms to 10.24 s: what Bluetooth allows (Core 5.4 vol 4 part E 7.8.5)
    interval: Duration = Field(default=0.1, ge=0.02, le=10.24, examples=['"100ms"'])
    events: int = Field(default=8, ge=1, le=255, examples=["8"])


class EnergyTable(Table):
    battery: str | None = Field(default=None, examples=['"2xAA-L91"'])
    capacity: Charge | None = Field(default=None, gt=0, examples=['"2000mAh"'])
    voltage: Volts | None = Field(default=None, gt=0, le=60, examples=['"3.0V"'])
    battery_pin: PinName | None = Field(default=None, examples=['"GPIO1"'])
    # Battery voltage over pin voltage: 2.0 for two equal resistors.
    battery_divider: float = Field(default=1.0, ge=1, le=100, examples=["2.0"])
    boot: Literal["stock", "frozen"] = Field(default="stock", examples=['"stock"'])
    supply: Literal["module", "board"] = Field(default="board", examples=['"board"'])
    # What else draws while the node sleeps: the battery's divider, a regulator's quiescent current.
    other_sleep: Watts = Field(default=0.0, ge=0, le=1, examples=['"5uW"'])
    # Share of the battery's energy that a converter passes on to the board; 1.0: there is none.
    converter_efficiency: float = Field(default=1.0, ge=0.3, le=1.0, examples=["0.9"])


SECTIONS: dict[str, type[Table]] = {
    "node": NodeTable,
    "sensor": SensorTable,
    "trigger": TriggerList,
    "features": FeaturesTable,
    "model": ModelTable,
    "decision": DecisionTable,
    "report": ReportTable,
    "energy": EnergyTable,
}
