# SPDX-License-Identifier: MIT
"""Random models with state: SVDF, LSTM, and variables around convolutions, with CALL_ONCE or without.

A Case has the inputs of one run, which test_parity compares; `later` draws those of further runs.
"""

from collections.abc import Callable

import numpy as np

from compiler.builder import VALID, Builder, Case, Rng, _int8, _scale, _zero


def later(rng: Rng, case: Case) -> list[np.ndarray]:
    """Inputs of another run."""
    return [_int8(rng, x.shape) for x in case.inputs]


def _variable(b: Builder, shape: tuple[int, ...], dtype: str, scale: float, zero: int = 0) -> int:
    t = b.tensor(shape, dtype, scale, zero)
    b.tensors[t].isVariable = True
    return t


def svdf_layer(b: Builder, rng: Rng, x: int, batches: int, depth: int, scale: float, wide: bool) -> int:
    """Append an SVDF of drawn sizes; return its output, of scale 0.1."""
    rank, units, memory = int(rng.integers(1, 4)), int(rng.integers(1, 6)), int(rng.integers(1, 9))
    filters = rank * units
    w_scale = float(np.float32(rng.uniform(0.002, 0.02)))
    weights = b.tensor((filters, depth), "int8", w_scale, 0, _int8(rng, (filters, depth)))
    spread = scale * w_scale * 74 * 74 * np.sqrt(depth)
    state_scale = float(np.float32(spread * rng.uniform(0.3, 3) * (1 / 10000 if wide else 1 / 60)))
    state_zero = 0 if wide else int(rng.choice([0, _zero(rng)]))
    loud = wide and rng.integers(4) == 0  # sums over time that pass 32 bits and wrap
    most = (32768 if loud else 300) if wide else 128
    times = rng.integers(most // 2 if loud else -most, most, size=(filters, memory))
    state_scale *= 0.1 if loud else 1
    t_scale = float(np.float32(rng.uniform(0.5, 2) / most))
    time = b.tensor((filters, memory), "int16" if wide else "int8", t_scale, 0, times)
    bias_scale = np.float32(state_scale) * np.float32(t_scale)
    bias = b.tensor((units,), "int32", bias_scale, 0, rng.integers(-3000, 3000, size=units))
    kept = _variable(b, (batches, filters * memory), "int16" if wide else "int8", state_scale, state_zero)
    out_scale = float(np.float32(bias_scale * most * (10000 if wide else 60) / 60 * rng.uniform(0.3, 3)))
    y = b.tensor((batches, units), "int8", out_scale, _zero(rng))
    relu = int(rng.integers(2))
    b.operator("SVDF", [x, weights, time, bias, kept], [y], 4, rank=rank, fusedActivationFunction=relu)
    return y


def _svdf(rng: Rng, wide: bool) -> Case:
    batches, depth = int(rng.choice([1, 1, 2])), int(rng.choice([1, 3, 16, 40, 255]))
    scale = float(np.float32(rng.uniform(0.01, 0.2)))
    b = Builder()
    x = b.tensor((batches, depth), "int8", scale, _zero(rng))
    y = svdf_layer(b, rng, x, batches, depth, scale, wide)
    return Case(f"{batches}x{depth}", b.build([x], [y]), [_int8(rng, (batches, depth))])


def svdf(rng: Rng) -> Case:
    return _svdf(rng, wide=True)


def svdf_int8_state(rng: Rng) -> Case:
    return _svdf(rng, wide=False)


def lstm_layer(
    b: Builder, rng: Rng, x: int, shape: tuple[int, int, int], in_scale: float, units: int, power: int
) -> int:
    """Append an LSTM to x [batches, steps, depth], time major if drawn so; return its output."""
    major = int(rng.integers(2))
    batches, depth = shape[major], shape[2]
    scale, zero = float(np.float32(rng.choice([1 / 128, 0.01, 1 / 200]))), int(rng.integers(-20, 20))
    hidden = _variable(b, (batches, units), "int8", scale, zero)
    cell = _variable(b, (batches, units), "int16", 2.0**power)
    reach = float(rng.choice([0.5, 2.0, 12.0]))  # of a gate: linear, usual, saturated
    inputs = [x]
    for n, from_scale in ((depth, in_scale), (units, scale)):
        for _ in range(4):
            w = reach / (from_scale * 74 * 74 * np.sqrt(n))
            inputs.append(b.tensor((units, n), "int8", w, 0, _int8(rng, (units, n))))
    inputs += [-1] * 3
    bias = [rng.integers(-4000, 4000, size=units) for _ in range(4)]
    inputs += [b.tensor((units,), "int32", in_scale * 0.01, 0, v) for v in bias]
    inputs += [-1, -1, hidden, cell, -1, -1, -1, -1]
    y = b.tensor((*shape[:2], units), "int8", scale, zero)
    clip = float(rng.choice([0.0, 0.0, 1.5, 10.0]))
    b.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y], 1, fusedActivationFunction=4, cellClip=clip,
        timeMajor=bool(major),
    )  # fmt: skip
    return y


