# SPDX-License-Identifier: MIT
"""What random graphs (cases_graph.py) found: views and outputs in place, where they meet."""

import numpy as np

from compiler.builder import VALID, Builder, oracle
from compiler.executors import execute
from torpor_host.compiler import compile_bytes

RNG = np.random.default_rng(1)


def same(data: bytes, inputs: list[np.ndarray]) -> None:
    compiled = compile_bytes(data, "m")
    want = oracle(data, inputs, len(compiled.report["outputs"]))
    for got, wanted in zip(execute(compiled.image, inputs, "reference"), want, strict=True):
        assert np.array_equal(got, wanted.reshape(-1))


def test_not_in_place_of_what_another_input_is_a_part_of() -> None:
    """x lies in the first of three places of `three`; x * three, written over `three`, would change x."""
    b = Builder()
    x = b.tensor((1, 1, 1, 5), "int8", 0.05, 3)
    three = b.tensor((1, 1, 3, 5), "int8", 0.05, 3)
    y = b.tensor((1, 1, 3, 5), "int8", 0.15, -7)
    b.operator("CONCATENATION", [x, x, x], [three], 2, axis=2)
    b.operator("MUL", [three, x], [y], 2)
    same(b.build([x], [y]), [RNG.integers(-128, 128, size=(1, 1, 1, 5), dtype=np.int8)])


def test_an_alias_of_what_then_lies_in_something_larger() -> None:
    """The second half is reshaped, and what it is reshaped to is a part of a concatenation."""
    b = Builder()
    x = b.tensor((1, 2, 7, 1), "int8", 0.05, 3)
    halves = [b.tensor((1, 1, 7, 1), "int8", 0.05, 3) for _ in range(2)]
    pooled = b.tensor((1, 1, 5, 1), "int8", 0.05, 3)
    flat, joined = b.tensor((1, 1, 1, 7), "int8", 0.05, 3), b.tensor((1, 1, 1, 21), "int8", 0.05, 3)
    y = b.tensor((1, 1, 1, 21), "int8", 0.02, 9)
    b.operator("SPLIT", [b.tensor((), "int32", data=np.array(1)), x], halves, 2, numSplits=2)
    b.operator(
        "AVERAGE_POOL_2D", [halves[1]], [pooled], 2, padding=VALID, strideH=1, strideW=1, filterHeight=1,
        filterWidth=3,
    )  # fmt: skip
    b.operator("RESHAPE", [halves[1], b.tensor((4,), "int32", data=np.array([1, 1, 1, 7]))], [flat])
    b.operator("CONCATENATION", [flat, flat, flat], [joined], 2, axis=3)
    b.operator("LEAKY_RELU", [joined], [y], 2, alpha=0.3)
    same(b.build([x], [halves[0], pooled, y]), [RNG.integers(-128, 128, size=(1, 2, 7, 1), dtype=np.int8)])
