# SPDX-License-Identifier: MIT
# ruff: noqa: E501  (tables of mistakes read best one to a line)
"""node.toml as a whole: each kind of mistake, in real text, is named with file, line, key and fix."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torpor_host import boards, config
from torpor_host.configuration import costs
from torpor_host.errors import ConfigError, UsageError
from torpor_host.paths import boards_dir, device_dir

NODE = """\
[node]
name = "orchard-1"
board = "esp32s3-devkitc-1"
runtime = "micropython"
wake_every = "1h"
utc_offset = "-5h"

[sensor]
kind = "bme280"
channels = ["temperature", "humidity"]
bus = "i2c0"
address = 0x76

[trigger]
any = [
  { kind = "level", channel = "temperature", below = "4degC", hysteresis = "1K" },
  { kind = "change", channel = "temperature", falls = "3K" },
]

[features]
file = "features.toml"

[model]
file = "frost.tflite"
output = { unit = "K", plus = "temperature", offset = "0K", times = 1.0 }
kernels = "auto"

[decision]
kind = "threshold"
name = "frost"
on_below = "0degC"
off_above = "1degC"
average = 1
hold_off = "3h"

[report]
link = "ble"
format = "bthome"
encrypt = true
heartbeat = "24h"
fields = ["battery", "temperature", "humidity", "prediction", "alarm"]

