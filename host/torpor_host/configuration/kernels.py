# SPDX-License-Identifier: MIT
"""Which kernel set a node's model runs on, and which device files that takes.

    kernels = choose("auto", "micropython", board, compiled.report, compiled.image)
    files = modules(kernels, compiled.image)

A bundle carries one set: what is probed for in vain costs a look-up on each wake. Machine code multiplies
ten (viper) to some hundred times (native) as fast as bytecode but is more to load, so that a small model is
cheaper without.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..compiler.device import import_device
from ..compiler.image import record_codes
from ..errors import TorporError
from ..kernels import carried, library, mpy
from ..paths import device_dir
from . import costs
from .board import Board
from .modules import closure

# by number in record 5 of node.bin (torpor/think.py)
NUMBERS = {"auto": 0, "reference": 1, "ulab": 2, "native": 3, "viper": 4}
NATIVE_FILE = f"{library.MODULE}.mpy"
_ENTRIES = {
    "reference": ("reference",), "ulab": ("ulab_kernels", "reference"), "native": ("native",),
    "viper": ("viper_kernels", "viper_loops", "reference"),
}  # fmt: skip


def choose(
    asked: str,
    runtime: str,
    board: Board,
    report: Mapping[str, Any],
    image: bytes,
    fits: Callable[[str], bool] = lambda kernels: True,
) -> str:
    """Return the kernel set: the one that is asked for, else, of those that fit the board's memory, the one
    that costs the node the least energy."""
    if asked != "auto":
        return asked
    if runtime == "circuitpython":  # it has ulab, and loads no native code
        return "ulab"
    possible = ["reference", "viper"]
    if _runs_native(board.mpy_arch, image):
        possible.append("native")
    possible.sort(key=lambda kernels: costs.infer_ms(board, kernels, report["macs"]).value)
    return next((kernels for kernels in possible if fits(kernels)), "reference")


def _runs_native(architecture: str, image: bytes) -> bool:
    try:
        carried.path(architecture)
    except TorporError:
        return False
    return records(image) <= mpy.CODES


def records(image: bytes) -> frozenset[int]:
    """Return the operator codes in an image."""
    return frozenset(record_codes(image))


def modules(kernels: str, image: bytes) -> tuple[str, ...]:
    """Return the device files, such as "torpor/nn/model.py", that run this very image, sorted."""
    device = device_dir()
    nn = Path("torpor", "nn")
    names = {"model", "image", *_ENTRIES[kernels]}
    model = import_device("torpor.nn.model").Model(image, "reference")
    if any(hasattr(view, "raw") for view in (*model.inputs, *model.outputs)):
        names.add("words")
    files = {f"{nn}/{name}.py" for name in names}
    if kernels != "native":
        leaves = {step[0].__module__.replace(".", "/") + ".py" for step in model._steps}
        files |= {f for f in closure(device, leaves) if Path(f).parent == nn and Path(f).stem != "__init__"}
    return tuple(sorted(files | {f"{nn}/__init__.py"}))


def native_file(architecture: str, codes: frozenset[int]) -> bytes:
    """Return the module for boards of that architecture that runs these records. Raises TorporError: there is
    none."""
    return carried.smallest(architecture, codes).read_bytes()
