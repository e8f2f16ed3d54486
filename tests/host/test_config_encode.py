# SPDX-License-Identifier: MIT
"""A checked node as others see it: node.bin read back by the device's own code, costs, battery, modules."""

import random
import re
import struct
import subprocess
import types
from pathlib import Path
from typing import get_args
from zlib import crc32

import pytest
from bthome_ble.const import MEAS_TYPES
from hypothesis import given, settings
from hypothesis import strategies as st
from test_config_check import FEATURES, NODE, make

from torpor import config as device_config
from torpor.dsp.features import Features
from torpor.energy import ledger
from torpor.errors import ConfigError as DeviceConfigError
from torpor.errors import NodeError
from torpor.node import Node
from torpor.radio.bthome import Frame
from torpor.sense.ring import Ring
from torpor_host import boards, config
from torpor_host.configuration import costs, schema, spec
from torpor_host.configuration.channels import ALARMS, BATTERY_ID, CHANNELS
from torpor_host.configuration.modules import closure
from torpor_host.configuration.reporting import ENCRYPTION_BYTES, FRAME_BYTES
from torpor_host.errors import ConfigError
from torpor_host.paths import device_dir
from torpor_host.simulate.interpreter import command

REPORT = {
    "name": "frost",
    "inputs": [{"dtype": "int8", "shape": [1, 6], "scale": 0.03125, "zero_point": -3}],
    "outputs": [{"dtype": "int8", "shape": [1, 1], "scale": 0.05, "zero_point": 4}],
    "macs": 500,
    "operators": [{}, {}, {}],
    "flash_bytes": 3000,
    "peak_ram_bytes": 400,
    "weights_bytes": 900,
}


def load(
    folder: Path, *changes: tuple[str, str], on: str | None = None, features: str = FEATURES
) -> config.NodeSpec:
    text = NODE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return config.load(make(folder, text, features), on)


def read_back(data: bytes, folder: Path) -> dict[int, list[tuple[str, tuple[int, ...]]]]:
    (folder / "node.bin").write_bytes(data)
    return device_config.read(str(folder / "node.bin"))


def test_every_record(tmp_path: Path) -> None:
    records = read_back(load(tmp_path / "n").encode(REPORT), tmp_path)
    assert records[1] == [("micropython_esp32", (3600, -18000, 6, 1, 24, 2))]
    assert records[2] == [("bme280", (0, 8, 9, 400000, 0x76, 0b011))]
    assert records[3] == [("level", (0, -1, 400, 100)), ("change", (0, -1, 300))]
    mul = [round(65536 / (std * 0.03125)) for std in (420, 200, 400, 200, 1000, 1000)]
    assert [args for _, args in records[4]] == [
        (0, 0, 0, 310, mul[0]),
        (1, 0, 3, 0, mul[1]),
        (2, 0, 6, 100, mul[2]),
        (4, 0, 1, 300, mul[3]),  # temperature's channel, then humidity's
        (5, 0, 0, 0, mul[4]),
        (6, 0, 0, 0, mul[5]),
    ]
    assert records[5] == [("model.tpm", (0, round(0.05 * 100 * 65536), 0, 0))]
    assert records[6] == [("threshold", (-1, 0, 100, 1, 10800))]
    assert records[7] == [("ble", (86400, 1, 100, 8))]
    assert [args for _, args in records[8]] == [
        (0x01, 3, 2400, 100, 1200),  # battery: 0 % at 2.4 V, 100 % at 3.6 V
        (0x02, 0, 0, 1, 1),
        (0x02, 1, 0, 1, 1),  # the prediction is a second temperature
        (0x03, 0, 1, 1, 1),
        (0x18, 2, 0, 1, 1),  # cold
    ]
    assert len(records[9]) == 1


def test_on_virtual(tmp_path: Path) -> None:
    own = read_back(load(tmp_path / "n").encode(REPORT), tmp_path)
    virtual = read_back(load(tmp_path / "n", on="virtual").encode(REPORT), tmp_path)
    assert virtual[1][0][0] == "simulated"
    assert virtual[2] == [("replay", (2,))]
    assert virtual[7] == [("virtual", (86400, 1))]
    for tag in (3, 4, 5, 6, 8, 9):
        assert virtual[tag] == own[tag]