[energy]
battery = "2xAA-L91"
"""
FEATURES = """\
inputs = [
  { kind = "value", channel = "temperature", age = 0, mean = "3.1degC", std = "4.2degC" },
  { kind = "change", channel = "temperature", age = 3, mean = "0K", std = "2K" },
  { kind = "minimum", channel = "temperature", age = 6, mean = "1degC", std = "4K" },
  { kind = "dew_point_depression", mean = "3K", std = "2K" },
  { kind = "hour_sine" },
  { kind = "hour_cosine" },
]
"""


def make(folder: Path, node: str = NODE, features: str | None = FEATURES) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "node.toml").write_text(node, encoding="utf-8")
    (folder / "frost.tflite").touch()
    if features is not None:
        (folder / "features.toml").write_text(features, encoding="utf-8")
    return folder


def problems(folder: Path, on: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(folder, on)
    return caught.value.problems


def test_the_frost_node_is_good(tmp_path: Path) -> None:
    spec = config.load(make(tmp_path / "n"))
    assert (spec.name, spec.board.name, spec.runtime, spec.hal) == (
        "orchard-1", "esp32s3-devkitc-1", "micropython", "micropython_esp32",
    )  # fmt: skip
    assert spec.channels == ("temperature", "humidity")
    assert spec.ring_rows == 6
    assert (spec.decision_channel, spec.decision_threshold, spec.decision_below) == ("temperature", 0.0, True)
    assert spec.event_threshold == 0.0
    assert [w.split(": ")[1:3] for w in spec.warnings] == [
        [
            "report.fields",
            "battery is left out of frames; add [energy] battery_pin, an analog pin on a divider",
        ]
    ]
    assert spec.unit_of("humidity") == "%"


# (text replaced in NODE, by what, key, what is said, fix, the line it names or "" for "do not look")
WRONG = [
    # unknown keys and sections, with the nearest right spelling
    ("wake_every", "wake_evry", "node.wake_evry", "unknown key", "did you mean 'wake_every'?", "wake_evry"),
    ('wake_every = "1h"\n', "", "node.wake_every", "missing", 'add wake_every = "30min"', "[node]"),
    ("[energy]", "[enrgy]", "enrgy", "unknown section", "did you mean 'energy'?", "[enrgy]"),
    ("[energy]", "[enrgy]", "energy", "this section is missing", "add [energy]", ""),
    ("hysteresis", "histeresis", "trigger.any[0].histeresis", "unknown key", "did you mean 'hysteresis'?", "histeresis"),
    ("plus =", "pluss =", "model.output.pluss", "unknown key", "did you mean 'plus'?", "pluss"),
    # wrong types
    ('wake_every = "1h"', "wake_every = 3600", "node.wake_every", "3600 has no unit", 'write "30min"', "3600"),
    ("average = 1", 'average = "1"', "decision.average", "a whole number is needed here", "average = 1", 'average = "1"'),
    ("encrypt = true", 'encrypt = "yes"', "report.encrypt", "true or false is needed here", "encrypt = true", "yes"),
    ('name = "orchard-1"', "name = 7", "node.name", "text is needed here, not a number (7)", "orchard-1", "name = 7"),
    ('name = "orchard-1"', 'name = "Orchard 1"', "node.name", "letters that are not allowed", "lower-case", "Orchard 1"),
    ('channels = ["temperature", "humidity"]', 'channels = "temperature"', "sensor.channels", "a list [ ... ] is needed", "[", ""),
    ("[report]", "report = 3\n[rep0rt]", "decision.report", "unknown key", "known:", ""),
    ('output = { unit = "K", plus = "temperature", offset = "0K", times = 1.0 }', 'output = "K"',
     "model.output", "a table is needed here", "", 'output = "K"'),
    # wrong units
    ('wake_every = "1h"', 'wake_every = "1K"', "node.wake_every", "'1K' is not a duration", '"30min"', '"1K"'),
    ('below = "4degC"', 'below = "4K"', "trigger.any[0].below", "not a temperature", "K the difference of two", '"4K"'),
    ('falls = "3K"', 'falls = "3degC"', "trigger.any[1].falls", "not a difference", "K the difference of two", ""),
    ('below = "4degC"', 'below = [4]', "trigger.any[0].below", "a quantity with its unit is needed here", '"4degC"', "[4]"),
    ('below = "4degC"', 'below = "900degC"', "trigger.any[0].below", "out of range", "-327.68 to 327.67", "900"),
    ('hold_off = "3h"', 'hold_off = "-3h"', "decision.hold_off", "out of range", "at least 0", "-3h"),
    ('wake_every = "1h"', 'wake_every = "1500ms"', "node.wake_every", "not a whole number of seconds", '"2s"', ""),
    ('utc_offset = "-5h"', 'utc_offset = "-25h"', "node.utc_offset", "out of range", "at least", "-25h"),
    ('bus = "i2c0"', 'sda = 8.5\nscl = 9', "sensor.sda", "text or a whole number is needed here, not a number (8.5)", "GPIO8", ""),
    # boards and runtimes
    ("esp32s3-devkitc-1", "esp32s3-devkit", "node.board", 'no board "esp32s3-devkit"', "'esp32s3-devkitc-1'", "devkit"),
    ('runtime = "micropython"', 'runtime = "circuitpyton"', "node.runtime", 'does not run "circuitpyton"',
     "did you mean 'circuitpython'?", "pyton"),
    ('"esp32s3-devkitc-1"', '"xiao-nrf52840-sense"', "node.runtime", 'does not run "micropython"', "circuitpython", ""),
    # buses and pins
    ('bus = "i2c0"', 'bus = "i2c1"', "sensor.bus", 'has no bus "i2c1"', "did you mean 'i2c0'?", "i2c1"),
    ('bus = "i2c0"', 'bus = "spi1"', "sensor.bus", '"spi1" is no I2C bus', "i2c0", "spi1"),
    ('bus = "i2c0"', "", "sensor.bus", "no bus for the sensor", "add bus with one of i2c0", "[sensor]"),
    ('bus = "i2c0"', 'sda = "GPIO8"\nscl = "GPIO8"', "sensor.scl", "GPIO8 is used by sensor.sda already", "each pin once", "scl"),
    ('bus = "i2c0"', 'sda = "GPIO8"\nscl = "GPIO99"', "sensor.scl", "has no pin 'GPIO99'", "did you mean 'GPIO9'?", "GPIO99"),
    ('bus = "i2c0"', 'sda = 8\nscl = 27', "sensor.scl", "wired to SPI flash", "use one of", "27"),
    ('bus = "i2c0"', 'bus = "i2c0"\nsda = "GPIO4"', "sensor.sda", "both a bus and its pins", "remove sda", "GPIO4"),
    ("address = 0x76", "address = 0x67", "sensor.address", "no address 0x67", "0x76 (SDO low)", "0x67"),
    ("address = 0x76", "address = 0x76\npin = 4", "sensor.pin", "bme280 has no pin", "remove it", "pin = 4"),
    ('virtual = "x"', "", "", "", "", ""),
    ("address = 0x76", 'address = 0x76\nvirtual = "gone.csv"', "sensor.virtual", "gone.csv is not there", "tmy:", "gone"),
    # channels
    ('["temperature", "humidity"]\nbus', '["temperature", "humidty"]\nbus', "sensor.channels[1]",
     'bme280 has no channel "humidty"', "did you mean 'humidity'?", "humidty"),
    ('["temperature", "humidity"]\nbus', '["temperature", "temperature"]\nbus', "sensor.channels[1]", "there twice", "once", ""),
    ('{ kind = "change", channel = "temperature"', '{ kind = "change", channel = "pressure"', "trigger.any[1].channel",
     'does not deliver "pressure"', "add it to sensor.channels", "pressure"),
    ('plus = "temperature"', 'plus = "pressure"', "model.output.plus", 'does not deliver "pressure"', "known:", ""),
    ('plus = "temperature"', 'plus = "humidity"', "model.output.plus", "humidity is in %", "same unit", ""),
    # triggers
    ('kind = "level"', 'kind = "levl"', "trigger.any[0].kind", "'levl' is none of the known kinds", "did you mean 'level'?", "levl"),
    ('below = "4degC", ', "", "trigger.any[0]", "none of below, above is given", 'below = "4degC"', "level"),
    ('below = "4degC"', 'below = "4degC", above = "9degC"', "trigger.any[0].above", "below and above are given", "keep one", ""),
    ('hysteresis = "1K"', 'hysteresis = "-1K"', "trigger.any[0].hysteresis", "the wrong way round", "without the sign", "-1K"),
    ('falls = "3K"', 'falls = "0K"', "trigger.any[1].falls", "is no change", "above zero", "0K"),
    ('{ kind = "change", channel = "temperature", falls = "3K" }',
     '{ kind = "zscore", channel = "temperature", window = 1, above = 3.0 }', "trigger.any[1].window", "1 is out of range",
     "at least 2", "zscore"),
    ('{ kind = "change", channel = "temperature", falls = "3K" }',
     '{ kind = "energy", channel = "temperature", window = 8, above = "500mg" }', "trigger.any[1].above",
     "'500mg' is not a difference", '"2K"', "energy"),
    # model
    ('file = "frost.tflite"', 'file = "gone.tflite"', "model.file", "gone.tflite is not there", "training script", "gone"),
    ('unit = "K"', 'unit = "kg"', "model.output.unit", '"kg" is no unit of an output', "known: K", "kg"),
    ('offset = "0K"', 'offset = "0degC"', "model.output.offset", "not a difference", "", ""),
    ("times = 1.0", "times = 0.0", "model.output.times", "every score the same", "times = 1.0", ""),
    ('kernels = "auto"', 'kernels = "ulab"', "model.kernels", "stock MicroPython has no ulab", '"auto"', "ulab"),
    ('kernels = "auto"', 'kernels = "fast"', "model.kernels", "none of the known values", "auto, reference, ulab, viper, native", "fast"),
    # decision
    ('off_above = "1degC"', 'off_above = "-1degC"', "decision.off_above", "the wrong way round", "at or above on_below", "-1"),
    ('off_above = "1degC"', 'off_below = "1degC"', "decision.off_below", "on_below goes with off_above", "instead of", ""),
    ('on_below = "0degC"', 'on_below = "0degC"\nevent_above = "0degC"', "decision.event_above", "on_below goes with event_below", "instead", "event"),
    ('on_below = "0degC"', 'on_below = "0degC"\nevent_below = "0K"', "decision.event_below", "not a temperature", "K the diff", "event"),
    ('on_below = "0degC"\n', "", "decision", "none of on_below, on_above is given", 'on_below = "4degC"', "[decision]"),
    ("average = 1", "average = 256", "decision.average", "256 is out of range", "at most 255", "256"),
    ("average = 1", 'average = 1\nalarm = "cld"', "decision.alarm", 'no alarm "cld"', "did you mean 'cold'?", "cld"),
    ("average = 1", 'average = 1\nchannel = "temperature"', "decision.channel", "a channel beside a model", "remove it", ""),
    # report
    ('link = "ble"', 'link = "lora"', "report.link", 'there is no link "lora"', "ble", "lora"),
    ('link = "ble"', 'link = "wifi"', "report.link", 'reporting over "wifi" is not built yet', "ble", "wifi"),
    ('link = "ble"', 'link = "virtual"', "report.link", 'esp32s3-devkitc-1 (esp32s3) has no link "virtual"', "ble, wifi", ""),
    ('heartbeat = "24h"', 'heartbeat = "10min"', "report.heartbeat", "shorter than node.wake_every", '"1h" or more', "10min"),
    ('"prediction", "alarm"]', '"predicton", "alarm"]', "report.fields[3]", 'no field "predicton"', "did you mean 'prediction'?", ""),
    ('"prediction", "alarm"]', '"alarm", "alarm"]', "report.fields[4]", "there twice", "once", ""),
    ('encrypt = true', 'encrypt = true\ninterval = "5ms"', "report.interval", "out of range", "at least 20ms", "5ms"),
    # energy
    ('battery = "2xAA-L91"', 'battery = "2xAA-l92"', "energy.battery", 'no battery "2xAA-l92"', "did you mean '2xAA-L91'?", "l92"),
    ('battery = "2xAA-L91"', 'capacity = "2000mAh"', "energy", "the battery is not described", "add voltage", "[energy]"),
    ('battery = "2xAA-L91"', 'capacity = "2000mA"\nvoltage = "3V"', "energy.capacity", "not a charge", '"2000mAh"', "2000mA"),
    ('battery = "2xAA-L91"', 'battery = "2xAA-L91"\nother_sleep = 5', "energy.other_sleep", "5 has no unit", "uW", "other_sleep"),
    ('battery = "2xAA-L91"', 'battery = "2xAA-L91"\nother_sleep = "5uA"', "energy.other_sleep", "not a power", "uW", "5uA"),
    ('battery = "2xAA-L91"', 'battery = "2xAA-L91"\nother_sleep = "-5uW"', "energy.other_sleep", "out of range", "at least 0", "-5uW"),
    ('battery = "2xAA-L91"', 'battery = "2xAA-L91"\nconverter_efficiency = 90', "energy.converter_efficiency", "out of range", "at most 1", "90"),
    ('battery = "2xAA-L91"', 'battery = "2xAA-L91"\nconverter_efficiency = 0.1', "energy.converter_efficiency", "out of range", "at least 0.3", "0.1"),
    ('battery = "2xAA-L91"', 'battery = "2xAA-L91"\ncapacity = "1Ah"', "energy.capacity", "both a known battery", "remove", "1Ah"),
]  # fmt: skip
WRONG = [w for w in WRONG if w[2]]


@pytest.mark.parametrize(
    ("old", "new", "key", "what", "fix", "line"), WRONG, ids=[f"{w[2]}-{w[3][:24]}" for w in WRONG]
)
def test_mistake(tmp_path: Path, old: str, new: str, key: str, what: str, fix: str, line: str) -> None:
    assert old in NODE
    text = NODE.replace(old, new, 1) if "[energy]" in old else NODE.replace(old, new)
    folder = make(tmp_path / "n", text)
    found = problems(folder)
    named = [
        p for p in found if re.match(re.escape(f"{folder}/node.toml:") + r"\d+: " + re.escape(key) + ": ", p)
    ]
    said = [p for p in named if what in p]
    assert said, "\n".join(found)
    assert fix in said[0].split(what, 1)[1], said[0]
    if line:
        number = int(said[0].removeprefix(f"{folder}/node.toml:").split(":")[0])
        assert line in text.splitlines()[number - 1], said[0]
    assert not any(
        word in p for p in found for word in ("pydantic", "Input should", "str type", "NoneType")
    ), found


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = NODE
    for old, new in (
        ("wake_every", "wake_evry"), ('below = "4degC"', 'below = "4K"'), ('bus = "i2c0"', 'bus = "i2c9"'),
        ('off_above = "1degC"', 'off_above = "-1degC"'), ('link = "ble"', 'link = "bel"'),
        ('battery = "2xAA-L91"', 'battery = "9V"'), ('file = "frost.tflite"', 'file = "gone.tflite"'),
    ):  # fmt: skip
        text = text.replace(old, new)
    found = problems(make(tmp_path / "n", text, FEATURES.replace('"2K"', '"2kg"', 1)))
    for key in ("node.wake_evry", "trigger.any[0].below", "sensor.bus", "decision.off_above",
                "report.link", "energy.battery", "model.file", "inputs[1].std"):  # fmt: skip
        assert any(f": {key}: " in p for p in found), (key, found)
    assert len(found) == 8, found
    numbers = [int(p.split("node.toml:")[1].split(":")[0]) for p in found if "node.toml:" in p]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("old", "new", "key", "what", "fix"),
    [
        ('"value"', '"valeu"', "inputs[0].kind", "none of the known kinds", "did you mean 'value'?"),
        ('channel = "temperature", age = 3', 'channel = "pressure", age = 3', "inputs[1].channel", "does not deliver", "known:"),
        ('mean = "0K", std = "2K"', 'mean = "0degC", std = "2K"', "inputs[1].mean", "not a difference", "K the difference"),
        ('std = "4.2degC"', 'std = "0K"', "inputs[0].std", "not above zero", "standard deviation"),
        ("age = 3", "age = 0", "inputs[1].age", "always the same", "age = 1"),
        ("age = 3", "age = -3", "inputs[1].age", "out of range", "at least 0"),
        ('{ kind = "hour_sine" }', '{ kind = "hour_sine", channel = "temperature" }', "inputs[4].channel", "unknown key", "known:"),
        ('{ kind = "hour_sine" }', '"hour_sine"', "inputs[4]", "a table is needed here", ""),
        ("inputs = [", "input = [", "input", "unknown key", "inputs"),
    ],
)  # fmt: skip
def test_mistake_in_the_features_file(
    tmp_path: Path, old: str, new: str, key: str, what: str, fix: str
) -> None:
    folder = make(tmp_path / "n", features=FEATURES.replace(old, new))
    said = [p for p in problems(folder) if p.startswith(f"{folder}/features.toml:") and f": {key}: " in p]
    assert said, problems(folder)
    assert what in said[0]
    assert fix in said[0].split(what, 1)[1]


def test_the_event_may_have_a_level_of_its_own(tmp_path: Path) -> None:
    """An early warning is on before the event is there; the report counts the event."""
    folder = make(
        tmp_path / "n", NODE.replace('on_below = "0degC"', 'on_below = "0.5degC"\nevent_below = "0degC"')
    )
    spec = config.load(folder)
    assert (spec.decision_threshold, spec.event_threshold) == (0.5, 0.0)
    assert spec.decision is not None
    assert spec.decision.args[1] == 50


def test_a_misspelt_key_gives_one_message(tmp_path: Path) -> None:
    text = NODE.replace("off_above", "offabove").replace("wake_every", "wake_evry")
    assert len(problems(make(tmp_path / "n", text))) == 2
    # not taken for a key that is only somewhat like it
    said = problems(make(tmp_path / "n", NODE.replace("average = 1", "average = 1\non_belowe = 3")))
    assert len(said) == 1
    assert "did you mean 'on_below'?" in said[0]


def test_features_file_missing_or_broken(tmp_path: Path) -> None:
    folder = make(tmp_path / "n", features=None)
    assert any(
        "features.file: " in p and "is not there; run the training script" in p for p in problems(folder)
    )
    make(folder, features="inputs = [\n  {")
    found = problems(folder)
    assert any(p.startswith(f"{folder}/features.toml:") and "not valid TOML" in p for p in found), found


def test_dew_point_needs_humidity(tmp_path: Path) -> None:
    text = NODE.replace('["temperature", "humidity"]', '["temperature"]').replace(
        '"humidity", "pred', '"pred'
    )
    found = problems(make(tmp_path / "n", text))
    assert any(
        "inputs[3].kind: the dew point needs humidity; add humidity to sensor.channels" in p for p in found
    )


def test_model_features_and_decision_belong_together(tmp_path: Path) -> None:
    def without(*sections: str) -> str:
        blocks = re.split(r"(?m)^(?=\[)", NODE)
        return "".join(b for b in blocks if not b.startswith(tuple(f"[{s}]" for s in sections)))

    folder = tmp_path / "n"
    found = problems(make(folder, without("model")))
    assert any("features: features without a model; add a [model]" in p for p in found)
    found = problems(make(folder, without("features")))
    assert any("model: a model without features; add [features]" in p for p in found)
    found = problems(make(folder, without("decision")))
    assert any("model: a model without a decision; add [decision]" in p for p in found)
    assert any("report.fields[4]: nothing decides on an alarm" in p for p in found)
    found = problems(make(folder, without("model", "features")))
    assert any("decision.channel: without a model the decision needs a channel" in p for p in found)
    assert any("report.fields[3]: there is no model, so nothing is predicted" in p for p in found)


def test_frame_too_long(tmp_path: Path) -> None:
    """31 bytes: flags 3, header 4, information 1, packet id 2, objects, 8 when encrypted."""
    text = NODE.replace('["temperature", "humidity"]', '["temperature", "humidity", "pressure"]')
    folder = make(
        tmp_path / "n", text.replace('"battery", "temperature",', '"battery", "temperature", "pressure",')
    )
    said = problems(folder)
    assert len(said) == 1
    assert (
        "report.fields: 17 bytes (battery 2, temperature 3, prediction 3, humidity 3, pressure 4, alarm 2)"
        in said[0]
    )
    assert "room for 13" in said[0]
    assert "encrypt = false" in said[0]
    plain = (folder / "node.toml").read_text().replace("encrypt = true", "encrypt = false")
    assert config.load(make(folder, plain)).fields == (
        "battery", "temperature", "prediction", "humidity", "pressure", "alarm",
    )  # fmt: skip


def test_state_beyond_retained_memory(tmp_path: Path) -> None:
    text = NODE.replace(
        'falls = "3K" },',
        'falls = "3K" },\n  { kind = "zscore", channel = "humidity", window = 300, above = 3.0 },',
    )
    said = problems(make(tmp_path / "n", text))
    assert len(said) == 1
    assert re.search(
        r"node.board: the node's state takes \d+ bytes \(\d+ of them for 301 rows of history\)", said[0]
    )
    assert "retains 2048 in deep sleep; look back over fewer rows" in said[0]
    small = NODE.replace("esp32s3-devkitc-1", "xiao-nrf52840-sense").replace('runtime = "micropython"', "")
    said = problems(make(tmp_path / "n", small))
    assert "retains 248" in said[0]


def test_a_link_that_the_board_has_not(tmp_path: Path) -> None:
    board = (boards_dir() / "esp32s3-devkitc-1.toml").read_text()
    board = board.replace('"ble", "wifi", "espnow"', '"wifi"').replace(
        'name = "esp32s3-devkitc-1"', 'name = "wired"'
    )
    folder = make(tmp_path / "n", NODE.replace("esp32s3-devkitc-1", "wired.toml"))
    (folder / "wired.toml").write_text(board)
    said = problems(folder)
    assert said == [f'{folder}/node.toml:37: report.link: wired (esp32s3) has no link "ble"; it has wifi']


def test_a_broken_board_profile_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "n", NODE.replace("esp32s3-devkitc-1", "mine.toml"))
    (folder / "mine.toml").write_text("name = 3\n")
    assert any(
        "node.board: this board profile is broken: " in p and "mine.toml:1: name: text" in p
        for p in problems(folder)
    )


ADC = """\
[sensor]
kind = "adc"
channels = ["voltage"]
pin = "{pin}"

