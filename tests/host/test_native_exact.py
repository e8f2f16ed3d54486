# SPDX-License-Identifier: MIT
"""The fast paths of the carried modules at the edges of their arithmetic, against the reference kernels."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from compiler.builder import KINDS, SAME, VALID, Builder, oracle
from compiler.native_machine import Machine
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes, compile_file
from torpor_host.compiler.image import read

ARCHITECTURES = ("armv6m", "armv7m", "armv7emsp", "rv32imc")
CASES = 10
EDGE_CASES = 24
PIXELS = 3  # a pair, and one that is left
# arguments of records 2 and 3 (device/torpor/nn/conv.py)
IN, OUT, WEIGHTS, BIAS, MULTIPLIERS, SHIFTS = 0, 1, 18, 19, 20, 21
EARLIER = 13  # how much earlier the last four stand in record 1


def invoke(machine: Machine, image: bytes, data: bytes) -> bytes:
    """Return the first output for `data` as the first input."""
    info = read(image, "image")
    arena = bytearray(info.arena_bytes + info.scratch_bytes)
    assert machine.check(image, len(arena)) == 0
    x, y = info.inputs[0], info.outputs[0]
    arena[x.offset : x.offset + x.size_bytes] = data
    after = machine.invoke(image, bytes(arena))
    return after[y.offset : y.offset + y.size_bytes]


def reference(image: bytes, data: bytes) -> bytes:
    model = Model(image, "reference")
    model.input[:] = memoryview(data).cast("b")
    model.run()
    return bytes(model.output)


def single(kind: str, rng: np.random.Generator, units: int, depth: int, zero: int) -> bytes:
    """One layer: 1x1 CONV_2D of `depth` channels, 3x3 DEPTHWISE_CONV_2D, or FULLY_CONNECTED."""
    b = Builder()
    scales = np.full(units, 0.01, dtype=np.float32)
    if kind == "FULLY_CONNECTED":
        shapes, weights, axis = ((1, depth), (1, units)), (units, depth), 0
    elif kind == "CONV_2D":
        shapes, weights, axis = ((1, 1, PIXELS, depth), (1, 1, PIXELS, units)), (units, 1, 1, depth), 0
    else:
        shapes, weights, axis = ((1, 2, PIXELS, units), (1, 2, PIXELS, units)), (1, 3, 3, units), 3
    x = b.tensor(shapes[0], "int8", 0.05, 0)
    y = b.tensor(shapes[1], "int8", 0.05, zero)
    w = b.tensor(weights, "int8", scales, 0, rng.integers(1, 4, size=weights), axis)
    bias = b.tensor((units,), "int32", np.float32(0.05) * scales, 0, np.arange(1000, 1000 + units))
    if kind == "FULLY_CONNECTED":
        b.operator(kind, [x, w, bias], [y], 4)
    else:
        more = {"depthMultiplier": 1} if kind != "CONV_2D" else {}
        b.operator(
            kind, [x, w, bias], [y], 3,
            padding=SAME if more else VALID, strideH=1, strideW=1, **more,
        )  # fmt: skip
    return compile_bytes(b.build([x], [y]), kind).image


def patched(image: bytes, values: dict[int, np.ndarray]) -> bytes:
    """Put int32 `values` where the arguments of the first record say that they lie."""
    data = bytearray(image)
    operators, weights = struct.unpack_from("<II", data, 28)
    for position, new in values.items():
        (at,) = struct.unpack_from("<i", data, operators + 4 + 4 * position)
        data[weights + at : weights + at + 4 * len(new)] = new.astype("<i4").tobytes()
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


def edges(rng: np.random.Generator, units: int, plain: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Biases that, scaled, lie at halves or next to them, at the ends of int8, at a plain layer's limits."""
    limit = 1 << 29
    bias, multiplier, shift = (np.zeros(units, dtype=np.int64) for _ in range(3))
    for i in range(units):
        n = int(rng.choice([1, 2, 3, 5, 8, 8, 13, 20, 27, 30, 31]))
        m = int(rng.choice([1 << 30, (1 << 30) + 1, (1 << 31) - 1, int(rng.integers(1 << 30, 1 << 31)), 0]))
        want = int(rng.choice([-129, -128, -1, 0, 1, 127, 128, int(rng.integers(-140, 140))]))
        half = (want << n) + (1 << n >> 1) + int(rng.integers(-2, 3))  # after the first rounding
        total = (half << 31) // (m or 1 << 31) + int(rng.integers(-1, 2))
        if rng.integers(12) == 0:
            total = int(rng.choice([-limit, limit - 1, 0, -1, 1]))
        bias[i], multiplier[i], shift[i] = max(-limit, min(limit - 1, total)), m, -n
    if not plain:
        i = int(rng.integers(units))
        if rng.integers(2):
            bias[i] = int(rng.choice([limit, (1 << 31) - 2**17, -limit - 1, -(1 << 31) + 2**17]))
        else:
            shift[i], bias[i] = int(rng.integers(0, 9)), int(rng.integers(-300, 300))
    return bias, multiplier, shift


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_requantization_at_its_edges(kind: str, architecture: str) -> None:
    machine = Machine(architecture)
    rng = np.random.default_rng(11)
    seen = set()
    for case in range(EDGE_CASES):
        units, depth = int(rng.integers(30, 50)), int(rng.integers(4, 12))
        zero = int(rng.choice([-128, -1, 0, 5, 127]))
        bias, multiplier, shift = edges(rng, units, plain=case % 4 > 0)
        less = EARLIER if kind == "FULLY_CONNECTED" else 0
        new = {BIAS - less: bias, MULTIPLIERS - less: multiplier, SHIFTS - less: shift}
        image = patched(single(kind, rng, units, depth, zero), new)
        size = read(image, kind).inputs[0].size_bytes
        data = rng.integers(-1, 2, size=size, dtype=np.int8)
        if case % 2:
            data[:] = 0  # the sums are the biases
        want = reference(image, data.tobytes())
        assert invoke(machine, image, data.tobytes()) == want, (kind, case)
        seen |= set(want)
    assert len(seen) > 50


