# SPDX-License-Identifier: MIT
"""`.tflite` bytes -> ir.Graph, by the schema classes that the `tflite-micro` wheel carries.

FlatBuffers' Python accessors trust the file: an offset may lead anywhere, a length may be four billion. So
every length is weighed against the size of the file before it is looped over, the sum of all that is read
is bounded, and whatever the accessors raise on a damaged file becomes one CompileError.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CompileError
from . import custom, operators
from .ir import ITEM_BYTES, MAX_ELEMENTS, NUMPY, Graph, Operator, Quantization, Tensor

_IDENTIFIER = b"TFL3"
_MAX_RANK = 8
_DAMAGED = (
    struct.error, IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, UnicodeError,
    AssertionError,
)  # fmt: skip


def schema() -> Any:
    """The schema's generated module; the only place that knows where the wheel keeps it."""
    try:
        from tflite_micro.tensorflow.lite.micro.python import schema_py_generated
    except ImportError as e:
        raise CompileError(
            f"the .tflite schema is not installed ({e})", fix="pip install tflite-micro"
        ) from e
    return schema_py_generated


def load(path: Path) -> bytes:
    """Return the file's bytes. Raises CompileError when there is no such file."""
    try:
        return path.read_bytes()
    except OSError as e:
        raise CompileError(f"{path}: {e.strerror or e}", fix="give the path of a .tflite file") from e


def parse(data: bytes, name: str) -> Graph:
    """Return subgraph 0 of the model, and with it those that its CALL_ONCE run.

    Raises CompileError for anything that is not a sound .tflite.
    """
    again = "convert or copy it again"
    if not data:
        raise CompileError(f"{name}: the file is empty", fix=again)
    if len(data) < 16 or data[4:8] != _IDENTIFIER:
        raise CompileError(f"{name}: not a .tflite file (no {_IDENTIFIER.decode()} mark)", fix=again)
    generated = schema()
    try:
        return _Reader(data, name, generated).graph()
    except _DAMAGED as e:
        raise CompileError(f"{name}: damaged or cut short ({type(e).__name__}: {e})", fix=again) from e


def unpack_int4(raw: bytes, count: int) -> np.ndarray:
    """Return int8 [count]: two a byte, the low half first. Source: UnpackDenseInt4IntoInt8."""
    packed = np.frombuffer(raw, dtype=np.int8)
    halves = np.stack([packed << 4 >> 4, packed >> 4], axis=1).astype(np.int8)
    return halves.reshape(-1)[:count]