[trigger]
kind = "level"
channel = "voltage"
above = "1.5V"
"""


@pytest.mark.parametrize(
    ("board", "pin", "what", "fix"),
    [
        ("esp32-devkitc", "GPIO18", "GPIO18 can't measure a voltage on esp32", "use one of GPIO32"),
        ("esp32-devkitc", "GPIO6", "wired to the module's SPI flash", "use one of"),
        ("esp32c3-devkitm-1", "GPIO5", "GPIO5 can't measure a voltage on esp32c3", "use one of GPIO0, GPIO1"),
        ("esp32s3-devkitc-1", "A0", "esp32s3-devkitc-1 has no pin 'A0'", "pins that can: GPIO1,"),
        ("feather-nrf52840-sense", "BATTERY", "battery divider", "use one of A0"),
        ("feather-nrf52840-sense", "D5", "D5 can't measure a voltage on nrf52840", "use one of A0"),
    ],
)
def test_adc_pins(tmp_path: Path, board: str, pin: str, what: str, fix: str) -> None:
    text = re.sub(r"(?s)\[sensor\].*\[energy\]", ADC.format(pin=pin) + REST + "[energy]", NODE)
    text = text.replace("esp32s3-devkitc-1", board).replace('runtime = "micropython"\n', "")
    said = problems(make(tmp_path / "n", text))
    assert len(said) == 1, said
    assert ": sensor.pin: " in said[0]
    assert what in said[0]
    assert fix in said[0].split(what, 1)[1]


REST = """
[decision]
name = "high"
channel = "voltage"
on_above = "2V"

