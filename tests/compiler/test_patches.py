# SPDX-License-Identifier: MIT
"""Layers in patches: the same bytes in less memory, and what that costs."""

import re
from pathlib import Path

import numpy as np
import pytest

from compiler.builder import NONE, RELU, SAME, VALID, Builder, Rng, _int8, oracle
from compiler.executors import execute
from torpor_host import infer
from torpor_host.compiler import (
    bands,
    compile_bytes,
    compile_file,
    image,
    passes,
    plan,
    spec,
    tflite,
    views,
)  # fmt: skip
from torpor_host.compiler.ir import Graph
from torpor_host.errors import CompileError
from torpor_host.kernels import library


class _Net:
    """A random CNN, layer by layer; `at` is its last tensor, of `shape`."""

    def __init__(self, rng: Rng, c: int) -> None:
        self.rng, self.b = rng, Builder()
        self.shape = (1, int(rng.integers(12, 25)), int(rng.choice([2, 3, 4, 6])), c)
        self.x = self.at = self.b.tensor(self.shape, "int8", 0.05, int(rng.integers(-20, 20)))

    def _next(self, shape: tuple[int, ...], scale: float | None = None, zero: int | None = None) -> int:
        self.shape = shape
        return self.b.tensor(
            shape, "int8", scale or 0.05, int(self.rng.integers(-20, 20)) if zero is None else zero
        )

    def conv(self, n: int, depthwise: bool = False, same_size: bool = False) -> None:
        rng, (_, h, w, c) = self.rng, self.shape
        padding = SAME if same_size else int(rng.choice([SAME, SAME, VALID]))
        f, stride = int(rng.choice([1, 2, 3, 3, 4])), 1 if same_size else int(rng.choice([1, 1, 2]))
        dilation = int(rng.choice([1, 1, 2])) if stride == 1 else 1
        reach = (f - 1) * dilation + 1
        if padding == VALID and min(h, w) < reach:
            padding = SAME
        out = [-(-s // stride) if padding == SAME else -(-(s - reach + 1) // stride) for s in (h, w)]
        n = c if depthwise else n
        shape = (1, f, f, n) if depthwise else (n, f, f, c)
        scale = 0.05 / (8 * f * (1 if depthwise else c**0.5))
        weights = self.b.tensor(shape, "int8", scale, 0, rng.integers(-127, 128, size=shape))
        bias = self.b.tensor((n,), "int32", scale * 0.05, 0, rng.integers(-500, 500, size=n))
        before, self.at = self.at, self._next((1, *out, n))
        self.b.operator(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [before, weights, bias], [self.at], 3,
            padding=padding, strideH=stride, strideW=stride, dilationHFactor=dilation,
            dilationWFactor=dilation,
            fusedActivationFunction=int(rng.choice([NONE, RELU])),
            **({"depthMultiplier": 1} if depthwise else {}),
        )  # fmt: skip

    def pool(self) -> None:
        _, h, w, c = self.shape
        name, padding = str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])), int(self.rng.integers(2))
        f, stride = (2, 2) if min(h, w) >= 2 else (1, 1)
        out = [-(-s // stride) if padding == SAME else -(-(s - f + 1) // stride) for s in (h, w)]
        tensor = self.b.tensors[self.at].quantization
        before, self.at = self.at, self._next((1, *out, c), float(tensor.scale[0]), int(tensor.zeroPoint[0]))
        self.b.operator(
            name, [before], [self.at], 2, padding=padding, strideH=stride, strideW=stride, filterHeight=f,
            filterWidth=f,
        )  # fmt: skip

    def pad(self) -> None:
        paddings = np.array([[0, 0], *self.rng.integers(0, 3, size=(2, 2)), [0, 0]])
        tensor = self.b.tensors[self.at].quantization
        shape = tuple(int(n + p.sum()) for n, p in zip(self.shape, paddings, strict=True))
        before, self.at = self.at, self._next(shape, float(tensor.scale[0]), int(tensor.zeroPoint[0]))
        self.b.operator("PAD", [before, self.b.tensor((4, 2), "int32", data=paddings)], [self.at], 2)

    def residual(self) -> None:
        start = self.at
        self.conv(self.shape[3], same_size=True)
        other, self.at = self.at, self._next(self.shape)
        self.b.operator("ADD", [start, other], [self.at], 2)

    def hard_swish(self) -> None:
        before, self.at = self.at, self._next(self.shape)
        self.b.operator("HARD_SWISH", [before], [self.at], 1)


def network(seed: int) -> tuple[bytes, np.ndarray]:
    rng = np.random.default_rng(seed)
    net = _Net(rng, int(rng.choice([1, 3, 4])))
    net.conv(int(rng.choice([5, 8, 12])))
    for _ in range(int(rng.integers(2, 6))):
        layer = str(rng.choice(["conv", "depthwise", "pool", "pad", "residual", "hard_swish"]))
        if layer == "conv":
            net.conv(int(rng.choice([4, 6, 8])))
        elif layer == "depthwise":
            net.conv(0, depthwise=True)
        else:
            getattr(net, layer)()
    shape = net.b.tensors[net.x].shape
    return net.b.build([net.x], [net.at]), _int8(rng, tuple(shape))


def prepared(data: bytes) -> Graph:
    graph = tflite.parse(data, "net")
    for _, run in passes.PASSES:
        run(graph)
    return graph


@pytest.mark.parametrize(("align", "seed"), [(16, 1), (16, 3), (16, 6), *((4, seed) for seed in range(9))])
def test_every_split_gives_the_same_bytes(align: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the cheapest split alone, but some of every kind; align 4: most bands are views, and what lies over
    something else lies as close as it may."""
    monkeypatch.setattr(plan, "ALIGN_BYTES", align)
    data, x = network(seed)
    want = oracle(data, [x])[0].reshape(-1)
    graph = prepared(data)
    splits = [
        made
        for start, end in bands.stages(graph)
        for height in (1, 2, 3, 4, 7, 8)
        if height < graph.output(graph.operators[end]).shape[1]
        and (made := bands.split(graph, start, end, height)) is not None
    ]
    assert splits
    for i in np.random.default_rng(seed).permutation(len(splits))[:3]:
        made = bands.build(graph, splits[i])
        spec.check(made, "in bands")
        views.run(made)
        layout = plan.make(made)
        assert layout.arena_bytes >= bands.least_bytes(graph, splits[i])
        data = image.write(made, layout)
        with library.installed():
            got = execute(data, [x], "native")[0]
        assert np.array_equal(got, want), (seed, splits[i])


@pytest.mark.parametrize("seed", [0, 6, 10, 11])
def test_a_limit_is_kept(seed: int) -> None:
    data, x = network(seed)
    whole = compile_bytes(data, "net").report
    limit = whole["arena_bytes"] * 7 // 8
    assert whole["patches"] is None
    assert compile_bytes(data, "net", whole["arena_bytes"]).report["patches"] is None
    compiled = compile_bytes(data, "net", limit)
    cost = compiled.report["patches"]
    assert compiled.report["arena_bytes"] <= limit
    assert cost["extra_macs"] == compiled.report["macs"] - whole["macs"]
    assert np.array_equal(execute(compiled.image, [x], "reference")[0], oracle(data, [x])[0].reshape(-1))


@pytest.mark.parametrize("seed", [4, 12])
def test_what_it_says_that_it_can_reach_it_reaches(seed: int) -> None:
    data, _ = network(seed)
    whole = compile_bytes(data, "net").report["arena_bytes"]
    with pytest.raises(CompileError, match="in patches") as caught:
        compile_bytes(data, "net", whole * 7 // 8)
    found = re.search(r"--ram (\d+)B", str(caught.value))
    assert found and whole * 7 // 8 < int(found[1]) < whole
    assert compile_bytes(data, "net", int(found[1])).report["arena_bytes"] == int(found[1])


def test_person_detection_in_little_memory(shared_data: Path) -> None:
    """The model whose input alone takes 27,648 bytes; 103,680 in TensorFlow Lite Micro."""
    path = shared_data / "models" / "mlperf_tiny" / "vww_96_int8.tflite"
    pictures = np.load(shared_data / "inputs" / "vww" / "vww_open.npz")["X"]
    pictures = (pictures[:: max(1, len(pictures) // 6)].astype(np.int16) - 128).astype(np.int8)
    want = [oracle(path.read_bytes(), [x[None]])[0].reshape(-1) for x in pictures]
    assert len(np.unique(want)) > 4
    for ram_bytes, patched in ((49_152, False), (48_000, False), (30_000, True)):
        compiled = compile_file(path, ram_bytes)
        assert compiled.report["peak_ram_bytes"] <= ram_bytes
        cost = compiled.report["patches"]
        assert (cost is not None) == patched
        assert not patched or 0 < cost["extra_percent"] < 1
        got = infer.run(compiled.image, pictures, "native")
        assert np.array_equal(got.reshape(len(want), -1), want)


def test_less_than_the_input_is_too_little(shared_data: Path) -> None:
    with pytest.raises(CompileError, match=r"37872 bytes, in patches 28176; the limit is 27000; allow 28176"):
        compile_file(shared_data / "models" / "mlperf_tiny" / "vww_96_int8.tflite", 27_000)


def test_a_net_without_an_image_is_not_patched(shared_data: Path) -> None:
    with pytest.raises(CompileError, match="don't help"):
        compile_file(shared_data / "models" / "mlperf_tiny" / "ad01_int8.tflite", 700)
