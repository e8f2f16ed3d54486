# SPDX-License-Identifier: MIT
"""Random models of the operators that become tables: each case runs all 256 inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.builder import Builder, Case, Rng, _scale, _zero

ALL = np.arange(-128, 128, dtype=np.int8)
SHAPES = ((1, 256), (256,), (1, 16, 16, 1), (2, 128), (1, 4, 8, 8))


def _unary(rng: Rng, name: str, scales: tuple[float, int, float, int], **options: Any) -> Case:
    in_scale, in_zero, out_scale, out_zero = scales
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    b = Builder()
    x = b.tensor(shape, "int8", in_scale, in_zero)
    y = b.tensor(shape, "int8", out_scale, out_zero)
    b.operator(name, [x], [y], 2, **options)
    return Case(f"{name} {scales} {options}", b.build([x], [y]), [ALL.reshape(shape)])


def _free(rng: Rng) -> tuple[float, int, float, int]:
    """Any scales: equal, a power of two apart, or far apart."""
    scale = _scale(rng)
    ratio = float(rng.choice([1.0, 0.5, 2.0, float(np.exp(rng.uniform(-4, 4)))]))
    zero = _zero(rng)
    return scale, zero, scale * ratio, zero if rng.integers(3) == 0 else _zero(rng)


def tanh(rng: Rng) -> Case:
    return _unary(rng, "TANH", (_scale(rng), _zero(rng), 1 / 128, 0))


def relu(rng: Rng) -> Case:
    return _unary(rng, "RELU", _free(rng))


def relu6(rng: Rng) -> Case:
    scale, zero, _, _ = _free(rng)
    return _unary(rng, "RELU6", (scale, zero, scale, zero))


def leaky_relu(rng: Rng) -> Case:
    alpha = float(rng.choice([0.01, 0.1, 0.2, 0.3, 1.0, 1.5, 0.0, -0.25, rng.uniform(0, 1)]))
    return _unary(rng, "LEAKY_RELU", _free(rng), alpha=alpha)


def hard_swish(rng: Rng) -> Case:
    scale = _scale(rng)
    return _unary(rng, "HARD_SWISH", (scale, _zero(rng), scale * rng.uniform(0.008, 60), _zero(rng)))


def elu(rng: Rng) -> Case:
    return _unary(rng, "ELU", _free(rng))


def unary_chain(rng: Rng) -> Case:
    """HARD_SWISH, TANH, RELU, LOGISTIC: one table in the end, unless the middle is an output too."""
    b = Builder()
    x, h = (b.tensor((1, 256), "int8", 0.05, int(rng.integers(-100, 100))) for _ in range(2))
    t = b.tensor((1, 256), "int8", 1 / 128, 0)
    r = b.tensor((256,), "int8", 1 / 128, 0)
    n = b.tensor((256,), "int8", 0.005, int(rng.integers(-128, 128)))
    y = b.tensor((256,), "int8", 1 / 256, -128)
    b.operator("HARD_SWISH", [x], [h])
    b.operator("TANH", [h], [t], 2)
    b.operator("RESHAPE", [t, b.tensor((1,), "int32", data=np.array([256]))], [r])
    b.operator("RELU", [r], [n], 2)
    b.operator("LOGISTIC", [n], [y], 2)
    return Case("chain", b.build([x], [y]), [ALL.reshape(1, 256)])


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f for f in (tanh, relu, relu6, leaky_relu, hard_swish, elu, unary_chain)
}
