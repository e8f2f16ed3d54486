# SPDX-License-Identifier: MIT
"""Runs an image here with every kernel set, whatever the number of its inputs and outputs."""

import numpy as np

from torpor.nn.model import Model
from torpor_host.kernels import ulab_stand_in

KERNELS = ("reference", "ulab")


def execute(image: bytes, inputs: list[np.ndarray], kernels: str) -> list[np.ndarray]:
    """Return the outputs, flat: int8 or float32."""
    with ulab_stand_in.installed():
        model = Model(image, kernels)
    assert model.kernels == kernels
    for view, x in zip(model.inputs, inputs, strict=True):
        memoryview(getattr(view, "raw", view)).cast("B")[:] = x.tobytes()
    model.run()
    return [
        np.frombuffer(bytes(view.raw), dtype="<f4") if hasattr(view, "raw") else np.array(view, dtype=np.int8)
        for view in model.outputs
    ]
