# SPDX-License-Identifier: MIT
"""The command line as a user meets it: help, exit codes, one line per mistake, data on stdout."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import REPOSITORY
from torpor_host import cli

FROST = REPOSITORY / "examples" / "frost"


def verbs() -> dict[str, argparse.ArgumentParser]:
    for action in cli.parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    raise AssertionError("no verbs")


def torpor(*args: object, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "torpor_host.cli", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'host'}:{REPOSITORY / 'device'}"},
    )


def refused(run: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Assert a clean refusal and return what was said."""
    assert run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.startswith("torpor: ")
    assert run.stdout == ""
    return run.stderr


@pytest.mark.parametrize("name", verbs())
def test_each_verb_has_help_with_an_example_that_parses(name: str) -> None:
    verb = verbs()[name]
    assert verb.description and verb.description.endswith(".")
    example = (verb.epilog or "").split("\n")[1].strip()
    words = shlex.split(example)
    assert words[:2] == ["torpor", name]
    assert cli.parser().parse_args(words[1:]).verb == name
    for action in verb._actions:
        assert action.help, f"{name}: {action.dest} has no help"


@pytest.mark.parametrize("name", verbs())
def test_each_verb_is_documented(name: str) -> None:
    assert f"torpor {name}" in (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("fly",),
        ("check",),
        ("compile", "x.tflite"),
        ("infer", "x.tpm", "--kernels", "magic"),
        ("run", "examples/frost", "--on", "virtual", "--for", "soon"),
        ("run", "examples/frost", "--on", "virtual", "--for", "0s"),
    ],
)
def test_wrong_usage_exits_with_2(args: tuple[str, ...]) -> None:
    refused(torpor(*args), code=2)


def test_check_says_what_fits() -> None:
    run = torpor("check", FROST)
    assert run.returncode == 0, run.stderr
    assert "no problem found" in run.stdout
    data = json.loads(torpor("check", FROST, "--json").stdout)
    assert data["ok"] is True and data["model"]["macs"] > 100


def test_check_lists_every_problem_at_once(tmp_path: Path) -> None:
    text = (FROST / "node.toml").read_text(encoding="utf-8")
    text = (
        text.replace("wake_every", "wake_evry").replace('"ble"', '"lorawan"').replace('"1h"', '"1 fortnight"')
    )
    (tmp_path / "node.toml").write_text(text, encoding="utf-8")
    said = refused(torpor("check", tmp_path))
    assert "wake_every" in said and "wake_evry" in said
    assert "report.link" in said
    assert said.count("node.toml:") >= 2


@pytest.mark.parametrize(
    "board",
    [
        "virtual",
        "esp32-devkitc",
        "esp32s3-devkitc-1",
        "esp32c3-devkitm-1",
        "feather-nrf52840-sense",
        "xiao-nrf52840-sense",
    ],
)
def test_new_writes_a_node_that_passes(board: str, tmp_path: Path) -> None:
    assert torpor("new", "shed", "--board", board, cwd=tmp_path).returncode == 0
    run = torpor("check", tmp_path / "shed")
    assert run.returncode == 0, run.stderr
    refused(torpor("new", "shed", "--board", board, cwd=tmp_path))


def test_boards_table_and_one_board() -> None:
    assert "esp32c3-devkitm-1" in torpor("boards").stdout
    one = torpor("boards", "feather-nrf52840-sense").stdout
    assert "nRF52840" in one or "nrf52840" in one
    assert {b["board"] for b in json.loads(torpor("boards", "--json").stdout)} >= {"virtual", "esp32-devkitc"}
    assert "esp32c3-devkitm-1" in refused(torpor("boards", "esp32c3-devkit"), code=2)


def test_compile_infer_inspect(tmp_path: Path) -> None:
    image, x, y = tmp_path / "frost.tpm", tmp_path / "x.npy", tmp_path / "y.npy"
    run = torpor("compile", FROST / "frost.tflite", "-o", image, "--json")
    report = json.loads(run.stdout)
    assert report["flash_bytes"] == image.stat().st_size
    assert set(report["fits"]) >= {"virtual", "esp32-devkitc"}
    n = report["inputs"][0]["shape"][-1]
    np.save(x, np.arange(5 * n, dtype=np.int8).reshape(5, n))
    outputs = []
    for options in ((), ("--kernels", "ulab"), ("--on", "micropython")):
        run = torpor("infer", image, "--input", x, "-o", y, *options)
        assert run.returncode == 0, run.stderr
        outputs.append(np.load(y))
    assert all((o == outputs[0]).all() for o in outputs) and len(outputs[0]) == 5
    assert "FULLY_CONNECTED" in torpor("inspect", image).stdout
    np.save(x, np.zeros((2, n + 1), np.int8))
    y.unlink()
    assert str(n) in refused(torpor("infer", image, "--input", x, "-o", y))
    assert not y.exists()


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x00" * 4096, b"hello"])
def test_bad_files_are_refused(content: bytes, tmp_path: Path) -> None:
    bad, out = tmp_path / "bad.bin", tmp_path / "out"
    refused(torpor("compile", tmp_path / "missing.tflite", "-o", out))
    bad.write_bytes(content)
    out.write_bytes(b"good")
    refused(torpor("compile", bad, "-o", out))
    np.save(tmp_path / "x.npy", np.zeros((1, 5), np.int8))
    refused(torpor("infer", bad, "--input", tmp_path / "x.npy", "-o", out))
    refused(torpor("inspect", bad))
    refused(torpor("collect", f"virtual:{tmp_path}/none", "--db", tmp_path / "t.sqlite"))
    assert out.read_bytes() == b"good"


def test_build_and_deploy_refusals(tmp_path: Path) -> None:
    run = torpor("build", FROST, "-o", tmp_path / "bundle", "--json")
    assert run.returncode == 0, run.stderr
    files = {f["path"] for f in json.loads(run.stdout)["files"]}
    assert {"main.py", "node.bin"} <= files
    assert "main.py" in torpor("inspect", tmp_path / "bundle").stdout
    refused(torpor("deploy", FROST, "--port", tmp_path / "no-such-port"))
    refused(torpor("build", tmp_path, "-o", tmp_path / "b"))


def test_inspect_wake_is_measured() -> None:
    data = json.loads(torpor("inspect", "--wake", FROST, "--json").stdout)
    early = {m["module"] for m in data["modules"]}
    late = {m["module"] for m in data["later"]}
    assert "torpor/node.mpy" in early
    assert not [m for m in early if "/nn/" in m or "/radio/" in m or "/dsp/" in m]
    assert any("/nn/" in m for m in late) and any("/radio/" in m for m in late)
    assert data["bytes"] == sum(m["bytes"] for m in data["modules"]) > 0
