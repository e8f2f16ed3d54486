# SPDX-License-Identifier: MIT
"""Outputs that lie over rows of their input: every kernel set computes as if they did not."""

import sys
from types import ModuleType

import numpy as np
import pytest

from compiler import builder
from compiler.builder import SAME, Builder, Case, Rng, oracle
from compiler.executors import execute
from compiler.kinds import KINDS
from torpor_host.compiler import compile_bytes, image, plan
from torpor_host.kernels import library

CASES = 40
# of CASES; where the windows leave nothing to gain, the output lies apart
LEAST_OVERLAPPING = {
    "CONV_2D": 25, "DEPTHWISE_CONV_2D": 25, "AVERAGE_POOL_2D": 25, "MAX_POOL_2D": 25, "PAD": 15, "PADV2": 15,
}  # fmt: skip


def windowed(rng: Rng, name: str) -> Case:
    """More rows, channels and units than a vector has lanes; c != n, strides, dilations, both paddings."""
    padding = int(rng.integers(2))
    pool, depthwise = name.endswith("POOL_2D"), name.startswith("DEPTHWISE")
    sizes = []
    for low, high in ((5, 14), (3, 12)):
        f = int(rng.choice([1, 1, 2, 3, 3, 4]))
        stride = int(rng.choice([1, 1, 1, 2, 3]))
        dilation = 1 if pool else int(rng.choice([1, 1, 1, 2, 3]))
        reach = (f - 1) * dilation + 1
        size = int(rng.integers(low, high)) + (reach if padding != SAME else 0)
        out = -(-size // stride) if padding == SAME else -(-(size - reach + 1) // stride)
        sizes.append((size, f, stride, dilation, out))
    (h, fh, sh, dh, oh), (w, fw, sw, dw, ow) = sizes
    batches, c = int(rng.choice([1, 1, 1, 2])), int(rng.choice([1, 3, 4, 8, 16, 20, 32, 36]))
    n = (
        c
        if pool
        else c * int(rng.choice([1, 1, 2, 3]))
        if depthwise
        else int(rng.choice([1, 5, 8, 16, 17, 33, 40]))
    )
    b = Builder()
    if pool:
        x = b.tensor((batches, h, w, c), "int8", 0.05, -3)
        y = b.tensor((batches, oh, ow, n), "int8", 0.05, -3)
        b.operator(
            name, [x], [y], 2, padding=padding, strideH=sh, strideW=sw, filterHeight=fh, filterWidth=fw
        )
    else:
        made = builder._weighted(
            rng, (1, fh, fw, n) if depthwise else (n, fh, fw, c), n, fh * fw * (1 if depthwise else c)
        )
        made.bias = np.zeros(n, dtype=np.int64) if made.bias is None else made.bias
        x = b.tensor((batches, h, w, c), "int8", made.in_scale, made.in_zero)
        y = b.tensor((batches, oh, ow, n), "int8", made.out_scale, made.out_zero)
        weights = builder._weight_tensors(b, made, 3 if depthwise else 0)
        b.operator(
            name, [x, *weights], [y], 3, padding=padding, strideH=sh, strideW=sw, dilationHFactor=dh,
            dilationWFactor=dw, **({"depthMultiplier": n // c} if depthwise else {}),
        )  # fmt: skip
    return Case(f"{sizes} {c}->{n} x{batches}", b.build([x], [y]), [builder._int8(rng, (batches, h, w, c))])


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> list[ModuleType]:
    """The kernels for this very processor, and as boards have them: without vectors of 256 bits."""
    file = tmp_path_factory.mktemp("native") / "plain.so"
    library.compile_to(file, tuple(f for f in library.FLAGS if f != "-march=native"))
    return [library.module(), library.bind(file)]


def run_all(case: Case, data: bytes, libraries: list[ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    want = oracle(case.model, case.inputs)[0].reshape(-1)
    for kernels in ("reference", "ulab"):
        assert np.array_equal(execute(data, case.inputs, kernels)[0], want), (kernels, case.label)
    for module in libraries:
        monkeypatch.setitem(sys.modules, library.MODULE, module)
        assert np.array_equal(execute(data, case.inputs, "native")[0], want), (module.__file__, case.label)


@pytest.mark.parametrize("name", LEAST_OVERLAPPING)
def test_over_the_input(name: str, libraries: list[ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances to 4 bytes: rounded up to 16, a kernel that reads too late might get away with it."""
    monkeypatch.setattr(plan, "ALIGN_BYTES", 4)
    overlapping = 0
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        case = (KINDS[name.lower()] if name.startswith("PAD") else lambda r: windowed(r, name))(rng)
        compiled = compile_bytes(case.model, f"{name} {seed}")
        info = image.read(compiled.image, "m")
        x, y = info.inputs[0], info.outputs[0]
        overlapping += y.offset < x.offset < y.offset + y.size_bytes
        run_all(case, compiled.image, libraries, monkeypatch)
    assert overlapping >= LEAST_OVERLAPPING[name]
