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
_DEEP_SLEEP = 10


def wake_path(folder: Path) -> dict[str, Any]:
    """Build the node in `folder`, wake it twice, and return of the second wake, JSON-able:

    modules [{module, bytes}] loaded before the trigger decision and the `bytes` of their files; heap_bytes
    live after it (on a 64-bit machine: about twice a board's); `later`, `later_bytes`: the rest of the
    bundle's modules. The node runs on the virtual board; where its HAL, source and link stand in for the
    real ones, those are listed, with their own sizes.
    """
    own = prepare(folder)
    project = prepare(folder, "virtual")
    with tempfile.TemporaryDirectory() as scratch:
        bundle, real, world = (Path(scratch) / name for name in ("bundle", "real", "world"))
        run = _modules(bundles.build(project.spec, project.compiled, bundle))
        sizes = _modules(bundles.build(own.spec, own.compiled, real))
        world.mkdir()
        mild = np.full((3, len(project.spec.channels)), 2000, np.int16)
        World("probe", tuple(project.spec.channels), 0, project.spec.wake_every_s, mild).write(
            world / "world.bin"
        )
        _probe(bundle, world, "first", _DEEP_SLEEP)
        words = [line.split(" ", 1) for line in _probe(bundle, world, "measure", 0)]
    loaded = {value.replace(".", "/") for word, value in words if word == "module"} & set(run)
    stand_ins = loaded - set(sizes)  # the simulated HAL, the replayed source
    early = {m for m in loaded | {"main", "code"} if m in sizes}
    if stand_ins:
        early |= {m for m in sizes if m not in run and "/radio/" not in m}
    return {
        "modules": [{"module": sizes[m][0], "bytes": sizes[m][1]} for m in sorted(early)],
        "bytes": sum(sizes[m][1] for m in early),
        "heap_bytes": next(int(value) for word, value in words if word == "heap"),
        "later": [{"module": sizes[m][0], "bytes": sizes[m][1]} for m in sorted(sizes) if m not in early],
        "later_bytes": sum(sizes[m][1] for m in sizes if m not in early),
    }


def _modules(manifest: Any) -> dict[str, tuple[str, int]]:
    """Module as a path without its ending -> (file, bytes)."""
    code = [f for f in manifest.files if f.path.endswith((".mpy", ".py"))]
    return {f.path.rsplit(".", 1)[0].removesuffix("/__init__"): (f.path, f.bytes) for f in code}


def _probe(bundle: Path, world: Path, what: str, expected: int) -> list[str]:
    run = subprocess.run(
        [*command(), str(_PROBE), str(bundle), str(world), what],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if run.returncode != expected:
        last = run.stdout.strip().splitlines()[-1:] or [f"exit code {run.returncode}"]
        raise DeviceError(f"{bundle}: the node does not wake: {last[0]}", run.stdout)
    return run.stdout.splitlines()
