# SPDX-License-Identifier: MIT
"""Random small models of 3 to 8 operators: chains, branches that meet again, several outputs.

Scales follow the values roughly (each tensor is taken to reach 60 steps from its zero point), so that what
one layer gets wrong is seen in the last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.builder import RELU, SAME, Builder, Case, Rng, _int8

_REACH = 60
_MOST = 4000  # values in a tensor


@dataclass(frozen=True)
class _T:
    """A computed int8 tensor, NHWC."""

    index: int
    shape: tuple[int, int, int, int]
    scale: float
    zero: int


class _Net(Builder):
    def __init__(self, rng: Rng) -> None:
        super().__init__()
        self.rng = rng
        self.known: list[_T] = []  # all that has been computed; the last is where most go on

    def of(self, shape: tuple[int, ...], scale: float, zero: int | None = None) -> _T:
        zero = int(self.rng.integers(-40, 41)) if zero is None else zero
        scale = float(np.float32(scale))
        b, h, w, c = shape
        return _T(self.tensor(shape, "int8", scale, zero), (b, h, w, c), scale, zero)

    def ints(self, values: Any) -> int:
        array = np.asarray(values)
        return self.tensor(array.shape, "int32", data=array)

    def add(self, name: str, inputs: list[int], y: _T, version: int = 2, **options: Any) -> _T:
        self.operator(name, inputs, [y.index], version, **options)
        self.known.append(y)
        return y

    def like(self, x: _T, shape: tuple[int, ...]) -> _T:
        """A tensor of x's scale and zero point."""
        return self.of(shape, x.scale, x.zero)

    def requantized(self, x: _T, other: _T) -> _T:
        """`x` in the scale of `other`."""
        if (x.scale, x.zero) == (other.scale, other.zero):
            return x
        return self.add("QUANTIZE", [x.index], self.like(other, x.shape))


