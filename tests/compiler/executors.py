# SPDX-License-Identifier: MIT
"""Runs an image here with every kernel set, whatever the number of its inputs and outputs."""

import numpy as np

from torpor.nn.model import Model
from torpor_host.compiler.image import read
from torpor_host.kernels import library, ulab_stand_in

KERNELS = ("reference", "ulab", "native")
DTYPES = {"int8": "i1", "int16": "<i2", "int32": "<i4", "float32": "<f4"}


def execute(image: bytes, inputs: list[np.ndarray], kernels: str) -> list[np.ndarray]:
    """Return the outputs, flat, of the model's own dtypes."""
    with ulab_stand_in.installed(), library.installed():
        model = Model(image, kernels)
    assert model.kernels == kernels
    for view, x in zip(model.inputs, inputs, strict=True):
        memoryview(getattr(view, "raw", view)).cast("B")[:] = x.tobytes()
    model.run()
    return [
        np.frombuffer(bytes(getattr(view, "raw", view)), dtype=DTYPES[t.dtype])
        for view, t in zip(model.outputs, read(image, "image").outputs, strict=True)
    ]
