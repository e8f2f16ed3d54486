# SPDX-License-Identifier: MIT
"""The schema of a board profile, and what its parts must agree on.

Capabilities that follow from the chip (which pins have a converter, which can wake it, which radios it has)
are kept here once, so that a profile that claims too much is caught by name.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .problems import Fault, Table, nearest

Capability = Literal["in", "out", "adc", "wake"]
Runtime = Literal["micropython", "circuitpython"]
ROLES = {"i2c": ("scl", "sda"), "spi": ("sck", "mosi", "miso")}


@dataclass(frozen=True)
class Chip:
    """mpy_arch: of native .mpy; the sets hold GPIO numbers. adc, wake: None means every pin."""

    mpy_arch: str
    radios: frozenset[str]
    adc: frozenset[int] | None
    wake: frozenset[int] | None
    input_only: frozenset[int] = frozenset()


_ESP_RADIOS = frozenset({"ble", "wifi", "espnow"})
# Sources: MicroPython ports/esp32/machine_adc.c (converter pins), ESP-IDF GPIO & RTC GPIO tables (wake, input
# only), CircuitPython ports/nordic/peripherals/nrf/nrf52840/pins.c. The C3's ADC2 (GPIO5) is left out: its
# data sheet's errata call the readings unreliable (recalled).
CHIPS: dict[str, Chip] = {
    "esp32": Chip(
        "xtensawin",
        _ESP_RADIOS,
        frozenset({0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33, 34, 35, 36, 37, 38, 39}),
        frozenset({0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33, 34, 35, 36, 37, 38, 39}),
        frozenset(range(34, 40)),
    ),
    "esp32s2": Chip(
        "xtensawin",
        frozenset({"wifi", "espnow"}),
        frozenset(range(1, 21)),
        frozenset(range(22)),
        frozenset({46}),
    ),
    "esp32s3": Chip("xtensawin", _ESP_RADIOS, frozenset(range(1, 21)), frozenset(range(22))),
    "esp32c3": Chip("rv32imc", _ESP_RADIOS, frozenset(range(5)), frozenset(range(6))),
    "nrf52840": Chip("armv7emsp", frozenset({"ble"}), frozenset({2, 3, 4, 5, 28, 29, 30, 31}), None),
    "virtual": Chip("x64", frozenset({"ble", "virtual"}), None, None),
}


class Figure(Table):
    """A number with its error bar and where it comes from; low and high default to value.

    checked: V read in the primary source, S in a secondary page, C computed from stated inputs, R recalled
    only: then high must be at least 1.5 times low.
    """

    value: int | float = Field(ge=0, examples=["12.5"])
    low: int | float = Field(default=-1, ge=0)
    high: int | float = Field(default=-1, ge=0)
    source: str = Field(min_length=3, examples=['"data sheet, table 5"'])
    checked: Literal["V", "S", "C", "R"] = Field(examples=['"V"'])

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, dict) and "value" in data:
            return {"low": data["value"], "high": data["value"], **data}
        return data

    @model_validator(mode="after")
    def _ordered(self) -> "Figure":
        if not math.isfinite(self.value) or not self.low <= self.value <= self.high < math.inf:
            raise Fault(f"low {self.low}, value {self.value}, high {self.high}", "write low <= value <= high")
        if self.checked == "R" and self.high < 1.5 * self.low:
            raise Fault(
                f"a recalled number with the narrow range {self.low}..{self.high}",
                "widen it to high >= 1.5 * low, or name a source that was read",
            )
        return self


class Cpu(Table):
    clock_hz: Figure


class Memory(Table):
    ram_bytes: Figure
    flash_bytes: Figure
    external_flash_bytes: Figure | None = None


class RuntimeFacts(Table):
    """What one interpreter makes of the board. boot_frozen_uj: None where the firmware can't freeze code."""

    hal: Literal["simulated", "micropython_esp32", "circuitpython"] = Field(examples=['"circuitpython"'])
    filesystem: Literal["littlefs", "fat"] = Field(examples=['"littlefs"'])
    deploy: Literal["mpremote", "usb-drive", "serial"] = Field(examples=['"mpremote"'])
    heap_bytes: Figure
    filesystem_bytes: Figure
    retained_bytes: Figure
    boot_stock_uj: Figure
    boot_frozen_uj: Figure | None = None


class Power(Table):
    """Power at 3.3 V. module: the bare radio module; board: as sold, with regulator, LEDs and USB bridge.

    supply_min_mv, supply_max_mv: between what voltages the bare module may be run.
    """

    supply_min_mv: Figure
    supply_max_mv: Figure
    run_mw: Figure
    light_sleep_uw: Figure
    deep_sleep_module_uw: Figure
    deep_sleep_board_uw: Figure
    radio_tx_mw: Figure
    advertising_event_uj: Figure
    advertising_wait_mw: Figure
    radio_start_uj: Figure
    flash_commit_uj: Figure


