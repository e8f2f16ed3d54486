# SPDX-License-Identifier: MIT
"""Instructions of one inference of the carried native modules, on emulated processors (unicorn).

    PYTHONPATH=device:host:tests python tools/bench/cortex.py [--layers] [--cpu armv6m,..] [model.tflite ...]

Default: five MLPerf Tiny models of ../shared/data on all processors. The outputs are checked against PyPI
tflite-micro. Counts are exact and the same on every machine; they are no cycles. CMSIS-NN's, of the keyword
model on a Cortex-M4, were measured once (2026-07, gcc 12 -O3, without softmax) and stand beside ours.
"""

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compiler.builder import oracle
from compiler.native_machine import Machine
from torpor.nn.image import Image
from torpor_host.compiler import compile_file
from torpor_host.compiler.image import OperatorInfo, read
from torpor_host.kernels import carried

MODELS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "models" / "mlperf_tiny"
NAMES = ("kws_ref_model", "vww_96_int8", "pretrainedResnet_quant", "ad01_int8", "str_ww_ref_model")
PROCESSORS = ("armv6m", "armv7m", "armv7emsp", "rv32imc")
CMSIS_NN = {"kws_ref_model": {"armv7emsp": 7_838_476}}
# per layer of the keyword model on a Cortex-M4, by what `describe` says of it
CMSIS_NN_LAYERS = {
    "CONV_2D 49x10x1 10x4": 1_111_175,
    "DEPTHWISE_CONV_2D 25x5x64 3x3": 599_612,
    "CONV_2D 25x5x64 1x1": 1_068_924,
    "AVERAGE_POOL_2D": 50_992,
    "FULLY_CONNECTED": 2_167,
}


def macs(op: OperatorInfo) -> int:
    a = op.args
    if op.name == "FULLY_CONNECTED":
        return a[2] * a[3] * a[4]
    if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return a[3] * a[7] * a[8] * a[9] * a[10] * a[11] * (a[6] if op.name == "CONV_2D" else 1)
    return 0


def describe(op: OperatorInfo) -> str:
    a = op.args
    if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return f"{op.name} {a[4]}x{a[5]}x{a[6]} {a[10]}x{a[11]}"
    return op.name


@dataclass(frozen=True)
class Count:
    total: int
    macs: int
    layers: list[tuple[OperatorInfo, int]]


def count(image: bytes, x: np.ndarray, want: bytes, machine: Machine, layers: bool) -> Count:
    """Run the model once. Raises SystemExit where the output is not `want`."""
    info = Image(io.BytesIO(image))
    if machine.check(image, info.ram_bytes) != 0:
        raise SystemExit("the module does not run this model")
    arena = bytearray(info.ram_bytes)
    _, offset, size, _, _, _ = info.inputs[0]
    arena[offset : offset + size] = x.tobytes()
    after = machine.invoke(image, bytes(arena))
    total = machine.instructions
    _, offset, size, _, _, _ = info.outputs[0]
    if after[offset : offset + size] != want:
        raise SystemExit("the output differs from tflite-micro's")
    found = []
    if layers:
        found = list(zip(read(image, "image").operators, machine.records(image, bytes(arena)), strict=True))
    return Count(total, info.macs, found)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--layers", action="store_true", help="count every layer on its own, too")
    parser.add_argument("--cpu", default=",".join(PROCESSORS), help="processors, with commas between")
    given = parser.parse_args()
    processors = given.cpu.split(",")
    for name in processors:
        print(f"{name}: module of {carried.path(name).stat().st_size:,} bytes")
    for path in given.models or [MODELS / f"{name}.tflite" for name in NAMES]:
        compiled = compile_file(path)
        x_info = read(compiled.image, path.stem).inputs[0]
        x = np.random.default_rng(1).integers(-128, 128, x_info.shape, dtype=np.int8)
        want = oracle(path.read_bytes(), [x])[0].tobytes()
        for name in processors:
            done = count(compiled.image, x, want, Machine(name), given.layers)
            peer = CMSIS_NN.get(path.stem, {}).get(name)
            beside = f"   CMSIS-NN {peer:,}: x{peer / done.total:.2f}" if peer else ""
            per = f"{done.total / done.macs:6.2f}" if done.macs else "-"
            print(f"{path.stem:24}{name:10}{done.total:>13,}{per} per MAC{beside}")
            for op, spent in done.layers:
                n, what = macs(op), describe(op)
                per = f"{spent / n:6.2f} per MAC" if n else ""
                beside = f"   CMSIS-NN {CMSIS_NN_LAYERS[what]:,}" if peer and what in CMSIS_NN_LAYERS else ""
                print(f"    {what:34}{spent:>12,}{per:16}{beside}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
