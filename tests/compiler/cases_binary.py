# SPDX-License-Identifier: MIT
"""Random models of the operators of two tensors, with broadcasting and a constant on either side."""

from collections.abc import Callable
from typing import Any

from compiler.builder import Builder, Case, Rng, _activation, _int8, _output, _scale, _zero


def _shapes(rng: Rng) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The output's shape and both inputs': equal, one broadcast, both along other axes, or of lower rank."""
    out = tuple(int(v) for v in rng.integers(1, 6, size=int(rng.integers(1, 5))))
    style = int(rng.integers(5))
    cut = [int(v) for v in rng.integers(0, 2, size=len(out))]
    low = tuple(1 if k else d for d, k in zip(out, cut, strict=True))
    high = tuple(d if k else 1 for d, k in zip(out, cut, strict=True))
    return out, [[out, out], [low, out], [out, low], [low, high], [out, out[-1:]]][style]


def _pair(rng: Rng, name: str, spread: Callable[[float, float], float], same: bool = False) -> Case:
    out, shapes = _shapes(rng)
    if name == "PRELU":
        shapes = [out, shapes[1] if rng.integers(2) else (1,) * (len(out) - 1) + out[-1:]]
        if any(n not in (1, o) for n, o in zip(shapes[1], out[len(out) - len(shapes[1]) :], strict=True)):
            shapes[1] = out
    scales = [_scale(rng), _scale(rng)]
    zeros = [_zero(rng), _zero(rng)]
    options: dict[str, Any] = {}
    if name in ("SUB", "MUL"):
        options["fusedActivationFunction"] = _activation(rng)
    y_scale, y_zero = _output(rng, int(options.get("fusedActivationFunction", 0)), spread(*scales))
    if same:
        scales, zeros, y_scale, y_zero = [scales[0]] * 2, [zeros[0]] * 2, scales[0], zeros[0]
    fixed = 1 if name == "PRELU" else int(rng.choice([-1, -1, 0, 1]))
    data = [_int8(rng, s) for s in shapes]
    b = Builder()
    tensors = [
        b.tensor(shapes[i], "int8", scales[i], zeros[i], data[i] if i == fixed else None) for i in (0, 1)
    ]
    y = b.tensor(out, "int8", y_scale, y_zero)
    b.operator(name, tensors, [y], 2, **options)
    free = [i for i in (0, 1) if i != fixed]
    label = f"{shapes} {scales} {zeros} -> {y_scale} {y_zero}, constant {fixed}, {options}"
    return Case(label, b.build([tensors[i] for i in free], [y]), [data[i] for i in free])


def sub(rng: Rng) -> Case:
    return _pair(rng, "SUB", lambda a, b: 100 * max(a, b))


def mul(rng: Rng) -> Case:
    return _pair(rng, "MUL", lambda a, b: 5000 * a * b)


def maximum(rng: Rng) -> Case:
    return _pair(rng, "MAXIMUM", max, same=True)


def minimum(rng: Rng) -> Case:
    return _pair(rng, "MINIMUM", max, same=True)


def prelu(rng: Rng) -> Case:
    return _pair(rng, "PRELU", lambda a, b: 100 * a * max(1.0, 70 * b))


KINDS: dict[str, Callable[[Rng], Case]] = {f.__name__: f for f in (sub, mul, maximum, minimum, prelu)}