[report]
link = "ble"
fields = ["voltage", "alarm"]

"""


def test_a_doubtful_pin_is_a_warning_not_a_mistake(tmp_path: Path) -> None:
    text = re.sub(r"(?s)\[sensor\].*\[energy\]", ADC.format(pin="GPIO3") + REST + "[energy]", NODE)
    spec = config.load(make(tmp_path / "n", text))
    assert spec.warnings == (
        "sensor.pin: GPIO3 of esp32s3-devkitc-1: strapping pin: selects the JTAG source",
    )
    assert spec.decision_below is False
    assert spec.source.kind == "adc"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('[node]\nname = "x\n', 2, "not valid TOML"),
        ('[node]\nname = "x"\nname = "y"\n', 3, "not valid TOML"),
        ("[node]\nwake = 1h\n", 2, "not valid TOML"),
        ("", 1, "this section is missing"),
    ],
)
def test_toml_syntax(tmp_path: Path, text: str, line: int, what: str) -> None:
    folder = make(tmp_path / "n", text)
    said = problems(folder)
    assert said[0].startswith(f"{folder}/node.toml:{line}: ")
    assert what in said[0]


def test_not_text(tmp_path: Path) -> None:
    folder = make(tmp_path / "n")
    (folder / "node.toml").write_bytes(b'[node]\nname = "\xff"\n')
    assert problems(folder) == [f"{folder}/node.toml:2: not UTF-8 text; save the file as UTF-8"]


def test_no_such_folder(tmp_path: Path) -> None:
    assert "no such folder" in problems(tmp_path / "gone")[0]
    assert "no node.toml here" in problems(tmp_path)[0]
    assert "torpor new" in problems(tmp_path)[0]


def test_on_another_board(tmp_path: Path) -> None:
    folder = make(tmp_path / "n")
    assert config.load(folder, "esp32c3-devkitm-1").board.name == "esp32c3-devkitm-1"
    with pytest.raises(UsageError, match="no board"):
        config.load(folder, "esp33")
    # the nRF52840 has no MicroPython that sleeps, and less memory: its own checks apply
    assert any("retains 248" in p for p in problems(folder, "feather-nrf52840-sense"))


def test_on_virtual_keeps_the_costs_and_checks_of_the_own_board(tmp_path: Path) -> None:
    folder = make(tmp_path / "n")
    own, virtual = config.load(folder), config.load(folder, "virtual")
    assert (virtual.hal, virtual.link, virtual.source.kind) == ("simulated", "virtual", "replay")
    assert virtual.board is not own.board
    assert virtual.board == own.board == boards.load("esp32s3-devkitc-1")
    assert virtual.costs() == own.costs()
    assert virtual.sleep_uw == own.sleep_uw
    make(folder, NODE.replace('bus = "i2c0"', 'bus = "i2c7"'))
    assert problems(folder, "virtual") == problems(folder)


def energy(folder: Path, lines: str, on: str | None = None) -> list[str]:
    """Return the warnings about [energy] when it says `lines`."""
    text = NODE.replace('battery = "2xAA-L91"', lines)
    spec = config.load(make(folder, text), on)
    return [w for w in spec.warnings if ": energy." in w]


def test_a_battery_the_module_can_not_bear_is_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "n"
    line = NODE.splitlines().index('battery = "2xAA-L91"') + 1
    module = '\nsupply = "module"'
    assert energy(folder, 'battery = "2xAA-L91"' + module) == [
        f"{folder}/node.toml:{line}: energy.battery: 2xAA-L91 gives 2400 to 3600 mV, the module needs 3000 to "
        "3600; add a converter (converter_efficiency), or choose 14500-lifepo4"
    ]
    own = energy(folder, 'capacity = "2Ah"\nvoltage = "3.0V"' + module)
    assert len(own) == 1
    assert f":{line + 1}: energy.voltage: 2000 mAh, 3 V gives 2400 to 3300 mV" in own[0]
    # too high is no better than too low
    assert "18650 gives 3200 to 4200 mV" in energy(folder, 'battery = "18650"' + module)[0]
    # a warning that says what to do: each way out leads out
    assert energy(folder, 'battery = "2xAA-L91"\nconverter_efficiency = 0.9' + module) == []
    assert energy(folder, 'battery = "14500-lifepo4"' + module) == []
    assert energy(folder, 'battery = "2xAA-L91"') == []  # the whole board has its own regulator
    # on the virtual board the checks stay those of the node's own
    assert len(energy(folder, 'battery = "2xAA-L91"' + module, "virtual")) == 1


@pytest.mark.parametrize(
    ("board", "fitting"),
    [
        ("esp32s3-devkitc-1", {"14500-lifepo4"}),
        ("feather-nrf52840-sense", {"cr2032", "2xAA-alkaline", "2xAA-L91", "14500-lifepo4"}),
        ("virtual", set(costs.BATTERIES)),
    ],
)
def test_which_batteries_a_module_bears(board: str, fitting: set[str]) -> None:
    profile = boards.load(board)
    assert {name for name, b in costs.BATTERIES.items() if b.fits(profile)} == fitting


def test_the_example_has_no_note() -> None:
    assert config.load(device_dir().parent / "examples" / "frost").warnings == ()


def test_battery_pin(tmp_path: Path) -> None:
    """A pin that can measure goes into node.bin; one that can't, or is in use, is refused."""
    folder = make(tmp_path / "n")
    path = folder / "node.toml"
    text = path.read_text(encoding="utf-8")
    energy = "[energy]\nbattery_divider = 2.0\nbattery_pin = "
    path.write_text(text.replace("[energy]", energy + '"GPIO1"'), encoding="utf-8")
    spec = config.load(folder)
    assert (spec.battery_pin, spec.warnings) == ((1, 2000, 1000), ())
    for pin in ("GPIO99", "GPIO40", "GPIO8"):
        path.write_text(text.replace("[energy]", energy + f'"{pin}"'), encoding="utf-8")
        with pytest.raises(ConfigError, match=r"energy\.battery_pin"):
            config.load(folder)


