# SPDX-License-Identifier: MIT
# ruff: noqa: E501  (tables of mistakes read best one to a line)
"""Board profiles: those that come with Torpor are whole and sourced; a broken one says where and what to do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from torpor_host import boards
from torpor_host.configuration.board import CHIPS, Board, Figure, pin_fault
from torpor_host.errors import ConfigError, UsageError
from torpor_host.paths import boards_dir

ALL = (
    "esp32-devkitc",
    "esp32c3-devkitm-1",
    "esp32s3-devkitc-1",
    "feather-nrf52840-sense",
    "virtual",
    "xiao-nrf52840-sense",
)


def figures(table: object, where: str = "") -> Iterator[tuple[str, Figure]]:
    for key in getattr(type(table), "model_fields", ()):
        value = getattr(table, key)
        if isinstance(value, Figure):
            yield f"{where}.{key}", value
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield from figures(inner, f"{where}.{key}.{name}")
        else:
            yield from figures(value, f"{where}.{key}")


def test_names() -> None:
    assert tuple(boards.names()) == ALL


@pytest.mark.parametrize("name", ALL)
def test_every_board_loads_and_every_number_has_a_source(name: str) -> None:
    board = boards.load(name)
    assert board.name == name
    found = list(figures(board))
    assert len(found) >= 16
    for where, figure in found:
        assert figure.source.strip(), where
        assert figure.checked in "VSCR", where
        assert figure.low <= figure.value <= figure.high, where
        assert where.rsplit("_", 1)[1] in ("uw", "mw", "uj", "mv", "hz", "bytes"), (
            f"{where}: no unit in the key"
        )
        if figure.checked == "R":
            assert figure.high >= 1.5 * figure.low, where
    for bus in board.bus.values():
        assert bus.source


@pytest.mark.parametrize("name", ALL)
def test_runtimes_and_architecture(name: str) -> None:
    board = boards.load(name)
    assert board.mpy_arch == CHIPS[board.chip].mpy_arch
    assert set(board.runtimes) == set(board.runtime)
    for runtime, facts in board.runtime.items():
        assert facts.filesystem == ("fat" if runtime == "circuitpython" else "littlefs")
        assert board.heap_bytes(runtime) > 30_000
        assert board.filesystem_bytes(runtime) > 100_000
    if board.chip == "nrf52840":  # MicroPython's port does not sleep there
        assert board.runtimes == ["circuitpython"]
        assert board.flash.board_id
        assert board.flash.family_id == 0xADA52840


@pytest.mark.parametrize("name", ALL)
def test_buses_use_pins_that_can(name: str) -> None:
    board = boards.load(name)
    assert any(b.kind == "i2c" for b in board.bus.values())
    for bus in board.bus.values():
        for pin in bus.lines().values():
            assert pin_fault(board, pin, ("out",)) is None


def test_known_pin_facts() -> None:
    """Facts that silicon fixes, so a slip in a profile shows."""
    esp32, s3, c3 = (boards.load(n) for n in ("esp32-devkitc", "esp32s3-devkitc-1", "esp32c3-devkitm-1"))
    for n in range(6, 12):
        assert esp32.pins[f"GPIO{n}"].reserved
    for n in (34, 35, 36, 39):
        assert "out" not in esp32.pins[f"GPIO{n}"].can
    for board, strapping in ((esp32, (0, 2, 5, 12, 15)), (s3, (0, 3, 45, 46)), (c3, (2, 8, 9))):
        for n in strapping:
            assert "strapping" in board.pins[f"GPIO{n}"].caution
    assert {p.number for p in c3.pins.values() if "wake" in p.can} == set(range(6))
    feather, xiao = boards.load("feather-nrf52840-sense"), boards.load("xiao-nrf52840-sense")
    assert feather.pins["D13"].number == 32 + 9
    assert xiao.pins["D6"].number == 32 + 11
    assert [feather.pins[p].number for p in ("SCL", "SDA")] == [11, 12]
    assert xiao.pin("P0_02") == xiao.pin("A0") == ("D0", xiao.pins["D0"])


def test_rows_and_description() -> None:
    rows = boards.as_rows()
    assert [r["board"] for r in rows] == list(ALL)
    assert len({tuple(r) for r in rows}) == 1
    text = boards.describe(boards.load("esp32-devkitc"))
    assert "GPIO12" in text
    assert "1.8 V flash" in text
    assert "micropython at 0x1000" in text
    assert "deep_sleep_module_uw     33 (16..50)  [S:" in text


@pytest.mark.parametrize("wrong", ["esp32s3-devkit", "ESP32S3-DEVKITC-1", "esp32s3-devkitc"])
def test_unknown_board_gets_the_nearest_spelling(wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        boards.load(wrong)
    assert wrong in caught.value.message
    assert "did you mean 'esp32s3-devkitc-1'?" in caught.value.fix


def test_own_profile_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = (boards_dir() / "esp32c3-devkitm-1.toml").read_text()
    path.write_text(text.replace('name = "esp32c3-devkitm-1"', 'name = "my-board"'))
    assert boards.load(str(path)).name == "my-board"
    assert boards.load(path).name == "my-board"
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/gone.toml:1:")):
        boards.load(tmp_path / "gone.toml")


# (what is replaced in esp32c3-devkitm-1.toml, by what, then: line's key, what is wrong, the fix)
BROKEN = [
    ('chip = "esp32c3"', 'chip = "esp32c4"', "chip", "is not known", "did you mean 'esp32c3'?"),
    ('mpy_arch = "rv32imc"', 'mpy_arch = "xtensawin"', "mpy_arch", "not the architecture of esp32c3", '"rv32imc"'),
    ('"espnow"]', '"lora"]', "links[2]", 'esp32c3 has no "lora"', "known: ble"),
    ("[cpu]", "[cup]", "cup", "unknown key", "did you mean 'cpu'?"),
    ("run_mw = {", "run_w = {", "power.run_mw", "missing", "add"),
    ("value = 88, low = 66", "value = 88, low = 99", "power.run_mw", "low 99, value 88", "low <= value <= high"),
    ("value = 5000, low = 300, high = 25000", "value = 5000, low = 4900, high = 5100",
     "power.deep_sleep_board_uw", "a recalled number with the narrow range", "widen it"),
    ('value = 88, low = 66, high = 120, checked = "S"', 'value = 88, low = 66, high = 120, checked = "Q"',
     "power.run_mw.checked", "none of the known values", "V, S, C, R"),
    ('value = 88, low = 66, high = 120, checked = "S", source =', 'value = 88, low = 66, high = 120, checked = "S", src =',
     "power.run_mw.source", "missing", "add source ="),
    ("supply_min_mv = { value = 3000", "supply_min_mv = { value = 3600",
     "power.supply_min_mv", "runs from 3600 mV up, but only to 3600", "correct one"),
    ("value = 88,", 'value = "88",', "power.run_mw.value", "a number is needed here", ""),
    ('scl = "GPIO7"', 'scl = "GPIO77"', "bus.i2c0.scl", "no pin 'GPIO77'", "did you mean 'GPIO7'?"),
    ('scl = "GPIO7"', 'scl = "GPIO6"', "bus.i2c0.sda", "GPIO6 is scl already", "each pin once"),
    ('scl = "GPIO7"', 'scl = "GPIO12"', "bus.i2c0.scl", "wired to SPI flash", "use one of"),
    ("GPIO7 = { number = 7,", "GPIO7 = { number = 6,", "pins.GPIO7.number", "GPIO 6 of esp32c3 is GPIO6 already", "also"),
    ('GPIO7 = { number = 7, can = ["in", "out"]', 'GPIO7 = { number = 7, can = ["in", "out", "adc"]',
     "pins.GPIO7.can", "GPIO7 can't do adc: esp32c3 has no converter there", "remove adc"),
    ('GPIO7 = { number = 7, can = ["in", "out"]', 'GPIO7 = { number = 7, can = ["in", "out", "wake"]',
     "pins.GPIO7.can", "GPIO7 can't do wake: esp32c3", "remove wake"),
    ('offset = { micropython = 0, circuitpython = 0 }', "offset = { micropython = 0 }",
     "flash.offset", "no address for circuitpython", "circuitpython = 0"),
    ("filesystem_bytes = { value = 2097152", "filesystem_bytes = { value = 9097152",
     "runtime.micropython.filesystem_bytes", "flash only 4194304", "correct one"),
    ("high = 160000,", "high = 1600000,", "runtime.micropython.heap_bytes", "409600 bytes of RAM", "correct one"),
    ('runtimes = ["micropython", "circuitpython"]', 'runtimes = ["micropython"]',
     "runtime.circuitpython", "circuitpython is not among runtimes", "add it there"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "key", "what", "fix"), BROKEN, ids=[b[2] + ":" + b[3][:20] for b in BROKEN]
)
def test_broken_profile(tmp_path: Path, old: str, new: str, key: str, what: str, fix: str) -> None:
    text = (boards_dir() / "esp32c3-devkitm-1.toml").read_text()
    assert old in text
    path = tmp_path / "broken.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        boards.load(path)
    lines = [p for p in caught.value.problems if f": {key}: " in p]
    assert lines, caught.value.problems
    assert re.match(re.escape(str(path)) + r":\d+: ", lines[0])
    assert what in lines[0]
    assert fix in lines[0].split(what, 1)[1]


def test_all_problems_at_once_with_their_lines(tmp_path: Path) -> None:
    text = (boards_dir() / "esp32c3-devkitm-1.toml").read_text()
    text = text.replace('mpy_arch = "rv32imc"', 'mpy_arch = "arm"').replace('sda = "GPIO6"', 'sda = "GPIO66"')
    path = tmp_path / "two.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        boards.load(path)
    assert len(caught.value.problems) == 2
    for problem, needle in zip(caught.value.problems, ('mpy_arch = "arm"', 'sda = "GPIO66"'), strict=True):
        line = int(problem.removeprefix(f"{path}:").split(":")[0])
        assert text.splitlines()[line - 1] == needle


def test_an_s2_has_no_ble(tmp_path: Path) -> None:
    text = (boards_dir() / "esp32s3-devkitc-1.toml").read_text()
    path = tmp_path / "s2.toml"
    path.write_text(text.replace('chip = "esp32s3"', 'chip = "esp32s2"', 1))
    with pytest.raises(ConfigError) as caught:
        boards.load(path)
    assert any('links[0]: esp32s2 has no "ble"' in p for p in caught.value.problems)


def test_board_is_json_able() -> None:
    dumped = boards.load("virtual").model_dump(mode="json")
    assert Board.model_validate(dumped) == boards.load("virtual")
