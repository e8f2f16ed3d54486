# SPDX-License-Identifier: MIT
"""What a single layer costs on emulated processors, by its kind: instructions per MAC, or per output value.

    PYTHONPATH=device:host:tests python tools/bench/layers.py [--cpu armv6m,..]

One layer, one model; outputs are checked against PyPI tflite-micro. Counts are exact; they are no cycles.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cortex import PROCESSORS, count

from compiler.builder import SAME, Builder, oracle
from compiler.native_machine import Machine
from torpor_host.compiler import compile_bytes

Made = tuple[bytes, np.ndarray, int]  # model, input, what to divide by
RNG = np.random.default_rng(7)


def convolution(
    channels: int,
    units: int,
    window: int,
    *,
    depthwise: bool = False,
    types: str = "8x8",
    y_scale: float = 0.1,
) -> Made:
    """20 x 20 pixels. y_scale: 0.1 gives shifts to the right, a tiny one shifts to the left (not plain)."""
    side = 20
    wide, narrow = types == "16x8", types == "8x4"
    b = Builder()
    x_type, zero = ("int16", 0) if wide else ("int8", 3)
    x_scale = 0.0002 if wide else 0.05
    shape = (1, window, window, units) if depthwise else (units, window, window, channels)
    w = RNG.integers(-8 if narrow else -127, 8 if narrow else 128, shape).astype(np.int8)
    scales = np.full(units, 0.01, dtype=np.float32)
    x = b.tensor((1, side, side, channels), x_type, x_scale, zero)
    weights = b.tensor(shape, "int4" if narrow else "int8", scales, 0, data=w, axis=3 if depthwise else 0)
    bias = b.tensor(
        (units,), "int64" if wide else "int32", x_scale * scales, 0,
        data=RNG.integers(-500, 500, units).astype(np.int64 if wide else np.int32),
    )  # fmt: skip
    y = b.tensor((1, side, side, units), x_type, y_scale / 100 if wide else y_scale, zero)
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    more = {"depthMultiplier": units // channels} if depthwise else {}
    b.operator(name, [x, weights, bias], [y], 3, padding=SAME, strideH=1, strideW=1, **more)
    data = RNG.integers(-100, 100, (1, side, side, channels)).astype(x_type)
    return b.build([x], [y]), data, side * side * units * window * window * (1 if depthwise else channels)


def simple(name: str, y_scale: float, y_zero: int, **options: Any) -> Made:
    """4096 values to as many, in rows of 64."""
    b = Builder()
    x = b.tensor((64, 64), "int8", 0.05, 3)
    y = b.tensor((64, 64), "int8", y_scale, y_zero)
    b.operator(name, [x, x] if name in ("ADD", "MUL") else [x], [y], 2, **options)
    return b.build([x], [y]), RNG.integers(-128, 128, (64, 64)).astype(np.int8), 64 * 64


LAYERS: dict[str, Callable[[], Made]] = {
    "CONV_2D 1x1, 64 to 64 channels": lambda: convolution(64, 64, 1),
    "the same, shifts to the left": lambda: convolution(64, 64, 1, y_scale=0.0001),
    "the same, int4 weights": lambda: convolution(64, 64, 1, types="8x4"),
    "the same, int16 activations": lambda: convolution(64, 64, 1, types="16x8"),
    "CONV_2D 3x3, 64 to 64": lambda: convolution(64, 64, 3),
    "CONV_2D 3x3, 3 to 16": lambda: convolution(3, 16, 3),
    "DEPTHWISE_CONV_2D 3x3, 64": lambda: convolution(64, 64, 3, depthwise=True),
    "DEPTHWISE_CONV_2D 3x3, 3": lambda: convolution(3, 3, 3, depthwise=True),
    "DEPTHWISE_CONV_2D 5x5, 64": lambda: convolution(64, 64, 5, depthwise=True),
    "ADD": lambda: simple("ADD", 0.1, 0),
    "MUL": lambda: simple("MUL", 0.3, 0),
    "SOFTMAX": lambda: simple("SOFTMAX", 1 / 256, -128, beta=1.0),
    "LOGISTIC, a table": lambda: simple("LOGISTIC", 1 / 256, -128),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cpu", default=",".join(PROCESSORS), help="processors, with commas between")
    processors = parser.parse_args().cpu.split(",")
    print(f"{'per MAC, the last four per value':34}" + "".join(f"{name:>12}" for name in processors))
    for label, make in LAYERS.items():
        model, x, unit = make()
        image = compile_bytes(model, label).image
        want = oracle(model, [x])[0].tobytes()
        done = [count(image, x, want, Machine(name), False).total / unit for name in processors]
        print(f"{label:34}" + "".join(f"{n:12.2f}" for n in done), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