def extreme(rng: np.random.Generator, machine: Machine, kind: str, units: int, depth: int) -> None:
    """Inputs and weights of -128 and 127: the largest products there are."""
    image = bytearray(single(kind, rng, units, depth, 3))
    operators, weights = struct.unpack_from("<II", image, 28)
    position = WEIGHTS - (EARLIER if kind == "FULLY_CONNECTED" else 0)
    (at,) = struct.unpack_from("<i", image, operators + 4 + 4 * position)
    count = units * (9 if kind == "DEPTHWISE_CONV_2D" else depth)
    ends = np.array([-128, -128, -128, 127], dtype=np.int8)
    image[weights + at : weights + at + count] = rng.choice(ends, size=count).tobytes()
    made = patched(bytes(image), {})
    data = rng.choice(ends, size=read(made, kind).inputs[0].size_bytes).tobytes()
    assert invoke(machine, made, data) == reference(made, data), (kind, units, depth)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_largest_products(architecture: str) -> None:
    machine = Machine(architecture)
    rng = np.random.default_rng(12)
    for kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        for units in (1, 2, 3, 4, 7, 8):
            for depth in (1, 2, 3, 4, 5, 6, 7, 8, 13, 64):
                if kind != "DEPTHWISE_CONV_2D" or depth == 1:
                    extreme(rng, machine, kind, units, depth)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["conv", "depthwise_conv", "fully_connected"])
def test_random_layers(kind: str, architecture: str) -> None:
    """Odd channels, strides, dilations, one scale or many, whatever offset in the arena."""
    machine = Machine(architecture)
    for seed in range(CASES):
        rng = np.random.default_rng([5, seed])
        case = KINDS[kind](rng)
        want = oracle(case.model, case.inputs)[0].tobytes()
        image = compile_bytes(case.model, kind).image
        assert invoke(machine, image, case.inputs[0].tobytes()) == want, (kind, seed, case.label)
        assert invoke(machine, moved(image, rng), case.inputs[0].tobytes()) == want, (kind, seed, case.label)


def moved(image: bytes, rng: np.random.Generator) -> bytes:
    """The same layer with its input and output behind all else, at any offset of bytes."""
    info = read(image, "image")
    x, y = info.inputs[0], info.outputs[0]
    x_at = info.arena_bytes + int(rng.integers(1, 8))
    y_at = x_at + x.size_bytes + int(rng.integers(0, 8))
    data = bytearray(image)
    tensors, operators = struct.unpack_from("<II", data, 24)
    struct.pack_into("<I", data, 16, y_at + y.size_bytes)
    for i, at in enumerate((x_at, y_at)):  # tensor records: 36 bytes, the offset at 4; inputs first
        struct.pack_into("<i", data, tensors + 36 * i + 4, at)
        struct.pack_into("<i", data, operators + 4 + 4 * (IN, OUT)[i], at)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


# instructions per inference: what was measured (tools/bench/cortex.py) and a little
MOST = {"armv6m": 12_400_000, "armv7m": 8_700_000, "armv7emsp": 4_400_000, "rv32imc": 13_000_000}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_keyword_model(architecture: str, shared_data: Path) -> None:
    x = np.load(shared_data / "inputs" / "kws" / "kws01_open.npz")["X"][:1]
    want = np.load(shared_data / "expected" / "kws_ref_model_kws01_open.npz")["out"][:1]
    compiled = compile_file(shared_data / "models" / "mlperf_tiny" / "kws_ref_model.tflite")
    machine = Machine(architecture)
    assert invoke(machine, compiled.image, x.tobytes()) == want.tobytes()
    assert machine.instructions < MOST[architecture]