# (text replaced in NODE, by what, key, what is said)
NOT_FINITE = [
    ("times = 1.0", "times = inf", "model.output.times", "inf is not a finite number"),
    ("times = 1.0", "times = nan", "model.output.times", "nan is not a finite number"),
    ("times = 1.0", "times = 1e999", "model.output.times", "inf is not a finite number"),
    ("times = 1.0", "times = 1e305", "model.output.times", "1e+305 is out of range"),
    ('hysteresis = "1K"', "hysteresis = -inf", "trigger.any[0].hysteresis", "-inf is not a finite number"),
    ('below = "4degC"', 'below = "1e307degC"', "trigger.any[0].below", "'1e307degC' is out of range"),
    ('wake_every = "1h"', "wake_every = nan", "node.wake_every", "nan is not a finite number"),
    ("address = 0x76", "address = 0x10000000000000000", "sensor.address", "a number beyond 64 bits"),
    ("address = 0x76", "address = 0x" + "f" * 5000, "sensor.address", "a number beyond 64 bits"),
    ("average = 1\n", "average = " + "1" * 5000 + "\n", "", "a number of too many digits"),
]


@pytest.mark.parametrize(("old", "new", "key", "what"), NOT_FINITE)
def test_every_number_is_finite(old: str, new: str, key: str, what: str, tmp_path: Path) -> None:
    node = NODE.replace(old, new)
    line = next(n for n, text in enumerate(node.splitlines(), 1) if new.rstrip() in text)
    found = problems(make(tmp_path / "n", node))
    place = f"{tmp_path / 'n' / 'node.toml'}:{line}: " + (f"{key}: " if key else "")
    assert len(found) == 1 and found[0].startswith(f"{place}{what}; ")


