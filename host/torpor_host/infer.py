# SPDX-License-Identifier: MIT
"""Runs a model image on the host: here, or in a real MicroPython process. `torpor infer` in the CLI.

    y = run(Path("kws.tpm").read_bytes(), load_npy(Path("x.npy")), on="micropython")

x is one input of the model's shape, with or without its leading 1, and gives one output of the model's
shape; or a batch [N, ...] of them, and gives [N, ...]. x of the input's own type goes in as it is; float x
for an int8 input, or an int16 input that has a scale, is quantized with it as TensorFlow Lite Micro's
QUANTIZE does it (float32 division, halves away from zero). A batch is run in its order on one model: what a
streaming model keeps goes from each input to the next.
"""

import io
import math
import os
import shutil
import stat
import subprocess
import tempfile
import tokenize
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .compiler import image as images
from .compiler.device import import_device
from .compiler.image import ImageInfo, TensorInfo
from .compiler.ir import NUMPY
from .compiler.operators.quantize import quantize_array
from .errors import DeviceError, TorporError
from .files import write_whole
from .kernels import carried, library, ulab_stand_in
from .paths import device_dir
from .simulate import interpreter

KERNELS = ("reference", "ulab", "viper", "native")
PLACES = ("cpython", "micropython")
WEIGHTS = ("rom", "ram", "stream")
Progress = Callable[[int, int], None]
# What numpy's reader of headers, which evaluates text, may raise when that text is damaged.
_DAMAGED = (
    ValueError, EOFError, TypeError, LookupError, AttributeError, SyntaxError, tokenize.TokenError,
    RecursionError, MemoryError, OverflowError,
)  # fmt: skip

# Runs under MicroPython: DEVICE_DIR IMAGE X Y KERNELS WEIGHTS; one line per run, or one that says what is
# missing.
# A native module lies beside it.
_RUNNER = """
import sys
sys.path.insert(0, sys.argv[1])
from torpor.errors import ImageError
from torpor.nn.model import Model, load
mode = None if sys.argv[6] == "auto" else sys.argv[6]
try:
    if mode == "rom":
        with open(sys.argv[2], "rb") as f:
            model = Model(f.read(), sys.argv[5], mode)
    else:
        model = load(sys.argv[2], sys.argv[5], mode)
except ImportError as e:
    print("missing", e)
    sys.exit(3)
except ImageError as e:
    print("unknown", e.args[0], e.args[1])
    sys.exit(4)
def raw(view):
    return getattr(view, "raw", view)
x, y = raw(model.input), raw(model.output)
with open(sys.argv[3], "rb") as source, open(sys.argv[4], "wb") as sink:
    while source.readinto(x) == len(x):
        model.run()
        sink.write(y)
        print("run")
"""


def run(
    image: bytes,
    x: np.ndarray,
    kernels: str = "reference",
    on: str = "cpython",
    progress: Progress | None = None,
    weights: str | None = None,
) -> np.ndarray:
    """Return the outputs for `x`, of the model's own type: int8, int16, int32 or float32.

    weights: one of WEIGHTS, as torpor.nn.model.Model has them; None: as it chooses.
    progress(done, total) is called after each input. Raises ImageFileError (bad image), TorporError
    (wrong shape, dtype or kernel set), DeviceError (MicroPython failed; carries its traceback).
    """
    if kernels not in KERNELS or on not in PLACES:
        raise TorporError(
            f"kernels {kernels!r} on {on!r}: no such combination",
            fix=f"kernels: {', '.join(KERNELS)}; on: {', '.join(PLACES)}",
        )
    if kernels == "viper" and on == "cpython":
        raise TorporError("viper is MicroPython's", fix="add --on micropython")
    if weights not in (None, *WEIGHTS):
        raise TorporError(f"no weights {weights!r}", fix=f"weights: {', '.join(WEIGHTS)}")
    info = images.read(image, "image")
    if len(info.inputs) != 1 or len(info.outputs) != 1:
        raise TorporError(
            f"the model has {len(info.inputs)} inputs and {len(info.outputs)} outputs, not one of each",
            fix="use torpor.nn.model.Model, whose .inputs and .outputs have them all",
        )
    batch, single = as_batch(info, x)
    report = progress or (lambda done, total: None)
    execute = _on_cpython if on == "cpython" else _on_micropython
    raw = execute(image, batch, info, kernels, report, weights)
    out = info.outputs[0]
    y = np.frombuffer(raw, dtype=NUMPY[out.dtype]).copy()
    if single:
        return y.reshape(out.shape)
    return y.reshape((len(batch), *_one(out)))


