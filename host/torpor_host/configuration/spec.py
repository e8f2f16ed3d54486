# SPDX-License-Identifier: MIT
"""A node as checked: what the bundle, the run and the report need to know, and node.bin.

spec = config.load(Path("examples/frost"))
node_bin = spec.encode(compiled.report)
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

from ..compiler import Compiled
from ..kernels import carried
from . import costs as energy
from .board import Board, Figure
from .channels import CHANNELS, PLAIN
from .costs import Battery, Range
from .kernels import NUMBERS, choose, modules
from .memory import heap_bytes
from .toml_text import Document, Key, show_key

NODE, SOURCE, TRIGGER, FEATURE, MODEL, DECISION, REPORT, FIELD, ENERGY = range(1, 10)
MODEL_FILE = "model.tpm"
_LIMIT = 1 << 30  # small integers of a 32-bit board end here
# Bytes of retained state: device/torpor/node.py's head, schedule, ledger; per trigger kind.
_FIXED_STATE = 16 + 17 + 50
_TRIGGER_STATE = {"level": 1, "change": 3, "zscore": 0, "energy": 0}
_SLOT_HEAD = 8


@dataclass(frozen=True)
class Part:
    """One record: the module that makes it, and its arguments."""

    kind: str
    args: tuple[int, ...]


@dataclass(frozen=True)
class Feature:
    """One model input: number of its kind on the device; mean, std in counts; `key`: where it is written."""

    kind: int
    name: str
    channel: int
    age: int
    mean: int
    std: float
    key: Key

    def mul_q16(self, input_scale: float) -> int:
        return round(65536 / (self.std * input_scale))


@dataclass(frozen=True)
class Output:
    """score = plus channel (index, or -1) + times * output + offset, in `counts` per unit of the output."""

    plus: int
    counts: float
    times: float
    offset: int

    def mul_q16(self, output_scale: float) -> int:
        return round(output_scale * self.times * self.counts * 65536)


@dataclass(frozen=True)
class NodeSpec:
    """Everything about one node. `board` is the node's own even when it runs on the virtual one (`on`)."""

    folder: Path
    name: str
    board: Board
    runtime: str
    on: str | None
    own_runtime: str
    hal: str
    channels: tuple[str, ...]
    source: Part
    sensor_kind: str
    virtual: str | None
    drivers: tuple[str, ...]
    modules: tuple[str, ...]
    wake_every_s: int
    utc_offset_s: int
    ring_rows: int
    deep: bool
    checkpoint_wakes: int
    triggers: tuple[Part, ...]
    features: tuple[Feature, ...]
    model_path: Path | None
    output: Output
    kernels: str
    decision: Part | None
    decision_name: str
    decision_channel: str
    decision_threshold: float | None
    event_threshold: float | None
    decision_below: bool
    alarm: str
    link: str
    link_args: tuple[int, ...]
    encrypt: bool
    heartbeat_s: int
    fields: tuple[str, ...]
    field_records: tuple[Part, ...]
    battery: Battery
    battery_pin: tuple[int, ...]
    boot: str
    supply: str
    other_sleep_uw: float
    sense_ms: Range
    interval_s: float
    events: int
    warnings: tuple[str, ...]
    document: Document
    features_document: Document | None

    def unit_of(self, channel: str) -> str:
        return CHANNELS[channel].unit if channel in CHANNELS else PLAIN.unit

    @property
    def payload_bytes(self) -> int:
        """Bytes of one copy of the state that outlives deep sleep."""
        return state_payload_bytes(self.ring_rows, len(self.channels), self.triggers, self.decision)

    @property
    def state_bytes(self) -> int:
        """Bytes of retained memory: two slots."""
        return 2 * (_SLOT_HEAD + self.payload_bytes)

    @property
    def sleep_uw(self) -> tuple[float, float, float]:
        """Power asleep as (value, low, high): of the board, its sensor and what else hangs on the battery."""
        figure: Figure = getattr(self.board.power, self._asleep)
        other = self.other_sleep_uw
        total = energy.of(figure) + energy.standby_uw(self.sensor_kind) + Range(other, other, other)
        return total.as_tuple()

    @property
    def _asleep(self) -> str:
        """Key of the board's own power asleep."""
        if not self.deep:
            return "light_sleep_uw"
        return "deep_sleep_module_uw" if self.supply == "module" else "deep_sleep_board_uw"

    def costs(self, report: Mapping[str, Any] | None = None) -> dict[str, tuple[float, float, float]]:
        """Return cause -> (value, low, high) in uJ per event.

        report: the compiled model's, for the cost of inference; without it one multiplication per input.
        """
        macs = int(report["macs"]) if report else len(self.features)
        operators = len(report.get("operators", ())) if report else 1
        kernels = self.kernels
        if kernels == "auto":  # no model was compiled: nothing to choose by
            kernels = "ulab" if self.own_runtime == "circuitpython" else "reference"
        ranges = energy.by_cause(
            self.board,
            self.own_runtime,
            deep=self.deep,
            boot=self.boot,
            sense_ms=self.sense_ms,
            triggers=len(self.triggers),
            features=len(self.features),
            kernels=kernels,
            macs=macs,
            operators=operators,
            has_model=self.model_path is not None,
            advertising_ms=1000 * self.interval_s * self.events,
            events=self.events,
        )
        return {cause: r.as_tuple() for cause, r in ranges.items()}

    def assumptions(self) -> list[str]:
        """Return, as sentences, what the energy figures rest on."""
        power, facts = self.board.power, self.board.runtime[self.own_runtime]
        frozen = self.boot == "frozen" and facts.boot_frozen_uj is not None
        lines = [
            f"board {self.board.name} under {self.own_runtime}, "
            + ("the bare module" if self.supply == "module" else "the whole board as sold"),
            f"battery {self.battery.name}: {self.battery.usable_j.value / 1000:.1f} kJ usable "
            f"({self.battery.usable_j.low / 1000:.1f} to {self.battery.usable_j.high / 1000:.1f}): "
            f"{self.battery.source}",
        ]
        converter, standby = self.battery.converter, energy.standby_uw(self.sensor_kind)
        if converter.value < 1:
            lines.append(
                f"converter_efficiency {converter.value:g} ({converter.low:g} to {converter.high:g}): as "
                "written in node.toml, 5 points either way assumed; what is usable is counted behind it"
            )
        if self.other_sleep_uw:
            lines.append(f"other_sleep {self.other_sleep_uw:g} uW: as written in node.toml")
        if standby.high:
            bar = f"{standby.low:.2f} to {standby.high:.2f}"
            lines.append(
                f"{self.sensor_kind} asleep {standby.value:.2f} uW ({bar}): the bare sensor by its data "
                "sheet, at 3.3 V; a breakout's regulator belongs in other_sleep"
            )
        named = [(self._asleep, getattr(power, self._asleep)), ("run_mw", power.run_mw)]
        if self.deep:
            chosen = facts.boot_frozen_uj if frozen else facts.boot_stock_uj
            named.append(("boot_frozen_uj" if frozen else "boot_stock_uj", chosen))
        for key in ("radio_start_uj", "advertising_event_uj", "advertising_wait_mw", "flash_commit_uj"):
            named.append((key, getattr(power, key)))
        for key, f in named:
            lines.append(f"{key} {f.value:g} ({f.low:g} to {f.high:g}) [{f.checked}]: {f.source}")
        lines.append("times of imports, triggers, features and kernels are estimates with wide ranges [R]")
        return lines

    def check_model(self, report: Mapping[str, Any]) -> list[str]:
        """Return what does not fit between compiled model, configuration and board, one line each.

        report: inputs and outputs (dtype, shape, scale, zero_point), flash_, peak_ram_, persistent_,
        weights_bytes.
        """
        found: list[str] = []
        inputs, outputs = report["inputs"], report["outputs"]
        file = ("model", "file")
        for word, tensors in (("input", inputs), ("output", outputs)):
            if len(tensors) != 1:
                found.append(
                    self._say(file, f"the model has {len(tensors)} {word}s; export one with exactly one")
                )
            elif tensors[0]["dtype"] != "int8":
                kind = tensors[0]["dtype"]
                found.append(
                    self._say(file, f"its {word} is {kind}; quantize the model to int8 input and output")
                )
        kept = report.get("persistent_bytes", 0)
        if kept:
            what = f"the model keeps {kept} bytes from run to run, which a node loses when it sleeps"
            found.append(self._say(file, f"{what}; export it without streaming state"))
        if found:
            return found
        wanted, given = math.prod(inputs[0]["shape"]), len(self.features)
        if wanted != given:
            key: Key = ("features",)
            more = f"remove {given - wanted}" if given > wanted else f"add {wanted - given}"
            takes = f"{given} inputs, but {self._model_name()} takes {wanted}"
            found.append(self._say(key, f"{takes}; {more}, in the order of training"))
        size = math.prod(outputs[0]["shape"])
        if size != 1:
            found.append(self._say(file, f"its output has {size} values; a threshold needs a model with one"))
        found += self._check_scales(float(inputs[0]["scale"]), float(outputs[0]["scale"]))
        facts = self.board.runtime[self.own_runtime]
        heap = facts.heap_bytes.value
        for region, need, have in (
            ("file system", report.get("flash_bytes", 0), facts.filesystem_bytes.value),
            ("Python heap", heap_bytes(report, self.board, self.kernels, heap), heap),
        ):
            if need > have:
                what = f"needs {need} bytes of {region}, {self.board.name} has {have:g}"
                found.append(self._say(file, f"{what}; use a smaller model or another board (torpor boards)"))
        return found

    def _check_scales(self, input_scale: float, output_scale: float) -> list[str]:
        found = []
        for f in self.features:
            ratio = f.std * input_scale
            # The node holds |x - mean| to 256 steps, so the product stays near 2^24 whatever int16 x is.
            if not math.isfinite(65536 / ratio if ratio else math.inf) or f.mul_q16(input_scale) > _LIMIT - (
                1 << 25
            ):
                fix = (
                    f"{f.std:g} counts is less than the model can resolve; write the std of the training data"
                )
                found.append(self._say((*f.key, "std"), f"std is too small: {fix}", feature=True))
            elif f.mul_q16(input_scale) < 16:
                fix = "all readings would look the same to the model; write the std of the training data"
                found.append(self._say((*f.key, "std"), f"std is too large: {fix}", feature=True))
        mul = self.output.mul_q16(output_scale)
        if not 0 < abs(mul) * 255 < _LIMIT:
            what = f"one step of the output is {mul / 65536:g} counts of the score"
            fix = "out of the range of 0.00002 to 64; check unit and times against the training script"
            found.append(self._say(("model", "output"), f"{what}: {fix}"))
        return found

    def _model_name(self) -> str:
        return self.model_path.name if self.model_path else "the model"

    def _say(self, key: Key, text: str, feature: bool = False) -> str:
        doc = self.features_document if feature and self.features_document else self.document
        return f"{doc.path}:{doc.line(key)}: {show_key(key)}: {text}"

    def with_model(self, compiled: Compiled) -> "NodeSpec":
        """Return the node with the kernel set that suits its model, and the device files that this takes."""
        report, heap = compiled.report, self.board.heap_bytes(self.own_runtime)
        chosen = choose(
            self.kernels, self.own_runtime, self.board, report, compiled.image,
            lambda kernels: heap_bytes(report, self.board, kernels, heap) <= heap,
        )  # fmt: skip
        node = replace(self, kernels=chosen)
        others = tuple(m for m in self.modules if not m.startswith("torpor/nn/"))
        return replace(node, modules=tuple(sorted({*others, *modules(node.runs_on, compiled.image)})))

    @property
    def runs_on(self) -> str:
        """The kernel set where the node is put: a virtual board has no ulab, not every machine native."""
        if self.on != "virtual" or self.kernels in ("auto", "reference"):
            return self.kernels
        machine_code = self.kernels in ("viper", "native") and carried.for_machine() is not None
        return self.kernels if machine_code else "reference"

    @property
    def mpy_arch(self) -> str | None:
        """Architecture of machine code where the node is put; None on a machine without kernels for it."""
        return carried.for_machine() if self.on == "virtual" else self.board.mpy_arch

    def encode(self, report: Mapping[str, Any] | None = None, deep: bool | None = None) -> bytes:
        """Return node.bin (docs/architecture.md, "The binary configuration").

        report: of the compiled model; needed when the node has one. deep: overrides how the node sleeps.
        Raises ValueError without the report of a model that the node has.
        """
        if self.model_path is not None and report is None:
            raise ValueError("encode() needs the report of the compiled model")
        records: list[tuple[int, str, tuple[int, ...]]] = []
        sleeps = self.deep if deep is None else deep
        times = (self.wake_every_s, self.utc_offset_s, self.ring_rows, int(sleeps), self.checkpoint_wakes)
        channels = len(self.channels)
        # On the virtual board the battery is the chip's own; a real one reads it through a divider.
        measured = () if self.hal == "simulated" else self.battery_pin
        records.append((NODE, self.hal, (*times, channels, *measured)))
        records.append((SOURCE, self.source.kind, self.source.args))
        records += [(TRIGGER, t.kind, t.args) for t in self.triggers]
        kernels = NUMBERS[self.runs_on]
        if self.model_path is not None and report is not None:
            scale = float(report["inputs"][0]["scale"])
            records += [
                (FEATURE, "", (f.kind, f.channel, f.age, f.mean, f.mul_q16(scale))) for f in self.features
            ]
            mul = self.output.mul_q16(float(report["outputs"][0]["scale"]))
            records.append((MODEL, MODEL_FILE, (self.output.plus, mul, self.output.offset, kernels)))
        elif self.decision is not None:
            records.append((MODEL, "", (self.channels.index(self.decision_channel), 0, 0, 0)))
        if self.decision is not None:
            records.append((DECISION, self.decision.kind, self.decision.args))
        records.append((REPORT, self.link, (self.heartbeat_s, int(self.encrypt), *self.link_args)))
        records += [(FIELD, f.kind, f.args) for f in self.field_records]
        costs = self.costs(report)
        nanowatts = round(self.sleep_uw[0] * 1000)
        spent = tuple(round(costs[cause][0]) for cause in energy.CAUSES)
        records.append((ENERGY, "", (*spent, nanowatts // 1000, nanowatts % 1000)))
        return pack(records)


def state_payload_bytes(rows: int, channels: int, triggers: tuple[Part, ...], decision: Part | None) -> int:
    """Return the bytes of node state, as the device's parts add up to (tested against them)."""
    size = _FIXED_STATE + 4 + 2 * rows * channels + sum(_TRIGGER_STATE[t.kind] for t in triggers)
    return size + (7 + 2 * decision.args[3] if decision else 0)


def slots_bytes(payload: int) -> int:
    return 2 * (_SLOT_HEAD + payload)


def pack(records: list[tuple[int, str, tuple[int, ...]]]) -> bytes:
    """Return records as node.bin. Raises struct.error beyond int32: a bug, not a user's mistake."""
    body = bytearray()
    for tag, kind, args in records:
        body += struct.pack("<BBB", tag, len(kind), len(args)) + kind.encode("ascii")
        body += struct.pack(f"<{len(args)}i", *args)
    return struct.pack("<4sHHII", b"TPCF", 1, len(records), 16 + len(body), crc32(body)) + bytes(body)
