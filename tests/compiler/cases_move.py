# SPDX-License-Identifier: MIT
"""Random models of the operators that move bytes, alone and between others where views can be made."""

from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.builder import Builder, Case, Rng, _int8, _scale, _zero

_MOST = 6
_ALL = 2048


def _shape(rng: Rng, least: int = 1, most: int = 4) -> tuple[int, ...]:
    """Lengths 1..6, now and then 16 or 32, so that some parts start where a view may; at most 2048 in all."""
    rank = int(rng.integers(least, most + 1))
    while True:
        shape = tuple(int(rng.choice([1, 2, 3, 4, 5, _MOST, 16, 32])) for _ in range(rank))
        if np.prod(shape) <= _ALL:
            return shape


class _Moves(Builder):
    """Tensors of one scale and zero point. LOGISTIC before and after makes them inner tensors, sometimes."""

    def __init__(self, rng: Rng) -> None:
        super().__init__()
        self.rng = rng
        self.inner = bool(rng.integers(2))
        self.q = (1 / 256, -128) if self.inner else (_scale(rng), _zero(rng))
        self.sources: list[int] = []
        self.targets: list[int] = []
        self.data: list[np.ndarray] = []

    def of(self, shape: tuple[int, ...], data: np.ndarray | None = None) -> int:
        return self.tensor(shape, "int8", *self.q, data=data)

    def ints(self, values: Any) -> int:
        array = np.asarray(values, dtype=np.int64)
        return self.tensor(array.shape, "int32", data=array)

    def source(self, shape: tuple[int, ...]) -> int:
        x = self.of(shape)
        self.sources.append(x)
        self.data.append(_int8(self.rng, shape))
        if not self.inner:
            return x
        y = self.of(shape)
        self.operator("LOGISTIC", [x], [y], 2)
        return y

    def target(self, shape: tuple[int, ...]) -> int:
        y = self.of(shape)
        self.targets.append(y)
        return y

    def case(self, label: str) -> Case:
        if self.inner:
            for i, y in enumerate(self.targets):
                z = self.of(tuple(int(n) for n in self.tensors[y].shape))
                self.operator("LOGISTIC", [y], [z], 2)
                self.targets[i] = z
        return Case(label, self.build(self.sources, self.targets), self.data)


def transpose(rng: Rng) -> Case:
    shape = _shape(rng)
    perm = [int(v) for v in rng.permutation(len(shape))]
    b = _Moves(rng)
    x, y = b.source(shape), b.target(tuple(shape[p] for p in perm))
    b.operator("TRANSPOSE", [x, b.ints(perm)], [y], 2)
    return b.case(f"{shape} {perm}")


def slice_(rng: Rng) -> Case:
    shape = _shape(rng)
    begin = [int(rng.integers(0, n)) for n in shape]
    size = [int(rng.integers(1, n - at + 1)) for n, at in zip(shape, begin, strict=True)]
    given = [
        -1 if at + s == n and rng.integers(2) else s for at, s, n in zip(begin, size, shape, strict=True)
    ]
    b = _Moves(rng)
    x, y = b.source(shape), b.target(tuple(size))
    b.operator("SLICE", [x, b.ints(begin), b.ints(given)], [y], 2)
    return b.case(f"{shape} {begin} {given}")


def strided_slice(rng: Rng) -> Case:
    """Draws begin, end and strides, wild ones too, until something is left."""
    shape = _shape(rng)
    rank = len(shape)
    while True:
        strides = [int(rng.choice([1, 1, 1, 2, 3, -1, -2])) for _ in shape]
        begin = [int(rng.integers(-n - 1, n + 2)) for n in shape]
        end = [int(rng.integers(-n - 1, n + 2)) for n in shape]
        begin_mask, end_mask = (int(rng.integers(1 << rank)) for _ in range(2))
        shrink = int(rng.integers(1 << rank)) if rng.integers(2) else 0
        index: list[Any] = []
        for i, n in enumerate(shape):
            if shrink >> i & 1:
                begin[i] = int(rng.integers(0, n))
                begin_mask &= ~(1 << i)
                strides[i] = 1
                index.append(begin[i])
            else:
                index.append(
                    slice(
                        None if begin_mask >> i & 1 else begin[i],
                        None if end_mask >> i & 1 else end[i],
                        strides[i],
                    )
                )
        left = np.empty(shape)[tuple(index)].shape
        if left and min(left) > 0:
            break
    b = _Moves(rng)
    x, y = b.source(shape), b.target(left)
    b.operator(
        "STRIDED_SLICE", [x, b.ints(begin), b.ints(end), b.ints(strides)], [y], 2,
        beginMask=begin_mask, endMask=end_mask, shrinkAxisMask=shrink,
    )  # fmt: skip
    return b.case(f"{shape} {begin}:{end}:{strides} masks {begin_mask} {end_mask} {shrink}")