class Bus(Table):
    kind: Literal["i2c", "spi"] = Field(examples=['"i2c"'])
    id: int = Field(ge=0, le=7)
    scl: str | None = None
    sda: str | None = None
    sck: str | None = None
    mosi: str | None = None
    miso: str | None = None
    freq_hz: int = Field(gt=0, le=80_000_000, examples=["400000"])
    source: str = Field(min_length=3)

    def lines(self) -> dict[str, str]:
        """Return role -> pin name, of the roles its kind has."""
        return {r: p for r in ROLES[self.kind] if (p := getattr(self, r)) is not None}


class Flash(Table):
    """How firmware gets onto the board. offset: runtime -> address for esptool."""

    method: Literal["esptool", "uf2", "none"] = Field(examples=['"esptool"'])
    chip: str | None = None
    offset: dict[str, int] | None = None
    volume: str | None = None
    board_id: str | None = None
    family_id: int | None = None
    source: str = Field(min_length=3)


class Pin(Table):
    """number: GPIO number, on nRF port * 32 + pin. reserved, caution: why not to use it."""

    number: int = Field(ge=0, le=63)
    can: list[Capability] = Field(min_length=1, examples=['["in", "out"]'])
    also: list[str] = Field(default_factory=list)
    caution: str = ""
    reserved: str = ""


class PinsFrom(Table):
    source: str = Field(min_length=3)
    checked: Literal["V", "S", "C", "R"]


class Board(Table):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", examples=['"my-board"'])]
    title: str = Field(min_length=3, examples=['"Maker Board One"'])
    chip: str = Field(examples=['"esp32s3"'])
    runtimes: list[Runtime] = Field(min_length=1, examples=['["micropython"]'])
    mpy_arch: str = Field(examples=['"xtensawin"'])
    links: list[str] = Field(examples=['["ble"]'])
    cpu: Cpu
    memory: Memory
    runtime: dict[str, RuntimeFacts]
    power: Power
    bus: dict[str, Bus] = Field(default_factory=dict)
    flash: Flash
    pins_from: PinsFrom
    pins: dict[str, Pin]

    def pin(self, name: str | int) -> tuple[str, Pin] | None:
        """Return (name as silkscreened, pin) of a pin by name, other name or GPIO number; None if absent."""
        for own, pin in self.pins.items():
            if name == own or name in pin.also or (isinstance(name, int) and name == pin.number):
                return own, pin
        return None

    def heap_bytes(self, runtime: str | None = None) -> int:
        """Bytes free to Python under `runtime` (default: the board's first)."""
        return int(self.runtime[runtime or self.runtimes[0]].heap_bytes.value)

    def filesystem_bytes(self, runtime: str | None = None) -> int:
        return int(self.runtime[runtime or self.runtimes[0]].filesystem_bytes.value)

    def pin_names(self) -> list[str]:
        return list(self.pins) + [a for p in self.pins.values() for a in p.also]


def faults(board: Board) -> Iterator[Fault]:
    """Yield what does not fit together in a profile whose tables are each well-formed."""
    chip = CHIPS.get(board.chip)
    if chip is None:
        yield Fault(f'chip "{board.chip}" is not known', nearest(board.chip, list(CHIPS)), "chip")
        return
    if board.mpy_arch != chip.mpy_arch:
        yield Fault(
            f'"{board.mpy_arch}" is not the architecture of {board.chip}',
            f'write "{chip.mpy_arch}"',
            "mpy_arch",
        )
    for i, link in enumerate(board.links):
        if link not in chip.radios:
            yield Fault(f'{board.chip} has no "{link}"', nearest(link, sorted(chip.radios)), "links", i)
    for name in board.runtimes:
        if name not in board.runtime:
            yield Fault(
                f"[runtime.{name}] is missing", f"describe it, or take {name} out of runtimes", "runtimes"
            )
    total = board.memory.flash_bytes.value
    total += board.memory.external_flash_bytes.value if board.memory.external_flash_bytes else 0
    for own, facts in board.runtime.items():
        if own not in board.runtimes:
            yield Fault(f"{own} is not among runtimes", "add it there or remove this table", "runtime", own)
        if facts.filesystem_bytes.value > total:
            yield Fault(
                f"the file system has {facts.filesystem_bytes.value} bytes, flash only {total}",
                "correct one of them",
                *("runtime", own, "filesystem_bytes"),
            )
        if facts.heap_bytes.high > board.memory.ram_bytes.value:
            yield Fault(
                f"a heap of {facts.heap_bytes.high} bytes in {board.memory.ram_bytes.value} bytes of RAM",
                "correct one of them",
                *("runtime", own, "heap_bytes"),
            )
    low, high = board.power.supply_min_mv.value, board.power.supply_max_mv.value
    if low >= high:
        yield Fault(
            f"the module runs from {low:g} mV up, but only to {high:g}",
            "correct one of them",
            *("power", "supply_min_mv"),
        )
    yield from _flash_faults(board)
    yield from _pin_faults(board, chip)
    for bus_name, bus in board.bus.items():
        yield from _bus_faults(board, bus_name, bus)


