# SPDX-License-Identifier: MIT
"""Writes the model image (.tpm) and reads it back; the format is in docs/architecture.md."""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..errors import CompileError, ImageFileError
from . import operators
from .device import import_device
from .ir import Graph, Tensor
from .operators.base import per_tensor
from .plan import Plan

_Made = TypeVar("_Made")

MAGIC = b"TPM\x1a"
VERSION = 1
_HEADER = struct.Struct("<4sHHIIIIIIIHHII")
_TENSOR = struct.Struct("<BBBBiiIf4i")
_ALIGN = 16
_AXES = 4
_RAM_LIMIT = 1 << 24
_CRC_FROM = 16
_DTYPES = {"int8": 1, "int16": 2, "int32": 3, "float32": 4, "uint32": 5, "uint64": 6}  # 5, 6: inner only
_INNER, _INPUT, _OUTPUT, _VARIABLE = 0, 1, 2, 3
CODES = {
    1: "FULLY_CONNECTED", 2: "CONV_2D", 3: "DEPTHWISE_CONV_2D", 4: "AVERAGE_POOL_2D", 5: "MAX_POOL_2D",
    6: "ADD", 7: "SOFTMAX", 8: "LOOKUP", 9: "PAD", 10: "QUANTIZE", 11: "DEQUANTIZE",
    12: "COPY", 13: "TAKE", 14: "SUB", 15: "SUB_FROM", 16: "MUL", 17: "MAXIMUM", 18: "MINIMUM", 19: "PRELU",
    40: "SVDF", 41: "UNIDIRECTIONAL_SEQUENCE_LSTM",
    50: "WINDOW", 51: "FFT_AUTO_SCALE", 52: "RFFT", 53: "ENERGY", 54: "FILTER_BANK", 55: "SQUARE_ROOT",
    56: "SPECTRAL_SUBTRACTION", 57: "PCAN", 58: "LOG",
    70: "CAST", 71: "ADD_INT", 72: "MUL_INT", 73: "DIV_INT", 74: "MAXIMUM_INT", 75: "MINIMUM_INT",
    76: "TO_FLOAT",
    20: "REDUCE_SUM", 21: "REDUCE_MAX", 22: "REDUCE_MIN", 23: "ARG_MAX", 24: "ARG_MIN", 25: "LOG_SOFTMAX",
    26: "RESIZE_BILINEAR", 28: "DIV", 29: "DIV_INTO", 31: "REQUANTIZE_INT32",
    80: "CONV_2D 8x4", 81: "DEPTHWISE_CONV_2D 8x4", 82: "CONV_2D 16x8", 83: "DEPTHWISE_CONV_2D 16x8",
    84: "REQUANTIZE", 85: "QUANTIZE 16", 86: "DEQUANTIZE 16", 87: "AVERAGE_POOL_2D 16", 88: "MAX_POOL_2D 16",
    89: "ADD 16", 90: "SUB 16", 91: "SUB_FROM 16", 92: "MUL 16", 93: "SOFTMAX 16", 94: "SIGMOID 16",
}  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """One tensor record; role 0 inner, 1 input, 2 output, 3 a variable: bytes kept from run to run."""

    role: int
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class OperatorInfo:
    code: int
    name: str
    args: tuple[int, ...]