def test_every_number_of_other_files_is_finite(tmp_path: Path) -> None:
    folder = make(
        tmp_path / "n", features=FEATURES.replace('"hour_sine"', '"hour_sine", mean = nan, std = inf')
    )
    place = f"{folder / 'features.toml'}:6: inputs[4]."
    assert problems(folder) == [
        f"{place}mean: nan is not a finite number; write a finite one",
        f"{place}std: inf is not a finite number; write a finite one",
    ]
    wide = FEATURES.replace('std = "4.2degC"', 'std = "1e307K"')
    assert [p.split(": ", 1)[1] for p in problems(make(tmp_path / "n", features=wide))] == [
        "inputs[0].std: '1e307K' is out of range; readings differ by 655.35 degC at most"
    ]
    text = (boards_dir() / "esp32s3-devkitc-1.toml").read_text()
    text = re.sub(r"freq_hz = \d+", "freq_hz = inf", text, count=1)
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(
        ConfigError, match=r"mine\.toml:\d+: bus\.\w+\.freq_hz: inf is not a finite number; write a"
    ):
        boards.load(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    "deep",
    ["x=" + "[" * 5000, "x=" + "[" * 5000 + "]" * 5000, "x=" + "[" * 300 + "]" * 300,
     "x=" + "{a=" * 100 + "1" + "}" * 100, "a." * 5000 + "b = 1", "[" + "a." * 5000 + "b]"],
    ids=["open", "closed", "300", "tables", "dotted", "header"],
)  # fmt: skip
def test_deep_nesting_is_refused_in_plain_words(deep: str, tmp_path: Path) -> None:
    says = "tables or lists nested more than 32 deep; nothing here needs that, remove it"
    folder = make(tmp_path / "n", f"# a comment\n{deep}\n{NODE}")
    assert problems(folder) == [f"{folder / 'node.toml'}:2: {says}"]
    assert problems(make(tmp_path / "n", features=deep)) == [f"{folder / 'features.toml'}:1: {says}"]


