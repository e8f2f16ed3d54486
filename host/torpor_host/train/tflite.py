# SPDX-License-Identifier: MIT
"""Writes an int8 network as a `.tflite` file, and runs one with TensorFlow Lite Micro.

    >>> write_mlp(quantized, Path("frost.tflite"))

The schema's Python classes are those that the `tflite_micro` wheel ships; nothing of TensorFlow is needed.
The bytes depend on the network alone.
"""

import os
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from torpor_host.train.quantize import Affine, Dense, QuantizedMlp

# Operator version of FULLY_CONNECTED with int8 weights and activations
# (tensorflow/lite/tools/versioning/op_version.cc).
_FULLY_CONNECTED_VERSION = 4
# Kernels read weights in words of up to 16 bytes: every buffer starts at a multiple of this in the file.
_ALIGN_BYTES = 16


class _AlignedBuffer(schema.BufferT):
    """The generated `Pack` aligns a buffer's bytes to 4 only."""

    def Pack(self, builder: Any) -> int:
        if self.data is not None:
            builder.StartVector(1, len(self.data), _ALIGN_BYTES)
            builder.head -= len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
            data = builder.EndVector()
        schema.BufferStart(builder)
        if self.data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def encode_mlp(net: QuantizedMlp, name: str = "mlp") -> bytes:
    """The network as a `.tflite` file: input int8 [1, INPUTS], output int8 [1, OUT], one FULLY_CONNECTED a
    layer with its ReLU fused."""
    tensors: list[Any] = []
    buffers: list[Any] = [_AlignedBuffer()]  # the schema reserves buffer 0 for "no data"

    def add(label: str, shape: list[int], kind: int, affine: Affine, data: bytes | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = label, shape, kind
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [affine.scale]
        tensor.quantization.zeroPoint = [affine.zero_point]
        tensor.buffer = len(buffers)
        buffer = _AlignedBuffer()
        buffer.data = data
        buffers.append(buffer)
        tensors.append(tensor)
        return len(tensors) - 1

    int8, int32 = schema.TensorType.INT8, schema.TensorType.INT32
    entry = below = add("input", [1, net.layers[0].weights.shape[1]], int8, net.input)
    operators = []
    scale_below = net.input.scale
    for i, layer in enumerate(net.layers):
        rows = len(layer.bias)
        bias_affine = Affine(float(np.float32(scale_below * layer.weight_scale)), 0)
        weights_at = add(
            f"dense{i}/weights",
            list(layer.weights.shape),
            int8,
            Affine(layer.weight_scale, 0),
            np.ascontiguousarray(layer.weights, dtype="<i1").tobytes(),
        )
        bias_at = add(f"dense{i}/bias", [rows], int32, bias_affine, layer.bias.astype("<i4").tobytes())
        above = add("output" if layer is net.layers[-1] else f"dense{i}", [1, rows], int8, layer.output)
        operators.append(_dense([below, weights_at, bias_at], above, layer))
        below, scale_below = above, layer.output.scale

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = _FULLY_CONNECTED_VERSION
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, operators, [entry], [below]
    model = schema.ModelT()
    model.version = 3  # of the schema; the only one there is
    model.description = name
    model.operatorCodes, model.subgraphs, model.buffers = [code], [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _dense(inputs: list[int], output: int, layer: Dense) -> Any:
    options = schema.FullyConnectedOptionsT()
    if layer.relu:
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = inputs, [output]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = options
    return operator


def write_mlp(net: QuantizedMlp, path: Path, name: str = "mlp") -> bytes:
    """Write `encode_mlp`'s bytes to `path`, whole or not at all, and return them."""
    data = encode_mlp(net, name)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)
    return data


def infer(model: bytes, x: np.ndarray) -> np.ndarray:
    """Run a `.tflite` with int8 input [1, INPUTS] through TensorFlow Lite Micro's reference kernels.

    x int8 [N, INPUTS] -> int8 [N, OUT].
    """
    interpreter = runtime.Interpreter.from_bytes(model)
    rows = []
    for row in x:
        interpreter.set_input(row[None, :], 0)
        interpreter.invoke()
        rows.append(interpreter.get_output(0)[0].copy())
    return np.array(rows, dtype=np.int8)