def _one(tensor: TensorInfo) -> tuple[int, ...]:
    """The shape of one input or output, without the model's leading 1."""
    return tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape


def as_batch(info: ImageInfo, x: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return (x as the model's dtype [N, values of one input], whether x is a single input)."""
    tensor = info.inputs[0]
    one = _one(tensor)
    if x.shape in (tensor.shape, one):
        single, count = True, 1
    elif x.ndim == len(one) + 1 and x.shape[1:] == one and len(x):
        single, count = False, len(x)
    else:
        raise TorporError(
            f"the input has shape {list(x.shape)}, the model takes {list(tensor.shape)}",
            fix=f"give one of that shape, or a batch {['N', *one]}".replace("'", ""),
        )
    flat = x.reshape(count, -1)
    if x.dtype == np.dtype(NUMPY[tensor.dtype]) and x.dtype.kind == "i":
        return np.ascontiguousarray(flat), single
    plain = tensor.scale == 1 and tensor.zero_point == 0  # no scale was given: float would mean nothing
    floats_too = tensor.dtype in ("int8", "float32") or (tensor.dtype == "int16" and not plain)
    if x.dtype.kind != "f" or not floats_too:
        kinds = [] if tensor.dtype == "float32" else [tensor.dtype]
        raise TorporError(
            f"the input is {x.dtype}, the model takes {' or '.join(kinds + ['float'] * floats_too)}",
            fix="shift uint8 by 128: (x.astype('int16') - 128).astype('int8')"
            if x.dtype == np.uint8 and tensor.dtype == "int8"
            else "convert it with astype",
        )
    if np.isnan(flat).any():
        raise TorporError(f"the input has NaN at value {int(np.isnan(flat).argmax())}", fix="fill or drop it")
    with np.errstate(over="ignore"):
        floats = flat.astype("<f4")
    if tensor.dtype == "float32":
        return floats, single
    return quantize_array(floats, np.float32(tensor.scale), tensor.zero_point, tensor.dtype), single


def _installed(kernels: str) -> AbstractContextManager[None]:
    """Let device code on CPython find what these kernels are made of."""
    if kernels == "ulab":
        return ulab_stand_in.installed()
    return library.installed() if kernels == "native" else nullcontext()


def _unknown(kernels: str, what: str, offset: int | str) -> TorporError:
    return TorporError(
        f"the {kernels} kernels don't know the {what} at byte {offset} of the image",
        fix="use the reference kernels",
    )


def _on_cpython(
    image: bytes, batch: np.ndarray, info: ImageInfo, kernels: str, progress: Progress, weights: str | None
) -> bytes:
    with _installed(kernels):
        try:
            model: Any = import_device("torpor.nn.model").Model(image, kernels, weights)
        except import_device("torpor.errors").ImageError as e:  # images.read() found it sound
            raise _unknown(kernels, *e.args) from e
    source = memoryview(getattr(model.input, "raw", model.input)).cast("B")
    sink = memoryview(getattr(model.output, "raw", model.output)).cast("B")
    out = bytearray()
    for i, row in enumerate(batch):
        source[:] = row.tobytes()
        model.run()
        out += sink
        progress(i + 1, len(batch))
    return bytes(out)


def _on_micropython(
    image: bytes, batch: np.ndarray, info: ImageInfo, kernels: str, progress: Progress, weights: str | None
) -> bytes:
    heap_bytes = (2 << 20) + 4 * (len(image) + info.arena_bytes + info.scratch_bytes)
    with tempfile.TemporaryDirectory(prefix="torpor-infer-") as folder:
        runner, model, x, y, log = (Path(folder, n) for n in ("run.py", "model.tpm", "x", "y", "log"))
        runner.write_text(_RUNNER)
        model.write_bytes(image)
        x.write_bytes(batch.tobytes())
        if kernels == "native":
            shutil.copyfile(carried.for_this_machine(), Path(folder, f"{library.MODULE}.mpy"))
        command = [*interpreter.command(heap_bytes), str(runner), str(device_dir()), *map(str, (model, x, y))]
        done, said = 0, ""
        with (
            open(log, "wb") as errors,
            subprocess.Popen(
                [*command, kernels, weights or "auto"], stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if line == "run\n":
                    done += 1
                    progress(done, len(batch))
                else:
                    said += line
        if process.returncode == 3 and "missing" in said:
            raise TorporError(
                f"the MicroPython of this machine has no {kernels} ({said.split(maxsplit=1)[1].strip()})",
                fix="use the reference kernels there, or ulab's stand-in on cpython",
            )
        if process.returncode == 4 and said.startswith("unknown"):
            raise _unknown(kernels, *said.split()[1:])
        if process.returncode or done != len(batch):
            trace = said + log.read_text(errors="replace")
            last = trace.strip().splitlines()[-1:] or ["no message"]
            raise DeviceError(f"MicroPython stopped after {done} of {len(batch)} inputs: {last[0]}", trace)
        return y.read_bytes()


def load_npy(path: Path) -> np.ndarray:
    """Return the array in a .npy file.

    Raises TorporError: missing, no .npy, shorter than its header says, of objects, a lone number, empty, NaN.
    """
    try:
        with open(path, "rb") as f:
            x = _read_array(path, f)
    except OSError as e:
        raise TorporError(f"{path}: {e.strerror or e}", fix="give the path of a .npy file") from e
    except _DAMAGED as e:
        raise TorporError(f"{path}: not a .npy array ({e})", fix="save it with numpy.save") from e
    if x.dtype.kind == "f" and np.isnan(x).any():
        raise TorporError(f"{path}: NaN at value {int(np.isnan(x).argmax())}", fix="fill or drop it")
    return x


def _read_array(path: Path, file: BinaryIO) -> np.ndarray:
    """Read the array, once its header is known to agree with the file's length: numpy asks for the memory
    that a header claims before it looks.
    """
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise TorporError(f"{path}: not a file", fix="give the path of a .npy file")
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # 3.0 is for arrays of records
        raise ValueError(f"version {version[0]}.{version[1]}")
    read_header = np.lib.format.read_array_header_1_0
    if version == (2, 0):
        read_header = np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if dtype.kind not in "fiub":
        raise TorporError(f"{path}: an array of {dtype}, not of numbers", fix="save int8 or float32")
    if not shape:
        raise TorporError(f"{path}: a single number, not an array", fix="save it with shape [1]")
    if 0 in shape:
        raise TorporError(f"{path}: an empty array of shape {list(shape)}", fix="save at least one input")
    need, have = math.prod(shape) * dtype.itemsize, status.st_size - file.tell()
    if min(shape) < 0 or need > have:
        raise ValueError(f"its header says {list(shape)} of {dtype}, {need} bytes; {have} are there")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def save_npy(path: Path, y: np.ndarray) -> None:
    """Write `y` to `path`, whole or not at all. Raises TorporError where it can't be written."""
    data = io.BytesIO()
    np.lib.format.write_array(data, np.ascontiguousarray(y), allow_pickle=False)
    write_whole(path, data.getvalue())
