# SPDX-License-Identifier: MIT
"""`torpor new`: what it writes passes the check, on every board, and nothing is ever overwritten."""

from pathlib import Path

import pytest

from torpor_host import boards, config, newnode
from torpor_host.errors import TorporError, UsageError
from torpor_host.paths import boards_dir


@pytest.mark.parametrize("board", boards.names())
def test_a_new_node_passes_the_check(tmp_path: Path, board: str) -> None:
    path = newnode.create("shed-2", board, tmp_path / "shed-2")
    assert path == tmp_path / "shed-2" / "node.toml"
    spec = config.load(tmp_path / "shed-2")
    assert (spec.name, spec.board.name, spec.model_path) == ("shed-2", board, None)
    assert spec.warnings == ()
    assert spec.encode()
    assert config.load(tmp_path / "shed-2", "virtual").encode()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["shed-2"]


def test_lines_that_are_commented_out_are_right_too(tmp_path: Path) -> None:
    path = newnode.create("shed", "esp32s3-devkitc-1", tmp_path / "shed")
    text = path.read_text().replace("  # { kind", "  { kind")
    path.write_text(text)
    assert [t.kind for t in config.load(tmp_path / "shed").triggers] == ["level", "change", "zscore"]


def test_without_an_i2c_bus_an_analog_pin(tmp_path: Path) -> None:
    text = (boards_dir() / "esp32c3-devkitm-1.toml").read_text()
    start, end = text.index("[bus.i2c0]"), text.index("[flash]")
    board = tmp_path / "plain.toml"
    board.write_text(text[:start].replace('"esp32c3-devkitm-1"', '"plain"') + text[end:])
    newnode.create("probe", str(board), tmp_path / "probe")
    spec = config.load(tmp_path / "probe")
    assert (spec.sensor_kind, spec.channels, spec.source.args[0]) == ("adc", ("voltage",), 0)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "node.toml").write_text("mine")
    with pytest.raises(TorporError, match="is there already; choose another name"):
        newnode.create("here", "virtual", tmp_path / "here")
    assert (tmp_path / "here" / "node.toml").read_text() == "mine"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(TorporError, match="is there already"):
        newnode.create("dangling", "virtual", tmp_path / "dangling")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["", "Two Words", "UPPER", "a/b", "x" * 40, "../up"])
def test_bad_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="lower-case letters"):
        newnode.create(name, "virtual", tmp_path / "n")
    assert not list(tmp_path.iterdir())


def test_unknown_board(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'virtual'"):
        newnode.create("n", "virtua", tmp_path / "n")
    assert not list(tmp_path.iterdir())


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TorporError, match="choose a place that can be written"):
        newnode.create("n", "virtual", tmp_path / "file" / "n")