def test_a_node_without_a_model_scores_its_channel(tmp_path: Path) -> None:
    blocks = re.split(r"(?m)^(?=\[)", NODE)
    text = "".join(b for b in blocks if not b.startswith(("[model]", "[features]")))
    text = text.replace('"prediction", ', "").replace('name = "frost"', 'name = "damp"\nchannel = "humidity"')
    text = text.replace('on_below = "0degC"\noff_above = "1degC"', 'on_above = "90%"\noff_below = "80%"')
    loaded = config.load(make(tmp_path / "n", text))
    records = read_back(loaded.encode(), tmp_path)
    assert 4 not in records
    assert records[5] == [("", (1, 0, 0, 0))]
    assert records[6] == [("threshold", (1, 9000, 8000, 1, 10800))]
    assert records[8][-1][1][0] == ALARMS["moisture"]
    assert (loaded.decision_channel, loaded.decision_threshold, loaded.decision_below) == (
        "humidity",
        90.0,
        False,
    )
    assert not any("/nn/" in m or "/dsp/features" in m for m in loaded.modules)


@pytest.mark.parametrize(
    ("trigger", "record", "rows"),
    [
        ('{ kind = "level", channel = "humidity", above = "90%" }', ("level", (1, 1, 9000, 0)), 1),
        ('{ kind = "change", channel = "temperature", rises = "2K" }', ("change", (0, 1, 200)), 1),
        ('{ kind = "change", channel = "humidity", either = "5%" }', ("change", (1, 0, 500)), 1),
        (
            '{ kind = "zscore", channel = "temperature", window = 24, above = 2.5 }',
            ("zscore", (0, 24, 250)),
            25,
        ),
        (
            '{ kind = "energy", channel = "temperature", window = 8, above = "500mK" }',
            ("energy", (0, 8, 50)),
            8,
        ),
    ],
)
def test_triggers(tmp_path: Path, trigger: str, record: tuple[str, tuple[int, ...]], rows: int) -> None:
    text = re.sub(r"(?s)any = \[.*?\n\]", f"any = [ {trigger} ]", NODE)
    few = 'inputs = [ { kind = "hour_sine" } ]'
    loaded = config.load(make(tmp_path / "n", text, few))
    report = REPORT | {"inputs": [REPORT["inputs"][0] | {"shape": [1, 1]}]}  # type: ignore[index]
    records = read_back(loaded.encode(report), tmp_path)
    assert records[3] == [record]
    assert records[1][0][1][2] == rows
    single = re.sub(
        r"(?s)any = \[.*?\n\]", "\n".join(p.strip() for p in trigger.strip("{ }").split(",")), NODE
    )
    assert config.load(make(tmp_path / "n", single, few)).triggers == loaded.triggers


def test_channels_follow_the_driver_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    loaded = load(tmp_path / "n", ('["temperature", "humidity"]', '["humidity", "temperature"]'))
    assert loaded.channels == ("temperature", "humidity")
    assert loaded.source.args[-1] == 0b011


def test_circuitpython_pins_are_port_times_32(tmp_path: Path) -> None:
    loaded = load(
        tmp_path / "n",
        ('"esp32s3-devkitc-1"', '"xiao-nrf52840-sense"'), ('runtime = "micropython"\n', ""),
        ('bus = "i2c0"', 'sda = "D6"\nscl = "P1_12"'),
        features=FEATURES.replace("age = 6", "age = 4"),
    )  # fmt: skip
    assert loaded.runtime == "circuitpython"
    assert loaded.source.args[1:3] == (43, 44)
    assert loaded.hal == "circuitpython"
    assert loaded.state_bytes <= 256


def fake_hal(folder: Path) -> types.SimpleNamespace:
    return types.SimpleNamespace(
        retained=None,
        flash_dir=str(folder),
        read_world=lambda row: None,
        now_s=lambda: 0,
        wake_reason=lambda: 0,
    )


@pytest.mark.parametrize("average", [1, 7])
@pytest.mark.parametrize("model", [True, False])
def test_state_bytes_are_those_of_the_device(tmp_path: Path, average: int, model: bool) -> None:
    loaded = load(
        tmp_path / "n", ("average = 1", f"average = {average}"),
        ('falls = "3K" },', 'falls = "3K" },\n'
         '  { kind = "zscore", channel = "humidity", window = 24, above = 3.0 },\n'
         '  { kind = "energy", channel = "temperature", window = 8, above = "1K" },'),
        on="virtual",
    )  # fmt: skip
    (tmp_path / "node.bin").write_bytes(loaded.encode(REPORT))
    records, layout = device_config.load(str(tmp_path / "node.bin"))
    if not model:
        records.pop(6)
    node = Node(records, layout, fake_hal(tmp_path))
    decided = loaded.decision if model else None
    assert len(node.payload) == spec.state_payload_bytes(
        loaded.ring_rows, len(loaded.channels), loaded.triggers, decided
    )


