# SPDX-License-Identifier: MIT
"""Writes small .tflite models with the schema's object API, and runs them in tflite-micro, the oracle.

b = Builder()
x = b.tensor((1, 8), "int8", 0.1, -3)
y = b.tensor((1, 8), "int8", 1 / 256, -128)
b.operator("SOFTMAX", [x], [y], beta=1.0)
data = b.build([x], [y])
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np

from torpor_host.compiler.ir import NUMPY
from torpor_host.compiler.tflite import schema

_ARENA_BYTES = 2_000_000
SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
_OPTIONS = {
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "CONCATENATION": "ConcatenationOptions",
    "GATHER": "GatherOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "PACK": "PackOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "SQUEEZE": "SqueezeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "UNPACK": "UnpackOptions",
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "PAD": "PadOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "DIV": "DivOptions",
    "RESHAPE": "ReshapeOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SVDF": "SVDFOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
    "VAR_HANDLE": "VarHandleOptions",
    "CALL_ONCE": "CallOnceOptions",
    "READ_VARIABLE": "ReadVariableOptions",
    "ASSIGN_VARIABLE": "AssignVariableOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "ARG_MAX": "ArgMaxOptions",
    "ARG_MIN": "ArgMinOptions",
    "LOG_SOFTMAX": "LogSoftmaxOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
}


def pack_int4(values: np.ndarray) -> bytes:
    """int8 -8..7, two a byte, the low half first."""
    halves = np.append(values.reshape(-1), [0] * (values.size % 2)).astype(np.uint8) & 15
    return (halves[::2] | halves[1::2] << 4).astype(np.uint8).tobytes()


class Builder:
    def __init__(self) -> None:
        self.schema = schema()
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [self.schema.BufferT()]
        self.operators: list[Any] = []
        self.codes: list[tuple[str, int]] = []

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: str,
        scale: Any = None,
        zero_point: int = 0,
        data: np.ndarray | None = None,
        axis: int = 0,
    ) -> int:
        """Add a tensor, constant if it has data; return its index. scale: a number, or one per channel."""
        t = self.schema.TensorT()
        t.name = f"t{len(self.tensors)}"
        t.shape = np.array(shape, dtype=np.int32)
        t.type = getattr(self.schema.TensorType, dtype.upper())
        if scale is not None:
            q = self.schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, dtype=np.float32))
            q.zeroPoint = np.full(len(q.scale), zero_point, dtype=np.int64)
            q.quantizedDimension = axis
            t.quantization = q
        if data is not None:
            buffer = self.schema.BufferT()
            values = np.ascontiguousarray(data, dtype=NUMPY[dtype])
            raw = pack_int4(values) if dtype == "int4" else values.tobytes()
            buffer.data = np.frombuffer(raw, dtype=np.uint8)
            t.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(t)
        return len(self.tensors) - 1

    def operator(
        self, name: str, inputs: list[int], outputs: list[int], version: int = 1, **options: Any
    ) -> None:
        if (name, version) not in self.codes:
            self.codes.append((name, version))
        op = self.schema.OperatorT()
        op.opcodeIndex = self.codes.index((name, version))
        op.inputs = np.array(inputs, dtype=np.int32)
        op.outputs = np.array(outputs, dtype=np.int32)
        if name in _OPTIONS:
            table = getattr(self.schema, _OPTIONS[name] + "T")()
            for key, value in options.items():
                assert hasattr(table, key), key
                setattr(table, key, value)
            op.builtinOptionsType = getattr(self.schema.BuiltinOptions, _OPTIONS[name])
            op.builtinOptions = table
        self.operators.append(op)

    def subgraph(self) -> "Builder":
        """Return a builder of another subgraph of the same model; give it to build()."""
        other = Builder()
        other.buffers, other.codes = self.buffers, self.codes
        return other

    def _graph(self, inputs: list[int], outputs: list[int]) -> Any:
        graph = self.schema.SubGraphT()
        graph.tensors = self.tensors
        graph.operators = self.operators
        graph.inputs = np.array(inputs, dtype=np.int32)
        graph.outputs = np.array(outputs, dtype=np.int32)
        graph.name = "main"
        return graph

    def build(self, inputs: list[int], outputs: list[int], more: tuple["Builder", ...] = ()) -> bytes:
        """Return the model; `more`: subgraphs 1 and up, without inputs and outputs."""
        model = self.schema.ModelT()
        model.version = 3
        model.subgraphs = [self._graph(inputs, outputs), *(b._graph([], []) for b in more)]
        model.buffers = self.buffers
        model.operatorCodes = [self._code(*c) for c in self.codes]
        packer = flatbuffers.Builder(1024)
        packer.Finish(model.Pack(packer), b"TFL3")
        return bytes(packer.Output())

    def _code(self, name: str, version: int) -> Any:
        code = self.schema.OperatorCodeT()
        if name.startswith("CUSTOM:"):
            code.customCode = name.removeprefix("CUSTOM:")
            name = "CUSTOM"
        code.builtinCode = getattr(self.schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        return code


def interpreter(model: bytes) -> Any:
    """Return PyPI tflite-micro's interpreter of the model."""
    from tflite_micro.python.tflite_micro import runtime

    return runtime.Interpreter.from_bytes(model, arena_size=_ARENA_BYTES)


