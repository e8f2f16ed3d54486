# SPDX-License-Identifier: MIT
"""The typed form a model has between the .tflite file and the image: tensors, operators, one graph.

Reading fills it, passes rewrite it, `spec` says at any time whether it is sound, `plan` gives every tensor
that is computed a place in the arena, `image` writes it down.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np

ITEM_BYTES = {
    "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8, "float32": 4,
    "bool": 1,
}  # fmt: skip
NUMPY = {
    "int8": "<i1", "uint8": "<u1", "int16": "<i2", "int32": "<i4", "uint32": "<u4", "int64": "<i8",
    "uint64": "<u8", "float32": "<f4", "bool": "?",
}  # fmt: skip
MAX_ELEMENTS = 1 << 24  # of one tensor; the image format ends there too


@dataclass(frozen=True)
class Quantization:
    """real = scale * (q - zero_point); one value each, or one per index along `axis`.

    scales float32 [n], zero_points int64 [n].
    """

    scales: np.ndarray
    zero_points: np.ndarray
    axis: int = 0


@dataclass
class Tensor:
    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: np.ndarray | None = None  # constant; shape and dtype as above
    variable: bool = False  # keeps its bytes from run to run
    initial: np.ndarray | None = None  # of a variable, int8: its bytes before the first run
    sparse: bool = False

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.count * ITEM_BYTES[self.dtype]

    @property
    def scale(self) -> np.float32:
        """The one scale of a tensor quantized as a whole."""
        assert self.quantization is not None
        return np.float32(self.quantization.scales[0])

    @property
    def zero_point(self) -> int:
        assert self.quantization is not None
        return int(self.quantization.zero_points[0])


@dataclass
class Operator:
    """`layer` is the index in the .tflite; passes keep it, so that every message can name it."""

    layer: int
    name: str
    version: int
    inputs: tuple[int, ...]  # -1: optional input left out
    outputs: tuple[int, ...]
    options: dict[str, int | float] = field(default_factory=dict)
    has_options: bool = True
    table: np.ndarray | None = None  # LOOKUP: int8 [256], entry 128 + x
    variable: str | None = None  # VAR_HANDLE: the name that identifies what it stands for


@dataclass
class Graph:
    """`storage[t]` is the tensor whose memory t shares, `shifts[t]` bytes from its start: itself, unless a
    pass made it an alias or a view. `inits`: the subgraphs that CALL_ONCE runs, by their index.
    `state`: the tensor that holds all variables, if there are any."""

    name: str
    tensors: dict[int, Tensor]
    operators: list[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    storage: dict[int, int] = field(default_factory=dict)
    shifts: dict[int, int] = field(default_factory=dict)
    inits: dict[int, "Graph"] = field(default_factory=dict)
    state: int | None = None

    def root(self, index: int) -> int:
        while self.storage.get(index, index) != index:
            index = self.storage[index]
        return index

    def chain(self, index: int) -> list[int]:
        """The tensor and all that it lies in, up to the root."""
        found = [index]
        while self.storage.get(index, index) != index:
            index = self.storage[index]
            found.append(index)
        return found

    def shift(self, index: int) -> int:
        """Bytes from the start of the root's memory to where this tensor starts."""
        total = 0
        while self.storage.get(index, index) != index:
            total += self.shifts.get(index, 0)
            index = self.storage[index]
        return total

    def add(self, tensor: Tensor) -> int:
        """Add a tensor that the file has not; return its index."""
        tensor.index = max(self.tensors, default=-1) + 1
        self.tensors[tensor.index] = tensor
        return tensor.index

    def input(self, op: Operator, position: int) -> Tensor:
        return self.tensors[op.inputs[position]]

    def optional_input(self, op: Operator, position: int) -> Tensor | None:
        if position >= len(op.inputs) or op.inputs[position] < 0:
            return None
        return self.tensors[op.inputs[position]]

    def output(self, op: Operator) -> Tensor:
        return self.tensors[op.outputs[0]]

    def computed_inputs(self, op: Operator) -> Iterator[int]:
        """Indexes of the inputs that live in the arena."""
        for t in op.inputs:
            if t >= 0 and self.tensors[t].data is None:
                yield t
