# SPDX-License-Identifier: MIT
"""Random models of layers with int16 activations (16x8) or int4 weights (8x4), and whole networks of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from compiler.builder import (
    RELU6,
    RELU_N1_TO_1,
    Builder,
    Case,
    Rng,
    _int8,
    _Weighted,
    _weighted,
    _window,
)

INT32_BIAS = 2  # schema: TensorType.INT32


def int16(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    style = rng.integers(4)
    if style == 0:
        return rng.choice(np.array([-32768, 32767], dtype=np.int16), size=shape)
    if style == 1:
        return np.clip(rng.normal(0, 5000, shape), -32768, 32767).astype(np.int16)
    return rng.integers(-32768, 32768, size=shape, dtype=np.int16)


def _weighted16(rng: Rng, shape: tuple[int, ...], units: int, depth: int) -> _Weighted:
    """As for int8, with scales 256 times finer, and a bias of up to as much as the products."""
    w = _weighted(rng, shape, units, depth)
    in_scale = float(np.float32(w.in_scale / 256))
    spread = float(w.scales.mean()) * in_scale * 74 * 74 * 256 * np.sqrt(depth)
    scale = float(np.float32(spread / 32768 * np.exp(rng.uniform(-1.0, 3.0))))
    if w.activation in (RELU6, RELU_N1_TO_1):
        scale = float(np.float32(np.exp(rng.uniform(np.log(0.00005), np.log(0.001)))))
    bias = w.bias
    if bias is not None:
        bias = bias * int(rng.choice([1, 256, 3001]))
    if np.abs(w.weights.astype(int)).sum() > 40000:  # sums of 32 bits shall do, if asked for
        w.weights[...] = w.weights // 16
    return replace(w, in_scale=in_scale, in_zero=0, out_scale=scale, out_zero=0, bias=bias)


def _weighted4(rng: Rng, shape: tuple[int, ...], units: int, depth: int, one_scale: bool) -> _Weighted:
    w = _weighted(rng, shape, units, depth)
    scales = w.scales[:1] if one_scale else w.scales
    weights = rng.integers(-8, 8, size=shape).astype(np.int8)
    return replace(w, weights=weights, scales=scales, out_scale=w.out_scale / 10)


def _inputs(b: Builder, w: _Weighted, axis: int, weights: str, bias: str) -> list[int]:
    found = [b.tensor(w.weights.shape, weights, w.scales, 0, w.weights, axis)]
    if w.bias is not None:
        found.append(b.tensor(w.bias.shape, bias, np.float32(w.in_scale) * w.scales, 0, w.bias))
    return found


def _bias_type(rng: Rng, wide: bool) -> str:
    return "int32" if wide and rng.integers(3) == 0 else "int64" if wide else "int32"


def _fully_connected(rng: Rng, wide: bool) -> Case:
    depth = int(rng.choice([1, 3, 16, 255, 257, 600, int(rng.integers(1, 64))]))
    units, batches = int(rng.integers(1, 20)), int(rng.integers(1, 4))
    shape = (units, depth)
    w = _weighted16(rng, shape, units, depth) if wide else _weighted4(rng, shape, units, depth, True)
    act = "int16" if wide else "int8"
    b = Builder()
    x = b.tensor((batches, depth), act, w.in_scale, w.in_zero)
    y = b.tensor((batches, units), act, w.out_scale, w.out_zero)
    bias = _bias_type(rng, wide)
    tensors = _inputs(b, w, 0, "int8" if wide else "int4", bias)
    if w.bias is None:
        tensors.append(-1)
    more = {"quantizedBiasType": INT32_BIAS} if wide and bias == "int32" else {}
    b.operator("FULLY_CONNECTED", [x, *tensors], [y], 11, fusedActivationFunction=w.activation, **more)
    data = int16(rng, (batches, depth)) if wide else _int8(rng, (batches, depth))
    label = f"{batches}x{depth}->{units} {len(w.scales)} scales, bias {bias if w.bias is not None else None}"
    return Case(label, b.build([x], [y]), [data])


def fully_connected_16x8(rng: Rng) -> Case:
    return _fully_connected(rng, True)


def fully_connected_8x4(rng: Rng) -> Case:
    return _fully_connected(rng, False)


def _convolution(rng: Rng, depthwise: bool, wide: bool) -> Case:
    win = _window(rng, 6)
    (h, fh, sh, dh, oh), (w_, fw, sw, dw, ow) = win["h"], win["w"]
    batches, c = int(rng.integers(1, 3)), int(rng.integers(1, 6))
    if rng.integers(5) == 0:
        c = int(rng.integers(30, 50))
    multiplier = int(rng.choice([1, 1, 2, 3])) if depthwise else 0
    n = c * multiplier if depthwise else int(rng.integers(1, 8))
    shape = (1, fh, fw, n) if depthwise else (n, fh, fw, c)
    depth = fh * fw * (1 if depthwise else c)
    w = _weighted16(rng, shape, n, depth) if wide else _weighted4(rng, shape, n, depth, False)
    act = "int16" if wide else "int8"
    if w.bias is None and depthwise:
        w = replace(w, bias=np.zeros(n, dtype=np.int64))
    bias = "int64" if wide and depthwise else _bias_type(rng, wide)
    b = Builder()
    x = b.tensor((batches, h, w_, c), act, w.in_scale, w.in_zero)
    y = b.tensor((batches, oh, ow, n), act, w.out_scale, w.out_zero)
    more: dict[str, Any] = {"depthMultiplier": multiplier} if depthwise else {}
    if wide and not depthwise and bias == "int32":
        more["quantizedBiasType"] = INT32_BIAS
    b.operator(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        [x, *_inputs(b, w, 3 if depthwise else 0, "int8" if wide else "int4", bias)], [y], 5,
        padding=win["padding"], strideH=sh, strideW=sw, dilationHFactor=dh, dilationWFactor=dw,
        fusedActivationFunction=w.activation, **more,
    )  # fmt: skip
    data = int16(rng, (batches, h, w_, c)) if wide else _int8(rng, (batches, h, w_, c))
    label = f"{(batches, h, w_, c)}->{(oh, ow, n)} {win} bias {bias if w.bias is not None else None}"
    return Case(label, b.build([x], [y]), [data])


def conv_16x8(rng: Rng) -> Case:
    return _convolution(rng, False, True)


def conv_8x4(rng: Rng) -> Case:
    return _convolution(rng, False, False)


def depthwise_conv_16x8(rng: Rng) -> Case:
    return _convolution(rng, True, True)


def depthwise_conv_8x4(rng: Rng) -> Case:
    return _convolution(rng, True, False)


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f
    for f in (
        fully_connected_16x8, fully_connected_8x4, conv_16x8, conv_8x4, depthwise_conv_16x8,
        depthwise_conv_8x4,
    )
}  # fmt: skip