@dataclass(frozen=True)
class ImageInfo:
    """What an image holds; flash_bytes is the whole file, weights included."""

    name: str
    version: int
    flash_bytes: int
    weights_bytes: int
    arena_bytes: int
    scratch_bytes: int
    state_bytes: int  # the first of the arena
    macs: int
    sha256: str
    tensors: tuple[TensorInfo, ...]
    operators: tuple[OperatorInfo, ...]

    @property
    def inputs(self) -> list[TensorInfo]:
        return [t for t in self.tensors if t.role == _INPUT]

    @property
    def outputs(self) -> list[TensorInfo]:
        return [t for t in self.tensors if t.role == _OUTPUT]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, as `torpor inspect --json` prints it."""
        return asdict(self)


class _Places:
    """Gives out offsets while records are made.

    What an operator's records read lies side by side, so that a window of the weights holds it; only windows
    that are all the same, such as a layer's in patches, are stored once.
    """

    def __init__(self, graph: Graph, plan: Plan) -> None:
        self._graph = graph
        self._plan = plan
        self.data = bytearray()
        self.moment = 0
        self._windows: dict[bytes, int] = {}
        self._wanted: list[bytes] | None = None  # not placed yet
        self._at: dict[bytes, int] = {}

    def arena(self, tensor: int) -> int:
        return self._plan.offset(self._graph, tensor)

    def weights(self, values: np.ndarray) -> int:
        raw = values.tobytes()
        if self._wanted is not None:
            self._wanted.append(raw)
            return 0
        return self._at[raw]

    def scratch(self) -> int:
        return self._plan.scratch(self.moment)

    def settle(self, make: Callable[[], _Made]) -> _Made:
        """Return what `make` makes, called twice: to see which constants it wants, and with their offsets."""
        self._wanted, self._at = [], {}
        make()
        window = bytearray()
        for raw in self._wanted:
            if raw not in self._at:
                window += bytes(-len(window) % _ALIGN)
                self._at[raw] = len(window)
                window += raw
        self._wanted = None
        key = bytes(window)
        if key not in self._windows:
            self.data += bytes(-len(self.data) % _ALIGN)
            self._windows[key] = len(self.data)
            self.data += window
        self._at = {raw: at + self._windows[key] for raw, at in self._at.items()}
        return make()


def write(graph: Graph, plan: Plan) -> bytes:
    """Return the image. Raises CompileError where a size passes the format's limits."""
    places = _Places(graph, plan)
    records = bytearray()
    count = 0
    for places.moment, op in enumerate(graph.operators):
        lower = operators.KINDS[op.name].lower
        if lower is None:
            raise AssertionError(f"{op.name} outlived the passes")
        made = places.settle(partial(lower, graph, op, places))
        for record in made if isinstance(made, list) else [made]:
            records += struct.pack(f"<HH{len(record.args)}i", record.code, len(record.args), *record.args)
            count += 1
    if plan.arena_bytes > _RAM_LIMIT:
        raise CompileError(
            f"{graph.name}: the arena takes {plan.arena_bytes} bytes, the format allows {_RAM_LIMIT}",
            fix="make the model's largest layers smaller",
        )
    tensors = _tensor_records(graph, places)
    operator_at = _HEADER.size + len(tensors)
    weights_at = (operator_at + len(records) + _ALIGN - 1) // _ALIGN * _ALIGN
    body = bytes(tensors + records).ljust(weights_at - _HEADER.size, b"\0") + bytes(places.data)
    tail = struct.pack(
        "<IIIIIHHII", plan.arena_bytes, 0, _HEADER.size, operator_at, weights_at,
        len(tensors) // _TENSOR.size, count, min(macs(graph), 0xFFFFFFFF), state_bytes(graph),
    )  # fmt: skip
    crc = zlib.crc32(body, zlib.crc32(tail))
    head = struct.pack("<4sHHII", MAGIC, VERSION, 0, _HEADER.size + len(body), crc)
    return head + tail + body


def macs(graph: Graph) -> int:
    return sum(operators.KINDS[op.name].macs(graph, op) for op in graph.operators)


def state_bytes(graph: Graph) -> int:
    """Bytes that outlive a run."""
    return 0 if graph.state is None else graph.tensors[graph.state].size_bytes


def _tensor_records(graph: Graph, places: _Places) -> bytearray:
    edge = set(graph.inputs) | set(graph.outputs)
    inner = [t for op in graph.operators for t in op.outputs if t not in edge]
    out = bytearray()
    for role, indexes in ((_INPUT, graph.inputs), (_OUTPUT, graph.outputs), (_INNER, inner)):
        for t in indexes:
            out += _tensor_record(graph.tensors[t], role, places.arena(t))
    for t in sorted(graph.tensors) if graph.state is not None else ():
        if graph.storage.get(t) == graph.state and graph.tensors[t].variable:
            out += places.settle(partial(_variable_record, graph.tensors[t], places))
    return out


def _variable_record(tensor: Tensor, places: _Places) -> bytes:
    """One value that fills it at first, or what it holds then, put into the weights."""
    first = tensor.initial
    assert first is not None
    one = bool((first == first[0]).all())
    return _TENSOR.pack(
        _DTYPES["int8"], 1, _VARIABLE, int(not one), places.arena(tensor.index), int(first[0]) if one else 0,
        len(first), 1.0, len(first), 1, 1, 1 if one else places.weights(first),
    )  # fmt: skip


def _tensor_record(tensor: Tensor, role: int, offset: int) -> bytes:
    shape = tensor.shape
    if len(shape) > _AXES:  # inner tensors only; leading axes are folded into one
        lead = tensor.count // int(np.prod(shape[-_AXES + 1 :]))
        shape = (lead, *shape[-_AXES + 1 :])
    quantized = tensor.dtype != "float32" and per_tensor(tensor)
    return _TENSOR.pack(
        _DTYPES[tensor.dtype], len(shape), role, 0, offset, tensor.zero_point if quantized else 0,
        tensor.size_bytes, float(tensor.scale) if quantized else 1.0, *shape, *(1,) * (_AXES - len(shape)),
    )  # fmt: skip


