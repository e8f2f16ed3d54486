# SPDX-License-Identifier: MIT
"""Time of one inference in MicroPython on this machine (x64), by kernel set; as ratios to `reference`.

    python tools/bench/on_micropython.py [model.tflite ...]    default: MLPerf Tiny models of ../shared/data

The kernels are those that a board would load: device/torpor, and the carried native module. All give the same
bytes, which is checked. Each time is the fastest of some rounds; the reference kernels get fewer.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from torpor_host.compiler import compile_file
from torpor_host.compiler.image import read
from torpor_host.kernels import carried
from torpor_host.paths import device_dir
from torpor_host.simulate import interpreter

MODELS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "models" / "mlperf_tiny"
NAMES = ("kws_ref_model", "vww_96_int8", "pretrainedResnet_quant", "ad01_int8", "str_ww_ref_model")
SETS = {"reference": (1, 1), "viper": (3, 2), "native": (7, 20)}  # rounds, runs in each
HEAP_BYTES = 64 << 20

SCRIPT = """
import sys, time
sys.path[:0] = sys.argv[1:3]
from torpor.nn.model import load
kernels, rounds, runs = sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
m = load(sys.argv[2] + "/m.tpm", kernels)
x = getattr(m.input, "raw", m.input)
with open(sys.argv[2] + "/x", "rb") as f:
    data = f.read()
best = 1 << 60
for _ in range(rounds):
    spent = 0
    for _ in range(runs):
        for i in range(len(data)):
            x[i] = data[i] - 256 if data[i] > 127 else data[i]
        start = time.ticks_us()
        m.run()
        spent += time.ticks_diff(time.ticks_us(), start)
    best = min(best, spent)
print(best / runs, bytes(getattr(m.output, "raw", m.output)).hex())
"""


def measure(folder: Path, kernels: str) -> tuple[float, str]:
    """Return microseconds per inference and the output, of the model in `folder`."""
    rounds, runs = SETS[kernels]
    done = subprocess.run(
        [*interpreter.command(HEAP_BYTES), str(folder / "script.py"), str(device_dir()), str(folder), kernels,
         str(rounds), str(runs)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    best, output = done.stdout.split()
    return float(best), hashlib.sha256(output.encode()).hexdigest()


def main() -> int:
    paths = [Path(p) for p in sys.argv[1:]] or [MODELS / f"{name}.tflite" for name in NAMES]
    others = [name for name in SETS if name != "reference"]
    print(f"{'model':26}{'reference us':>14}" + "".join(f"{name + ' us':>13}{'x':>7}" for name in others))
    for path in paths:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            data = compile_file(path).image
            (folder / "m.tpm").write_bytes(data)
            (folder / "x").write_bytes(np.random.default_rng(1).bytes(read(data, "m").inputs[0].size_bytes))
            (folder / "torpor_native.mpy").write_bytes(carried.for_this_machine().read_bytes())
            (folder / "script.py").write_text(SCRIPT)
            found = {name: measure(folder, name) for name in SETS}
        if len({output for _, output in found.values()}) != 1:
            raise SystemExit(f"{path}: the kernel sets differ")
        slow = found["reference"][0]
        columns = "".join(f"{found[name][0]:13.1f}{slow / found[name][0]:7.0f}" for name in others)
        print(f"{path.stem:26}{slow:14.0f}{columns}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