def _axis(rng: Rng, rank: int) -> tuple[int, int]:
    """An axis, and how it is written: from the front or from the end."""
    axis = int(rng.integers(rank))
    return axis, axis - rank if rng.integers(2) else axis


def split(rng: Rng) -> Case:
    part = _shape(rng)
    axis, written = _axis(rng, len(part))
    n = int(rng.integers(1, 4))
    whole = tuple(s * n if i == axis else s for i, s in enumerate(part))
    b = _Moves(rng)
    x = b.source(whole)
    ys = [b.target(part) for _ in range(n)]
    b.operator("SPLIT", [b.ints([written]), x], ys, 2, numSplits=n)
    return b.case(f"{whole} in {n} along {axis}")


def split_v(rng: Rng) -> Case:
    shape = _shape(rng)
    axis, written = _axis(rng, len(shape))
    sizes = [int(v) for v in rng.choice([1, 2, 3, 16], size=int(rng.integers(1, 5)))]
    parts = [tuple(s if i == axis else n for i, n in enumerate(shape)) for s in sizes]
    whole = tuple(sum(sizes) if i == axis else n for i, n in enumerate(shape))
    b = _Moves(rng)
    x = b.source(whole)
    ys = [b.target(p) for p in parts]
    b.operator("SPLIT_V", [x, b.ints(sizes), b.ints([written])], ys, 2, numSplits=len(sizes))
    return b.case(f"{whole} in {sizes} along {axis}")


def unpack(rng: Rng) -> Case:
    shape = _shape(rng, 2)
    axis, written = _axis(rng, len(shape))
    n = int(rng.integers(1, 5))
    whole = tuple(n if i == axis else s for i, s in enumerate(shape))
    b = _Moves(rng)
    x = b.source(whole)
    ys = [b.target(whole[:axis] + whole[axis + 1 :]) for _ in range(n)]
    b.operator("UNPACK", [x], ys, 2, num=n, axis=written)
    return b.case(f"{whole} along {axis}")


def _joined(rng: Rng, b: _Moves, shapes: list[tuple[int, ...]]) -> list[int]:
    """Tensors of these shapes: the first computed, others constant at times, or the first again."""
    found = [b.source(shapes[0])]
    for shape in shapes[1:]:
        style = int(rng.integers(5))
        if style == 0:
            found.append(b.of(shape, _int8(rng, shape)))
        elif style == 1 and shape == shapes[0]:
            found.append(found[0])
        else:
            found.append(b.source(shape))
    return found


def pack(rng: Rng) -> Case:
    shape = _shape(rng, 1, 3)
    axis, written = _axis(rng, len(shape) + 1)
    n = int(rng.integers(1, 4))
    b = _Moves(rng)
    xs = _joined(rng, b, [shape] * n)
    y = b.target((*shape[:axis], n, *shape[axis:]))
    b.operator("PACK", xs, [y], 2, valuesCount=n, axis=written)
    return b.case(f"{n} of {shape} along {axis}")


def concatenation(rng: Rng) -> Case:
    shape = _shape(rng)
    axis, written = _axis(rng, len(shape))
    sizes = [int(v) for v in rng.choice([1, 2, 3, 16], size=int(rng.integers(1, 5)))]
    b = _Moves(rng)
    xs = _joined(rng, b, [tuple(s if i == axis else n for i, n in enumerate(shape)) for s in sizes])
    y = b.target(tuple(sum(sizes) if i == axis else n for i, n in enumerate(shape)))
    b.operator("CONCATENATION", xs, [y], 2, axis=written)
    return b.case(f"{shape} of {sizes} along {axis}")


