# SPDX-License-Identifier: MIT
"""The wake path, measured: what a node loads before its first trigger decision, in a real MicroPython."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..deploy import bundle as bundles
from ..errors import DeviceError
from ..project import prepare
from .interpreter import command
from .world import World

_PROBE = Path(__file__).parent / "firmware" / "wake_probe.py"
_SIMULATED = "torpor/hal/simulated.mpy"


def wake_path(folder: Path) -> dict[str, Any]:
    """Build the node in `folder`, wake it once, and return JSON-able:

    modules [{module, bytes}] loaded before the first trigger decision and their `bytes` of .mpy; heap_bytes
    live after it; `later`, `later_bytes`: the rest of the bundle's modules. The node is built for the virtual
    board; its HAL stands in for the real one, whose size is given instead, where it has one.
    """
    own = prepare(folder)
    project = prepare(folder, "virtual")
    with tempfile.TemporaryDirectory() as scratch:
        bundle, real, world = (Path(scratch) / name for name in ("bundle", "real", "world"))
        manifest = bundles.build(project.spec, project.compiled, bundle)
        sizes = {f.path: f.bytes for f in manifest.files}
        own_sizes = {f.path: f.bytes for f in bundles.build(own.spec, own.compiled, real).files}
        world.mkdir()
        one_row = np.full((1, len(project.spec.channels)), 2000, np.int16)
        World("probe", tuple(project.spec.channels), 1_735_700_400, 3600, one_row).write(world / "world.bin")
        run = subprocess.run(
            [*command(), str(_PROBE), str(bundle), str(world)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if run.returncode:
        raise DeviceError(
            f"{folder}: the node does not wake: {run.stdout.strip().splitlines()[-1:]}", run.stdout
        )
    loaded, heap = [], 0
    for line in run.stdout.splitlines():
        word, value = line.split(" ", 1)
        if word == "heap":
            heap = int(value)
        else:
            loaded.append(_file_of(value, sizes))
    hal = next(
        (p for p in own_sizes if "/hal/" in p and not p.endswith("__init__.mpy") and p != _SIMULATED), None
    )

    def row(path: str) -> dict[str, Any]:
        size = own_sizes[hal] if path == _SIMULATED and hal else sizes[path]
        return {"module": hal if path == _SIMULATED and hal else path, "bytes": size}

    modules = [row(p) for p in loaded]
    later = [row(p) for p in sorted(sizes) if p.endswith((".mpy", ".py")) and p not in loaded]
    return {
        "modules": modules,
        "bytes": sum(m["bytes"] for m in modules),
        "heap_bytes": heap,
        "later": later,
        "later_bytes": sum(m["bytes"] for m in later),
    }


def _file_of(module: str, sizes: dict[str, int]) -> str:
    path = module.replace(".", "/")
    for candidate in (path + ".mpy", path + "/__init__.mpy", path + ".py", path + "/__init__.py"):
        if candidate in sizes:
            return candidate
    raise DeviceError(f"{module} was loaded, but is not in the bundle")
