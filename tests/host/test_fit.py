# SPDX-License-Identifier: MIT
"""What `check` says of memory is what happens: a model that just fits runs in the node, one that does not is
refused before anything is built."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_cli import refused, torpor

from conftest import REPOSITORY
from torpor_host import boards, cli, lifecycle
from torpor_host.compiler import compile_file
from torpor_host.configuration.memory import heap_bytes
from torpor_host.kernels import carried
from torpor_host.project import prepare
from torpor_host.train.mlp import Mlp
from torpor_host.train.quantize import calibrate, quantize
from torpor_host.train.tflite import write_mlp

INPUTS = 7  # of the frost node


def node_with(hidden: int, folder: Path) -> Path:
    """The frost node with a random network of `hidden` units in place of its model."""
    shutil.copytree(REPOSITORY / "examples" / "frost", folder)
    random = np.random.default_rng(hidden)
    weights = [random.normal(0, 0.3, (hidden, INPUTS)), random.normal(0, 0.3, (1, hidden))]
    net = Mlp(weights, [random.normal(0, 0.1, hidden), random.normal(0, 0.1, 1)])
    x = random.normal(0, 1, (64, INPUTS))
    write_mlp(quantize(net, x, calibrate(x).scale), folder / "frost.tflite", "big")
    return folder


@pytest.mark.parametrize("hidden", [1600, 6000])
def test_a_model_that_fits_runs(hidden: int, tmp_path: Path) -> None:
    """In a heap of exactly the bytes that the check counts with."""
    node = node_with(hidden, tmp_path / "node")
    report = compile_file(node / "frost.tflite").report
    project = prepare(node, "virtual")
    wanted = {1600: "viper", 6000: "native"}[hidden]  # viper would need more than the S3's heap
    assert project.spec.runs_on == (wanted if carried.for_machine() else "reference")
    assert lifecycle.heap_for(project) == heap_bytes(report, boards.load("virtual"), project.spec.runs_on)
    run = torpor("run", node, "--on", "virtual", "--for", "2d", "--out", tmp_path / "out", "--json")
    assert run.returncode == 0, run.stderr
    counters = json.loads(run.stdout)["counters"]
    assert counters["inferences"] > 20 and counters["faults"] == 0


def test_too_little_memory_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose model never ran says so: faults are counted, printed, and the exit code is 1."""
    node = node_with(6000, tmp_path / "node")
    monkeypatch.setattr(lifecycle, "heap_for", lambda project: 100 * 1024)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", str(node), "--on", "virtual", "--for", "4d", "--out", "out", "--json"]) == 1
    counters = json.loads((tmp_path / "out" / "report.json").read_text())["counters"]
    assert counters["inferences"] == 0 and counters["faults"] > 0


def test_a_model_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    node = node_with(14000, tmp_path / "node")
    said = refused(torpor("check", node))
    assert "heap" in said and "model.file" in said
    refused(torpor("run", node, "--on", "virtual", "--for", "1d", "--out", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
