# SPDX-License-Identifier: MIT
"""TRANSPOSE, SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, UNPACK, PACK, CONCATENATION: strided copies.

All of them move the bytes of int8, int16 or int32. Scales and zero points must be those of the input, which
TensorFlow Lite Micro checks for CONCATENATION only: elsewhere it would move the bytes and change their
meaning.
"""

from collections.abc import Callable
from typing import Any

from ..ir import ITEM_BYTES, Graph, Operator, Tensor
from .base import INT8, Kind, Places, Record, Rule, per_tensor
from .move import AXES, Part, copies, strides_of

_MOST_INPUTS = 10  # of CONCATENATION: kMaxInputNum of concatenation.cc
_SOURCE = {"SPLIT": 1}  # which input is moved, where it is not the first
_AGAIN = "convert the model again"


_TYPES = ("int8", "int16", "int32")


def source(graph: Graph, op: Operator) -> Tensor:
    return graph.input(op, _SOURCE.get(op.name, 0))


def _ints(graph: Graph, op: Operator, position: int) -> list[int] | None:
    """A constant list of int32 or int64, or None."""
    tensor = graph.optional_input(op, position)
    if tensor is None or tensor.data is None or tensor.dtype not in ("int32", "int64"):
        return None
    return [int(v) for v in tensor.data.reshape(-1)]


def _known(graph: Graph, op: Operator, position: int) -> list[int]:
    found = _ints(graph, op, position)
    assert found is not None
    return found


# ---- TRANSPOSE


def _transpose_ok(graph: Graph, op: Operator) -> bool:
    x, y, perm = source(graph, op), graph.output(op), _ints(graph, op, 1)
    if perm is None or sorted(perm) != list(range(len(x.shape))):
        return False
    return y.shape == tuple(x.shape[p] for p in perm)


def _transpose(graph: Graph, op: Operator) -> list[Part]:
    x, y = source(graph, op), graph.output(op)
    item = ITEM_BYTES[x.dtype]
    strides = strides_of(x.shape, item)
    moved = tuple(strides[p] for p in _known(graph, op, 1))
    return [Part(x.index, y.index, y.shape, moved, strides_of(y.shape, item), item=item)]


# ---- SLICE, STRIDED_SLICE


def _slice_ok(graph: Graph, op: Operator) -> bool:
    x, y = source(graph, op), graph.output(op)
    begins, sizes = _ints(graph, op, 1), _ints(graph, op, 2)
    if begins is None or sizes is None or not len(begins) == len(sizes) == len(x.shape) == len(y.shape):
        return False
    if not 1 <= len(x.shape) <= 5:
        return False
    return all(
        b >= 0 and out == (n - b if s == -1 else s) and out > 0 and b + out <= n
        for b, s, n, out in zip(begins, sizes, x.shape, y.shape, strict=True)
    )


def _slice(graph: Graph, op: Operator) -> list[Part]:
    x, y = source(graph, op), graph.output(op)
    item = ITEM_BYTES[x.dtype]
    strides = strides_of(x.shape, item)
    at = sum(b * s for b, s in zip(_known(graph, op, 1), strides, strict=True))
    return [Part(x.index, y.index, y.shape, strides, strides_of(y.shape, item), at, item=item)]


