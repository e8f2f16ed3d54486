# SPDX-License-Identifier: MIT
"""The golden images of the device suite are what the compiler writes and tflite-micro computes today."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def tool(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("nn_golden", repository / "tools" / "nn_golden.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_goldens_are_current(tool: ModuleType) -> None:
    made = tool.make()
    assert {f.name for f in tool.FOLDER.iterdir()} == set(made)
    for name, content in made.items():
        assert tool.FOLDER.joinpath(name).read_bytes() == content, f"{name}: run tools/nn_golden.py"
        assert len(content) < 3000
