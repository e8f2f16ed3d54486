# SPDX-License-Identifier: MIT
"""Instructions of the viper loops on emulated processors (unicorn), per multiplication and by loop.

    PYTHONPATH=device:host:tests python tools/bench/viper.py [model.tflite ...]    default: two of MLPerf Tiny

The loops are cross-compiled as for a board. What their callers take in bytecode, once a row, is not in it,
nor are operators that have no loop. Outputs are checked against PyPI tflite-micro.
"""

import sys
from pathlib import Path

import numpy as np

from compiler.builder import oracle
from compiler.executors import execute
from compiler.viper_machine import PROCESSORS, installed
from torpor_host.compiler import compile_file
from torpor_host.compiler.image import read

MODELS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "models" / "mlperf_tiny"
NAMES = ("kws_ref_model", "ad01_int8")


def main() -> int:
    for path in [Path(p) for p in sys.argv[1:]] or [MODELS / f"{name}.tflite" for name in NAMES]:
        image = compile_file(path).image
        info = read(image, path.stem)
        x = np.random.default_rng(1).integers(-128, 128, info.inputs[0].shape, dtype=np.int8)
        want = oracle(path.read_bytes(), [x])[0].tobytes()
        for name in PROCESSORS:
            with installed(name) as loops:
                if execute(image, [x], "viper", "ram")[0].tobytes() != want:
                    raise SystemExit(f"{path}: viper on {name} differs from tflite-micro")
            spent = sum(loops.spent.values())
            print(f"{path.stem:24}{name:12}{spent:>13,}{spent / info.macs:7.2f} per MAC", end="   ")
            each = [f"{loop} {n / info.macs:.2f}" for loop, n in loops.spent.most_common()]
            print(", ".join(each), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