def test_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    """As Notepad saves a file; places are right in it too."""
    folder = make(tmp_path / "n")
    good = config.load(folder)

    def save(text: str) -> None:
        (folder / "node.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    save(NODE)
    assert config.load(folder) == good
    save(NODE.replace("average", "averge"))
    line = NODE.splitlines().index("average = 1") + 1
    assert problems(folder)[0].startswith(f"{folder / 'node.toml'}:{line}: decision.averge: unknown key")


def test_a_file_name_that_is_too_long(tmp_path: Path) -> None:
    node = NODE.replace("features.toml", "f" * 300).replace("bus =", f'virtual = "{"v" * 300}"\nbus =')
    found = problems(make(tmp_path / "n", node))
    assert len(found) == 2
    assert "sensor.virtual" in found[0] and "features.file" in found[1]
    assert all("is not there; " in line for line in found)


def problem_set(folder: Path, text: str) -> set[str]:
    """Return the problems of a node.toml, none for a good one; anything but ConfigError goes through."""
    folder = make(folder, text)
    try:
        config.load(folder)
    except ConfigError as e:
        return {re.sub(r"^.*?toml:\d+: ", "", p) for p in e.problems}
    return set()


# Values in NODE that no check holds against another value of it.
LEAVES = [
    'name = "orchard-1"', 'utc_offset = "-5h"', "address = 0x76", 'below = "4degC"', 'hysteresis = "1K"', 'falls = "3K"',
    'offset = "0K"', "times = 1.0", 'kernels = "auto"', 'name = "frost"', 'on_below = "0degC"', 'off_above = "1degC"',
    "average = 1", 'hold_off = "3h"', 'link = "ble"', 'format = "bthome"', "encrypt = true", 'heartbeat = "24h"',
    'battery = "2xAA-L91"', 'bus = "i2c0"',
]  # fmt: skip
REFUSED = ["[4]", '"1furlong"', '"4 kg"', "{ a = 1 }", "-70000", '""']


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(LEAVES), min_size=2, max_size=2, unique=True),
    st.lists(st.sampled_from(REFUSED), min_size=2, max_size=2),
)
def test_two_mistakes_give_what_each_gives_alone(
    tmp_path: Path, leaves: list[str], written: list[str]
) -> None:
    text, alone = NODE, set()
    for leaf, value in zip(leaves, written, strict=True):
        wrong = f"{leaf.split(' = ')[0]} = {value}"
        alone |= problem_set(tmp_path / "n", NODE.replace(leaf, wrong, 1))
        text = text.replace(leaf, wrong, 1)
    assert problem_set(tmp_path / "n", text) == alone


