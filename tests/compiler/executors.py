# SPDX-License-Identifier: MIT
"""Runs images with every kernel set, here or in a real MicroPython, whatever their inputs and outputs are."""

import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from torpor.nn.model import Model
from torpor_host.compiler.image import read
from torpor_host.kernels import carried, library, ulab_stand_in
from torpor_host.paths import device_dir
from torpor_host.simulate import interpreter

KERNELS = ("reference", "ulab", "native")
DTYPES = {"int8": "i1", "int16": "<i2", "int32": "<i4", "float32": "<f4"}


def execute(
    image: bytes, inputs: list[np.ndarray], kernels: str, weights: str | None = None
) -> list[np.ndarray]:
    """Return the outputs, flat, of the model's own dtypes."""
    with ulab_stand_in.installed(), library.installed():
        model = Model(image, kernels, weights)
    assert model.kernels == kernels
    for view, x in zip(model.inputs, inputs, strict=True):
        memoryview(getattr(view, "raw", view)).cast("B")[:] = x.tobytes()
    model.run()
    return [
        np.frombuffer(bytes(getattr(view, "raw", view)), dtype=DTYPES[t.dtype])
        for view, t in zip(model.outputs, read(image, "image").outputs, strict=True)
    ]


# Runs under MicroPython: DEVICE_DIR FOLDER KERNELS WEIGHTS; FOLDER has N.tpm and N.in for N from 0, N.out is
# written.
_RUNNER = """
import gc, sys
sys.path.insert(0, sys.argv[1])
from torpor.nn.model import Model, load
mode = None if sys.argv[4] == "auto" else sys.argv[4]
i = 0
while True:
    name = sys.argv[2] + "/" + str(i)
    try:
        open(name + ".in", "rb").close()
    except OSError:
        break
    if mode == "rom":
        with open(name + ".tpm", "rb") as f:
            model = Model(f.read(), sys.argv[3], mode)
    else:
        model = load(name + ".tpm", sys.argv[3], mode)
    assert model.kernels == sys.argv[3]
    with open(name + ".in", "rb") as f:
        for view in model.inputs:
            raw = getattr(view, "raw", view)
            assert f.readinto(raw) == len(raw)
    model.run()
    with open(name + ".out", "wb") as f:
        for view in model.outputs:
            f.write(getattr(view, "raw", view))
    model = view = raw = None
    gc.collect()
    i += 1
"""


def on_micropython(
    cases: list[tuple[bytes, list[np.ndarray]]], kernels: str, weights: str | None = None
) -> list[list[np.ndarray]]:
    """Return the outputs of each (image, inputs), as execute() does, from one MicroPython process."""
    with tempfile.TemporaryDirectory(prefix="torpor-cases-") as name:
        folder = Path(name)
        (folder / "run.py").write_text(_RUNNER)
        for i, (image, inputs) in enumerate(cases):
            (folder / f"{i}.tpm").write_bytes(image)
            (folder / f"{i}.in").write_bytes(b"".join(x.tobytes() for x in inputs))
        if kernels == "native":
            (folder / f"{library.MODULE}.mpy").write_bytes(carried.for_this_machine().read_bytes())
        heap_bytes = (8 << 20) + 4 * max(
            len(image) + sum(struct.unpack_from("<II", image, 16)) for image, _ in cases
        )
        command = [*interpreter.command(heap_bytes), str(folder / "run.py"), str(device_dir()), name, kernels]
        command.append(weights or "auto")
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        found = []
        for i, (image, _) in enumerate(cases):
            raw, at, outputs = (folder / f"{i}.out").read_bytes(), 0, []
            for t in read(image, "image").outputs:
                outputs.append(np.frombuffer(raw[at : at + t.size_bytes], dtype=DTYPES[t.dtype]))
                at += t.size_bytes
            assert at == len(raw)
            found.append(outputs)
        return found