def _walk(graph: Graph, op: Operator) -> list[tuple[int, int, int]] | None:
    """(start, count, stride) along each axis. Source: StartForAxis, EndForAxis, strided_slice_logic.h."""
    x = source(graph, op)
    lists = [_ints(graph, op, i) for i in (1, 2, 3)]
    if any(v is None or len(v) != len(x.shape) for v in lists):
        return None
    found = []
    for axis, n in enumerate(x.shape):
        start, end, stride = (_known(graph, op, i)[axis] for i in (1, 2, 3))
        bit = 1 << axis
        if stride == 0:
            return None
        low, high = (0, n) if stride > 0 else (-1, n - 1)
        start = min(max(start + n if start < 0 else start, low), high)
        if int(op.options["begin_mask"]) & bit:
            start = 0 if stride > 0 else n - 1
        end = min(max(end + n if end < 0 else end, low), high)
        if int(op.options["end_mask"]) & bit:
            end = n if stride > 0 else -1
        if int(op.options["shrink_axis_mask"]) & bit:
            end, stride = start + 1, 1
        count = -((start - end) // stride)
        if count < 1 or not 0 <= start < n:
            return None
        found.append((start, count, stride))
    return found


def _strided_ok(graph: Graph, op: Operator) -> bool:
    walk = _walk(graph, op)
    if walk is None or not 1 <= len(walk) <= AXES:
        return False
    shrunk = int(op.options["shrink_axis_mask"])
    return graph.output(op).shape == tuple(c for i, (_, c, _) in enumerate(walk) if not shrunk & 1 << i)


def _strided(graph: Graph, op: Operator) -> list[Part]:
    x, y = source(graph, op), graph.output(op)
    walk = _walk(graph, op)
    assert walk is not None
    item = ITEM_BYTES[x.dtype]
    strides = strides_of(x.shape, item)
    at = sum(start * s for (start, _, _), s in zip(walk, strides, strict=True))
    shape = tuple(count for _, count, _ in walk)
    moved = tuple(step * s for (_, _, step), s in zip(walk, strides, strict=True))
    return [Part(x.index, y.index, shape, moved, strides_of(shape, item), at, item=item)]


# ---- one tensor to several, several to one


def _axis(graph: Graph, op: Operator) -> int | None:
    """The axis, counted from the front, of the tensor that has it whole; None if there is no such axis."""
    whole = graph.output(op) if op.name in ("PACK", "CONCATENATION") else source(graph, op)
    if op.name in ("SPLIT", "SPLIT_V"):
        found = _ints(graph, op, 0 if op.name == "SPLIT" else 2)
        if found is None or len(found) != 1:
            return None
        axis = found[0]
    else:
        axis = int(op.options["axis"])
    rank = len(whole.shape)
    return axis % rank if -rank <= axis < rank else None


def _pieces_ok(graph: Graph, op: Operator) -> bool:
    """The pieces' shapes, laid along the axis one after the other, make up the whole's."""
    axis = _axis(graph, op)
    if axis is None:
        return False
    joins = op.name in ("PACK", "CONCATENATION")
    whole = graph.output(op) if joins else source(graph, op)
    total = 0
    for t in op.inputs if joins else op.outputs:
        shape = graph.tensors[t].shape
        if op.name in ("PACK", "UNPACK"):
            shape = (*shape[:axis], 1, *shape[axis:])
        if len(shape) != len(whole.shape):
            return False
        total += shape[axis]
        if shape[:axis] + shape[axis + 1 :] != whole.shape[:axis] + whole.shape[axis + 1 :]:
            return False
    if op.name == "SPLIT" and len({graph.tensors[t].shape for t in op.outputs}) != 1:
        return False
    return total == whole.shape[axis]


def _pieces(graph: Graph, op: Operator) -> list[Part]:
    joins = op.name in ("PACK", "CONCATENATION")
    whole = graph.output(op) if joins else source(graph, op)
    axis = _axis(graph, op)
    assert axis is not None
    item = ITEM_BYTES[whole.dtype]
    long = strides_of(whole.shape, item)
    at, parts = 0, []
    for t in op.inputs if joins else op.outputs:
        shape = graph.tensors[t].shape
        if op.name in ("PACK", "UNPACK"):
            shape = (*shape[:axis], 1, *shape[axis:])
        if joins:
            parts.append(Part(t, whole.index, shape, strides_of(shape, item), long, to=at, item=item))
        else:
            parts.append(Part(whole.index, t, shape, long, strides_of(shape, item), at=at, item=item))
        at += shape[axis] * long[axis]
    return parts


PARTS: dict[str, Callable[[Graph, Operator], list[Part]]] = {
    "TRANSPOSE": _transpose,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided,
    "SPLIT": _pieces,
    "SPLIT_V": _pieces,
    "UNPACK": _pieces,
    "PACK": _pieces,
    "CONCATENATION": _pieces,
}


def moved_inputs(graph: Graph, op: Operator) -> list[int]:
    """Tensors in the arena that the operator reads: of parts only what does not lie in its place yet."""
    if op.name not in PARTS:
        return list(graph.computed_inputs(op))
    return [
        p.source
        for p in PARTS[op.name](graph, op)
        if graph.tensors[p.source].data is None and _moves(graph, p)
    ]


def moved_outputs(graph: Graph, op: Operator) -> list[int]:
    """Tensors that the operator writes."""
    if op.name not in PARTS:
        return list(op.outputs)
    return [p.target for p in PARTS[op.name](graph, op) if _moves(graph, p)]


def _moves(graph: Graph, part: Part) -> bool:
    if graph.root(part.source) != graph.root(part.target) or not part.is_block:
        return True
    return graph.shift(part.source) + part.at != graph.shift(part.target) + part.to


# ---- rules


def _moved(graph: Graph, op: Operator) -> list[Tensor]:
    """Whatever is moved, and where to; lists of sizes and axes are not looked at here."""
    moved = op.inputs if op.name in ("PACK", "CONCATENATION") else (source(graph, op).index,)
    return [graph.tensors[t] for t in (*moved, *op.outputs)]


def _one_type(graph: Graph, op: Operator) -> bool:
    """int8 has a scale; int16 and int32 may have one. TensorFlow Lite Micro transposes no int32."""
    tensors = _moved(graph, op)
    dtype = tensors[0].dtype
    if dtype not in _TYPES or (dtype == "int32" and op.name == "TRANSPOSE"):
        return False
    plain = dtype != "int8"
    return all(
        t.dtype == dtype and not t.sparse and (per_tensor(t) or (plain and t.quantization is None))
        for t in tensors
    )


def _same_quantization(graph: Graph, op: Operator) -> bool:
    found = {None if t.quantization is None else (t.scale, t.zero_point) for t in _moved(graph, op)}
    return len(found) == 1


def _computed(graph: Graph, op: Operator) -> bool:
    if op.name in ("PACK", "CONCATENATION"):
        return any(graph.tensors[t].data is None for t in op.inputs)
    return source(graph, op).data is None


def _few_axes(graph: Graph, op: Operator) -> bool:
    return all(len(part.axes()) <= AXES for part in PARTS[op.name](graph, op))


MOVED = Rule(
    _one_type, "moves something other than int8 with one scale and zero point, int16 or int32", INT8.fix
)
SAME = Rule(
    _same_quantization,
    "its inputs and outputs differ in scale or zero point",
    "convert with a current TensorFlow, or put QUANTIZE before it",
)
NOT_CONSTANT = Rule(_computed, "moves constants only", "let the converter fold constants")
_FEW_AXES = Rule(_few_axes, "moves along more than 4 axes", "reshape its input to fewer axes")
_PIECES = Rule(_pieces_ok, "its axis is not constant, or its shapes do not add up along it", _AGAIN)


def _lower(graph: Graph, op: Operator, places: Places) -> list[Record]:
    return copies(graph, PARTS[op.name](graph, op), places)


def _axis_option(options: Any) -> dict[str, int | float]:
    return {"axis": options.Axis()}


def _read_concatenation(options: Any) -> dict[str, int | float]:
    return {"axis": options.Axis(), "activation": options.FusedActivationFunction()}


def _read_strided(options: Any) -> dict[str, int | float]:
    return {
        "begin_mask": options.BeginMask(),
        "end_mask": options.EndMask(),
        "shrink_axis_mask": options.ShrinkAxisMask(),
        "more": options.EllipsisMask() | options.NewAxisMask() | int(options.Offset()),
    }


def _kind(
    name: str,
    inputs: tuple[int, int],
    *rules: Rule,
    outputs: tuple[int, int] = (1, 1),
    options: str = "",
    read: Callable[[Any], dict[str, int | float]] = lambda options: {},
) -> Kind:
    return Kind(
        name=name, inputs=inputs, outputs=outputs, options=options, read=read, lower=_lower,
        rules=(MOVED, NOT_CONSTANT, SAME, *rules, _FEW_AXES),
    )  # fmt: skip


_OPTIONS = Rule(lambda graph, op: op.has_options, "its options are missing", _AGAIN)
_MANY = 256
KINDS = (
    _kind("TRANSPOSE", (2, 2), Rule(_transpose_ok, "its permutation is not constant or wrong", _AGAIN)),
    _kind("SLICE", (3, 3), Rule(_slice_ok, "its begin and size are not constants that fit", _AGAIN)),
    _kind(
        "STRIDED_SLICE", (4, 4), _OPTIONS,
        Rule(
            lambda g, o: o.options["more"] == 0, "has an ellipsis, a new axis or offsets",
            "slice with begin, end and strides alone, then reshape",
        ),
        Rule(_strided_ok, "its begin, end and strides are not constants that fit, 4 axes at most", _AGAIN),
        options="StridedSliceOptions", read=_read_strided,
    ),
    _kind("SPLIT", (2, 2), _PIECES, outputs=(1, _MANY)),
    _kind("SPLIT_V", (3, 3), _PIECES, outputs=(1, _MANY)),
    _kind(
        "UNPACK", (1, 1), _OPTIONS, _PIECES, outputs=(1, _MANY), options="UnpackOptions", read=_axis_option
    ),
    _kind("PACK", (1, _MANY), _OPTIONS, _PIECES, options="PackOptions", read=_axis_option),
    _kind(
        "CONCATENATION", (1, _MOST_INPUTS), _OPTIONS,
        Rule(lambda g, o: o.options["activation"] == 0, "has a fused activation", "make it a layer"),
        _PIECES, options="ConcatenationOptions", read=_read_concatenation,
    ),
)  # fmt: skip