PIECE = re.compile(
    r'"[^"\n]*"|0x76|\b\d+(?:\.\d+)?\b|\btrue\b|\[[^\[\]]*\]|\{[^{}]*\}|(?m:^\w+ = .*\n)|(?m:^\[\w+\]\n)'
)
PIECES = [m.span() for m in PIECE.finditer(NODE)] + [m.span() for m in re.finditer(r"(?m)^\w+ = .*\n|\b\w+ = \"[^\"\n]*\", ", NODE)]  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PIECES),
            st.sampled_from(["", '"x"', "7", "-1.5", "[]", "[3]", "{}", '["temperature", 5]', "true", '"4%"', '"1h"', "[[1]]"]),
        ),
        min_size=1,
        max_size=6,
    )
)  # fmt: skip
def test_nothing_that_is_written_gives_a_traceback(
    tmp_path: Path, changes: list[tuple[tuple[int, int], str]]
) -> None:
    text, before = NODE, len(NODE)
    for (begin, end), value in sorted(changes, reverse=True):
        if end <= before:
            text, before = text[:begin] + value + text[end:], begin
    problem_set(tmp_path / "n", text)


def test_all_at_once(tmp_path: Path) -> None:
    """A shape error hides nothing else of its table, a wrong channel or board no wrong unit or pin."""
    text = NODE
    for old, new in (
        ('board = "esp32s3-devkitc-1"', 'board = "esp32s3-devkitc"'), ('wake_every = "1h"', "wake_every = 10"),
        ('kind = "bme280"', 'kind = "bme28"'), ('["temperature", "humidity"]', '["temperature", "humidty"]'),
        ('bus = "i2c0"', 'bus = "i2c1"'), ('channel = "temperature", below = "4degC"', 'chanel = "temperature", below = "4%"'),
        ('channel = "temperature", falls', 'channel = "co2", falls'), ("encrypt = true", 'encrypt = "true"'),
        ('"alarm"]', '"alrm"]'), ('battery = "2xAA-L91"', 'battery = 3\nbattery_pin = "GPIO99"'),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new, 1)
    places = {p.split(": ")[0] for p in problem_set(tmp_path / "n", text)}
    assert places == {
        "node.board", "node.wake_every", "sensor.kind", "sensor.channels[1]", "sensor.bus", "trigger.any[0].chanel",
        "trigger.any[0].below", "trigger.any[1].channel", "report.encrypt", "report.fields[4]", "energy.battery",
        "energy.battery_pin",
    }  # fmt: skip


def test_a_guessed_spelling_is_not_held_against_its_writer(tmp_path: Path) -> None:
    adc = ADC.format(pin="GPIO1").replace("[trigger]", 'scale = "10mV"\n[trigger]')
    text = re.sub(r"(?s)\[sensor\].*\[energy\]", adc + REST + "[energy]", NODE)
    said = problem_set(tmp_path / "n", text)
    assert [s.split(";")[0] for s in said] == ["sensor.scale: unknown key"]


def test_a_range_is_told_in_units(tmp_path: Path) -> None:
    said = problem_set(tmp_path / "n", NODE.replace('wake_every = "1h"', 'wake_every = "400d"'))
    assert said == {"node.wake_every: '400d' is out of range; must be at most 366d"}


def test_a_wrong_pin_is_told_a_dozen_good_ones(tmp_path: Path) -> None:
    (said,) = problem_set(tmp_path / "n", NODE.replace('bus = "i2c0"', 'sda = "GPIO8"\nscl = "GPIO99"'))
    assert said.count("GPIO") <= 2 + 12
    assert not {"GPIO0", "GPIO3", "GPIO45", "GPIO46", "GPIO27"} & set(re.findall(r"\w+", said))