def test_causes_are_the_ledgers() -> None:
    assert (*costs.CAUSES, "sleep") == tuple(ledger.CAUSES)


def test_the_ledger_takes_the_costs(tmp_path: Path) -> None:
    loaded = load(tmp_path / "n")
    args = read_back(loaded.encode(REPORT), tmp_path)[9][0][1]
    book = ledger.Ledger(args)
    for i, cause in enumerate(costs.CAUSES):
        book.spend(i)
        assert book.microjoules(i) == round(loaded.costs(REPORT)[cause][0])
    book.sleep(1000)
    assert book.microjoules(len(costs.CAUSES)) == round(1000 * loaded.sleep_uw[0])


def test_features_on_the_device_are_what_the_file_says(tmp_path: Path) -> None:
    """q = zero point + ((x - mean) / std) / scale, within the rounding of mul_q16 and one step."""
    loaded = load(tmp_path / "n")
    records = read_back(loaded.encode(REPORT), tmp_path)
    features = Features([args for _, args in records[4]], loaded.utc_offset_s)
    assert features.needs == loaded.ring_rows
    rng = random.Random(7)
    ring = Ring(loaded.ring_rows, 2)
    for _ in range(200):
        rows = []
        for _ in range(loaded.ring_rows):
            row = ring.row()
            row[0], row[1] = rng.randint(-2000, 3000), rng.randint(2000, 10000)
            ring.push(row)
            rows.append(row)
        out = [0] * 6
        features.fill(ring, 1_700_000_000, out, -3)
        newest, before = rows[-1][0], rows[-4][0]
        for i, (x, mean, std) in enumerate(
            [(newest, 310, 420), (newest - before, 0, 200), (min(r[0] for r in rows), 100, 400)]
        ):
            wanted = max(-128, min(127, (x - mean) / std / 0.03125 - 3))
            assert abs(out[i] - wanted) <= 0.6, (i, x)


def test_object_ids_are_bthomes() -> None:
    for name, channel in CHANNELS.items():
        known = MEAS_TYPES[channel.object_id]
        assert known.data_length == channel.width
        assert name in str(known.meas_format.device_class) or name == "raw"
        # one count of the device, in the unit that BTHome gives it
        unit = {"raw": 1.0, "acceleration": 9.80665e-3}.get(name, 1 / channel.counts)
        assert known.factor * channel.numerator / channel.denominator == pytest.approx(unit, rel=1e-4)
    for name, object_id in ALARMS.items():
        assert MEAS_TYPES[object_id].meas_format.device_class.value == name
        assert MEAS_TYPES[object_id].data_length == 1
    assert "battery" in str(MEAS_TYPES[BATTERY_ID].meas_format.device_class)


ALL_FIELDS = ("battery", "temperature", "humidity", "pressure", "prediction", "alarm")


