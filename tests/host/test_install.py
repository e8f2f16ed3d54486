# SPDX-License-Identifier: MIT
"""`torpor install`: a model on a board without a node, with what the board itself says that it loads."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_cli import refused, torpor

from compiler.builder import KINDS, oracle
from torpor_host.compiler import compile_bytes
from torpor_host.configuration.kernels import records
from torpor_host.deploy.install import install
from torpor_host.deploy.link import BoardInfo, FakeLink
from torpor_host.errors import DeviceError, DiskFullError, ImageFileError
from torpor_host.kernels import carried
from torpor_host.simulate.virtual_board import VirtualBoard

CASE = KINDS["conv"](np.random.default_rng(5))
IMAGE = compile_bytes(CASE.model, "conv").image
NUMBERS = {
    "armv6m": 4,
    "armv7emsp": 7,
    "armv7emdp": 8,
    "xtensa": 9,
    "xtensawin": 10,
    "rv32imc": 11,
    "rv64imc": 12,
}


def board(native: int, runtime: str = "micropython", mpy: int = 6) -> FakeLink:
    link = FakeLink({"main.py": b"the user's own", "torpor/nn/mine.txt": b"too"})
    link.info = BoardInfo(runtime, "1.29.0", mpy, native)
    return link


def mpremote(port: str, *command: str) -> str:
    run = [sys.executable, "-m", "mpremote", "connect", port, "resume", *command]
    return subprocess.run(run, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize(
    ("board_is", "module"),
    [("armv6m", "armv6m"), ("armv7emsp", "armv7emsp"), ("armv7emdp", "armv7emsp"), ("rv32imc", "rv32imc"),
     ("xtensawin", "xtensawin")],
)  # fmt: skip
def test_the_board_says_which_machine_code(board_is: str, module: str) -> None:
    link = board(NUMBERS[board_is])
    done = install(IMAGE, "cat", link)
    assert (done.kernels, done.architecture) == ("native", board_is)
    assert link.files["torpor_native.mpy"] == carried.smallest(module, records(IMAGE)).read_bytes()
    assert link.files["cat.tpm"] == IMAGE and link.files["main.py"] == b"the user's own"
    assert {p for p in link.files if p.startswith("torpor/nn/") and p.endswith(".mpy")} == {
        "torpor/nn/image.mpy", "torpor/nn/model.mpy", "torpor/nn/native.mpy",
    }  # fmt: skip
    again = install(IMAGE, "cat", link)
    assert again.sent == [] and len(again.unchanged) == len(done.sent)


def test_boards_without_a_module_of_ours() -> None:
    link = board(NUMBERS["xtensa"])
    assert install(IMAGE, "cat", link).kernels == "viper" and "torpor_native.mpy" not in link.files
    assert link.files["torpor/nn/viper_loops.mpy"][2] >> 2 == NUMBERS["xtensa"]
    for native in (0, NUMBERS["rv64imc"]):
        link = board(native)
        assert install(IMAGE, "cat", link).kernels == "reference"
        assert not any("viper" in p or "native" in p for p in link.files)
    link = board(-1, "circuitpython", -1)
    assert install(IMAGE, "cat", link).kernels == "ulab"
    assert b"import" in link.files["torpor/nn/ulab_kernels.py"]


def test_what_it_refuses() -> None:
    for bad, words in ((IMAGE[:-3], "truncated"), (b"", "empty")):
        with pytest.raises(ImageFileError, match=words):
            install(bad, "cat", board(7))
    with pytest.raises(DeviceError, match=r"loads \.mpy version 5"):
        install(IMAGE, "cat", board(7, mpy=5))
    link = board(7)
    link.disk_bytes = 30_000
    before = dict(link.files)
    with pytest.raises(DiskFullError):
        install(IMAGE, "cat", link)
    assert link.files == before


@pytest.mark.skipif(not carried.for_machine(), reason="no native kernels for this machine")
def test_on_a_real_micropython(tmp_path: Path) -> None:
    """Over the real mpremote; then a program of the user's own runs the model from the board's files."""
    (tmp_path / "cat.tpm").write_bytes(IMAGE)
    with VirtualBoard(tmp_path / "board") as virtual:
        virtual.create()
        port = virtual.start()
        run = torpor("install", tmp_path / "cat.tpm", "--port", port, "--json")
        assert run.returncode == 0, run.stderr
        done = json.loads(run.stdout)
        assert (done["kernels"], done["architecture"]) == ("native", carried.for_machine())
        (tmp_path / "x").write_bytes(CASE.inputs[0].tobytes())
        mpremote(port, "fs", "cp", str(tmp_path / "x"), ":x")
        program = (
            "from torpor.nn.model import load\n"
            "m = load('cat.tpm')\n"
            "open('x', 'rb').readinto(m.input)\n"
            "m.run()\n"
            "print(m.kernels, bytes(memoryview(m.output)).hex())\n"
        )
        said = mpremote(port, "exec", program)
    kernels, output = said.split()
    assert (kernels, output) == ("native", oracle(CASE.model, CASE.inputs)[0].tobytes().hex())


def test_a_users_mistake_is_one_line(tmp_path: Path) -> None:
    assert "no such" in refused(torpor("install", tmp_path / "none.tpm", "--port", "/dev/ttyNONE")).lower()
    assert replace(board(7).info, native=0).native == 0