def lstm(rng: Rng) -> Case:
    shape = (int(rng.choice([1, 1, 1, 2])), int(rng.choice([1, 3, 5])), int(rng.choice([1, 4, 13])))
    in_scale, power = float(np.float32(rng.uniform(0.01, 0.1))), int(rng.choice([-15, -13, -12, -11, -9]))
    b = Builder()
    x = b.tensor(shape, "int8", in_scale, _zero(rng))
    y = lstm_layer(b, rng, x, shape, in_scale, int(rng.integers(1, 8)), power)
    return Case(f"{shape} cell 2**{power}", b.build([x], [y]), [_int8(rng, shape)])


def handle(b: Builder, name: str, container: str = "") -> int:
    t = b.tensor((1,), "resource")
    b.operator("VAR_HANDLE", [], [t], sharedName=name, container=container)
    return t


def streaming(rng: Rng) -> Case:
    """Convolutions over time as Keras' stream wrapper writes them: the last frames are kept in a variable."""
    frames, c = int(rng.integers(1, 4)), int(rng.choice([1, 3, 16]))
    b = Builder()
    first = b.subgraph()
    scale, zero = _scale(rng), _zero(rng)
    x = h = b.tensor((1, frames, 1, c), "int8", scale, zero)
    inits = bool(rng.integers(2))
    if inits:
        b.operator("CALL_ONCE", [], [], initSubgraphIndex=1)
    for layer in range(int(rng.integers(1, 4))):
        length = int(rng.integers(1, 6))
        kept = (1, length, 1, c)
        container = "a" if rng.integers(2) else ""
        var = handle(b, f"stream{layer}", container)
        old = b.tensor(kept, "int8", scale, zero)
        b.operator("READ_VARIABLE", [var], [old])
        whole = (1, length + frames, 1, c)
        joined = b.tensor(whole, "int8", scale, zero)
        b.operator("CONCATENATION", [old, h], [joined], 2, axis=1)
        new = b.tensor(kept, "int8", scale, zero)
        bounds = (0, frames, 0, 0), whole, (1, 1, 1, 1)
        lists = [b.tensor((4,), "int32", data=np.array(v)) for v in bounds]
        b.operator("STRIDED_SLICE", [joined, *lists], [new])
        early = bool(rng.integers(2))
        if early:
            b.operator("ASSIGN_VARIABLE", [var, new], [])
        n = int(rng.choice([1, 3, 16]))
        weights = b.tensor(
            (n, length + 1, 1, c), "int8", 0.01, 0, np.clip(_int8(rng, (n, length + 1, 1, c)), -127, 127)
        )
        bias = b.tensor((n,), "int32", scale * 0.01, 0, rng.integers(-900, 900, size=n))
        out_scale, out_zero = scale * 2, _zero(rng)
        y = b.tensor((1, frames, 1, n), "int8", out_scale, out_zero)
        b.operator("CONV_2D", [joined, weights, bias], [y], 3, padding=VALID, strideH=1, strideW=1)
        if not early:
            b.operator("ASSIGN_VARIABLE", [var, new], [])
        if inits:
            there = handle(first, f"stream{layer}", container)
            data = _int8(rng, kept) if rng.integers(2) else np.full(kept, zero)
            first.operator("ASSIGN_VARIABLE", [there, first.tensor(kept, "int8", scale, zero, data)], [])
        h, c, scale, zero = y, n, out_scale, out_zero
    model = b.build([x], [h], (first,) if inits else ())
    shape = tuple(int(v) for v in b.tensors[x].shape)
    return Case(f"{frames} frames, init {inits}", model, [_int8(rng, shape)])


def variables(rng: Rng) -> Case:
    """Reads and assignments of two variables in any order: each read sees what was assigned last."""
    shape, scale, zero = (1, int(rng.choice([3, 16, 20]))), 0.05, _zero(rng)
    b = Builder()
    x = b.tensor(shape, "int8", scale, zero)
    names = [handle(b, name) for name in ("a", "b")]
    values = [x]
    for var in names:
        if rng.integers(3):  # what the run before has left
            values.append(b.tensor(shape, "int8", scale, zero))
            b.operator("READ_VARIABLE", [var], [values[-1]])
    assigned: set[int] = set()
    for _ in range(int(rng.integers(4, 12))):
        var = int(rng.choice(names))
        kind = int(rng.integers(3))
        if kind == 0:
            b.operator("ASSIGN_VARIABLE", [var, int(rng.choice(values))], [])
            assigned.add(var)
            continue
        y = b.tensor(shape, "int8", scale, zero)
        if kind == 1:
            b.operator("READ_VARIABLE", [var], [y])
        else:
            pair = [int(v) for v in rng.choice(values, size=2)]
            name = "MAXIMUM" if rng.integers(2) else "ADD"
            b.operator(name, pair, [y], 2)
            if rng.integers(4) == 0:  # an alias in between
                z = b.tensor(shape, "int8", scale, zero)
                b.operator("RESHAPE", [y, b.tensor((2,), "int32", data=np.array(shape))], [z])
                y = z
        values.append(y)
    for var in names:
        if var not in assigned:
            b.operator("ASSIGN_VARIABLE", [var, values[-1]], [])
    b.operator("MAXIMUM", [values[-1], values[len(values) // 2]], [b.tensor(shape, "int8", scale, zero)], 2)
    outputs = sorted({len(b.tensors) - 1, *(v for v in rng.choice(values, size=2).tolist() if v != x)})
    return Case(f"{shape} {len(values)} values", b.build([x], outputs), [_int8(rng, shape)])


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f for f in (svdf, svdf_int8_state, lstm, streaming, variables)
}