@given(
    st.lists(st.sampled_from(ALL_FIELDS), unique=True, min_size=1),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_the_check_lets_through_fits_the_frame(
    tmp_path_factory, fields: list[str], encrypt: bool
) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("n")
    listed = "[" + ", ".join(f'"{f}"' for f in fields) + "]"
    changes = [
        ('["temperature", "humidity"]', '["temperature", "humidity", "pressure"]'),
        ('["battery", "temperature", "humidity", "prediction", "alarm"]', listed),
        ("encrypt = true", f"encrypt = {str(encrypt).lower()}"),
    ]
    try:
        loaded = load(folder, *changes)
        fits = True
    except ConfigError as e:
        assert len(e.problems) == 1
        assert "do not fit a frame" in e.problems[0]
        fits = False
    ids = {"battery": 1, "temperature": 2, "prediction": 2, "humidity": 3, "pressure": 4, "alarm": 0x18}
    if fits:
        assert [p.args[0] for p in loaded.field_records] == sorted(ids[f] for f in fields)
    frame = Frame(bytes(6), bytes(16) if encrypt else None)
    frame.begin()
    try:
        for object_id in sorted(ids[f] for f in fields):
            frame.add(object_id, 1)
        built = len(frame.finish(5)) <= 31
    except NodeError:
        built = False
    assert built == fits


def test_frame_budget_is_that_of_a_legacy_advertisement() -> None:
    for key, room in ((None, FRAME_BYTES), (bytes(16), FRAME_BYTES - ENCRYPTION_BYTES)):
        frame = Frame(bytes(6), key)
        frame.begin()
        empty = len(frame.finish(0))
        assert 31 - empty == room


# -- the compiled model ----------------------------------------------------------------------------------


def changed(**parts: object) -> dict[str, object]:
    tensors = {k: parts.pop(k) for k in ("inputs", "outputs") if isinstance(parts.get(k), dict)}
    report = REPORT | parts
    for key, change in tensors.items():
        report[key] = [REPORT[key][0] | change]  # type: ignore[index,operator]
    return report


@pytest.mark.parametrize(
    ("report", "key", "what", "fix"),
    [
        (changed(inputs={"shape": [1, 8]}), "features", "6 inputs, but frost.tflite takes 8", "add 2"),
        (changed(inputs={"shape": [1, 4]}), "features", "6 inputs, but frost.tflite takes 4", "remove 2"),
        (changed(inputs={"dtype": "float32"}), "model.file", "its input is float32", "quantize"),
        (changed(outputs={"dtype": "float32"}), "model.file", "its output is float32", "quantize"),
        (changed(inputs=REPORT["inputs"] * 2), "model.file", "the model has 2 inputs", "exactly one"),  # type: ignore[operator]
        (changed(outputs={"shape": [1, 12]}), "model.file", "its output has 12 values", "with one"),
        (changed(outputs={"scale": 2.0}), "model.output", "200 counts of the score", "check unit and times"),
        (changed(outputs={"scale": 1e-9}), "model.output", "counts of the score", "check unit and times"),
        (changed(inputs={"scale": 1e-7}), "inputs[0].std", "std is too small", "training data"),
        (changed(inputs={"scale": 100.0}), "inputs[0].std", "std is too large", "training data"),
        (changed(flash_bytes=7_000_000), "model.file", "needs 7000000 bytes of file system", "smaller model"),
        (changed(persistent_bytes=64), "model.file", "keeps 64 bytes", "without streaming state"),
        (changed(peak_ram_bytes=150_000, weights_bytes=50_000), "model.file", "of Python heap", "smaller"),
    ],
)  # fmt: skip
def test_model_that_does_not_fit(
    tmp_path: Path, report: dict[str, object], key: str, what: str, fix: str
) -> None:
    loaded = load(tmp_path / "n")
    assert loaded.check_model(REPORT) == []
    found = loaded.check_model(report)
    said = [p for p in found if f": {key}: " in p]
    assert said, found
    assert re.match(re.escape(str(tmp_path)) + r"/n/(node|features)\.toml:\d+: ", said[0])
    assert what in said[0]
    assert fix in said[0].split(what, 1)[1]


def test_no_product_reaches_2_to_the_30(tmp_path: Path) -> None:
    """Whatever passes check_model stays a small integer on a 32-bit board, for every int16 reading."""
    loaded = load(tmp_path / "n")
    for scale in (1e-5, 3e-5, 1e-4, 0.001, 0.03, 1.0):
        report = changed(inputs={"scale": scale})
        if loaded.check_model(report):
            continue
        for f in loaded.features:
            mul = f.mul_q16(scale)
            reach = (256 << 16) // mul + 1  # device/torpor/dsp/features.py holds |x - mean| to this
            assert reach * mul + 32768 < 1 << 30
    for scale in (0.0001, 0.05, 0.64):
        if not loaded.check_model(changed(outputs={"scale": scale})):
            assert 255 * abs(loaded.output.mul_q16(scale)) < 1 << 30


def test_encode_wants_the_report_of_a_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        load(tmp_path / "n").encode()


# -- costs and battery -----------------------------------------------------------------------------------


@pytest.mark.parametrize("board", boards.names())
def test_costs_have_error_bars(tmp_path: Path, board: str) -> None:
    loaded = load(
        tmp_path / "n", ('"esp32s3-devkitc-1"', f'"{board}"'), ('runtime = "micropython"\n', ""),
        features=FEATURES.replace("age = 6", "age = 4"),
    )  # fmt: skip
    found = loaded.costs(REPORT)
    assert list(found) == list(costs.CAUSES)
    for cause, (value, low, high) in found.items():
        assert 0 < low <= value <= high, cause
    value, low, high = loaded.sleep_uw
    assert 0 < low <= value <= high
    battery = loaded.battery
    assert 0 < battery.usable_j.low < battery.usable_j.value < battery.usable_j.high
    assert battery.usable_j.value < battery.capacity_mah.value * 3.6 * 4.2
    text = "\n".join(loaded.assumptions())
    assert battery.name in text
    assert "[R]" in text


def test_levers_point_the_right_way(tmp_path: Path) -> None:
    stock = load(tmp_path / "n")
    battery = 'battery = "2xAA-L91"'
    frozen = load(tmp_path / "n", (battery, f'{battery}\nboot = "frozen"'))
    module = load(tmp_path / "n", (battery, f'{battery}\nsupply = "module"'))
    light = load(tmp_path / "n", ('utc_offset = "-5h"', 'sleep = "light"'))
    short = load(tmp_path / "n", ('link = "ble"', 'link = "ble"\nevents = 2'))
    assert stock.costs()["boot"][0] - frozen.costs()["boot"][0] == pytest.approx(138000 - 5900)
    assert module.sleep_uw[0] < stock.sleep_uw[0] < light.sleep_uw[0] + 1e5
    assert light.costs()["boot"][0] < frozen.costs()["boot"][0]
    assert read_back(light.encode(REPORT), tmp_path)[1][0][1][3] == 0
    assert read_back(stock.encode(REPORT, deep=False), tmp_path)[1][0][1][3] == 0
    assert short.costs()["radio"][0] < stock.costs()["radio"][0]
    big = stock.costs(changed(macs=50_000))["infer"]
    assert big[0] > 5 * stock.costs(REPORT)["infer"][0]


def test_frozen_start_only_where_the_firmware_has_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            tmp_path / "n",
            ('runtime = "micropython"', 'runtime = "circuitpython"'),
            ('"2xAA-L91"', '"2xAA-L91"\nboot = "frozen"'),
        )
    assert any(
        "energy.boot: circuitpython on esp32s3-devkitc-1 has no frozen start" in p
        for p in caught.value.problems
    )


