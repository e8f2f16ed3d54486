# SPDX-License-Identifier: MIT
"""How bytes are moved: a tensor's parts copied by strides (COPY), or blocks taken by tables (TAKE).

`part.PARTS` says of each operator which parts it copies; where source and target of a part share memory
(see views.py) nothing is left to do, and no record is made.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from ..ir import Graph, Operator
from .base import Places, Record

COPY, TAKE = 12, 13
AXES = 4


@dataclass(frozen=True)
class Part:
    """For each index within `shape`, outermost first: target[to + i * steps] = source[at + i * strides].

    source, target: tensors; strides, steps, at, to: bytes; item: bytes of what is moved at each index.
    """

    source: int
    target: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    steps: tuple[int, ...]
    at: int = 0
    to: int = 0
    item: int = 1

    def axes(self) -> list[tuple[int, int, int]]:
        """(size, stride, step), axes merged where memory runs on in both."""
        merged: list[tuple[int, int, int]] = []
        whole = zip((*self.shape, self.item), (*self.strides, 1), (*self.steps, 1), strict=True)
        for n, a, b in whole:
            if n == 1:
                continue
            if merged and merged[-1][1] == a * n and merged[-1][2] == b * n:
                merged[-1] = (merged[-1][0] * n, a, b)
            else:
                merged.append((n, a, b))
        return merged

    @property
    def is_block(self) -> bool:
        """One run of bytes in both."""
        axes = self.axes()
        return not axes or (len(axes) == 1 and axes[0][1:] == (1, 1))


def strides_of(shape: tuple[int, ...], item: int = 1) -> tuple[int, ...]:
    """Bytes from one index to the next along each axis of a tensor of values of `item` bytes."""
    return tuple(item * prod(shape[i + 1 :]) for i in range(len(shape)))


def copies(graph: Graph, parts: list[Part], places: Places) -> list[Record]:
    records = []
    for part in parts:
        data = graph.tensors[part.source].data
        y = places.arena(part.target) + part.to
        x = (places.arena(part.source) if data is None else places.weights(data)) + part.at
        if data is None and x == y and part.is_block:
            continue
        axes = part.axes()
        axes = [(1, 0, 0)] * (AXES - len(axes)) + axes
        sizes, strides, steps = zip(*axes, strict=True)
        records.append(Record(COPY, (x, y, int(data is not None), *sizes, *strides, *steps)))
    return records


def taken(
    graph: Graph, op: Operator, places: Places, axes: list[tuple[np.ndarray, int]], block: int
) -> Record:
    """axes: for each, which index of the input every index of the output is, and the input's stride."""
    full = [(np.zeros(1, dtype=np.int64), 0)] * (AXES - len(axes)) + axes
    tables = [places.weights((index * stride).astype("<i4")) for index, stride in full]
    sizes = (len(index) for index, _ in full)
    return Record(
        TAKE, (places.arena(op.inputs[0]), places.arena(op.outputs[0]), *sizes, block, *tables)
    )  # fmt: skip


def merged_takes(shape: tuple[int, ...], maps: list[np.ndarray]) -> tuple[list[tuple[np.ndarray, int]], int]:
    """Return (axes for `taken`, block): what stays as it is at the end is the block; elsewhere neighbours
    that stay as they are become one axis."""
    axes: list[tuple[np.ndarray, int, bool]] = []
    block = 1
    for n, index, stride in reversed(list(zip(shape, maps, strides_of(shape), strict=True))):
        whole = np.array_equal(index, np.arange(n))
        if whole and not axes:
            block *= n
        elif whole and axes[-1][2]:
            inner, step, _ = axes[-1]
            axes[-1] = (np.arange(n * len(inner)), step, True)
        else:
            axes.append((index, stride, whole))
    return [(index, stride) for index, stride, _ in reversed(axes)], block