class _Reader:
    def __init__(self, data: bytes, name: str, generated: Any) -> None:
        self.data = data
        self.name = name
        self.generated = generated
        self.budget = 4 * len(data) + 4096  # everything read, in bytes; sound files need less than one pass
        self.dtypes = {v: k.lower() for k, v in vars(generated.TensorType).items() if isinstance(v, int)}
        self.codes = {v: k for k, v in vars(generated.BuiltinOperator).items() if isinstance(v, int)}
        self.unions = {v: k for k, v in vars(generated.BuiltinOptions).items() if isinstance(v, int)}

    def bound(self, length: int, item_bytes: int = 4) -> int:
        """Return `length` if the file is large enough to hold that many items, all lists so far included."""
        self.budget -= length * item_bytes + 4
        if length < 0 or length * item_bytes > len(self.data) or self.budget < 0:
            raise ValueError(f"a list of {length} items")
        return length

    def ints(self, length: int, values: Any, item_bytes: int = 4) -> list[int]:
        self.bound(length, item_bytes)
        return [int(v) for v in values()] if length else []

    def graph(self) -> Graph:
        model = self.generated.Model.GetRootAs(self.data, 0)
        if model.Version() != 3:
            raise CompileError(f"{self.name}: schema version {model.Version()}", fix="version 3 is needed")
        if self.bound(model.SubgraphsLength()) < 1:
            raise ValueError("no subgraph")
        buffers = self.bound(model.BuffersLength())
        codes = [self.code(model.OperatorCodes(i)) for i in range(self.bound(model.OperatorCodesLength()))]
        graph = self.subgraph(model, 0, buffers, codes)
        if not graph.inputs or not graph.outputs:
            raise ValueError("no input or no output")
        for op in graph.operators:
            if op.name == "CALL_ONCE" and op.has_options:
                index = int(op.options["init_subgraph"])
                if not 0 < index < model.SubgraphsLength():
                    raise IndexError(f"subgraph {index} of {model.SubgraphsLength()}")
                if index not in graph.inits:
                    graph.inits[index] = self.subgraph(model, index, buffers, codes)
        return graph

    def subgraph(self, model: Any, index: int, buffers: int, codes: list[tuple[str, int]]) -> Graph:
        subgraph = model.Subgraphs(index)
        tensors = {
            i: self.tensor(i, subgraph.Tensors(i), model, buffers)
            for i in range(self.bound(subgraph.TensorsLength()))
        }
        layers = [
            self.operator(i, subgraph.Operators(i), codes, len(tensors))
            for i in range(self.bound(subgraph.OperatorsLength()))
        ]
        inputs = self.ints(subgraph.InputsLength(), subgraph.InputsAsNumpy)
        outputs = self.ints(subgraph.OutputsLength(), subgraph.OutputsAsNumpy)
        for t in inputs + outputs:
            if not 0 <= t < len(tensors):
                raise IndexError(f"tensor {t} of {len(tensors)}")
        return Graph(self.name, tensors, layers, tuple(inputs), tuple(outputs))

    def code(self, code: Any) -> tuple[str, int]:
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = self.codes.get(number, f"BUILTIN_{number}")
        if name == "CUSTOM":
            self.bound(len(code.CustomCode() or b""), 1)
            name = "CUSTOM:" + (code.CustomCode() or b"").decode("utf-8", "replace")
        return name, code.Version()

    def tensor(self, index: int, tensor: Any, model: Any, buffers: int) -> Tensor:
        dtype = self.dtypes.get(tensor.Type(), f"type {tensor.Type()}")
        if tensor.ShapeLength() > _MAX_RANK:
            raise ValueError(f"tensor {index} has {tensor.ShapeLength()} dimensions")
        shape = tuple(self.ints(tensor.ShapeLength(), tensor.ShapeAsNumpy))
        label = tensor.Name() or b""
        self.bound(len(label), 1)
        result = Tensor(
            index=index,
            name=label.decode("utf-8", "replace"),
            shape=shape,
            dtype=dtype,
            quantization=self.quantization(tensor.Quantization()),
            variable=bool(tensor.IsVariable()),
            sparse=tensor.Sparsity() is not None,
        )
        if not 0 <= tensor.Buffer() < max(buffers, 1):
            raise IndexError(f"buffer {tensor.Buffer()} of {buffers}")
        if tensor.Buffer():
            result.data = self.constant(result, model.Buffers(tensor.Buffer()))
        return result

    def quantization(self, quantization: Any) -> Quantization | None:
        if quantization is None or not quantization.ScaleLength():
            return None
        n = self.bound(quantization.ScaleLength())
        scales = np.array(quantization.ScaleAsNumpy(), dtype=np.float32)
        zero_points = np.zeros(n, dtype=np.int64)
        if quantization.ZeroPointLength():
            found = self.ints(quantization.ZeroPointLength(), quantization.ZeroPointAsNumpy, 8)
            if len(found) not in (1, n):
                raise ValueError(f"{len(found)} zero points for {n} scales")
            zero_points[:] = found
        return Quantization(scales, zero_points, quantization.QuantizedDimension())

    def constant(self, tensor: Tensor, buffer: Any) -> np.ndarray | None:
        length = buffer.DataLength()
        if length == 0:
            return None
        self.bound(length, 1)
        if tensor.dtype not in ITEM_BYTES or tensor.sparse:
            return np.zeros(0, dtype=np.uint8)  # constant, of a kind that spec refuses
        if any(d < 0 or d > MAX_ELEMENTS for d in tensor.shape) or tensor.size_bytes != length:
            raise ValueError(
                f"tensor {tensor.index} has {length} bytes of data for shape {list(tensor.shape)}"
            )
        raw = bytes(buffer.DataAsNumpy())
        if tensor.dtype == "int4":
            return unpack_int4(raw, tensor.count).reshape(tensor.shape)
        return np.frombuffer(raw, dtype=NUMPY[tensor.dtype]).reshape(tensor.shape)

    def operator(self, index: int, op: Any, codes: list[tuple[str, int]], tensors: int) -> Operator:
        if not 0 <= op.OpcodeIndex() < len(codes):
            raise IndexError(f"operator code {op.OpcodeIndex()} of {len(codes)}")
        name, version = codes[op.OpcodeIndex()]
        inputs = self.ints(op.InputsLength(), op.InputsAsNumpy)
        outputs = self.ints(op.OutputsLength(), op.OutputsAsNumpy)
        for t in inputs + outputs:
            if not -1 <= t < tensors:
                raise IndexError(f"layer {index} uses tensor {t} of {tensors}")
        result = Operator(index, name, version, tuple(inputs), tuple(outputs))
        kind = operators.KINDS.get(name)
        if kind is not None and kind.custom:
            length = self.bound(op.CustomOptionsLength(), 1)
            found = custom.options(bytes(op.CustomOptionsAsNumpy()) if length else b"")
            result.has_options = set(found) == set(kind.custom)
            result.options = dict(found)
        if kind is not None and kind.options:
            union = self.unions.get(op.BuiltinOptionsType(), "")
            table = op.BuiltinOptions()
            result.has_options = union == kind.options and table is not None
            if result.has_options:
                options = getattr(self.generated, union)()
                options.Init(table.Bytes, table.Pos)
                result.options = kind.read(options)
                if name == "VAR_HANDLE":
                    result.variable = self.variable(options)
        return result

    def variable(self, options: Any) -> str | None:
        """The name that identifies a variable: TensorFlow Lite Micro knows one by container and name."""
        container, name = options.Container() or b"", options.SharedName()
        if name is None:
            return None
        self.bound(len(container) + len(name), 1)
        return f"{container.decode('utf-8', 'replace')}/{name.decode('utf-8', 'replace')}"