def test_own_battery(tmp_path: Path) -> None:
    loaded = load(tmp_path / "n", ('battery = "2xAA-L91"', 'capacity = "2Ah"\nvoltage = "3.0V"'))
    assert loaded.battery.usable_j.high <= 2000 * 3.6 * 3.0
    assert loaded.battery.full_mv > loaded.battery.empty_mv


BATTERY = 'battery = "2xAA-L91"'


def test_other_loads_asleep_are_counted_and_named(tmp_path: Path) -> None:
    """The board's own power, the sensor's standby and what node.toml adds; the ledger takes the same sum."""
    plain = load(tmp_path / "n")
    figure = plain.board.power.deep_sleep_board_uw
    # BME280: 0.1 uA typical, 0.3 at most, at 3.3 V
    wanted = (figure.value + 0.33, figure.low + 0.33, figure.high + 0.99)
    assert plain.sleep_uw == pytest.approx(wanted)
    assert not any("other_sleep 5" in line for line in plain.assumptions())
    assert any(line.startswith("bme280 asleep 0.33 uW (0.33 to 0.99)") for line in plain.assumptions())
    more = load(tmp_path / "n", (BATTERY, f'{BATTERY}\nother_sleep = "5uW"'))
    assert more.sleep_uw == pytest.approx(tuple(w + 5 for w in wanted))
    assert "other_sleep 5 uW: as written in node.toml" in more.assumptions()
    micro, nano = read_back(more.encode(REPORT), tmp_path)[9][0][1][-2:]
    assert 1000 * micro + nano == round(1000 * more.sleep_uw[0])
    assert more.costs(REPORT) == plain.costs(REPORT)
    light = ('utc_offset = "-5h"', 'sleep = "light"')
    awake = load(tmp_path / "n", light, (BATTERY, f'{BATTERY}\nother_sleep = "2mW"'))
    assert awake.sleep_uw[0] == pytest.approx(awake.board.power.light_sleep_uw.value + 2000.33)