def _flash_faults(board: Board) -> Iterator[Fault]:
    flash = board.flash
    if flash.method == "esptool":
        if not flash.chip:
            yield Fault("esptool needs to know the chip", f'add chip = "{board.chip}"', "flash", "chip")
        for name in board.runtimes:
            if name not in (flash.offset or {}):
                yield Fault(f"no address for {name}", f"add offset = {{ {name} = 0 }}", "flash", "offset")
    elif flash.method == "uf2" and not (flash.board_id and flash.volume):
        yield Fault(
            "uf2 needs board_id and volume",
            "copy them from INFO_UF2.TXT on the loader's drive",
            "flash",
            "board_id",
        )


def _pin_faults(board: Board, chip: Chip) -> Iterator[Fault]:
    by_number: dict[int, str] = {}
    by_name: dict[str, str] = {}
    for name, pin in board.pins.items():
        if pin.number in by_number:
            yield Fault(
                f"GPIO {pin.number} of {board.chip} is {by_number[pin.number]} already",
                f'add "{name}" to the other names (also) of {by_number[pin.number]}',
                *("pins", name, "number"),
            )
        by_number.setdefault(pin.number, name)
        for alias in (name, *pin.also):
            if alias in by_name:
                yield Fault(
                    f'the name "{alias}" is {by_name[alias]} already', "give each name once", "pins", name
                )
            by_name.setdefault(alias, name)
        for can, allowed in (("adc", chip.adc), ("wake", chip.wake)):
            if can in pin.can and allowed is not None and pin.number not in allowed:
                what = "has no converter there" if can == "adc" else "can't be woken by it"
                yield Fault(
                    f"{name} can't do {can}: {board.chip} {what}", f"remove {can}", "pins", name, "can"
                )
        if "out" in pin.can and pin.number in chip.input_only:
            yield Fault(f"{name} is input only on {board.chip}", "remove out", "pins", name, "can")


def _bus_faults(board: Board, name: str, bus: Bus) -> Iterator[Fault]:
    used: dict[str, str] = {}
    for role in sorted({r for roles in ROLES.values() for r in roles}):
        if getattr(bus, role) is not None and role not in ROLES[bus.kind]:
            yield Fault(
                f"a bus of kind {bus.kind} has no {role}",
                f"it has {', '.join(ROLES[bus.kind])}",
                "bus",
                name,
                role,
            )
    for role in ROLES[bus.kind]:
        pin_name = getattr(bus, role)
        if pin_name is None:
            yield Fault("missing", f'add {role} = "..." with a pin of this board', "bus", name, role)
            continue
        fault = pin_fault(board, pin_name, ("in", "out") if role in ("sda", "miso") else ("out",))
        if fault:
            yield Fault(fault.message, fault.fix, "bus", name, role)
        elif (own := board.pin(pin_name)) and own[0] in used:
            yield Fault(f"{own[0]} is {used[own[0]]} already", "use each pin once", "bus", name, role)
        else:
            used[own[0] if own else pin_name] = role


def pin_fault(board: Board, name: str | int, needs: tuple[Capability, ...]) -> Fault | None:
    """Return why a pin can't serve: absent, reserved, or lacking a capability; None when it can."""
    found = board.pin(name)
    if found is None:
        able = [p for p in board.pins.items() if not p[1].reserved and all(c in p[1].can for c in needs)]
        near = nearest(name, [a for n, p in able for a in (n, *p.also)]).partition(" (")[0]
        guess = f"{near} " if near.startswith("did") else ""
        return Fault(f"{board.name} has no pin {name!r}", f"{guess}pins that can: {usable(board, needs)}")
    own, pin = found
    if pin.reserved:
        return Fault(f"{own} of {board.name} can't be used: {pin.reserved}", _instead(board, needs))
    lacking = [c for c in needs if c not in pin.can]
    if lacking:
        words = {"in": "read", "out": "drive a line", "adc": "measure a voltage", "wake": "wake the chip"}
        what = " or ".join(words[c] for c in lacking)
        return Fault(f"{own} can't {what} on {board.chip}", _instead(board, needs))
    return None


def _instead(board: Board, needs: tuple[Capability, ...]) -> str:
    return f"use one of {usable(board, needs)}"


def usable(board: Board, needs: tuple[Capability, ...]) -> str:
    """Return a dozen pins at most that can do it and serve nothing else."""
    free = [
        n
        for n, p in board.pins.items()
        if not p.reserved and not p.caution and all(c in p.can for c in needs)
    ]
    return f"{', '.join(free[:12])}{' ...' if len(free) > 12 else ''}"