def read(data: bytes, name: str) -> ImageInfo:
    """Return what the image holds, every record checked as a board checks it.

    Raises ImageFileError: empty, no image, of another version, truncated, altered, or a bad record.
    """
    again = "compile the model again (torpor compile MODEL.tflite -o MODEL.tpm)"
    if not data:
        raise ImageFileError(f"{name}: the file is empty", fix=again)
    if data[:4] != MAGIC[: len(data)]:
        raise ImageFileError(f"{name}: not a model image (no TPM mark)", fix="give a .tpm file")
    if len(data) < _HEADER.size:
        raise ImageFileError(
            f"{name}: truncated: {len(data)} bytes, the header alone has {_HEADER.size}", fix=again
        )
    (_, version, _, length, crc, arena, scratch, tensor_at, operator_at, weights_at, n_tensors, n_operators,
     total_macs, state) = _HEADER.unpack_from(data)  # fmt: skip
    if version != VERSION:
        raise ImageFileError(
            f"{name}: format version {version}, this torpor reads {VERSION}",
            fix="compile the model again" if version < VERSION else "update torpor",
        )
    if length > len(data):
        raise ImageFileError(f"{name}: truncated: {len(data)} of {length} bytes", fix="copy it again")
    if length < len(data):
        raise ImageFileError(f"{name}: {len(data) - length} bytes too many at its end", fix="copy it again")
    if zlib.crc32(data[_CRC_FROM:]) != crc:
        raise ImageFileError(f"{name}: altered: its CRC-32 does not match", fix="copy it again")
    verify(data, name, again)
    tensors = [_read_tensor(data, tensor_at + i * _TENSOR.size) for i in range(n_tensors)]
    records, at = [], operator_at
    for _ in range(n_operators):
        code, n = struct.unpack_from("<HH", data, at)
        records.append(OperatorInfo(code, CODES[code], struct.unpack_from(f"<{n}i", data, at + 4)))
        at += 4 + 4 * n
    return ImageInfo(
        name, version, length, length - weights_at, arena, scratch, state, total_macs,
        hashlib.sha256(data).hexdigest(), tuple(tensors), tuple(records),
    )  # fmt: skip


def verify(data: bytes, name: str, fix: str) -> None:
    """Bind every record with the reference kernels, as a board does. Raises ImageFileError."""
    model = import_device("torpor.nn.model")
    errors = import_device("torpor.errors")
    try:
        model.Model(io.BytesIO(data), "reference")
    except errors.ImageError as e:
        what, offset = e.args
        raise ImageFileError(f"{name}: bad {what} at byte {offset}", fix=fix) from e