def test_every_sensor_has_a_standby() -> None:
    kinds = get_args(schema.SensorTable.model_fields["kind"].annotation)
    assert set(costs.STANDBY_UA) == set(kinds)
    assert costs.standby_uw("adc").as_tuple() == (0, 0, 0)


def test_a_converter_takes_its_share_of_the_battery(tmp_path: Path) -> None:
    direct = load(tmp_path / "n")
    behind = load(tmp_path / "n", (BATTERY, f"{BATTERY}\nconverter_efficiency = 0.9"))
    whole, left = direct.battery.usable_j, behind.battery.usable_j
    assert left.as_tuple() == pytest.approx((0.9 * whole.value, 0.85 * whole.low, 0.95 * whole.high))
    assert behind.sleep_uw == direct.sleep_uw
    said = [line for line in behind.assumptions() if line.startswith("converter_efficiency")]
    assert len(said) == 1 and said[0].startswith("converter_efficiency 0.9 (0.85 to 0.95)")
    assert not any("converter_efficiency" in line for line in direct.assumptions())
    good = costs.BATTERIES["2xAA-L91"].behind(0.98).converter
    assert good.as_tuple() == pytest.approx((0.98, 0.93, 1.0))  # no converter makes energy
    own = 'capacity = "2Ah"\nvoltage = "3.0V"\nconverter_efficiency = 0.5'
    assert load(tmp_path / "n", (BATTERY, own)).battery.converter.value == 0.5


@pytest.mark.parametrize("name", costs.BATTERIES)
def test_known_batteries(name: str) -> None:
    battery = costs.BATTERIES[name]
    assert battery.source
    for bar in (battery.capacity_mah, battery.self_discharge_per_year, battery.usable):
        assert 0 < bar.low < bar.value < bar.high
    assert battery.usable.high < 1
    assert battery.empty_mv < 1000 * battery.voltage_v < battery.full_mv


# -- device modules --------------------------------------------------------------------------------------


def test_modules_hold_what_the_node_needs_and_no_more(tmp_path: Path) -> None:
    loaded = load(tmp_path / "n")
    modules = set(loaded.modules)
    assert {
        "torpor/node.py", "torpor/config.py", "torpor/hal/micropython_esp32.py", "torpor/sense/bme280.py",
        "drivers/bme280.py", "torpor/sense/level.py", "torpor/sense/change.py", "torpor/dsp/features.py",
        "torpor/dsp/dewpoint.py", "torpor/dsp/hours.py", "torpor/decision.py", "torpor/think.py",
        "torpor/radio/ble.py",
        "torpor/radio/ccm.py", "torpor/store/counters.py", "torpor/store/files.py",
    } <= modules  # fmt: skip
    assert not modules & {
        "torpor/hal/simulated.py", "torpor/hal/circuitpython.py", "torpor/sense/zscore.py",
        "torpor/sense/energy.py",
        "torpor/sense/adc.py", "torpor/sense/replay.py", "torpor/radio/virtual.py",
    }  # fmt: skip
    for name in modules:
        assert (device_dir() / name).is_file(), name
    assert loaded.drivers == ("bme280",)
    plain = load(
        tmp_path / "n", ("encrypt = true", "encrypt = false"), on="virtual",
        features='inputs = [ { kind = "value", channel = "temperature", mean = "0degC", std = "1K" } ]',
    )  # fmt: skip
    assert not set(plain.modules) & {
        "torpor/radio/ccm.py", "torpor/store/counters.py", "torpor/dsp/dewpoint.py", "torpor/dsp/hours.py",
        "drivers/bme280.py", "torpor/radio/ble.py",
    }  # fmt: skip
    assert {"torpor/hal/simulated.py", "torpor/sense/replay.py", "torpor/radio/virtual.py"} <= set(
        plain.modules
    )


