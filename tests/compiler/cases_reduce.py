# SPDX-License-Identifier: MIT
"""Random models of the operators that make one of many: along axes, and along rows."""

from collections.abc import Callable

import numpy as np

from compiler.builder import Builder, Case, Rng, _int8, _scale, _zero


def _axes(rng: Rng, rank: int) -> tuple[set[int], list[int]]:
    """Some axes, and how the model writes them: negative at times, in any order, one twice."""
    chosen = rng.permutation(rank)[: int(rng.integers(1, rank + 1))]
    if rank == 4 and rng.integers(2):
        chosen = rng.permutation([1, 2])
    written = [int(a) - rank if rng.integers(3) == 0 else int(a) for a in chosen]
    if rng.integers(6) == 0:
        written.append(written[0])
    return {int(a) for a in chosen}, written


def _reduce(rng: Rng, name: str, spread: Callable[[int], float]) -> Case:
    shape = tuple(int(v) for v in rng.choice([1, 2, 3, 5, 7, 40], size=int(rng.integers(1, 5))))
    while np.prod(shape) > 20000:
        shape = shape[1:]
    axes, written = _axes(rng, len(shape))
    if rng.integers(8) == 0:  # nothing but axes of length 1 go
        shape = tuple(1 if i in axes else n for i, n in enumerate(shape))
    keep = bool(rng.integers(2))
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    count = int(np.prod([shape[i] for i in axes]))
    scale, zero = _scale(rng), _zero(rng)
    out_scale, out_zero = scale, zero
    if name in ("MEAN", "SUM") and rng.integers(4):
        out_scale, out_zero = float(np.float32(scale * spread(count))), _zero(rng)
    b = Builder()
    x = b.tensor(shape, "int8", scale, zero)
    axis = b.tensor((len(written),), "int32", data=np.array(written))
    if len(written) == 1 and rng.integers(2):
        axis = b.tensor((), "int32", data=np.array(written[0]))
    y = b.tensor(kept, "int8", out_scale, out_zero)
    b.operator(name, [x, axis], [y], 2, keepDims=keep)
    label = f"{shape} {written} keep {keep} {scale} {zero} -> {out_scale} {out_zero}"
    return Case(label, b.build([x], [y]), [_int8(rng, shape)])


def mean(rng: Rng) -> Case:
    return _reduce(rng, "MEAN", lambda n: float(np.exp(rng.uniform(-3, 3))))


def sum_(rng: Rng) -> Case:
    return _reduce(rng, "SUM", lambda n: float(np.sqrt(n) * np.exp(rng.uniform(-2, 4))))


def reduce_max(rng: Rng) -> Case:
    return _reduce(rng, "REDUCE_MAX", float)


def reduce_min(rng: Rng) -> Case:
    return _reduce(rng, "REDUCE_MIN", float)


def _arg(rng: Rng, name: str) -> Case:
    shape = tuple(int(v) for v in rng.choice([1, 2, 3, 5, 12], size=int(rng.integers(1, 5))))
    axis = int(rng.integers(len(shape)))
    written = axis - len(shape) if rng.integers(2) else axis
    data = _int8(rng, shape)
    if rng.integers(2):  # many equals
        data = (data // 100).astype(np.int8)
    b = Builder()
    x = b.tensor(shape, "int8", _scale(rng), _zero(rng))
    y = b.tensor(shape[:axis] + shape[axis + 1 :], "int32")
    b.operator(name, [x, b.tensor((1,), "int32", data=np.array([written]))], [y], 2, outputType=2)
    return Case(f"{shape} {written}", b.build([x], [y]), [data])


def arg_max(rng: Rng) -> Case:
    return _arg(rng, "ARG_MAX")


def arg_min(rng: Rng) -> Case:
    return _arg(rng, "ARG_MIN")


def log_softmax(rng: Rng) -> Case:
    shape = (int(rng.integers(1, 5)), int(rng.choice([1, 2, 12, 100, 600, int(rng.integers(2, 40))])))
    b = Builder()
    scale = float(np.exp(rng.uniform(np.log(1e-6), np.log(3.0))))
    x = b.tensor(shape, "int8", scale, _zero(rng))
    y = b.tensor(shape, "int8", 16 / 256, 127)
    b.operator("LOG_SOFTMAX", [x], [y], 2)
    return Case(f"{shape} {scale}", b.build([x], [y]), [_int8(rng, shape)])


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f for f in (mean, sum_, reduce_max, reduce_min, arg_max, arg_min, log_softmax)
}
