# SPDX-License-Identifier: MIT
"""Time of one inference on CPython: native kernels, PyPI tflite-micro, reference kernels; as ratios.

    python tools/bench/native.py [model.tflite ...]      default: five MLPerf Tiny models of ../shared/data

All three compute the same bytes, which is checked. The times are the fastest of several rounds that take
turns, so that a busy moment of the machine meets all of them.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tflite_micro import runtime

from torpor.nn.model import Model
from torpor_host.compiler import compile_file
from torpor_host.kernels import library

MODELS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "models" / "mlperf_tiny"
NAMES = ("kws_ref_model", "vww_96_int8", "pretrainedResnet_quant", "ad01_int8", "str_ww_ref_model")
ROUNDS = 7
ROUND_S = 0.08


def rate(job: Callable[[], object]) -> float:
    """Return seconds per call over about ROUND_S."""
    count, start = 0, time.thread_time()
    while (spent := time.thread_time() - start) < ROUND_S:
        job()
        count += 1
    return spent / count


def compare(path: Path) -> tuple[float, float, float, int]:
    """Return seconds per inference of native, tflite-micro and reference (one run), and the model's MACs."""
    image = compile_file(path).image
    with library.installed():
        native = Model(image, "native")
    reference = Model(image, "reference")
    x = np.random.default_rng(1).integers(-128, 128, native.input_shape, dtype=np.int8)
    peer = runtime.Interpreter.from_file(str(path))
    peer.set_input(x, 0)
    peer.invoke()
    for model in (native, reference):
        model.input[:] = memoryview(x.tobytes()).cast("b")
        start = time.thread_time()
        model.run()
        slow = time.thread_time() - start
        if bytes(model.output) != np.array(peer.get_output(0)).tobytes():
            raise SystemExit(f"{path}: {model.kernels} differs from tflite-micro")
    rounds = [(rate(native.run), rate(peer.invoke)) for _ in range(ROUNDS)]
    return min(r[0] for r in rounds), min(r[1] for r in rounds), slow, native.macs


def main() -> int:
    paths = [Path(p) for p in sys.argv[1:]] or [MODELS / f"{name}.tflite" for name in NAMES]
    print(
        f"{'model':26}{'native us':>11}{'MAC/ns':>8}{'tflite-micro us':>17}{'x':>7}"
        f"{'reference us':>14}{'x':>9}"
    )
    for path in paths:
        ours, peer, slow, macs = compare(path)
        print(
            f"{path.stem:26}{ours * 1e6:11.1f}{macs / ours / 1e9:8.1f}{peer * 1e6:17.1f}{peer / ours:7.1f}"
            f"{slow * 1e6:14.0f}{slow / ours:9.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