def test_closure_follows_imports_of_every_form(tmp_path: Path) -> None:
    files = {
        "a/__init__.py": "",
        "a/main.py": "import sys\nfrom . import one\ndef f():\n    from .sub.two import x\n",
        "a/one.py": "from a.three import y\nimport struct\n",
        "a/three.py": "import b.four\n",
        "a/sub/__init__.py": "",
        "a/sub/two.py": "from ..left import z\nfrom .. import three\n",
        "a/left.py": "from . import only_left\n",
        "a/only_left.py": "",
        "b/four.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    everything = closure(tmp_path, ["a/main.py"])
    assert set(everything) == set(files)
    assert set(closure(tmp_path, ["a/main.py"], ["a/left.py"])) == set(files) - {
        "a/left.py",
        "a/only_left.py",
    }


# -- robustness ------------------------------------------------------------------------------------------
# -- node.bin under damage -------------------------------------------------------------------------------


def refit(body: bytes, count: int) -> bytes:
    """A header that fits any body: only the records can be wrong."""
    return struct.pack("<4sHHII", b"TPCF", 1, count, 16 + len(body), crc32(body)) + body


def mutants(good: bytes, seed: int, count: int) -> list[bytes]:
    """Bytes changed, cut, inserted; half of them with a header made to fit again."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            how = rng.randrange(3)
            if how == 0:
                data[at] = rng.randrange(256)
            elif how == 1:
                del data[at : at + rng.randint(1, 9)]
            else:
                data[at:at] = rng.randbytes(rng.randint(1, 9))
        records = max(0, struct.unpack_from("<H", good, 6)[0] + rng.choice((0, 0, 0, -1, 1)))
        made.append(bytes(data) if rng.random() < 0.5 else refit(bytes(data[16:]), records))
    return made


_READER = """
import sys
sys.path.insert(0, sys.argv[1])
from torpor import config
from torpor.errors import ConfigError
for i in range(int(sys.argv[3])):
    try:
        records, layout = config.load(sys.argv[2] + "/%d" % i)
        print(layout, sum([len(v) for v in records.values()]))
    except ConfigError as e:
        print(e.args[0])
"""


def test_damaged_files_are_read_alike_on_micropython(tmp_path: Path) -> None:
    """Each damaged file is read or refused with a field, and by both interpreters alike."""
    good = load(tmp_path / "n").encode(REPORT)
    made = [good, *mutants(good, 11, 400)]
    folder = tmp_path / "mutants"
    folder.mkdir()
    for i, data in enumerate(made):
        (folder / str(i)).write_bytes(data)
    (tmp_path / "read.py").write_text(_READER)
    wanted = []
    for i in range(len(made)):
        try:
            records, layout = device_config.load(str(folder / str(i)))
            wanted.append(f"{layout} {sum(len(v) for v in records.values())}")
        except DeviceConfigError as e:
            wanted.append(e.args[0])
    assert set(wanted[1:]) >= {"crc", "length", "record"}
    run = subprocess.run(
        [*command(), str(tmp_path / "read.py"), str(device_dir()), str(folder), str(len(made))],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.stdout.split("\n")[:-1] == wanted, run.stderr


@given(st.binary(max_size=80), st.integers(0, 12))
@settings(max_examples=200, deadline=None)
def test_any_records_are_read_or_refused(tmp_path_factory, body: bytes, count: int) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(refit(body, count))
    try:
        records = device_config.read(str(path))
    except DeviceConfigError as e:
        assert e.args == ("record",)
        return
    flat = [(tag, kind, args) for tag, rs in records.items() for kind, args in rs]
    assert len(flat) == count
    assert sum(3 + len(kind) + 4 * len(args) for _, kind, args in flat) == len(body)


_LINES = NODE.splitlines(keepends=True)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_mutation_is_a_node_or_a_clear_refusal(tmp_path_factory, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    lines = list(_LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["drop", "swap", "cut", "value", "char"]))
        if how == "drop":
            lines[at] = ""
        elif how == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif how == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))] + "\n"
        elif how == "value" and "=" in lines[at]:
            value = data.draw(
                st.sampled_from(
                    ["3", "-1", "1.5", "true", '""', "[]", "{}", '"x"', "[[1]]", "nan", "1979-05-27"]
                )
            )
            lines[at] = lines[at].split("=")[0] + "= " + value + "\n"
        else:
            char = data.draw(st.characters(codec="utf-8", exclude_characters="\0"))
            lines[at] = lines[at][:5] + char + lines[at][6:]
    folder = make(tmp_path_factory.mktemp("n"), "".join(lines))
    try:
        loaded = config.load(folder)
    except ConfigError as e:
        assert e.problems
        for problem in e.problems:
            assert re.match(re.escape(str(folder)) + r"/\w+\.toml:\d+: .", problem, re.DOTALL), problem
        return
    if loaded.model_path is None or not loaded.check_model(REPORT):
        loaded.encode(REPORT if loaded.model_path else None)
