# SPDX-License-Identifier: MIT
"""Random models of more units, channels and values than a vector has lanes; the other cases have fewer."""

from collections.abc import Callable

import numpy as np

from compiler.builder import SAME, Builder, Case, Rng, _activation, _int8, _output, _scale, _weighted, _zero
from compiler.builder import _weight_tensors as _tensors

_CHANNELS = (1, 3, 4, 8, 15, 16, 20, 33)


def _axis(rng: Rng, padding: int) -> tuple[int, int, int, int, int]:
    """size, filter, stride, dilation, output size; mostly what models have."""
    filter_size, stride, dilation = (
        int(rng.choice(v)) for v in ([1, 1, 2, 3, 3, 4], [1, 1, 2], [1, 1, 1, 2])
    )
    reach = (filter_size - 1) * dilation + 1
    size = int(rng.integers(1, 8)) + (0 if padding == SAME else reach - 1)
    out = -(-size // stride) if padding == SAME else -(-(size - reach + 1) // stride)
    return size, filter_size, stride, dilation, out


def _convolution(rng: Rng, depthwise: bool) -> Case:
    padding = int(rng.integers(2))
    (h, fh, sh, dh, oh), (w, fw, sw, dw, ow) = axes = [_axis(rng, padding) for _ in range(2)]
    batches, c = int(rng.choice([1, 1, 2])), int(rng.choice(_CHANNELS))
    n = c * int(rng.choice([1, 1, 2, 8])) if depthwise else int(rng.choice([5, 8, 9, 16, 17, 24, 40]))
    shape = (1, fh, fw, n) if depthwise else (n, fh, fw, c)
    made = _weighted(rng, shape, n, fh * fw * (1 if depthwise else c))
    made.bias = np.zeros(n, dtype=np.int64) if made.bias is None else made.bias
    b = Builder()
    x = b.tensor((batches, h, w, c), "int8", made.in_scale, made.in_zero)
    y = b.tensor((batches, oh, ow, n), "int8", made.out_scale, made.out_zero)
    b.operator(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        [x, *_tensors(b, made, 3 if depthwise else 0)], [y], 3,
        padding=padding, strideH=sh, strideW=sw, dilationHFactor=dh, dilationWFactor=dw,
        fusedActivationFunction=made.activation, **({"depthMultiplier": n // c} if depthwise else {}),
    )  # fmt: skip
    return Case(f"{axes} {c}->{n} x{batches}", b.build([x], [y]), [_int8(rng, (batches, h, w, c))])


def conv_blocks(rng: Rng) -> Case:
    return _convolution(rng, depthwise=False)


def depthwise_blocks(rng: Rng) -> Case:
    return _convolution(rng, depthwise=True)


def add_blocks(rng: Rng) -> Case:
    shape = (int(rng.integers(1, 4)), int(rng.integers(15, 80)))
    scales, zeros, activation = (_scale(rng), _scale(rng)), (_zero(rng), _zero(rng)), _activation(rng)
    y_scale, y_zero = _output(rng, activation, 100 * max(scales))
    b = Builder()
    inputs = [b.tensor(shape, "int8", scale, zero) for scale, zero in zip(scales, zeros, strict=True)]
    y = b.tensor(shape, "int8", y_scale, y_zero)
    b.operator("ADD", inputs, [y], 2, fusedActivationFunction=activation)
    label = f"{shape} {scales} {zeros} -> {y_scale} {y_zero}"
    return Case(label, b.build(inputs, [y]), [_int8(rng, shape), _int8(rng, shape)])


KINDS: dict[str, Callable[[Rng], Case]] = {f.__name__: f for f in (conv_blocks, depthwise_blocks, add_blocks)}
