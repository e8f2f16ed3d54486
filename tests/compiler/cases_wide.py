# SPDX-License-Identifier: MIT
"""Random models of layers with int16 activations (16x8) or int4 weights (8x4), and whole networks of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from compiler.builder import (
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    Builder,
    Case,
    Rng,
    _activation,
    _int8,
    _scale,
    _Weighted,
    _weighted,
    _window,
    _zero,
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


def _scale16(rng: Rng) -> float:
    return float(np.float32(_scale(rng) / 256))


Typed = tuple[str, float, int]  # dtype, scale (0: none), zero point


def _one(name: str, given: Typed, made: Typed, data: np.ndarray, version: int = 2, **options: Any) -> Case:
    """One operator of one tensor."""
    b = Builder()
    x, y = (b.tensor(data.shape, dtype, scale or None, zero) for dtype, scale, zero in (given, made))
    b.operator(name, [x], [y], version, **options)
    return Case(f"{name} {given} {made} {options}", b.build([x], [y]), [data])


ALL16 = np.arange(-32768, 32768, dtype=np.int16)


def _some(rng: Rng) -> np.ndarray:
    """A run of neighbours, ends included: over the seeds all of them."""
    at = int(rng.integers(0, 65536 - 1500))
    return np.concatenate([ALL16[at : at + 1500], ALL16[:2], ALL16[-2:]]).reshape(1, -1)


def quantize_16(rng: Rng) -> Case:
    scale = _scale16(rng)
    steps = rng.uniform(-33000, 33000, size=600)
    steps[:200] = np.round(steps[:200]) + 0.5  # halves, where rounding shows
    steps[200:400] = rng.normal(0, 2, size=200)
    data = (steps * np.float32(scale)).astype(np.float32)
    data[::7] = np.nextafter(data[::7], np.float32(0))
    data[1::7] = np.nextafter(data[1::7], np.float32(np.inf))
    special = np.array([0.0, -0.0, 1e-40, -1e-40, 1e-38, 1e9 * scale, -1e9 * scale], dtype=np.float32)
    data = np.concatenate([data, special]).reshape(1, -1)
    return _one("QUANTIZE", ("float32", 0, 0), ("int16", scale, 0), data)


def dequantize_16(rng: Rng) -> Case:
    return _one("DEQUANTIZE", ("int16", _scale16(rng), 0), ("float32", 0, 0), _some(rng))


def requantize_16(rng: Rng) -> Case:
    scale = _scale16(rng)
    ratio = float(rng.choice([1.0, 0.5, 2.0, 1 / 256, 256.0, float(np.exp(rng.uniform(-6, 6)))]))
    types = [("int8", "int16"), ("int16", "int8"), ("int16", "int16")][int(rng.integers(3))]
    zeros = [_zero(rng) if t == "int8" else 0 for t in types]
    data = np.arange(-128, 128, dtype=np.int8).reshape(1, -1) if types[0] == "int8" else _some(rng)
    return _one("QUANTIZE", (types[0], scale, zeros[0]), (types[1], scale * ratio, zeros[1]), data)


def relu_16(rng: Rng) -> Case:
    scale = _scale16(rng)
    if rng.integers(2):
        scale = float(np.float32(np.exp(rng.uniform(np.log(2e-4), np.log(0.01)))))
        return _one("RELU6", ("int16", scale, 0), ("int16", scale, 0), _some(rng))
    ratio = float(rng.choice([1.0, 0.5, float(np.exp(rng.uniform(-4, 4)))]))
    return _one("RELU", ("int16", scale, 0), ("int16", scale * ratio, 0), _some(rng))


def logistic_16(rng: Rng) -> Case:
    scale = float(rng.choice([2.0**-12, 2.0**-11, 2.0**-13, _scale16(rng) * 20, _scale16(rng)]))
    return _one("LOGISTIC", ("int16", scale, 0), ("int16", 2.0**-15, 0), _some(rng))


def tanh_16(rng: Rng) -> Case:
    scale = float(rng.choice([2.0**-12, 2.0**-11, 2.0**-13, _scale16(rng) * 20, _scale16(rng)]))
    return _one("TANH", ("int16", scale, 0), ("int16", 2.0**-15, 0), _some(rng))


def softmax_16(rng: Rng) -> Case:
    shape = (int(rng.integers(1, 4)), int(rng.choice([1, 2, 12, 300, int(rng.integers(2, 40))])))
    scale = float(np.float32(np.exp(rng.uniform(np.log(1e-5), np.log(0.02)))))
    beta = float(rng.choice([1.0, 0.5, 2.0]))
    return _one("SOFTMAX", ("int16", scale, 0), ("int16", 2.0**-15, 0), int16(rng, shape), 2, beta=beta)


def pad_16(rng: Rng) -> Case:
    rank = int(rng.integers(1, 5))
    shape = tuple(int(v) for v in rng.integers(1, 5, size=rank))
    paddings = rng.integers(0, 3, size=(rank, 2))
    out = tuple(int(n + p.sum()) for n, p in zip(shape, paddings, strict=True))
    b = Builder()
    x, y = (b.tensor(s, "int16", 0.001) for s in (shape, out))
    b.operator("PAD", [x, b.tensor((rank, 2), "int32", data=paddings)], [y], 2)
    return Case(f"{shape} {paddings.tolist()}", b.build([x], [y]), [int16(rng, shape)])


def _pool_16(rng: Rng, name: str) -> Case:
    win = _window(rng, 8)
    batches, c = int(rng.integers(1, 3)), int(rng.integers(1, 9))
    sizes = []
    for axis in "hw":
        size, filter_size, stride, _, _ = win[axis]
        size = max(size, filter_size)
        out = -(-size // stride) if win["padding"] == SAME else -(-(size - filter_size + 1) // stride)
        sizes.append((size, filter_size, stride, out))
    (h, fh, sh, oh), (w, fw, sw, ow) = sizes
    scale = float(np.float32(np.exp(rng.uniform(np.log(0.00005), np.log(0.001)))))
    b = Builder()
    x, y = (b.tensor(s, "int16", scale) for s in ((batches, h, w, c), (batches, oh, ow, c)))
    b.operator(
        name, [x], [y], 3, padding=win["padding"], strideH=sh, strideW=sw, filterHeight=fh, filterWidth=fw,
        fusedActivationFunction=_activation(rng),
    )  # fmt: skip
    return Case(f"{sizes} c={c} {win['padding']}", b.build([x], [y]), [int16(rng, (batches, h, w, c))])


def average_pool_16(rng: Rng) -> Case:
    return _pool_16(rng, "AVERAGE_POOL_2D")


def max_pool_16(rng: Rng) -> Case:
    return _pool_16(rng, "MAX_POOL_2D")


def _binary_16(rng: Rng, name: str) -> Case:
    rank = int(rng.integers(1, 5))
    out = tuple(int(v) for v in rng.integers(1, 5, size=rank))
    shapes = [out, out]
    if rng.integers(2):  # broadcast one side
        side = int(rng.integers(2))
        shapes[side] = tuple(d if rng.integers(2) else 1 for d in out)
    scales = [_scale16(rng), _scale16(rng)]
    spread = 32768 * (scales[0] * scales[1] if name == "MUL" else max(scales) / 32768)
    scale = float(np.float32(spread * np.exp(rng.uniform(0.1, 2.0))))
    fixed = int(rng.choice([-1, -1, 0, 1]))
    data = [int16(rng, s) for s in shapes]
    b = Builder()
    tensors = [b.tensor(shapes[i], "int16", scales[i], 0, data[i] if i == fixed else None) for i in (0, 1)]
    y = b.tensor(out, "int16", scale)
    b.operator(name, tensors, [y], 5, fusedActivationFunction=int(rng.choice([NONE, NONE, RELU])))
    free = [i for i in (0, 1) if i != fixed]
    return Case(
        f"{shapes} constant {fixed}", b.build([tensors[i] for i in free], [y]), [data[i] for i in free]
    )


def add_16(rng: Rng) -> Case:
    return _binary_16(rng, "ADD")


def sub_16(rng: Rng) -> Case:
    return _binary_16(rng, "SUB")


def mul_16(rng: Rng) -> Case:
    return _binary_16(rng, "MUL")


class _Network(Builder):
    """A chain of layers with SAME padding; `at` is where it has come to, with its shape and scale."""

    def __init__(self, rng: Rng, shape: tuple[int, ...], wide: bool) -> None:
        super().__init__()
        self.rng, self.wide, self.shape = rng, wide, shape
        self.act = "int16" if wide else "int8"
        self.scale = 0.0002 if wide else 0.05
        self.zero = 0 if wide else 3
        self.input = self.tensor(shape, "float32")
        self.at = self.made(shape)
        self.operator("QUANTIZE", [self.input], [self.at])

    def made(self, shape: tuple[int, ...]) -> int:
        self.shape = shape
        return self.tensor(shape, self.act, self.scale, self.zero)

    def layer(
        self, name: str, weights: tuple[int, ...], shape: tuple[int, ...], axis: int, **options: Any
    ) -> int:
        if self.wide:
            values = np.clip(_int8(self.rng, weights), -127, 127)
        else:
            values = self.rng.integers(-8, 8, size=weights)
        n = weights[axis]
        scales = np.full(1 if name == "FULLY_CONNECTED" else n, 0.004 if self.wide else 0.06, np.float32)
        w = self.tensor(weights, "int8" if self.wide else "int4", scales, 0, values, axis)
        bias = self.tensor(
            (n,), "int64" if self.wide else "int32", np.float32(self.scale) * scales, 0,
            self.rng.integers(-900, 900, size=n),
        )  # fmt: skip
        x, self.at = self.at, self.made(shape)
        self.operator(name, [x, w, bias], [self.at], 5, **options)
        return self.at

    def case(self, classes: int) -> Case:
        _, h, w, c = self.shape
        x, self.at = self.at, self.made((1, h // 2, w // 2, c))
        window = {"padding": VALID, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
        self.operator("AVERAGE_POOL_2D", [x], [self.at], 3, **window)
        depth = (h // 2) * (w // 2) * c
        x, self.at = self.at, self.made((1, depth))
        self.operator("RESHAPE", [x, self.tensor((2,), "int32", data=np.array([1, depth]))], [self.at])
        self.layer("FULLY_CONNECTED", (classes, depth), (1, classes), 0)
        chances = (1 / 32768, 0) if self.wide else (1 / 256, -128)
        x = self.at
        self.at = self.tensor((1, classes), self.act, *chances)
        self.operator("SOFTMAX", [x], [self.at], 2, beta=1.0)
        out = self.tensor((1, classes), "float32")
        self.operator("DEQUANTIZE", [self.at], [out], 2)
        data = self.rng.normal(0, 3, size=tuple(int(n) for n in self.tensors[self.input].shape))
        return Case(f"{h}x{w}x{c} {classes}", self.build([self.input], [out]), [data.astype(np.float32)])


def _network(rng: Rng, wide: bool) -> Case:
    """float32 in, CONV_2D, DEPTHWISE_CONV_2D, a residual, a gate, a pool, dense, SOFTMAX, float32 out."""
    h, w, c = int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(2, 7))
    b = _Network(rng, (1, h, w, 2), wide)
    same = {"padding": SAME, "strideH": 1, "strideW": 1}
    first = b.layer("CONV_2D", (c, 3, 3, 2), (1, h, w, c), 0, **same, fusedActivationFunction=RELU)
    b.layer("DEPTHWISE_CONV_2D", (1, 3, 3, c), (1, h, w, c), 3, **same, depthMultiplier=1)
    second, total = b.at, b.made((1, h, w, c))
    b.operator("ADD", [first, second], [total], 5 if wide else 2)
    if wide:
        gate, b.at = b.tensor((1, h, w, c), "int16", 1 / 32768), b.made((1, h, w, c))
        b.operator("LOGISTIC", [total], [gate], 3)
        b.operator("MUL", [total, gate], [b.at], 5)
    else:
        b.at = total
    b.layer("CONV_2D", (c + 1, 1, 1, c), (1, h, w, c + 1), 0, **same)
    return b.case(int(rng.integers(2, 8)))


def network_16x8(rng: Rng) -> Case:
    return _network(rng, True)


def network_8x4(rng: Rng) -> Case:
    return _network(rng, False)


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f
    for f in (
        fully_connected_16x8, fully_connected_8x4, conv_16x8, conv_8x4, depthwise_conv_16x8,
        depthwise_conv_8x4, quantize_16, dequantize_16, requantize_16, relu_16, logistic_16, tanh_16,
        softmax_16, pad_16, average_pool_16, max_pool_16, add_16, sub_16, mul_16, network_16x8,
        network_8x4,
    )
}  # fmt: skip
