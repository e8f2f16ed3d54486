# SPDX-License-Identifier: MIT
"""What a node's wakes cost, by cause, and what its battery holds: each as value, low and high.

Power comes from the board profile; the times here are what a wake spends in each part. Few of them have been
measured by anyone: where nothing is known the range is wide, and the report carries it on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .board import Board, Figure
from .problems import nearest

# In the order of torpor.energy.ledger.CAUSES; sleep comes last there and is a power, not a cost.
CAUSES = ("boot", "sense", "trigger", "features", "infer", "radio", "flash")


@dataclass(frozen=True)
class Range:
    """A value with its error bar, low <= value <= high."""

    value: float
    low: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.value + other.value, self.low + other.low, self.high + other.high)

    def __mul__(self, other: "Range | float") -> "Range":
        o = other if isinstance(other, Range) else Range(other, other, other)
        return Range(self.value * o.value, self.low * o.low, self.high * o.high)

    def as_tuple(self) -> tuple[float, float, float]:
        return self.value, self.low, self.high


def of(figure: Figure) -> Range:
    return Range(figure.value, figure.low, figure.high)


# Guesses, in ms: nobody has published them. The first is what `import` of the wake path takes after each deep
# sleep (some ten small .mpy files from flash), the next two the same for the model's and the radio's modules.
WAKE_IMPORT_MS = Range(60, 20, 200)
THINK_IMPORT_MS = Range(80, 20, 300)
RADIO_IMPORT_MS = Range(60, 20, 200)
LIGHT_WAKE_MS = Range(2, 0.3, 10)  # from light sleep RAM is kept: no boot, no imports
TRIGGER_MS = Range(0.5, 0.1, 3)  # per trigger
FEATURE_MS = Range(0.5, 0.1, 3)  # per feature
ADC_SAMPLE_MS = Range(0.1, 0.02, 0.5)
OPERATOR_MS = Range(1, 0.2, 5)  # per operator of the model: call, loop set-up

# Cycles per multiply-accumulate. reference: an empty bytecode `for` pass is 222 instructions on a Cortex-M4
# (the project's facts, section 6), a pass of a kernel's inner loop some five times that; ulab: 28
# instructions per MAC in its float32 dot (same place), conversions on top.
# viper: 14.5 instructions in the best loop tried, 45 in a plain one (same place), 1 to 2 cycles each.
CYCLES_PER_MAC: Mapping[str, Range] = {
    "reference": Range(1200, 400, 4000),
    "ulab": Range(45, 28, 150),
    "viper": Range(25, 15, 90),
}
# native, by architecture: instructions per MAC of the keyword model, counted on emulated processors
# (tools/bench/cortex.py, xtensa.py), at 1.0 to 2.0 cycles each, and flash that waits.
NATIVE_CYCLES_PER_MAC: Mapping[str, Range] = {
    "armv6m": Range(8, 5, 20),
    "armv7m": Range(6, 4, 16),
    "armv7emsp": Range(3.5, 2.2, 10),
    "xtensawin": Range(6, 2.5, 20),
    "rv32imc": Range(8, 5, 20),
    "x64": Range(1, 0.2, 4),
}
# Guesses: what loads beyond the plain Python kernels, some 20 KB of machine code, or 4.
LOAD_MS: Mapping[str, Range] = {"native": Range(25, 5, 100), "viper": Range(6, 1, 30)}


# What a sensor draws while the node sleeps, in uA. BME280 data sheet (BST-BME280-DS002), table 1, sleep
# current: typically 0.1, at most 0.3, no least one given. An analog sensor is not ours to know: other_sleep.
STANDBY_UA: Mapping[str, Range] = {"bme280": Range(0.1, 0.1, 0.3), "adc": Range(0, 0, 0)}
SUPPLY_V = 3.3  # at which all powers are given
# A converter's efficiency hangs on load and battery voltage: so far the written mean may be off, either way.
CONVERTER_POINTS = 0.05


def standby_uw(sensor: str) -> Range:
    return STANDBY_UA[sensor] * SUPPLY_V


def bme280_ms(channels: tuple[str, ...]) -> Range:
    """Time of one forced measurement with the processor waiting, and of reading the calibration anew.

    Source: BME280 data sheet (BST-BME280-DS002), 9.1, oversampling 1: typical 1 + 2 T + (2 P + 0.5) +
    (2 H + 0.5) ms, at most 1.25 + 2.3 T + (2.3 P + 0.575) + (2.3 H + 0.575) ms. T is always measured.
    """
    extra = sum(c in channels for c in ("pressure", "humidity"))
    typical = 3 + 2.5 * extra
    return Range(typical + 4, typical, 3.55 + 2.875 * extra + 20)  # 33 calibration bytes at 100 to 400 kHz


def infer_ms(board: Board, kernels: str, macs: int, loads: bool = True) -> Range:
    """Time of one run of a model; loads: with what the set takes to load beyond the plain Python kernels."""
    clock = Range(board.cpu.clock_hz.value, board.cpu.clock_hz.high, board.cpu.clock_hz.low)
    native = kernels == "native"
    cycles = (NATIVE_CYCLES_PER_MAC[board.mpy_arch] if native else CYCLES_PER_MAC[kernels]) * macs
    ms = Range(*(c / hz * 1000 for c, hz in zip(cycles.as_tuple(), clock.as_tuple(), strict=True)))
    return ms + LOAD_MS[kernels] if kernels in LOAD_MS and loads else ms


def by_cause(
    board: Board,
    runtime: str,
    *,
    deep: bool,
    boot: str,
    sense_ms: Range,
    triggers: int,
    features: int,
    kernels: str,
    macs: int,
    operators: int,
    has_model: bool,
    advertising_ms: float,
    events: int,
) -> dict[str, Range]:
    """Return cause -> uJ per event of that cause. run_mw * ms is uJ."""
    power, facts = board.power, board.runtime[runtime]
    run = of(power.run_mw)
    nothing = Range(0, 0, 0)
    if deep:
        figure = facts.boot_frozen_uj if boot == "frozen" and facts.boot_frozen_uj else facts.boot_stock_uj
        woken = of(figure) + run * WAKE_IMPORT_MS
    else:
        woken = run * LIGHT_WAKE_MS
    infer = nothing
    if has_model:
        called = 1 if kernels == "native" else operators  # one call per run, not one per layer
        infer = run * (infer_ms(board, kernels, macs, loads=deep) + OPERATOR_MS * called)
    if deep and has_model:
        infer = infer + run * THINK_IMPORT_MS
    radio = (
        of(power.radio_start_uj)
        + of(power.advertising_event_uj) * events
        + of(power.advertising_wait_mw) * advertising_ms
        + (run * RADIO_IMPORT_MS if deep else nothing)
    )
    return {
        "boot": woken,
        "sense": run * sense_ms,
        "trigger": run * TRIGGER_MS * max(1, triggers),
        "features": run * FEATURE_MS * features,
        "infer": infer,
        "radio": radio,
        "flash": of(power.flash_commit_uj),
    }


@dataclass(frozen=True)
class Battery:
    """capacity_mah of the whole pack; usable: fraction of it that a node gets out before it browns out.

    self_discharge_per_year: fraction. full_mv, empty_mv: the percentage in a report is linear between them,
    and they are what a module without converter must bear. converter: fraction of the energy that gets to
    the board.
    """

    name: str
    capacity_mah: Range
    voltage_v: float
    self_discharge_per_year: Range
    usable: Range
    full_mv: int
    empty_mv: int
    source: str
    converter: Range = Range(1, 1, 1)

    @property
    def usable_j(self) -> Range:
        """Energy that reaches the board, after the converter if there is one."""
        return self.capacity_mah * (3.6 * self.voltage_v) * self.usable * self.converter

    def behind(self, efficiency: float) -> "Battery":
        """Return this battery behind a converter of that mean efficiency; 1.0 is none, and certain."""
        if efficiency >= 1:
            return replace(self, converter=Range(1, 1, 1))
        low, high = efficiency - CONVERTER_POINTS, min(1.0, efficiency + CONVERTER_POINTS)
        return replace(self, converter=Range(efficiency, low, high))

    def fits(self, board: Board) -> bool:
        """Say whether the bare module of that board may be wired to this battery, from full to empty."""
        power = board.power
        return power.supply_min_mv.value <= self.empty_mv and self.full_mv <= power.supply_max_mv.value


# voltage_v: mean over the discharge. usable leaves room for cold, pulses of tens of mA and what is left at
# empty_mv; for the Li-ion cells also for a linear regulator (3.3 V of 3.6). full_mv: rested, almost unloaded.
BATTERIES: dict[str, Battery] = {
    b.name: b
    for b in (
        Battery(
            "cr2032", Range(225, 210, 240), 2.9, Range(0.01, 0.005, 0.02), Range(0.6, 0.2, 0.9),
            3000, 2000,
            "makers' data sheets, 210 to 240 mAh at 0.2 mA (S); bad at pulses of 10 mA and more (R)",
        ),
        Battery(
            "2xAA-alkaline", Range(2500, 1800, 2850), 2.5, Range(0.03, 0.02, 0.05), Range(0.7, 0.4, 0.9),
            3200, 2000,
            "Energizer E91: 2800 mAh at 25 mA (S); the rest recalled (R)",
        ),
        Battery(
            "2xAA-L91", Range(3000, 2800, 3500), 2.9, Range(0.007, 0.004, 0.02), Range(0.85, 0.6, 0.95),
            3600, 2400,
            "Energizer L91: 3000 mAh, 90 % left after 15 years, fresh 1.8 V a cell (S); usable fraction "
            "recalled (R)",
        ),
        Battery(
            "18650", Range(2600, 2000, 3500), 3.6, Range(0.06, 0.02, 0.15), Range(0.8, 0.6, 0.92),
            4200, 3200,
            "usual Li-ion cells, recalled (R); a linear regulator to 3.3 V keeps 3.3/3.6 at best",
        ),
        Battery(
            "lipo-400mAh", Range(400, 350, 420), 3.7, Range(0.1, 0.03, 0.25), Range(0.75, 0.5, 0.9),
            4200, 3300,
            "usual pouch cells with protection circuit, recalled (R)",
        ),
        Battery(
            "14500-lifepo4", Range(600, 500, 650), 3.2, Range(0.2, 0.05, 0.4), Range(0.8, 0.45, 0.95),
            3400, 3000,
            "LiFePO4 cells: 3.2 V, 3.3 to 3.4 V rested (S); charge it (3.65 V) off the node; the rest is "
            "recalled (R), in frost it has half",
        ),
    )
}  # fmt: skip


def battery(name: str) -> Battery | None:
    return BATTERIES.get(name)


def battery_fix(name: str) -> str:
    return f'{nearest(name, list(BATTERIES))}; or write capacity = "2000mAh" and voltage = "3.0V" instead'


def custom_battery(capacity_mah: float, voltage_v: float) -> Battery:
    """A battery known by its label alone, so with wide error bars."""
    return Battery(
        f"{capacity_mah:g} mAh, {voltage_v:g} V",
        Range(capacity_mah, 0.8 * capacity_mah, capacity_mah),
        voltage_v,
        Range(0.03, 0.005, 0.2),
        Range(0.75, 0.4, 0.95),
        round(1100 * voltage_v),
        round(800 * voltage_v),
        "capacity and voltage as written in node.toml; the rest is assumed (R)",
    )
