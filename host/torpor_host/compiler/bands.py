# SPDX-License-Identifier: MIT
"""Stages: runs of layers that go through an image row by row, and how one is computed band by band.

A band of a tensor's rows is one run of bytes (NHWC), so a band of the stage's input is a view (SLICE), and
the bands of its output are computed where they belong (CONCATENATION); both are copied if a band would not
begin at a multiple of 16 bytes. Only the topmost band has padding above, so that it becomes explicit (option
`top`); below, what a band does not have is padding, which only the last one reads.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from . import operators, plan
from .ir import Graph, Operator, Tensor
from .operators import conv, pad, pool
from .operators.base import Rows

Span = tuple[int, int]  # rows from, to


def _pad_rows(graph: Graph, op: Operator) -> Rows:
    return Rows(1, int(pad.paddings(graph, op)[1, 0]), 1)


def _same_row(graph: Graph, op: Operator) -> Rows:
    return Rows(1, 0, 1)


_ELEMENTWISE = ("LOOKUP", "ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")
_PADS = ("PAD", "PADV2")
ROWS: dict[str, Callable[[Graph, Operator], Rows]] = {
    "CONV_2D": conv.rows,
    "DEPTHWISE_CONV_2D": conv.rows,
    "AVERAGE_POOL_2D": pool.rows,
    "MAX_POOL_2D": pool.rows,
    **dict.fromkeys(_PADS, _pad_rows),
    **dict.fromkeys(_ELEMENTWISE, _same_row),
}


@dataclass(frozen=True)
class Split:
    """Operators start..end in bands of `height` rows of the last one's output. needs: for each band, which
    rows of each tensor it computes or reads. The extra MACs and values are those computed more than once."""

    start: int
    end: int
    height: int
    needs: tuple[dict[int, Span], ...]
    extra_macs: int
    extra_values: int

    @property
    def cost(self) -> tuple[int, ...]:
        return self.extra_macs, self.extra_values, len(self.needs), self.start, self.end


def stages(graph: Graph) -> Iterator[tuple[int, int]]:
    """Yield (first, last operator) of every run of at least two that may be computed in bands."""
    readers: dict[int, list[int]] = {}
    for i, op in enumerate(graph.operators):
        for t in op.inputs:
            readers.setdefault(graph.root(t), []).append(i)
    kept = {graph.root(t) for t in graph.outputs}
    aliased = {graph.root(t) for t in graph.storage if graph.root(t) != t}
    for start in range(len(graph.operators)):
        last_reader = start  # of the tensors within the stage
        for end in range(start, len(graph.operators)):
            out = graph.operators[end].outputs[0]
            if not _is_banded(graph, graph.operators[end]):
                break
            if end > start and last_reader <= end:
                yield start, end
            if out in kept or out in aliased or out not in readers:
                break
            last_reader = max(last_reader, *readers[out])


def _is_banded(graph: Graph, op: Operator) -> bool:
    if op.name not in ROWS or len(op.outputs) != 1 or graph.root(op.outputs[0]) != op.outputs[0]:
        return False
    y = graph.output(op)
    for tensor in (y, *(graph.tensors[t] for t in graph.computed_inputs(op))):
        if len(tensor.shape) != 4 or tensor.shape[0] != 1 or tensor.dtype != "int8":
            return False
        if op.name in _ELEMENTWISE and tensor.shape != y.shape:
            return False
    if op.name in _PADS:
        return not pad.paddings(graph, op)[0].any()
    constants = [graph.tensors[t].shape for t in op.inputs if t >= 0 and graph.tensors[t].data is not None]
    return op.name not in _ELEMENTWISE or all(len(s) < 3 or s[-3] == 1 for s in constants)


def _reads(rows: Rows, out: Span, height: int) -> Span:
    """Rows of an input of `height` that these rows of the output are computed from; at least one."""
    first = min(max(0, out[0] * rows.stride - rows.top), height - 1)
    return first, max(first + 1, min(height, (out[1] - 1) * rows.stride - rows.top + rows.reach))


def split(graph: Graph, start: int, end: int, height: int) -> Split | None:
    """Return the stage in bands of so many rows; None where a band would be nothing but PAD's rows."""
    ops = graph.operators[start : end + 1]
    whole = ops[-1].outputs[0]
    rows = [ROWS[op.name](graph, op) for op in ops]
    costs = []  # MACs and values of one row
    for op in ops:
        y = graph.output(op)
        costs.append((operators.KINDS[op.name].macs(graph, op) // y.shape[1], y.count // y.shape[1]))
    needs, macs, values = [], 0, 0
    total = graph.tensors[whole].shape[1]
    for first in range(0, total, height):
        need = {whole: (first, min(first + height, total))}
        for op, r, (row_macs, row_values) in zip(reversed(ops), reversed(rows), reversed(costs), strict=True):
            a, b = need[op.outputs[0]]
            macs += (b - a) * row_macs
            values += (b - a) * row_values
            for t in graph.computed_inputs(op):
                size = graph.tensors[t].shape[1]
                if op.name in _PADS and not max(a - r.top, 0) < min(b - r.top, size):
                    return None
                span = _reads(r, (a, b), size)
                before = need.get(t, span)
                need[t] = min(span[0], before[0]), max(span[1], before[1])
        needs.append(need)
    macs -= sum(m * graph.output(op).shape[1] for op, (m, _) in zip(ops, costs, strict=True))
    values -= sum(v * graph.output(op).shape[1] for op, (_, v) in zip(ops, costs, strict=True))
    return Split(start, end, height, tuple(needs), macs, values)


def least_bytes(graph: Graph, made: Split) -> int:
    """Return a bound: no plan of the stage's bands can do with less. It counts the rows of the stage's inputs
    that later bands still read, the rows of its output that are there, and what one layer reads or writes."""
    ops = graph.operators[made.start : made.end + 1]
    whole = ops[-1].outputs[0]
    inner = {op.outputs[0] for op in ops}

    def size(t: int, span: Span) -> int:
        tensor = graph.tensors[t]
        return tensor.size_bytes // tensor.shape[1] * (span[1] - span[0])

    inputs = {t for op in ops for t in graph.computed_inputs(op)} - inner
    most = sum(graph.tensors[t].size_bytes for t in inputs)
    for k, need in enumerate(made.needs):
        fixed = size(whole, (0, need[whole][0]))
        if k + 1 < len(made.needs):
            fixed += sum(size(t, (made.needs[k + 1][t][0], graph.tensors[t].shape[1])) for t in inputs)
        for op in ops:
            y, rows = need[op.outputs[0]], ROWS[op.name](graph, op)
            inputs_of = [t for t in graph.computed_inputs(op) if t in inner]
            read = [size(t, _reads(rows, y, graph.tensors[t].shape[1])) for t in inputs_of]
            most = max(most, fixed + max([*read, size(op.outputs[0], y)]))
    return max(most, graph.tensors[whole].size_bytes)


def build(graph: Graph, made: Split) -> Graph:
    """Return a copy of `graph` with the stage in bands. What both have in common is shared."""
    copy = replace(graph, tensors=dict(graph.tensors), storage=dict(graph.storage), shifts=dict(graph.shifts))
    ops = graph.operators[made.start : made.end + 1]
    whole = ops[-1].outputs[0]
    parts: list[int] = []
    middle: list[Operator] = []
    for need in made.needs:
        here: dict[int, tuple[int, Span]] = {}  # tensor: its band, and which rows that has
        for op in ops:
            middle += _band(copy, op, need, here)
        parts.append(here[whole][0])
    joined = Operator(ops[-1].layer, "CONCATENATION", 1, tuple(parts), (whole,), {"axis": 1, "activation": 0})
    row = graph.tensors[whole].size_bytes // graph.tensors[whole].shape[1]
    if made.height * row % plan.ALIGN_BYTES == 0:
        for t, need in zip(parts, made.needs, strict=True):
            copy.storage[t], copy.shifts[t] = whole, need[whole][0] * row
    copy.operators = [
        *graph.operators[: made.start], *middle, joined, *graph.operators[made.end + 1 :]
    ]  # fmt: skip
    return copy


def _add(graph: Graph, like: Tensor, span: Span) -> Tensor:
    """Rows of a tensor, as one of its own."""
    shape = (1, span[1] - span[0], *like.shape[2:])
    tensor = replace(
        like, index=max(graph.tensors) + 1, name=f"{like.name}[{span[0]}:{span[1]}]", shape=shape
    )
    graph.tensors[tensor.index] = tensor
    return tensor


def _constant(graph: Graph, values: list[int], shape: tuple[int, ...]) -> int:
    data = np.array(values, dtype="<i4").reshape(shape)
    index = max(graph.tensors) + 1
    graph.tensors[index] = Tensor(index, "", shape, "int32", data=data)
    return index


def _band(
    graph: Graph, op: Operator, need: dict[int, Span], here: dict[int, tuple[int, Span]]
) -> list[Operator]:
    """Return what computes this band of the operator's output, which is then in `here`."""
    made: list[Operator] = []
    out, rows = need[op.outputs[0]], ROWS[op.name](graph, op)
    inputs, read = list(op.inputs), (0, 0)
    for i, t in enumerate(op.inputs):
        if t < 0 or graph.tensors[t].data is not None:
            continue
        read = _reads(rows, out, graph.tensors[t].shape[1])
        source, has = here.get(t, (t, (0, graph.tensors[t].shape[1])))
        inputs[i] = source
        if read != has:
            view = _slice(graph, op.layer, source, (read[0] - has[0], read[1] - has[0]))
            made.append(view)
            inputs[i] = view.outputs[0]
    y = _add(graph, graph.output(op), out)
    here[op.outputs[0]] = y.index, out
    above = rows.top - out[0] * rows.stride + read[0]
    options = dict(op.options)
    if op.name in _PADS:
        paddings = pad.paddings(graph, op)
        below = out[1] - out[0] - above - (read[1] - read[0])
        paddings[1] = above, below
        inputs[1] = _constant(graph, paddings.reshape(-1).tolist(), paddings.shape)
    elif op.name not in _ELEMENTWISE:
        options["top"] = above
    made.append(replace(op, inputs=tuple(inputs), outputs=(y.index,), options=options))
    return made


def _slice(graph: Graph, layer: int, source: int, span: Span) -> Operator:
    tensor = graph.tensors[source]
    _, _, w, c = tensor.shape
    begin = _constant(graph, [0, span[0], 0, 0], (4,))
    size = _constant(graph, [1, span[1] - span[0], w, c], (4,))
    view = _add(graph, tensor, span)
    if span[0] * w * c % plan.ALIGN_BYTES == 0:
        graph.storage[view.index], graph.shifts[view.index] = source, span[0] * w * c
    return Operator(layer, "SLICE", 1, (source, begin, size), (view.index,))
