# SPDX-License-Identifier: MIT
"""Random models that end in float32: a CAST of integers, and a MUL by a constant behind it."""

from collections.abc import Callable

import numpy as np

from compiler.builder import Builder, Case, Rng


def to_float(rng: Rng) -> Case:
    dtype, size = ("int8", 256) if rng.integers(3) == 0 else ("int16", 600)
    b = Builder()
    x, y = b.tensor((size,), dtype), b.tensor((size,), "float32")
    b.operator("CAST", [x], [y])
    factor = float(np.float32(rng.choice([-1, 1]) * np.exp(rng.uniform(-40, 30))))
    if rng.integers(3) == 0:  # few bits: products that lie halfway between two float32
        factor = (
            float(rng.choice([-1, 1]))
            * (2 ** int(rng.integers(8, 24)) + 1)
            * 2.0 ** int(rng.integers(-40, 20))
        )
    scaled = bool(rng.integers(4))
    if scaled:
        z = b.tensor((size,), "float32")
        b.operator("MUL", [y, b.tensor((), "float32", data=np.array(factor))], [z], fusedActivationFunction=0)
        y = z
    low, high = (-128, 128) if dtype == "int8" else (-32768, 32768)
    data = rng.integers(low, high, size=size).astype(dtype)
    data[:6] = (0, low, high - 1, 1, -1, 0)
    return Case(f"{dtype} {factor if scaled else 1}", b.build([x], [y]), [data])


KINDS: dict[str, Callable[[Rng], Case]] = {"to_float": to_float}