def gather(rng: Rng) -> Case:
    shape = _shape(rng)
    axis, written = _axis(rng, len(shape))
    room = 4 - (len(shape) - 1)
    index = rng.integers(
        0, shape[axis], size=[int(rng.integers(1, 5)) for _ in range(int(rng.integers(1, room + 1)))]
    )
    if rng.integers(4) == 0:
        index = np.arange(max(1, shape[axis] - 1))
    b = _Moves(rng)
    x = b.source(shape)
    y = b.target((*shape[:axis], *index.shape, *shape[axis + 1 :]))
    b.operator("GATHER", [x, b.ints(index)], [y], 2, axis=written)
    return b.case(f"{shape} along {axis} {index.tolist()}")


def mirror_pad(rng: Rng) -> Case:
    shape = _shape(rng)
    mode = int(rng.integers(2))  # 0 REFLECT, 1 SYMMETRIC
    paddings = [[int(v) for v in rng.integers(0, n + mode, size=2)] for n in shape]
    for p in paddings:
        if rng.integers(3) == 0:
            p[:] = [0, 0]
    out = tuple(n + a + c for n, (a, c) in zip(shape, paddings, strict=True))
    b = _Moves(rng)
    x, y = b.source(shape), b.target(out)
    b.operator("MIRROR_PAD", [x, b.ints(paddings)], [y], 2, mode=mode)
    return b.case(f"{shape} {paddings} mode {mode}")


def padv2(rng: Rng) -> Case:
    shape = _shape(rng)
    paddings = rng.integers(0, 3, size=(len(shape), 2))
    b = _Moves(rng)
    x = b.source(shape)
    y = b.target(tuple(int(n + p.sum()) for n, p in zip(shape, paddings, strict=True)))
    value = b.of((), rng.integers(-128, 128, size=()))
    b.operator("PADV2", [x, b.ints(paddings), value], [y], 2)
    return b.case(f"{shape} {paddings.tolist()}")


def squeeze(rng: Rng) -> Case:
    kept = _shape(rng, 1, 3)
    at = int(rng.integers(len(kept) + 1))
    b = _Moves(rng)
    x, y = b.source((*kept[:at], 1, *kept[at:])), b.target(kept)
    b.operator("SQUEEZE", [x], [y], squeezeDims=[at])
    return b.case(f"{kept} {at}")


def expand_dims(rng: Rng) -> Case:
    kept = _shape(rng, 1, 3)
    at = int(rng.integers(len(kept) + 1))
    b = _Moves(rng)
    x, y = b.source(kept), b.target((*kept[:at], 1, *kept[at:]))
    b.operator("EXPAND_DIMS", [x, b.ints([at])], [y])
    return b.case(f"{kept} {at}")


def branches(rng: Rng) -> Case:
    """Split in two, each half computed on, put together again, added to the whole: views in and out."""
    n, c = int(rng.choice([1, 3, 4, 16])), int(rng.choice([3, 8, 16]))
    axis = int(rng.integers(2))
    whole = (2 * n, c) if axis == 0 else (n, 2 * c)
    b = _Moves(rng)
    x = b.source(whole)
    halves = [b.of((n, c)) for _ in range(2)]
    b.operator("SPLIT", [b.ints([axis]), x], halves, 2, numSplits=2)
    done = [b.of((n, c)) for _ in range(2)]
    b.operator("ADD", [halves[0], halves[1]], [done[0]], 2)
    b.operator("LEAKY_RELU", [halves[1]], [done[1]], 2, alpha=0.1)
    both, y = b.of(whole), b.target(whole)
    b.operator("CONCATENATION", done, [both], 2, axis=axis)
    b.operator("ADD", [both, x], [y], 2)
    if rng.integers(2):
        b.targets.append(halves[int(rng.integers(2))])
    return b.case(f"{whole} along {axis}")


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f
    for f in (
        transpose, slice_, strided_slice, split, split_v, unpack, pack, concatenation, gather, mirror_pad,
        padv2, squeeze, expand_dims, branches,
    )
}  # fmt: skip