def oracle(model: bytes, inputs: list[np.ndarray], outputs: int = 1) -> list[np.ndarray]:
    """Return what PyPI tflite-micro computes."""
    peer = interpreter(model)
    for i, x in enumerate(inputs):
        peer.set_input(x, i)
    peer.invoke()
    return [np.array(peer.get_output(i)) for i in range(outputs)]


@dataclass(frozen=True)
class Case:
    """A model and inputs for it; `label` tells the drawn parameters when it fails."""

    label: str
    model: bytes
    inputs: list[np.ndarray]


Rng = np.random.Generator


def _int8(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    style = rng.integers(4)
    if style == 0:
        return rng.choice(np.array([-128, 127], dtype=np.int8), size=shape)
    if style == 1:
        return np.clip(rng.normal(0, 30, shape), -128, 127).astype(np.int8)
    return rng.integers(-128, 128, size=shape, dtype=np.int8)


def _scale(rng: Rng) -> float:
    return float(np.float32(np.exp(rng.uniform(np.log(1e-4), np.log(2.0)))))


def _zero(rng: Rng) -> int:
    return int(rng.choice([-128, -1, 0, 127, int(rng.integers(-128, 128))]))


def _activation(rng: Rng) -> int:
    return int(rng.choice([NONE, NONE, RELU, RELU6, RELU_N1_TO_1]))


def _output(rng: Rng, activation: int, spread: float) -> tuple[float, int]:
    """Scale and zero point such that sums of `spread` mostly fit, and the activation leaves a range."""
    scale = float(np.float32(spread * np.exp(rng.uniform(-5.5, -2.0))))
    if activation in (RELU6, RELU_N1_TO_1):
        scale = float(np.float32(np.exp(rng.uniform(np.log(0.005), np.log(0.1)))))
        return scale, int(rng.integers(-120, 120))
    return scale, int(rng.integers(-128, 127))


@dataclass
class _Weighted:
    """Weights, bias and scales of one layer."""

    weights: np.ndarray
    scales: np.ndarray
    bias: np.ndarray | None
    in_scale: float
    in_zero: int
    activation: int
    out_scale: float
    out_zero: int


def _weighted(rng: Rng, shape: tuple[int, ...], units: int, depth: int) -> _Weighted:
    per_channel = bool(rng.integers(2))
    n = units if per_channel else 1
    scales = np.array([_scale(rng) / 50 for _ in range(n)], dtype=np.float32)
    in_scale, in_zero = _scale(rng), _zero(rng)
    spread = float(scales.mean()) * in_scale * 74 * 74 * np.sqrt(depth)
    activation = _activation(rng)
    out_scale, out_zero = _output(rng, activation, spread)
    bias = None
    if rng.integers(4):
        bias = rng.integers(-2000, 2000, size=units) * int(np.sqrt(depth) + 1)
    weights = np.clip(_int8(rng, shape), -127, 127)
    return _Weighted(weights, scales, bias, in_scale, in_zero, activation, out_scale, out_zero)


def _weight_tensors(b: Builder, w: _Weighted, axis: int) -> list[int]:
    inputs = [b.tensor(w.weights.shape, "int8", w.scales, 0, w.weights, axis)]
    if w.bias is not None:
        scales = np.float32(w.in_scale) * w.scales
        inputs.append(b.tensor(w.bias.shape, "int32", scales, 0, w.bias))
    return inputs


def fully_connected(rng: Rng) -> Case:
    depth = int(rng.choice([1, 3, 16, 255, 256, 257, 600, 1100, int(rng.integers(1, 64))]))
    units, batches = int(rng.integers(1, 20)), int(rng.integers(1, 4))
    w = _weighted(rng, (units, depth), units, depth)
    b = Builder()
    x = b.tensor((batches, depth), "int8", w.in_scale, w.in_zero)
    y = b.tensor((batches, units), "int8", w.out_scale, w.out_zero)
    tensors = _weight_tensors(b, w, 0)
    if w.bias is None:
        tensors.append(-1)
    b.operator("FULLY_CONNECTED", [x, *tensors], [y], 4, fusedActivationFunction=w.activation)
    label = f"{batches}x{depth}->{units} {len(w.scales)} scales"
    return Case(label, b.build([x], [y]), [_int8(rng, (batches, depth))])


def _window(rng: Rng, most: int) -> dict[str, Any]:
    """Draw a sliding window along two axes: sizes, filter, stride, dilation, padding and output size."""
    padding = int(rng.integers(2))
    found: dict[str, Any] = {"padding": padding}
    for axis in "hw":
        stride = int(rng.integers(1, 4))
        dilation = int(rng.choice([1, 1, 1, 2, 3]))
        filter_size = int(rng.integers(1, 5))
        reach = (filter_size - 1) * dilation + 1
        size = int(rng.integers(1 if padding == SAME else reach, most + max(reach, 2)))
        out = -(-size // stride) if padding == SAME else -(-(size - reach + 1) // stride)
        found[axis] = (size, filter_size, stride, dilation, out)
    return found


def _convolution(rng: Rng, depthwise: bool) -> Case:
    win = _window(rng, 6)
    (h, fh, sh, dh, oh), (w_, fw, sw, dw, ow) = win["h"], win["w"]
    batches, c = int(rng.integers(1, 3)), int(rng.integers(1, 6))
    if rng.integers(4) == 0:  # more products than one run of the ulab kernels holds
        c = int(rng.integers(40, 90))
    multiplier = int(rng.choice([1, 1, 2, 3])) if depthwise else 0
    n = c * multiplier if depthwise else int(rng.integers(1, 8))
    shape = (1, fh, fw, n) if depthwise else (n, fh, fw, c)
    w = _weighted(rng, shape, n, fh * fw * (1 if depthwise else c))
    b = Builder()
    x = b.tensor((batches, h, w_, c), "int8", w.in_scale, w.in_zero)
    y = b.tensor((batches, oh, ow, n), "int8", w.out_scale, w.out_zero)
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    more = {"depthMultiplier": multiplier} if depthwise else {}
    if w.bias is None:
        # TFLM's depthwise kernel asserts a bias
        w.bias = np.zeros(n, dtype=np.int64) if depthwise else None
    b.operator(
        name, [x, *_weight_tensors(b, w, 3 if depthwise else 0)], [y], 3,
        padding=win["padding"], strideH=sh, strideW=sw, dilationHFactor=dh, dilationWFactor=dw,
        fusedActivationFunction=w.activation, **more,
    )  # fmt: skip
    label = f"{(batches, h, w_, c)}->{(oh, ow, n)} {win}"
    return Case(label, b.build([x], [y]), [_int8(rng, (batches, h, w_, c))])


def conv(rng: Rng) -> Case:
    return _convolution(rng, depthwise=False)


def depthwise_conv(rng: Rng) -> Case:
    return _convolution(rng, depthwise=True)


def _pool(rng: Rng, name: str) -> Case:
    win = _window(rng, 8)
    batches, c = int(rng.integers(1, 3)), int(rng.integers(1, 9))
    sizes = []
    for axis in "hw":
        size, filter_size, stride, _, _ = win[axis]
        size = max(size, filter_size)
        out = -(-size // stride) if win["padding"] == SAME else -(-(size - filter_size + 1) // stride)
        sizes.append((size, filter_size, stride, out))
    (h, fh, sh, oh), (w, fw, sw, ow) = sizes
    activation = _activation(rng)
    scale, zero = _output(rng, activation, 1.0)
    b = Builder()
    x = b.tensor((batches, h, w, c), "int8", scale, zero)
    y = b.tensor((batches, oh, ow, c), "int8", scale, zero)
    b.operator(
        name, [x], [y], 2, padding=win["padding"], strideH=sh, strideW=sw, filterHeight=fh, filterWidth=fw,
        fusedActivationFunction=activation,
    )  # fmt: skip
    return Case(f"{sizes} c={c} {win['padding']}", b.build([x], [y]), [_int8(rng, (batches, h, w, c))])


def average_pool(rng: Rng) -> Case:
    return _pool(rng, "AVERAGE_POOL_2D")


def max_pool(rng: Rng) -> Case:
    return _pool(rng, "MAX_POOL_2D")


def add(rng: Rng) -> Case:
    rank = int(rng.integers(1, 5))
    out = tuple(int(v) for v in rng.integers(1, 5, size=rank))
    shapes = [out, out]
    if rng.integers(2):  # broadcast one side, or each side along other axes
        style = int(rng.integers(3))
        cut = [int(v) for v in rng.integers(0, 2, size=rank)]
        if style < 2:
            shapes[style] = tuple(1 if k else d for d, k in zip(out, cut, strict=True))
        else:
            shapes = [
                tuple(1 if k else d for d, k in zip(out, cut, strict=True)),
                tuple(d if k else 1 for d, k in zip(out, cut, strict=True)),
            ]
    scales = [_scale(rng), _scale(rng)]
    activation = _activation(rng)
    out_scale, out_zero = _output(rng, activation, 100 * max(scales))
    b = Builder()
    fixed = int(rng.choice([-1, -1, 0, 1]))
    data = [_int8(rng, s) for s in shapes]
    tensors = [
        b.tensor(shapes[i], "int8", scales[i], _zero(rng), data[i] if i == fixed else None) for i in (0, 1)
    ]
    y = b.tensor(out, "int8", out_scale, out_zero)
    b.operator("ADD", tensors, [y], 2, fusedActivationFunction=activation)
    free = [i for i in (0, 1) if i != fixed]
    return Case(
        f"{shapes[0]} + {shapes[1]}, constant {fixed}",
        b.build([tensors[i] for i in free], [y]),
        [data[i] for i in free],
    )


def softmax(rng: Rng) -> Case:
    shape = (int(rng.integers(1, 4)), int(rng.choice([1, 2, 12, 100, int(rng.integers(2, 40))])))
    b = Builder()
    x = b.tensor(shape, "int8", _scale(rng), _zero(rng))
    y = b.tensor(shape, "int8", 1 / 256, -128)
    beta = float(rng.choice([1.0, 0.5, 2.0]))
    b.operator("SOFTMAX", [x], [y], 2, beta=beta)
    return Case(f"{shape} beta={beta}", b.build([x], [y]), [_int8(rng, shape)])


def logistic(rng: Rng) -> Case:
    shape = (1, 256)
    b = Builder()
    scale, zero = _scale(rng), _zero(rng)
    x = b.tensor(shape, "int8", scale, zero)
    y = b.tensor(shape, "int8", 1 / 256, -128)
    b.operator("LOGISTIC", [x], [y], 2)
    return Case(f"{scale} {zero}", b.build([x], [y]), [np.arange(-128, 128, dtype=np.int8).reshape(shape)])


def reshape(rng: Rng) -> Case:
    a, c, d = (int(v) for v in rng.integers(1, 6, size=3))
    scale, zero = _scale(rng), _zero(rng)
    b = Builder()
    x = b.tensor((a, c, d), "int8", scale, zero)
    shape = b.tensor((2,), "int32", data=np.array([a, c * d]))
    y = b.tensor((a, c * d), "int8", scale, zero)
    b.operator("RESHAPE", [x, shape], [y])
    return Case(f"{(a, c, d)}", b.build([x], [y]), [_int8(rng, (a, c, d))])


def pad(rng: Rng) -> Case:
    rank = int(rng.integers(1, 5))
    shape = tuple(int(v) for v in rng.integers(1, 5, size=rank))
    paddings = rng.integers(0, 3, size=(rank, 2))
    out = tuple(int(n + p.sum()) for n, p in zip(shape, paddings, strict=True))
    scale, zero = _scale(rng), _zero(rng)
    b = Builder()
    x = b.tensor(shape, "int8", scale, zero)
    p = b.tensor((rank, 2), "int32", data=paddings)
    y = b.tensor(out, "int8", scale, zero)
    b.operator("PAD", [x, p], [y], 2)
    return Case(f"{shape} {paddings.tolist()}", b.build([x], [y]), [_int8(rng, shape)])


def quantize(rng: Rng) -> Case:
    scale, zero = _scale(rng), _zero(rng)
    b = Builder()
    x = b.tensor((1, 300), "float32")
    y = b.tensor((1, 300), "int8", scale, zero)
    b.operator("QUANTIZE", [x], [y])
    steps = rng.uniform(-140 - zero, 140 - zero, size=300)
    steps[:100] = np.round(steps[:100]) + 0.5  # halves, where rounding shows
    data = (steps * np.float32(scale)).astype(np.float32).reshape(1, 300)
    return Case(f"{scale} {zero}", b.build([x], [y]), [data])


def requantize(rng: Rng) -> Case:
    scale, zero = _scale(rng), _zero(rng)
    ratio = float(rng.choice([1.0, 0.5, 2.0, float(np.exp(rng.uniform(-3, 3)))]))
    out_zero = zero if rng.integers(3) == 0 else _zero(rng)
    b = Builder()
    x = b.tensor((1, 256), "int8", scale, zero)
    y = b.tensor((1, 256), "int8", scale * ratio, out_zero)
    b.operator("QUANTIZE", [x], [y])
    data = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
    return Case(f"{scale} {zero} x{ratio} {out_zero}", b.build([x], [y]), [data])


def dequantize(rng: Rng) -> Case:
    scale, zero = _scale(rng), _zero(rng)
    b = Builder()
    x = b.tensor((1, 256), "int8", scale, zero)
    y = b.tensor((1, 256), "float32")
    b.operator("DEQUANTIZE", [x], [y], 2)
    data = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
    return Case(f"{scale} {zero}", b.build([x], [y]), [data])


def network(rng: Rng) -> Case:
    """float32 in, every family of operator once, float32 out: aliases, in-place adds and a residual."""
    b = Builder()
    h = int(rng.integers(4, 9))
    c = int(rng.integers(2, 6))
    classes = int(rng.integers(2, 8))
    floats = b.tensor((1, h, h, 1), "float32")
    x = b.tensor((1, h, h, 1), "int8", 0.05, 3)
    b.operator("QUANTIZE", [floats], [x])
    padded = b.tensor((1, h + 2, h + 1, 1), "int8", 0.05, 3)
    b.operator("PAD", [x, b.tensor((4, 2), "int32", data=[[0, 0], [1, 1], [0, 1], [0, 0]])], [padded], 2)
    first = _layer(b, rng, padded, (1, h + 2, h + 1, 1), c, 0.05, 3)
    second = _layer(b, rng, first, (1, h + 2, h + 1, c), c, 0.04, -10)
    total = b.tensor((1, h + 2, h + 1, c), "int8", 0.07, 5)
    b.operator("ADD", [first, second], [total], 2, fusedActivationFunction=RELU)
    gate = b.tensor((1, h + 2, h + 1, c), "int8", 1 / 256, -128)
    b.operator("LOGISTIC", [total], [gate], 2)
    sized = ((h + 2) // 2, (h + 1) // 2)
    pooled = b.tensor((1, *sized, c), "int8", 1 / 256, -128)
    b.operator(
        "MAX_POOL_2D", [gate], [pooled], 2, padding=VALID, strideH=2, strideW=2, filterHeight=2, filterWidth=2
    )
    depth = sized[0] * sized[1] * c
    flat = b.tensor((1, depth), "int8", 1 / 256, -128)
    b.operator("RESHAPE", [pooled, b.tensor((2,), "int32", data=[1, depth])], [flat])
    weights = b.tensor((classes, depth), "int8", 0.02, 0, np.clip(_int8(rng, (classes, depth)), -127, 127))
    scores = b.tensor((1, classes), "int8", 0.05, 0)
    b.operator("FULLY_CONNECTED", [flat, weights, -1], [scores], 4)
    chances = b.tensor((1, classes), "int8", 1 / 256, -128)
    b.operator("SOFTMAX", [scores], [chances], 2, beta=1.0)
    out = b.tensor((1, classes), "float32")
    b.operator("DEQUANTIZE", [chances], [out], 2)
    data = rng.normal(0, 3, size=(1, h, h, 1)).astype(np.float32)
    return Case(f"{h} {c} {classes}", b.build([floats], [out]), [data])


def _layer(b: Builder, rng: Rng, x: int, shape: tuple[int, ...], n: int, scale: float, zero: int) -> int:
    _, h, w, c = shape
    weights = np.clip(_int8(rng, (n, 3, 3, c)), -127, 127)
    scales = np.full(n, 0.01, dtype=np.float32)
    kernel = b.tensor(weights.shape, "int8", scales, 0, weights)
    bias = b.tensor((n,), "int32", np.float32(scale) * scales, 0, rng.integers(-900, 900, size=n))
    y = b.tensor((1, h, w, n), "int8", 0.04, -10)
    b.operator("CONV_2D", [x, kernel, bias], [y], 3, padding=SAME, strideH=1, strideW=1)
    return y


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f
    for f in (
        fully_connected, conv, depthwise_conv, average_pool, max_pool, add, softmax, logistic, reshape, pad,
        quantize, requantize, dequantize, network,
    )
}  # fmt: skip
