# SPDX-License-Identifier: MIT
"""Random models of DIV, and of QUANTIZE between int8 and int32."""

from collections.abc import Callable

import numpy as np

from compiler.builder import Builder, Case, Rng, _activation, _int8, _scale, _zero
from compiler.cases_binary import _shapes


def requantize_int32(rng: Rng) -> Case:
    widens = bool(rng.integers(2))
    source, target = ("int8", "int32") if widens else ("int32", "int8")
    # further up sums leave 32 bits: refused
    ratio = float(np.exp(rng.uniform(0, 12) if widens else rng.uniform(-20, -0.1)))
    scale, shape = _scale(rng), (1, 300)
    zeros = [_zero(rng) if t == "int8" else 0 for t in (source, target)]
    data = rng.integers(-(1 << 31), 1 << 31, size=shape) >> rng.integers(0, 32, size=shape)
    b = Builder()
    x = b.tensor(shape, source, scale, zeros[0])
    y = b.tensor(shape, target, scale / ratio, zeros[1])
    b.operator("QUANTIZE", [x], [y])
    values = _int8(rng, shape) if widens else data.astype(np.int32)
    return Case(f"{source} {scale} {zeros[0]} -> x{ratio} {zeros[1]}", b.build([x], [y]), [values])


def div(rng: Rng) -> Case:
    """Divisors that are not zero; a computed one has its zero point anywhere."""
    out, shapes = _shapes(rng)
    if rng.integers(4) == 0:
        shapes[1] = (1,) * len(out)
        shapes[0] = out
    fixed = int(rng.choice([-1, -1, 0, 1]))
    scales, zeros = [_scale(rng), _scale(rng)], [_zero(rng), _zero(rng)]
    data = [_int8(rng, s) for s in shapes]
    data[1] = np.where(data[1] == zeros[1], zeros[1] + (1 if zeros[1] < 127 else -1), data[1]).astype(np.int8)
    y_scale = float(np.float32(scales[0] / (scales[1] * 64 * np.exp(rng.uniform(0.01, 3.0)))))
    b = Builder()
    tensors = [
        b.tensor(shapes[i], "int8", scales[i], zeros[i], data[i] if i == fixed else None) for i in (0, 1)
    ]
    y = b.tensor(out, "int8", y_scale, _zero(rng) if rng.integers(2) else 0)
    b.operator("DIV", tensors, [y], 2, fusedActivationFunction=_activation(rng) * int(rng.integers(2)))
    free = [i for i in (0, 1) if i != fixed]
    label = f"{shapes} {scales} {zeros} -> {y_scale}, constant {fixed}"
    return Case(label, b.build([tensors[i] for i in free], [y]), [data[i] for i in free])


KINDS: dict[str, Callable[[Rng], Case]] = {f.__name__: f for f in (div, requantize_int32)}
