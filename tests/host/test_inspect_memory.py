# SPDX-License-Identifier: MIT
"""`torpor inspect M.tpm --memory`: the arena over one run, as a table, as JSON and as a picture."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from compiler.builder import Builder, Rng
from conftest import REPOSITORY
from torpor_host import cli
from torpor_host.compiler import compile_bytes, compile_file, memory
from torpor_host.report import arena

FROST = REPOSITORY / "examples" / "frost" / "frost.tflite"
MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".PNG": b"\x89PNG"}


@pytest.fixture
def frost(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "frost.tpm"
    path.write_bytes(compile_file(FROST).image)
    yield path


def torpor(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code = cli.main([str(a) for a in args])
    out, err = capsys.readouterr()
    return code, out, err


def dense_chain(units: tuple[int, ...]) -> bytes:
    """A model of FULLY_CONNECTED layers, int8, of these widths."""
    rng: Rng = np.random.default_rng(7)
    b = Builder()
    first = t = b.tensor((1, units[0]), "int8", 0.05, 3)
    for depth, count in pairwise(units):
        w = rng.integers(-127, 128, size=(count, depth), dtype=np.int8)
        weights = b.tensor((count, depth), "int8", 0.01, 0, w)
        y = b.tensor((1, count), "int8", 0.1, -5)
        b.operator("FULLY_CONNECTED", [t, weights, -1], [y], 4)
        t = y
    return b.build([first], [t])


def test_layout_of_a_chain() -> None:
    layout = memory.lay_out(compile_bytes(dense_chain((64, 32, 160, 16)), "chain").image, "chain")
    assert [(b.kind, b.size_bytes, b.first, b.last) for b in layout.boxes] == [
        ("input", 64, -1, 0),
        ("inner", 32, 0, 1),
        ("inner", 160, 1, 2),
        ("output", 16, 2, 3),
    ]
    assert layout.live_bytes == (64, 96, 192, 176, 16)
    assert layout.moment(layout.peak_moment) == "1 FULLY_CONNECTED"
    assert layout.arena_bytes == 192 == max(layout.top_bytes)
    assert not any(a.meets(b) for a in layout.boxes for b in layout.boxes if a is not b)


def test_parts_that_lie_between_one_another_are_one_box() -> None:
    rng = np.random.default_rng(3)
    b = Builder()
    left, right = (b.tensor((1, 4, 3), "int8", 0.1, 0) for _ in range(2))
    both = b.tensor((1, 4, 6), "int8", 0.1, 0)
    b.operator("CONCATENATION", [left, right], [both], 2, axis=2)
    weights = b.tensor((2, 24), "int8", 0.01, 0, rng.integers(-127, 128, size=(2, 24), dtype=np.int8))
    y = b.tensor((1, 2), "int8", 0.1, 0)
    b.operator("FULLY_CONNECTED", [both, weights, -1], [y], 4)
    layout = memory.lay_out(compile_bytes(b.build([left, right], [y]), "parts").image, "parts")
    assert layout.operators == ("COPY", "COPY", "FULLY_CONNECTED")
    inner = [box for box in layout.boxes if box.kind == "inner"]
    assert [(box.size_bytes, box.first, box.last) for box in inner] == [(24, 0, 2)]


@pytest.mark.parametrize(("units", "peak"), [((64, 32, 160, 16), 1), ((8, 200, 90, 90), 1), ((90, 64, 2), 0)])
def test_compile_says_when_the_peak_is(units: tuple[int, ...], peak: int) -> None:
    report = compile_bytes(dense_chain(units), "chain").report
    assert report["peak_layer"] == {"index": peak, "name": "FULLY_CONNECTED"}


def test_table(frost: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = torpor(capsys, "inspect", frost, "--memory")
    assert (code, err) == (0, "")
    assert "0 FULLY_CONNECTED" in out and "input int8" in out and "before" in out and "after" in out
    assert sum(line.endswith("peak") for line in out.splitlines()) == 1


def test_json(frost: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    code, out, _ = torpor(capsys, "inspect", frost, "--memory", "--json")
    data = json.loads(out)
    assert code == 0
    layout = memory.lay_out(frost.read_bytes(), "frost")
    assert data["arena_bytes"] == layout.arena_bytes
    assert [t["at"] for t in data["tensors"]] == [b.at for b in layout.boxes]
    assert data["peak"]["live_bytes"] == max(m["live_bytes"] for m in data["moments"])
    assert data["moments"][data["peak"]["moment"] + 1]["operator"] == data["peak"]["operator"]
    code, again, _ = torpor(capsys, "inspect", frost, "--memory", plot, "--json")
    assert (code, json.loads(again)) == (0, data) and plot.exists()


@pytest.mark.parametrize("suffix", sorted(MAGIC))
def test_pictures(suffix: str, frost: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / f"plot{suffix}"
    drawn = []
    for _ in range(2):
        code, out, _ = torpor(capsys, "inspect", frost, "--memory", plot)
        assert code == 0 and str(plot) in out and "arena" in out
        drawn.append(plot.read_bytes())
    assert drawn[0].startswith(MAGIC[suffix]) and drawn[0] == drawn[1]


def test_picture_names_records_and_peak() -> None:
    layout = memory.lay_out(compile_bytes(dense_chain((64, 32, 160, 16)), "chain").image, "chain")
    text = arena.draw(layout, ".svg").decode()  # letters are paths; matplotlib notes what they spell
    for words in ("0 FULLY_CONNECTED", "2 FULLY_CONNECTED", "peak 192 B at 1 FULLY_CONNECTED", "input"):
        assert f"<!-- {words} -->" in text


@pytest.mark.parametrize("name", ["plot.bmp", "plot", "plot.tpm"])
def test_unknown_kind_of_picture(
    name: str, frost: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = torpor(capsys, "inspect", frost, "--memory", tmp_path / name)
    assert (code, out) == (2, "")
    assert name in err and ".png" in err and not (tmp_path / name).exists()


def test_what_is_no_image(frost: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert torpor(capsys, "inspect", tmp_path, "--memory")[0] == 2
    assert torpor(capsys, "inspect", frost, "--wake", "--memory")[0] == 2
    assert torpor(capsys, "inspect", tmp_path / "none.tpm", "--memory")[0] == 1


def test_damaged_image_leaves_the_old_picture(
    frost: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plot = tmp_path / "plot.png"
    plot.write_bytes(b"old")
    data = bytearray(frost.read_bytes())
    data[100] ^= 1
    frost.write_bytes(data)
    code, out, err = torpor(capsys, "inspect", frost, "--memory", plot)
    assert (code, out) == (1, "") and "frost.tpm" in err
    assert plot.read_bytes() == b"old"


def test_picture_that_cannot_be_written(
    frost: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "folder.png"
    folder.mkdir()
    code, out, err = torpor(capsys, "inspect", frost, "--memory", folder)
    assert (code, out) == (1, "") and "folder.png" in err
    assert sorted(tmp_path.iterdir()) == [folder, frost]


def test_compile_prints_a_model_whose_input_has_no_scale(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    b = Builder()
    x, y = b.tensor((1, 8), "float32", 1.0, 0), b.tensor((1, 8), "int8", 0.1, 0)
    b.operator("QUANTIZE", [x], [y], 1)
    (tmp_path / "x.tflite").write_bytes(b.build([x], [y]))
    code, out, err = torpor(capsys, "compile", tmp_path / "x.tflite", "-o", tmp_path / "x.tpm")
    assert (code, err) == (0, "")
    assert "float32 [1, 8]\n" in out and "int8 [1, 8] scale 0.1 zero point 0" in out