def _window(net: _Net, x: _T) -> dict[str, Any]:
    """Filter, stride, padding and output size."""
    found: dict[str, Any] = {"padding": int(net.rng.integers(2)), "out": [], "filter": [], "stride": []}
    for size in x.shape[1:3]:
        stride, taps = int(net.rng.choice([1, 1, 2])), int(net.rng.choice([1, 2, 3]))
        taps = min(taps, size)
        out = -(-size // stride) if found["padding"] == SAME else -(-(size - taps + 1) // stride)
        for key, value in (("out", out), ("filter", taps), ("stride", stride)):
            found[key].append(value)
    return found


def _weighted(net: _Net, x: _T, shape: tuple[int, ...], axis: int, depth: int) -> tuple[list[int], float]:
    """Weights and bias tensors, and a scale for the output."""
    n = shape[axis]
    scales = (net.rng.uniform(0.5, 1.5, size=n) * 0.01).astype(np.float32)
    weights = net.tensor(shape, "int8", scales, 0, np.clip(_int8(net.rng, shape), -127, 127), axis)
    bias = net.tensor(
        (n,), "int32", np.float32(x.scale) * scales, 0, net.rng.integers(-1000, 1000, size=n), 0
    )
    return [weights, bias], x.scale * 0.01 * 74 * float(np.sqrt(depth))


def _conv(net: _Net, x: _T) -> _T | None:
    win, n, c = _window(net, x), int(net.rng.integers(1, 9)), x.shape[3]
    tensors, scale = _weighted(net, x, (n, *win["filter"], c), 0, c * win["filter"][0] * win["filter"][1])
    return net.add(
        "CONV_2D", [x.index, *tensors], net.of((1, *win["out"], n), scale), 3, padding=win["padding"],
        strideH=win["stride"][0], strideW=win["stride"][1],
        fusedActivationFunction=int(net.rng.choice([0, RELU])),
    )  # fmt: skip


def _depthwise(net: _Net, x: _T) -> _T | None:
    win, multiplier, c = _window(net, x), int(net.rng.choice([1, 1, 2])), x.shape[3]
    taps = win["filter"][0] * win["filter"][1]
    tensors, scale = _weighted(net, x, (1, *win["filter"], c * multiplier), 3, taps)
    return net.add(
        "DEPTHWISE_CONV_2D", [x.index, *tensors], net.of((1, *win["out"], c * multiplier), scale), 3,
        padding=win["padding"], strideH=win["stride"][0], strideW=win["stride"][1],
        depthMultiplier=multiplier,
        fusedActivationFunction=int(net.rng.choice([0, RELU])),
    )  # fmt: skip


def _transpose_conv(net: _Net, x: _T) -> _T | None:
    n, c, stride, taps = int(net.rng.integers(1, 5)), x.shape[3], 2, int(net.rng.integers(1, 4))
    out = [size * stride for size in x.shape[1:3]]
    if out[0] * out[1] * n > _MOST:
        return None
    tensors, scale = _weighted(net, x, (n, taps, taps, c), 0, taps * c)
    shape = net.ints([1, *out, n])
    return net.add(
        "TRANSPOSE_CONV", [shape, tensors[0], x.index, tensors[1]], net.of((1, *out, n), scale), 3,
        padding=SAME, strideH=stride, strideW=stride,
    )  # fmt: skip


def _pool(net: _Net, x: _T) -> _T | None:
    win, name = _window(net, x), str(net.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    return net.add(
        name, [x.index], net.like(x, (1, *win["out"], x.shape[3])), padding=win["padding"],
        strideH=win["stride"][0], strideW=win["stride"][1], filterHeight=win["filter"][0],
        filterWidth=win["filter"][1],
    )  # fmt: skip


def _binary(net: _Net, x: _T) -> _T | None:
    """With something computed before that broadcasts, with itself, or with a constant."""
    name = str(net.rng.choice(["ADD", "ADD", "SUB", "MUL"]))
    fits = [t for t in net.known if all(n in (1, m) for n, m in zip(t.shape, x.shape, strict=True))]
    other = fits[int(net.rng.integers(len(fits)))]
    if net.rng.integers(4) == 0:
        shape = (1, 1, 1, x.shape[3])
        zero = int(net.rng.integers(-40, 41))
        index = net.tensor(shape, "int8", 0.03, zero, _int8(net.rng, shape))
        other = _T(index, shape, 0.03, zero)
    scale = max(x.scale, other.scale) * 1.5
    if name == "MUL":
        scale = x.scale * other.scale * _REACH
    pair = [x.index, other.index]
    if net.rng.integers(2):
        pair.reverse()
    return net.add(name, pair, net.of(x.shape, scale), fusedActivationFunction=int(net.rng.choice([0, RELU])))


def _concat(net: _Net, x: _T) -> _T | None:
    axis = int(net.rng.integers(1, 4))
    fits = [
        t
        for t in net.known
        if all(i == axis or n == m for i, (n, m) in enumerate(zip(t.shape, x.shape, strict=True)))
    ]
    parts = [x, *(fits[int(net.rng.integers(len(fits)))] for _ in range(int(net.rng.integers(1, 3))))]
    shape = list(x.shape)
    shape[axis] = sum(t.shape[axis] for t in parts)
    if np.prod(shape) > _MOST:
        return None
    parts = [net.requantized(t, x) for t in parts]
    return net.add("CONCATENATION", [t.index for t in parts], net.like(x, tuple(shape)), axis=axis)


def _split(net: _Net, x: _T) -> _T | None:
    axes = [i for i in range(1, 4) if x.shape[i] % 2 == 0]
    if not axes:
        return None
    axis = int(net.rng.choice(axes))
    shape = tuple(n // 2 if i == axis else n for i, n in enumerate(x.shape))
    halves = [net.like(x, shape) for _ in range(2)]
    net.operator("SPLIT", [net.ints([axis]), x.index], [h.index for h in halves], 2, numSplits=2)
    net.known += halves
    return halves[1]


def _pad(net: _Net, x: _T) -> _T | None:
    paddings = [[0, 0], *([int(v) for v in net.rng.integers(0, 3, size=2)] for _ in range(2)), [0, 0]]
    shape = tuple(n + sum(p) for n, p in zip(x.shape, paddings, strict=True))
    return net.add("PAD", [x.index, net.ints(paddings)], net.like(x, shape))


def _reduce(net: _Net, x: _T) -> _T | None:
    axes = [[1, 2], [2], [3], [1, 2, 3]][int(net.rng.integers(4))]
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    name = str(net.rng.choice(["MEAN", "MEAN", "REDUCE_MAX"]))
    y = net.like(x, shape) if name == "REDUCE_MAX" else net.of(shape, x.scale * 0.5)
    return net.add(name, [x.index, net.ints(axes)], y, keepDims=True)


def _move(net: _Net, x: _T) -> _T | None:
    style = int(net.rng.integers(4))
    _, h, w, c = x.shape
    if style == 0:
        shape = [(1, h * w, 1, c), (1, 1, h, w * c), (1, w, h, c)][int(net.rng.integers(3))]
        return net.add("RESHAPE", [x.index, net.ints(shape)], net.like(x, shape), 1)
    if style == 1:
        perm = [0, *(int(v) for v in net.rng.permutation([1, 2, 3]))]
        return net.add("TRANSPOSE", [x.index, net.ints(perm)], net.like(x, tuple(x.shape[p] for p in perm)))
    if style == 2:
        begin = [0, *(int(net.rng.integers(0, n)) for n in x.shape[1:])]
        size = [n - b for n, b in zip(x.shape, begin, strict=True)]
        return net.add("SLICE", [x.index, net.ints(begin), net.ints(size)], net.like(x, tuple(size)))
    if 4 * h * w * c > _MOST:
        return None
    name = str(net.rng.choice(["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"]))
    size = [2 * h, 2 * w]
    return net.add(
        name,
        [x.index, net.ints(size)],
        net.like(x, (1, *size, c)),
        3,
        halfPixelCenters=bool(net.rng.integers(2)),
    )


def _curve(net: _Net, x: _T) -> _T | None:
    name = str(net.rng.choice(["SOFTMAX", "LOGISTIC", "TANH", "RELU", "LEAKY_RELU", "HARD_SWISH"]))
    y = net.of(x.shape, x.scale)
    options: dict[str, Any] = {}
    if name in ("SOFTMAX", "LOGISTIC"):
        y = net.of(x.shape, 1 / 256, -128)
        options = {"beta": 1.0} if name == "SOFTMAX" else {}
    elif name == "TANH":
        y = net.of(x.shape, 1 / 128, 0)
    elif name == "LEAKY_RELU":
        options = {"alpha": 0.2}
    return net.add(name, [x.index], y, **options)


_STEPS: tuple[Callable[[_Net, _T], _T | None], ...] = (
    _conv, _conv, _depthwise, _transpose_conv, _pool, _binary, _binary, _concat, _concat, _split, _pad,
    _reduce, _move, _curve,
)  # fmt: skip


def graph(rng: Rng) -> Case:
    net = _Net(rng)
    sources = []
    for _ in range(int(rng.choice([1, 1, 2]))):
        shape = tuple(int(v) for v in (1, *rng.integers(1, 9, size=2), rng.integers(1, 7)))
        sources.append(net.of(shape, 0.05))
        net.known.append(sources[-1])
    count = int(rng.integers(3, 9))
    while len(net.operators) < count:
        at = -1 if rng.integers(4) else int(rng.integers(len(net.known)))  # a branch, now and then
        _STEPS[int(rng.integers(len(_STEPS)))](net, net.known[at])
    made = net.known[len(sources) :]
    used = {int(t) for op in net.operators for t in op.inputs}
    ends = [t for t in made if t.index not in used]
    if rng.integers(3) == 0:  # something from the middle as well
        ends += [t for t in made if t.index in used][:1]
    label = " ".join(net.codes[op.opcodeIndex][0] for op in net.operators)
    unused = [s for s in sources if s.index not in used]
    inputs = [s for s in sources if s not in unused]
    data = [_int8(rng, s.shape) for s in inputs]
    return Case(label, net.build([s.index for s in inputs], [t.index for t in ends]), data)


KINDS: dict[str, Callable[[Rng], Case]] = {"graph": graph}
