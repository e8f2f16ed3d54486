# SPDX-License-Identifier: MIT
"""Which kernels a node gets, what its bundle holds for them, and that a board of another kind refuses it."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from test_cli import torpor
from test_fit import node_with

from compiler.native_machine import Machine
from torpor.errors import ImageError
from torpor.nn.model import Model
from torpor_host import boards
from torpor_host.compiler import compile_file
from torpor_host.compiler.image import CODES
from torpor_host.configuration import kernels
from torpor_host.deploy import bundle as bundles
from torpor_host.deploy.deploy import deploy
from torpor_host.deploy.link import BoardInfo, FakeLink
from torpor_host.errors import DeviceError
from torpor_host.kernels import carried, library, mpy
from torpor_host.project import prepare

NUMBERS = {t.name: t.number for t in mpy.TARGETS.values()}
needs_native = pytest.mark.skipif(not carried.for_machine(), reason="no native kernels for this machine")


def node(folder: Path, hidden: int, board: str, asked: str = "auto") -> Path:
    made = node_with(hidden, folder)
    text = (made / "node.toml").read_text()
    text = text.replace("esp32s3-devkitc-1", board).replace("[model]\n", f'[model]\nkernels = "{asked}"\n')
    (made / "node.toml").write_text(text)
    return made


def test_native_kernels_and_nothing_else(tmp_path: Path) -> None:
    project = prepare(node(tmp_path / "node", 3000, "esp32c3-devkitm-1", "native"))
    manifest = bundles.build(project.spec, project.compiled, tmp_path / "out")
    nn = {f.path for f in manifest.files if f.path.startswith("torpor/nn/")}
    assert nn == {f"torpor/nn/{name}.mpy" for name in ("model", "image", "native")}
    assert (tmp_path / "out" / kernels.NATIVE_FILE).read_bytes() == carried.path(
        "rv32imc", small=True
    ).read_bytes()


def test_a_small_model_gets_plain_python_of_its_operators(tmp_path: Path) -> None:
    project = prepare(node(tmp_path / "node", 8, "esp32c3-devkitm-1"))
    assert project.spec.kernels == "reference"
    manifest = bundles.build(project.spec, project.compiled, tmp_path / "out")
    nn = {f.path for f in manifest.files if f.path.startswith("torpor/nn/")}
    assert nn == {f"torpor/nn/{name}.mpy" for name in ("model", "image", "reference", "dense", "fixed")}
    assert kernels.NATIVE_FILE not in {f.path for f in manifest.files}


def test_a_model_between_gets_viper(tmp_path: Path) -> None:
    project = prepare(node(tmp_path / "node", 1000, "esp32c3-devkitm-1"))
    assert project.spec.kernels == "viper"
    manifest = bundles.build(project.spec, project.compiled, tmp_path / "out")
    nn = {f.path.split("/")[-1] for f in manifest.files if f.path.startswith("torpor/nn/")}
    plain = {"dense.mpy", "fixed.mpy", "image.mpy", "model.mpy", "reference.mpy"}
    assert nn == plain | {"viper_kernels.mpy", "viper_loops.mpy"}
    code = (tmp_path / "out" / "torpor" / "nn" / "viper_loops.mpy").read_bytes()
    assert code[2] >> 2 == NUMBERS["rv32imc"]


def test_circuitpython_gets_ulab() -> None:
    assert kernels.choose("auto", "circuitpython", boards.load("feather-nrf52840-sense"), {}, b"") == "ulab"


def test_the_cheaper_set_wins() -> None:
    board = boards.load("esp32c3-devkitm-1")
    image = compile_file(Path(__file__).parents[2] / "examples" / "frost" / "frost.tflite").image
    found = [
        kernels.choose("auto", "micropython", board, {"macs": macs}, image) for macs in (10, 10**4, 10**6)
    ]
    assert found == ["reference", "viper", "native"]
    unknown = replace_code(image, 999)
    with pytest.raises(ImageError):
        Model(unknown, "reference")
    assert kernels.choose("auto", "micropython", board, {"macs": 10**6}, unknown) == "viper"


def replace_code(image: bytes, code: int) -> bytes:
    """The image with another operator code in its first record, under a right CRC."""
    import zlib

    data = bytearray(image)
    struct.pack_into("<H", data, struct.unpack_from("<I", data, 28)[0], code)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


def test_native_codes_are_those_of_the_c() -> None:
    """check() says < 0 where it does not know a record, > 0 where it finds a known one bad."""
    small = Machine("armv6m", carried.path("armv6m", small=True).read_bytes())
    image = compile_file(Path(__file__).parents[2] / "examples" / "frost" / "frost.tflite").image
    arena = bytearray(1 << 16)
    for code in CODES:
        other = bytearray(replace_code(image, code))
        at = struct.unpack_from("<I", other, 28)[0]
        struct.pack_into("<i", other, at + 4, -(1 << 31))  # no operator's first argument
        assert (library.module().check(bytes(other), arena) >= 0) == (code in mpy.CODES), CODES[code]
        assert (small.check(bytes(other), len(arena)) >= 0) == (code in mpy.SMALL_CODES), CODES[code]


@needs_native
def test_a_node_sends_the_same_frames_on_any_kernels(tmp_path: Path) -> None:
    """The real MicroPython loads the module from the board's file system, over some days of weather."""
    found = {}
    for asked in ("reference", "viper", "native"):
        folder = node(tmp_path / asked, 40, "esp32c3-devkitm-1", asked)
        out = tmp_path / f"out-{asked}"
        run = torpor("run", folder, "--on", "virtual", "--for", "20d", "--out", out, "--json")
        assert run.returncode == 0, run.stderr
        summary = json.loads(run.stdout)
        assert summary["counters"]["inferences"] > 100 and not summary["counters"]["faults"]
        found[asked] = (summary["counters"]["inferences"], summary["uplinks"], summary.get("events"))
        listed = {p.name for p in (out / "bundle").iterdir()}
        assert (kernels.NATIVE_FILE in listed) == (asked == "native")
    assert found["native"] == found["reference"] == found["viper"]


@pytest.mark.parametrize(
    ("board", "module", "good"),
    [
        ("armv7emsp", "armv7emsp", True), ("armv7emsp", "armv6m", True), ("armv6m", "armv7emsp", False),
        ("rv32imc", "armv6m", False), ("x64", "x64", True), ("rv32imc", "x64", False),
    ],
)  # fmt: skip
def test_which_machine_code_a_board_loads(board: str, module: str, good: bool) -> None:
    assert carried.loads(NUMBERS[board], NUMBERS[module]) == good


@pytest.mark.parametrize(("native", "says"), [(10, "the board is xtensawin"), (0, "without native code")])
def test_deploy_refuses_machine_code_of_another_board(native: int, says: str, tmp_path: Path) -> None:
    project = prepare(node(tmp_path / "node", 3000, "esp32c3-devkitm-1", "native"))
    spec = replace(project.spec, encrypt=False)
    bundles.build(spec, project.compiled, tmp_path / "out")
    link = FakeLink()
    link.info = BoardInfo("micropython", "1.29.0", 6, native)
    with pytest.raises(DeviceError, match=says) as caught:
        deploy(tmp_path / "out", link)
    assert not link.files and "rv32imc" in str(caught.value) and caught.value.fix
    link.info = replace(link.info, native=11)
    deploy(tmp_path / "out", link)
    assert link.files[kernels.NATIVE_FILE] == carried.path("rv32imc", small=True).read_bytes()
