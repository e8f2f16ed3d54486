# SPDX-License-Identifier: MIT
"""What the passes do to small graphs, each checked against tflite-micro's bytes for the same file."""

import numpy as np

from compiler.builder import VALID, Builder, oracle
from compiler.executors import KERNELS, execute
from torpor_host.compiler import compile_bytes, image

X = np.arange(-8, 8, dtype=np.int8).reshape(1, 16) * 16


def names(data: bytes) -> list[str]:
    return [op.name for op in image.read(compile_bytes(data, "m").image, "m").operators]


def same(data: bytes, outputs: int = 1) -> None:
    compiled = compile_bytes(data, "m").image
    want = oracle(data, [X], outputs)
    for kernels in KERNELS:
        for got, expected in zip(execute(compiled, [X], kernels), want, strict=True):
            assert np.array_equal(got, expected.reshape(-1))


def test_constants_are_quantized_and_reshaped_at_compile_time() -> None:
    b = Builder()
    x = b.tensor((1, 16), "int8", 0.1, 0)
    floats = b.tensor((16,), "float32", data=np.linspace(-3, 3, 16, dtype=np.float32))
    small, wide, line = b.tensor((16,), "int8", 0.03, 5), b.tensor((16,), "int8", 0.05, -7), None
    line = b.tensor((1, 16), "int8", 0.05, -7)
    y = b.tensor((1, 16), "int8", 0.12, 3)
    b.operator("QUANTIZE", [floats], [small])
    b.operator("QUANTIZE", [small], [wide])
    b.operator("RESHAPE", [wide, b.tensor((2,), "int32", data=np.array([1, 16]))], [line])
    b.operator("ADD", [line, x], [y], 2)
    data = b.build([x], [y])
    assert names(data) == ["ADD"]
    same(data)


def test_what_changes_no_byte_is_dropped() -> None:
    b = Builder()
    x, q = b.tensor((1, 16), "int8", 0.1, 4), b.tensor((1, 16), "int8", 0.1, 4)
    padded, shaped = b.tensor((1, 16), "int8", 0.1, 4), b.tensor((4, 4), "int8", 0.1, 4)
    b.operator("QUANTIZE", [x], [q])
    b.operator("PAD", [q, b.tensor((2, 2), "int32", data=np.zeros((2, 2)))], [padded], 2)
    b.operator("RESHAPE", [padded, b.tensor((2,), "int32", data=np.array([4, 4]))], [shaped])
    data = b.build([x], [shaped])
    assert names(data) == []
    same(data)
    report = compile_bytes(data, "m").report
    assert report["arena_bytes"] == 16 and report["operators"] == []


def test_what_no_output_needs_is_dropped() -> None:
    b = Builder()
    x = b.tensor((1, 16), "int8", 0.1, 4)
    y, unused = (b.tensor((1, 16), "int8", 1 / 256, -128) for _ in range(2))
    b.operator("SOFTMAX", [x], [unused], 2, beta=1.0)
    b.operator("LOGISTIC", [x], [y], 2)
    data = b.build([x], [y])
    assert names(data) == ["LOOKUP"]
    same(data)


def test_two_outputs_that_share_an_input_keep_apart() -> None:
    b = Builder()
    x = b.tensor((1, 16), "int8", 0.05, 4)
    y, z = (b.tensor((1, 16), "int8", 1 / 256, -128) for _ in range(2))
    shaped = b.tensor((1, 4, 4, 1), "int8", 1 / 256, -128)
    pooled = b.tensor((1, 2, 2, 1), "int8", 1 / 256, -128)
    b.operator("SOFTMAX", [x], [z], 2, beta=1.0)
    b.operator("LOGISTIC", [x], [y], 2)
    b.operator("RESHAPE", [y, b.tensor((4,), "int32", data=np.array([1, 4, 4, 1]))], [shaped])
    b.operator(
        "MAX_POOL_2D",
        [shaped],
        [pooled],
        2,
        padding=VALID,
        strideH=2,
        strideW=2,
        filterHeight=2,
        filterWidth=2,
    )
    same(b.build([x], [pooled, z, y]), outputs=3)


def test_equal_constants_are_stored_once() -> None:
    weights = np.arange(-127, 129).clip(-127, 127).reshape(16, 16)

    def model(second: np.ndarray) -> int:
        b = Builder()
        x, h, y = (b.tensor((1, 16), "int8", 0.1, 0) for _ in range(3))
        for a, c, w in ((x, h, weights), (h, y, second)):
            b.operator("FULLY_CONNECTED", [a, b.tensor((16, 16), "int8", 0.01, 0, w), -1], [c], 4)
        data = b.build([x], [y])
        same(data)
        return len(compile_bytes(data, "m").image)

    assert model(weights) <= model(weights[::-1]) - 256
