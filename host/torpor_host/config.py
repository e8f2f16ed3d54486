# SPDX-License-Identifier: MIT
"""node.toml: read, checked as a whole against its board, and made into what the rest of Torpor works with.

from torpor_host import config
spec = config.load(Path("examples/frost"))              # raises ConfigError with every problem
spec = config.load(Path("examples/frost"), "virtual")   # the same node on the virtual board
node_bin = spec.encode(compiled.report)
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import boards
from .configuration import costs, reporting, schema, sensing, thinking, toml_text
from .configuration.channels import CHANNELS, PLAIN, Channel
from .configuration.context import Context, boards_like
from .configuration.modules import closure
from .configuration.problems import Problems, T, nearest
from .configuration.spec import MODEL_FILE, Feature, NodeSpec, Output, Part
from .configuration.toml_text import Document
from .errors import ConfigError
from .files import is_file
from .paths import device_dir

__all__ = ["FILE", "MODEL_FILE", "NodeSpec", "load"]

FILE = "node.toml"
VIRTUAL = "virtual"
_REQUIRED = ("node", "sensor", "report", "energy")
# What each runtime's firmware has beyond plain Python, and which file that makes unnecessary.
_WITHOUT_ULAB = "micropython"


def load(folder: Path, on: str | None = None) -> NodeSpec:
    """Return the node that folder/node.toml describes, checked but for its compiled model (see check_model).

    on: "virtual" runs it on the virtual board (HAL, link and sensor are virtual; checks, costs and battery
    stay those of its own board); another board's name takes the place of node.board. Raises ConfigError with
    every problem found, UsageError for a board that is not known.
    """
    path = folder / FILE
    if not is_file(path):
        what = f"{folder}: no {FILE} here" if folder.is_dir() else f"{folder}: no such folder"
        raise ConfigError([f"{what}; give a node's folder, or make one with `torpor new NAME --board BOARD`"])
    if on is not None and on != VIRTUAL:
        boards.load(on)
    document = toml_text.read(path)
    problems = Problems(document)
    spec = _Loader(Context(problems, folder), document, on).spec()
    problems.raise_if_any()
    if spec is None:  # each None comes with a problem
        raise AssertionError(f"{path}: checked without a result")
    return spec


@dataclass
class _Decided:
    """The decision section, or what stands for its absence."""

    part: Part | None = None
    name: str = ""
    channel: str = ""
    threshold: float | None = None
    event: float | None = None
    below: bool = False
    alarm: str | None = None


@dataclass
class _Thought:
    """The features and model sections, or what stands for their absence."""

    features: list[Feature]
    rows: int
    document: Document | None
    model_path: Path | None
    output: Output
    score: Channel | None
    kernels: str


class _Loader:
    """One pass over the sections, in an order in which each finds what it depends on."""

    def __init__(self, context: Context, document: Document, on: str | None) -> None:
        self.context = context
        self.document = document
        self.data = document.data
        self.on = on
        # What is wrong in a table has been noted; the rest of it is checked against the others.
        self.node = self._section("node", schema.NodeTable)
        self.sensor = self._section("sensor", schema.SensorTable)
        self.report = self._section("report", schema.ReportTable)
        self.energy = self._section("energy", schema.EnergyTable)

    def _section(self, name: str, model: type[T]) -> T | None:
        if name in self.data:
            return self.context.problems.partial(model, self.data[name], (name,))
        if name in _REQUIRED:
            keys = [k for k, f in model.model_fields.items() if f.is_required()] or list(model.model_fields)[
                :1
            ]
            self.context.add((name,), "this section is missing", f"add [{name}] with {', '.join(keys)}")
        return None

    def spec(self) -> NodeSpec | None:
        context = self.context
        for name in self.data:
            if name not in schema.SECTIONS:
                context.add((name,), "unknown section", nearest(name, list(schema.SECTIONS)))
        if self.node:
            other = self.on if self.on not in (None, VIRTUAL) else None
            board = other or self.node.board
            if board is None:
                context.maybe = boards_like(None)
            else:
                context.board = sensing.load_board(context, board, ("node", "board"))
        runtime = sensing.choose_runtime(context, self.node, replaced=self.on) if self.node else None
        wake_every_s = utc_offset_s = 0
        if self.node:
            wake_every_s = reporting.whole_seconds(context, self.node.wake_every, ("node", "wake_every"))
            utc_offset_s = reporting.whole_seconds(context, self.node.utc_offset, ("node", "utc_offset"))
        source = None
        if self.sensor:
            context.channels = sensing.sensor_channels(context, self.sensor)
            source = sensing.sensor_source(context, self.sensor)
            sensing.virtual(context, self.sensor)
        triggers, rows = (
            sensing.triggers(context, self.data["trigger"]) if "trigger" in self.data else ([], 1)
        )
        thought = self._think(runtime)
        rows = max(rows, thought.rows)
        decided = self._decide(thought)
        reporting.state(context, runtime, rows, triggers, decided.part, ("node", "board"))
        battery = reporting.battery(context, self.energy) if self.energy else None
        sent = (self.report.fields if self.report else None) or []
        if self.energy and battery:
            reporting.supply(context, self.energy, battery)
        battery_pin = reporting.battery_pin(context, self.energy, sent) if self.energy else ()
        if self.energy:
            reporting.boot(context, self.energy, runtime)
        fields: list[tuple[str, Part]] = []
        heartbeat_s = 0
        if self.report:
            reporting.link(context, self.report.link, ("report", "link"))
            heartbeat_s = reporting.heartbeat(context, self.report, wake_every_s)
            score = self._score_channel(thought, decided)
            fields = reporting.report_fields(
                context, self.report, battery, score, decided.alarm, "model" in self.data
            )
        if context.problems or not (self.node and self.sensor and self.report and self.energy):
            return None
        if source is None or battery is None or context.board is None or runtime is None:
            return None
        virtual = self.on == VIRTUAL or context.board.chip == "virtual"
        hal = "simulated" if virtual else context.board.runtime[runtime].hal
        link = "virtual" if virtual else self.report.link
        interval_ms = round(1000 * self.report.interval)
        sensor_kind = self.sensor.kind
        if sensor_kind == "bme280":
            sense_ms = costs.bme280_ms(context.channels)
        else:
            sense_ms = costs.Range(1, 0.3, 5) + costs.ADC_SAMPLE_MS * source.args[1]
        return NodeSpec(
            folder=context.folder,
            name=self.node.name,
            board=context.board,
            runtime="micropython" if virtual else runtime,
            on=self.on,
            own_runtime=runtime,
            hal=hal,
            channels=context.channels,
            source=Part("replay", (len(context.channels),)) if virtual else source,
            sensor_kind=sensor_kind,
            virtual=self.sensor.virtual,
            drivers=() if virtual or sensor_kind == "adc" else (sensor_kind,),
            modules=self._modules(
                hal, "replay" if virtual else source.kind, link, triggers, thought, runtime, virtual
            ),
            wake_every_s=wake_every_s,
            utc_offset_s=utc_offset_s,
            ring_rows=rows,
            deep=self.node.sleep == "deep",
            checkpoint_wakes=max(1, round(self.node.checkpoint_every / wake_every_s)),
            triggers=tuple(triggers),
            features=tuple(thought.features),
            model_path=thought.model_path,
            output=thought.output,
            kernels=thought.kernels,
            decision=decided.part,
            decision_name=decided.name,
            decision_channel=decided.channel,
            decision_threshold=decided.threshold,
            event_threshold=decided.event,
            decision_below=decided.below,
            alarm=decided.alarm or "",
            link=link,
            link_args=() if link == "virtual" else (interval_ms, self.report.events),
            encrypt=self.report.encrypt,
            heartbeat_s=heartbeat_s,
            fields=tuple(name for name, _ in fields),
            field_records=tuple(part for _, part in fields),
            battery=battery,
            battery_pin=battery_pin,
            boot=self.energy.boot,
            supply=self.energy.supply,
            other_sleep_uw=round(1e6 * self.energy.other_sleep, 6),
            sense_ms=sense_ms,
            interval_s=self.report.interval,
            events=self.report.events,
            warnings=tuple(context.warnings),
            document=self.document,
            features_document=thought.document,
        )

    def _think(self, runtime: str | None) -> _Thought:
        context = self.context
        nothing = _Thought([], 1, None, None, Output(-1, 1.0, 1.0, 0), None, "auto")
        if "features" in self.data and "model" not in self.data:
            context.add(("features",), "features without a model", "add a [model], or remove this section")
        if "model" not in self.data:
            return nothing
        if "features" not in self.data:
            context.add(("model",), "a model without features", 'add [features] with file = "features.toml"')
        if "decision" not in self.data:
            context.add(
                ("model",), "a model without a decision", "add [decision], which says when the alarm goes on"
            )
        table = self._section("features", schema.FeaturesTable)
        if table:
            nothing.features, nothing.rows, nothing.document = thinking.features(context, table)
        model = self._section("model", schema.ModelTable)
        if model is None:
            return nothing
        nothing.model_path = context.folder / (model.file or MODEL_FILE)
        nothing.kernels = model.kernels
        if model.file is not None and not is_file(nothing.model_path):
            context.add(
                ("model", "file"),
                f"{nothing.model_path} is not there",
                "run the training script, which writes it",
            )
        if model.kernels == "ulab" and runtime == _WITHOUT_ULAB:
            what = "stock MicroPython has no ulab"
            context.add(
                ("model", "kernels"), what, 'write kernels = "auto", or choose runtime = "circuitpython"'
            )
        if model.output is not None:
            made, nothing.score = thinking.model_output(context, model.output)
            nothing.output = made or nothing.output
        return nothing

    def _decide(self, thought: _Thought) -> _Decided:
        """Score: what the model says, or, without one, the channel that the decision names."""
        context = self.context
        table = self._section("decision", schema.DecisionTable)
        if table is None:
            alarm = "generic" if "decision" in self.data else None
            return _Decided(channel=context.channels[0] if context.channels else "", alarm=alarm)
        score = thought.score
        meant = [score] if score else [PLAIN, *(CHANNELS[n] for n in context.channels)]
        if "model" in self.data:
            if table.channel is not None:
                fix = "remove it: with a model the score is what [model] output says"
                context.add(("decision", "channel"), "a channel beside a model", fix)
            index = thought.output.plus
            channel = context.channels[index] if 0 <= index < len(context.channels) else ""
            if not channel:
                near = next((n for n in context.channels if CHANNELS[n] is score), "")
                channel = near or (context.channels[0] if context.channels else "")
        elif table.channel is None and not table.wrong("channel"):
            which = ", ".join(context.channels) or "a channel of the sensor"
            context.add(
                ("decision", "channel"),
                "without a model the decision needs a channel",
                f"add channel = one of: {which}",
            )
            channel = ""
        else:
            names = context.channel(table.channel, ("decision", "channel"))
            meant = [CHANNELS[n] for n in names]
            channel, score = names[0], meant[0]
        made = context.problems.common([partial(thinking.decision, context, table, c) for c in meant])
        below = made[3] if made else table.on_below is not None
        scored = next((n for n, c in CHANNELS.items() if c is score), "")
        alarm = thinking.alarm_object(context, table, scored, below)
        if made is None:
            return _Decided(None, table.name, channel, None, None, below, alarm)
        part, threshold, event, _ = made
        if score is PLAIN:  # no level of a channel that a recording could be held against
            return _Decided(part, table.name, channel, None, None, below, alarm)
        return _Decided(part, table.name, channel, threshold, event, below, alarm)

    @staticmethod
    def _score_channel(thought: _Thought, decided: _Decided) -> str | None:
        if thought.score is None:
            return decided.channel
        return next((n for n, c in CHANNELS.items() if c is thought.score), None)

    def _modules(
        self,
        hal: str,
        source: str,
        link: str,
        triggers: list[Part],
        thought: _Thought,
        runtime: str,
        virtual: bool,
    ) -> tuple[str, ...]:
        """Return the device files of this node, leaving out what its configuration never reaches."""
        device = device_dir()
        roots = ["torpor/node.py", f"torpor/hal/{hal}.py", f"torpor/sense/{source}.py"]
        roots += [f"torpor/sense/{t.kind}.py" for t in triggers]
        roots += ["torpor/store/files.py", "torpor/radio/reporter.py", f"torpor/radio/{link}.py"]
        without: list[str] = []
        if self.report and not self.report.encrypt:
            without += ["torpor/radio/ccm.py", "torpor/store/counters.py"]
        kinds = {f.name for f in thought.features}
        if "dew_point_depression" not in kinds:
            without.append("torpor/dsp/dewpoint.py")
        if not kinds & {"hour_sine", "hour_cosine"}:
            without.append("torpor/dsp/hours.py")
        nn = sorted(p.relative_to(device).as_posix() for p in (device / "torpor" / "nn").rglob("*.py"))
        if thought.model_path is None:
            without += [*nn, "torpor/dsp/features.py"]
        else:
            # Kernels are imported by the names that the image carries, so all of them are taken; ulab's only
            # where the firmware has ulab.
            has_ulab = runtime != _WITHOUT_ULAB and not virtual and thought.kernels != "reference"
            roots += [n for n in nn if has_ulab or "ulab" not in n]
            without += [] if has_ulab else [n for n in nn if "ulab" in n]
        if "decision" not in self.data:
            without += ["torpor/think.py", "torpor/decision.py"]
        return closure(device, roots, without)
