# SPDX-License-Identifier: MIT
"""Time of one inference on CPython: native kernels, PyPI tflite-micro, XNNPACK, reference kernels; as ratios.

    python tools/bench/native.py [model.tflite ...]      default: five MLPerf Tiny models of ../shared/data

All but XNNPACK (PyPI ai-edge-litert, one thread) compute the same bytes, which is checked; XNNPACK rounds in
another way by design. The times are the fastest of several rounds that take turns, so that a busy moment of
the machine meets all of them. Each `x` is the time of the column before it over that of native.
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


def xnnpack(path: Path, x: np.ndarray) -> Callable[[], object] | None:
    """Return what runs the model with XNNPACK in one thread, None where ai-edge-litert is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return None
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    run: Callable[[], object] = interpreter.invoke
    return run


def compare(path: Path) -> tuple[list[float], float, int]:
    """Return seconds per inference of [native, tflite-micro, perhaps XNNPACK], of reference, and the MACs."""
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
    jobs: list[Callable[[], object]] = [native.run, peer.invoke]
    other = xnnpack(path, x)
    if other:
        jobs.append(other)
    rounds = [[rate(job) for job in jobs] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)], slow, native.macs


def main() -> int:
    paths = [Path(p) for p in sys.argv[1:]] or [MODELS / f"{name}.tflite" for name in NAMES]
    print(
        f"{'model':26}{'native us':>11}{'MAC/ns':>8}{'tflite-micro us':>17}{'x':>7}{'XNNPACK us':>12}{'x':>7}"
        f"{'reference us':>14}{'x':>9}"
    )
    for path in paths:
        (ours, peer, *other), slow, macs = compare(path)
        third = f"{other[0] * 1e6:12.1f}{other[0] / ours:7.2f}" if other else f"{'none':>12}{'':7}"
        print(
            f"{path.stem:26}{ours * 1e6:11.1f}{macs / ours / 1e9:8.1f}{peer * 1e6:17.1f}{peer / ours:7.1f}"
            f"{third}{slow * 1e6:14.0f}{slow / ours:9.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