def largest_record_bytes(data: bytes) -> int:
    """Return the bytes through which a board streams the weights of a sound image: the buffers of the Python
    kernels, or the native ones' window, whichever is larger."""
    reader = import_device("torpor.nn.image")
    image = reader.Image(io.BytesIO(data))
    stream = import_device("torpor.nn.weights").Stream(image.read, image.fill)
    taken: list[tuple[int, int]] = []

    def load(kind: str, size: int, start: int, count: int) -> Any:
        taken.append((start, start + size * count))
        return stream.load(kind, size, start, count)

    image.load = load
    arena = reader.zeros("b", image.ram_bytes)
    bind = import_device("torpor.nn.reference").bind
    window = 0
    for code, args in image.operators():
        stream.next()
        taken.clear()
        bind(code, args, image, arena)
        if taken:
            window = max(window, max(end for _, end in taken) - min(start for start, _ in taken) // 16 * 16)
    return max(window, int(stream.size_bytes()))


def record_codes(data: bytes) -> list[int]:
    """Return the codes of a sound image's records, each once."""
    found = import_device("torpor.nn.image").Image(io.BytesIO(data))
    return sorted({code for _, code, _ in found.records()})


def _read_tensor(data: bytes, at: int) -> TensorInfo:
    dtype, rank, role, _, offset, zero, size, scale, *dims = _TENSOR.unpack_from(data, at)
    names = {code: label for label, code in _DTYPES.items()}
    return TensorInfo(role, names.get(dtype, f"type {dtype}"), tuple(dims[:rank]), offset, size, scale, zero)


def describe(info: ImageInfo) -> str:
    """Return the image as a table for people."""
    lines = [
        f"{info.name}: model image version {info.version}, {info.flash_bytes} bytes "
        f"({info.weights_bytes} weights), sha256 {info.sha256[:16]}",
        f"RAM {info.arena_bytes + info.scratch_bytes} bytes: arena {info.arena_bytes}, "
        f"scratch {info.scratch_bytes}{f', state {info.state_bytes}' if info.state_bytes else ''}; "
        f"{info.macs} MACs a run",
        "",
        _row("", "dtype", "shape", "at", "bytes", "scale", "zero"),
    ]
    roles: dict[int, str] = {_INNER: "inner", _INPUT: "input", _OUTPUT: "output", _VARIABLE: "variable"}
    for t in info.tensors:
        shape = "x".join(map(str, t.shape)) or "scalar"
        scale = f"{t.scale:.6g}" if t.dtype != "float32" else ""
        lines.append(
            _row(
                roles.get(t.role, "?"),
                t.dtype,
                shape,
                t.offset,
                t.size_bytes,
                scale,
                t.zero_point if scale else "",
            )
        )
    lines += ["", "operators:"]
    lines += [f"{i:>4}  {op.name:<18} {_dims(op)}" for i, op in enumerate(info.operators)]
    return "\n".join(lines)


def _row(*cells: Any) -> str:
    widths = (8, 8, 16, 8, 8, 12, 5)
    return "".join(f"{cell!s:<{w}}" for cell, w in zip(cells, widths, strict=True)).rstrip()


_Format = Callable[[tuple[int, ...]], str]
_FORMATS: dict[str, _Format] = {
    "FULLY_CONNECTED": lambda a: f"{a[2]}x{a[3]} -> {a[4]}",
    "CONV_2D": lambda a: f"{a[4]}x{a[5]}x{a[6]} -> {a[7]}x{a[8]}x{a[9]}, filter {a[10]}x{a[11]}",
    "DEPTHWISE_CONV_2D": lambda a: f"{a[4]}x{a[5]}x{a[6]} -> {a[7]}x{a[8]}x{a[9]}, filter {a[10]}x{a[11]}",
    "AVERAGE_POOL_2D": lambda a: f"{a[3]}x{a[4]}x{a[5]} -> {a[6]}x{a[7]}x{a[5]}, filter {a[8]}x{a[9]}",
    "MAX_POOL_2D": lambda a: f"{a[3]}x{a[4]}x{a[5]} -> {a[6]}x{a[7]}x{a[5]}, filter {a[8]}x{a[9]}",
    **dict.fromkeys(
        ("ADD", "SUB", "SUB_FROM", "MUL", "MAXIMUM", "MINIMUM", "PRELU", "DIV", "DIV_INTO"),
        lambda a: f"{a[4] * a[5] * a[6] * a[7]} values",
    ),
    **dict.fromkeys(
        ("CONV_2D 8x4", "DEPTHWISE_CONV_2D 8x4", "CONV_2D 16x8", "DEPTHWISE_CONV_2D 16x8"),
        lambda a: f"{a[3]}x{a[4]}x{a[5]} -> {a[6]}x{a[7]}x{a[8]}, filter {a[9]}x{a[10]}",
    ),
    "SOFTMAX": lambda a: f"{a[2]}x{a[3]}",
    **dict.fromkeys(("LOOKUP", "REQUANTIZE", "SIGMOID"), lambda a: f"{a[2]} values"),
    "SVDF": lambda a: f"{a[3]}x{a[4]} -> {a[5]}, rank {a[6]}, {a[7]} steps",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lambda a: f"{a[4]}x{a[5]}x{a[6]} -> {a[7]}",
    "QUANTIZE": lambda a: f"{a[2]} values",
    "DEQUANTIZE": lambda a: f"{a[2]} values",
    **dict.fromkeys(
        ("REDUCE_SUM", "REDUCE_MAX", "REDUCE_MIN"), lambda a: f"{a[2] * a[3]} of {a[6] * a[7]} values each"
    ),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), lambda a: f"{a[2] * a[4]} of {a[3]} values each"),
    "LOG_SOFTMAX": lambda a: f"{a[2]}x{a[3]}",
    "RESIZE_BILINEAR": lambda a: f"{a[3]} -> {a[5]}x{a[6]}x{a[4]}",
    "REQUANTIZE_INT32": lambda a: f"{a[2]} values",
    "COPY": lambda a: f"{a[3] * a[4] * a[5] * a[6]} values",
    "TAKE": lambda a: f"{a[2] * a[3] * a[4] * a[5] * a[6]} values",
}


def _dims(op: OperatorInfo) -> str:
    form = _FORMATS.get(op.name) or _FORMATS.get(op.name.removesuffix(" 16"))
    return form(op.args) if form else ""
