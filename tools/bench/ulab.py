# SPDX-License-Identifier: MIT
"""Time of a model on the ulab kernels against the bare `dot`, multiplications and additions that it makes.

    python tools/bench/ulab.py [model.tflite ...]      default: three MLPerf Tiny models of ../shared/data

One run's calls are recorded with their operands and then made again alone, through the same stand-in for ulab
(float32, as boards compute), so that both pay for it alike. The goal is at most 1.5; what is above it is
requantization, value by value in Python integers.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from torpor.nn.model import Model
from torpor_host.compiler import compile_file
from torpor_host.kernels import ulab_stand_in

MODELS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "models" / "mlperf_tiny"
NAMES = ("kws_ref_model", "ad01_int8", "str_ww_ref_model")
ARRAY_METHODS = ("__add__", "__mul__")


def recorded(model: Model) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Every dot, product and sum of arrays that one run makes, in order."""
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
    numpy_of_ulab = sys.modules["torpor.nn.ulab_kernels"].np
    before = [(numpy_of_ulab, "dot"), *((ulab_stand_in.ndarray, name) for name in ARRAY_METHODS)]
    originals = [(owner, name, getattr(owner, name)) for owner, name in before]

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def spy(*args: Any) -> Any:
            calls.append((call, args))
            return call(*args)

        return spy

    for owner, name, call in originals:
        setattr(owner, name, watched(call))
    try:
        model.run()
    finally:
        for owner, name, call in originals:
            setattr(owner, name, call)
    return calls


def main() -> int:
    paths = [Path(p) for p in sys.argv[1:]] or [MODELS / f"{name}.tflite" for name in NAMES]
    print(f"{'model':26}{'ulab ms':>10}{'bare calls ms':>15}{'ratio':>8}{'calls':>8}   goal 1.5")
    for path in paths:
        image = compile_file(path).image
        with ulab_stand_in.installed():
            model = Model(image, "ulab")
        x = numpy.random.default_rng(1).integers(-128, 128, len(model.input), dtype=numpy.int8)
        model.input[:] = memoryview(x.tobytes()).cast("b")
        calls = recorded(model)
        start = time.thread_time()
        model.run()
        whole = time.thread_time() - start
        start = time.thread_time()
        for call, args in calls:
            call(*args)
        bare = time.thread_time() - start
        print(f"{path.stem:26}{1e3 * whole:10.1f}{1e3 * bare:15.1f}{whole / bare:8.2f}{len(calls):8,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
