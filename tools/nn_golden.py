# SPDX-License-Identifier: MIT
"""Rewrites tests/golden/nn: five tiny images and what tflite-micro computes with them.

    PYTHONPATH=device:host:tests python tools/nn_golden.py

The device suite runs them on every interpreter; tests/compiler/test_golden.py fails when they are stale.
`int8.image` has records 1 to 9, `more.image` 12 to 19, `float.image` float32 at both ends, `state.image` 40
and 41 and a variable that starts with constants, `signal.image` 50 to 58 and 70 to 75. An `.io`
file holds, one after the other, inputs and the outputs for them, in the order of the runs.
"""

from pathlib import Path

import numpy as np

from compiler.builder import RELU, SAME, VALID, Builder, interpreter
from compiler.cases_signal import custom
from compiler.cases_state import handle, lstm_layer, svdf_layer
from torpor_host.compiler import compile_bytes

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden" / "nn"
RUNS = 4


def int8_model(rng: np.random.Generator) -> tuple[bytes, tuple[int, ...]]:
    """Two convolutions and a residual, gated, pooled, padded, classified: each int8 operator once."""
    b = Builder()
    x = b.tensor((1, 5, 4, 1), "int8", 0.05, 3)
    first = b.tensor((1, 5, 4, 2), "int8", 0.06, -20)
    scales = np.array([0.01, 0.013], dtype=np.float32)
    b.operator(
        "CONV_2D", [x, _weights(b, rng, (2, 3, 3, 1), scales, 0), _bias(b, rng, 2, 0.05 * scales)],
        [first], 3,
        padding=SAME, strideH=1, strideW=1, fusedActivationFunction=RELU,
    )  # fmt: skip
    second = b.tensor((1, 5, 4, 2), "int8", 0.07, 4)
    b.operator(
        "DEPTHWISE_CONV_2D",
        [first, _weights(b, rng, (1, 3, 3, 2), scales, 3), _bias(b, rng, 2, 0.06 * scales)], [second], 3,
        padding=SAME, strideH=1, strideW=1, depthMultiplier=1,
    )  # fmt: skip
    total = b.tensor((1, 5, 4, 2), "int8", 0.08, 0)
    b.operator("ADD", [first, second], [total], 2)
    gate = b.tensor((1, 5, 4, 2), "int8", 1 / 256, -128)
    b.operator("LOGISTIC", [total], [gate], 2)
    window = {"padding": VALID, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
    small = b.tensor((1, 2, 2, 2), "int8", 1 / 256, -128)
    b.operator("MAX_POOL_2D", [gate], [small], 2, **window)
    padded = b.tensor((1, 3, 4, 2), "int8", 1 / 256, -128)
    paddings = b.tensor((4, 2), "int32", data=np.array([[0, 0], [0, 1], [1, 1], [0, 0]]))
    b.operator("PAD", [small, paddings], [padded], 2)
    mean = b.tensor((1, 1, 2, 2), "int8", 1 / 256, -128)
    b.operator("AVERAGE_POOL_2D", [padded], [mean], 2, **window)
    flat = b.tensor((1, 4), "int8", 1 / 256, -128)
    b.operator("RESHAPE", [mean, b.tensor((2,), "int32", data=np.array([1, 4]))], [flat])
    scores = b.tensor((1, 3), "int8", 0.03, 0)
    b.operator("FULLY_CONNECTED", [flat, _weights(b, rng, (3, 4), [0.02], 0), -1], [scores], 4)
    chances = b.tensor((1, 3), "int8", 1 / 256, -128)
    b.operator("SOFTMAX", [scores], [chances], 2, beta=1.0)
    return b.build([x], [chances]), (1, 5, 4, 1)


def float_model(rng: np.random.Generator) -> tuple[bytes, tuple[int, ...]]:
    b = Builder()
    x = b.tensor((1, 3), "float32")
    q = b.tensor((1, 3), "int8", 0.02, 7)
    b.operator("QUANTIZE", [x], [q])
    hidden = b.tensor((1, 2), "int8", 0.03, -4)
    b.operator("FULLY_CONNECTED", [q, _weights(b, rng, (2, 3), [0.01], 0), -1], [hidden], 4)
    y = b.tensor((1, 2), "float32")
    b.operator("DEQUANTIZE", [hidden], [y], 2)
    return b.build([x], [y]), (1, 3)


def more_model(rng: np.random.Generator) -> tuple[bytes, tuple[int, ...]]:
    """The kernels behind COPY, TAKE, SUB, SUB_FROM, MUL, MAXIMUM, MINIMUM and PRELU, each once."""
    b = Builder()
    q = (0.05, -3)

    def of(shape: tuple[int, ...], data: object = None) -> int:
        return b.tensor(shape, "int8", *q, data if data is None else np.array(data))

    def ints(values: object) -> int:
        return b.tensor(np.shape(values), "int32", data=np.array(values))

    x, turned, wide = of((1, 4, 3, 2)), of((1, 3, 4, 2)), of((1, 5, 6, 2))
    b.operator("TRANSPOSE", [x, ints([0, 2, 1, 3])], [turned], 2)
    b.operator("MIRROR_PAD", [turned, ints([[0, 0], [1, 1], [0, 2], [0, 0]])], [wide], 2, mode=0)
    row, one = of((1, 1, 6, 2), rng.integers(-128, 128, size=(1, 1, 6, 2))), of((1, 1, 1, 2), [[[[9, -70]]]])
    for name, inputs in (
        ("SUB", [-1, row]), ("SUB", [row, -1]), ("MUL", [-1, one]), ("PRELU", [-1, one]),
        ("MAXIMUM", [-1, row]), ("MINIMUM", [one, -1]),
    ):  # fmt: skip
        y = of((1, 5, 6, 2))
        b.operator(name, [wide if t < 0 else t for t in inputs], [y], 2)
        wide = y
    back, y = of((1, 3, 6, 2)), of((1, 3, 6, 4))
    b.operator(
        "STRIDED_SLICE", [wide, ints([0, -1, 0, 0]), ints([1, -6, 6, 2]), ints([1, -2, 1, 1])], [back], 2
    )
    b.operator("CONCATENATION", [back, back], [y], 2, axis=3)
    return b.build([x], [y]), (1, 4, 3, 2)


def state_model(rng: np.random.Generator) -> tuple[bytes, tuple[int, ...]]:
    """SVDF with a state of int16 and one of int8, an LSTM, and a variable of the last frame."""
    b = Builder()
    first = b.subgraph()
    b.operator("CALL_ONCE", [], [], initSubgraphIndex=1)
    value = first.tensor((1, 4), "int8", 0.1, 2, rng.integers(-128, 128, size=(1, 4)))
    first.operator("ASSIGN_VARIABLE", [handle(first, "frame"), value], [])
    frame, old = handle(b, "frame"), b.tensor((1, 4), "int8", 0.1, 2)
    x, total = b.tensor((1, 4), "int8", 0.1, 2), b.tensor((1, 4), "int8", 0.1, 2)
    b.operator("READ_VARIABLE", [frame], [old])
    b.operator("ADD", [x, old], [total], 2)
    b.operator("ASSIGN_VARIABLE", [frame, x], [])
    outputs = []
    for wide in (True, False):
        outputs.append(svdf_layer(b, rng, total, 1, 4, 0.1, wide))
    step, flat = b.tensor((1, 1, 4), "int8", 0.1, 2), b.tensor((1, 3), "int8", 0.01, 0)
    b.operator("RESHAPE", [total, b.tensor((3,), "int32", data=np.array([1, 1, 4]))], [step])
    y = lstm_layer(b, rng, step, (1, 1, 4), 0.1, 3, -11)
    b.operator("RESHAPE", [y, b.tensor((2,), "int32", data=np.array([1, 3]))], [flat])
    parts = []
    for t in (*outputs, flat):
        shape = tuple(int(n) for n in b.tensors[t].shape)
        parts.append(b.tensor(shape, "int8", 0.5, 0))
        b.operator("QUANTIZE", [t], [parts[-1]])
    z = b.tensor((1, sum(int(b.tensors[t].shape[1]) for t in parts)), "int8", 0.5, 0)
    b.operator("CONCATENATION", parts, [z], 2, axis=1)
    return b.build([x], [z], (first,)), (1, 4)


def signal_model(rng: np.random.Generator) -> tuple[bytes, tuple[int, ...]]:
    """Sound of int16 to features of int8, as micro_speech's front end, with 16 samples and 3 channels."""
    n, bins, channels = 16, 9, 3
    b = Builder()

    def then(
        name: str, inputs: list[int], shapes: list[tuple[tuple[int, ...], str]], **options: int
    ) -> list[int]:
        outputs = [b.tensor(*s) for s in shapes]
        if name.startswith("Signal"):
            custom(b, name, inputs, outputs, **options)
        else:
            b.operator(name, inputs, outputs, **options)
        return outputs

    def int16(values: object) -> int:
        return b.tensor(np.shape(values), "int16", data=np.array(values))

    x = b.tensor((n,), "int16")
    (y,) = then("SignalWindow", [x, int16(rng.integers(500, 4097, size=n))], [((n,), "int16")], shift=12)
    y, bits = then("SignalFftAutoScale", [y], [((n,), "int16"), ((), "int32")])
    (y,) = then("SignalRfft", [y], [((2 * bins,), "int16")], T=7, fft_length=n)
    (y,) = then("SignalEnergy", [y], [((bins,), "uint32")], start_index=1, end_index=8)
    tables = [int16(rng.integers(0, 4097, size=9)) for _ in range(2)]
    tables += [int16(t) for t in ([1, 2, 3, 5], [0, 2, 4, 6], [1, 1, 2, 3])]
    (y,) = then("SignalFilterBank", [y, *tables], [((channels,), "uint64")], num_channels=channels)
    (y,) = then("SignalFilterBankSquareRoot", [y, bits], [((channels,), "uint32")])
    y, noise = then(
        "SignalFilterBankSpectralSubtraction", [y], [((channels,), "uint32")] * 2,
        alternate_one_minus_smoothing=15401, alternate_smoothing=983, clamping=False,
        min_signal_remaining=819, num_channels=channels, one_minus_smoothing=15975, smoothing=409,
        smoothing_bits=10, spectral_subtraction_bits=14,
    )  # fmt: skip
    gains = int16(np.sort(rng.integers(0, 40, size=125))[::-1])
    (y,) = then("SignalPCAN", [y, noise, gains], [((channels,), "uint32")], snr_shift=6)
    (y,) = then(
        "SignalFilterBankLog", [y], [((channels,), "int16")], input_correction_bits=3, output_scale=64
    )
    (y,) = then("CAST", [y], [((channels,), "int32")])
    for name, value in (
        ("MUL", 256),
        ("ADD", 333),
        ("DIV", 666),
        ("ADD", -128),
        ("MINIMUM", 127),
        ("MAXIMUM", -128),
    ):
        (y,) = then(name, [y, b.tensor((), "int32", data=np.array(value))], [((channels,), "int32")])
    (y,) = then("CAST", [y], [((channels,), "int8")])
    return b.build([x], [y]), (n,)


def _weights(b: Builder, rng: np.random.Generator, shape: tuple[int, ...], scales: object, axis: int) -> int:
    return b.tensor(shape, "int8", scales, 0, rng.integers(-127, 128, size=shape), axis)


def _bias(b: Builder, rng: np.random.Generator, n: int, scales: np.ndarray) -> int:
    return b.tensor((n,), "int32", scales, 0, rng.integers(-900, 900, size=n))


def wide_model(rng: np.random.Generator) -> tuple[bytes, tuple[int, ...]]:
    """int16 convolutions, a sum, a gate and a pool, then int8 and int4 weights: of records 80 to 94."""
    b = Builder()

    def of(shape: tuple[int, ...]) -> int:
        return b.tensor(shape, "int16", 0.0004)

    def bias(n: int, dtype: str) -> int:
        return b.tensor((n,), dtype, 4e-6, 0, rng.integers(-90000, 90000, size=n))

    scales = np.array([0.01, 0.013], dtype=np.float32)
    same = {"padding": SAME, "strideH": 1, "strideW": 1}
    x, first, second, total, scaled = (of((1, 4, 3, c)) for c in (1, 2, 2, 2, 2))
    b.operator(
        "CONV_2D", [x, _weights(b, rng, (2, 3, 3, 1), scales, 0), bias(2, "int64")], [first], 5, **same
    )
    b.operator(
        "DEPTHWISE_CONV_2D", [first, _weights(b, rng, (1, 3, 3, 2), scales, 3), bias(2, "int64")], [second],
        5, **same, depthMultiplier=1,
    )  # fmt: skip
    b.operator("ADD", [first, second], [total], 5)
    gate, mean = b.tensor((1, 4, 3, 2), "int16", 2.0**-15), of((1, 2, 1, 2))
    b.operator("LOGISTIC", [total], [gate], 3)
    b.operator("MUL", [gate, total], [scaled], 5)
    window = {"padding": VALID, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
    b.operator("AVERAGE_POOL_2D", [scaled], [mean], 3, **window)
    narrow, flat = b.tensor((1, 2, 1, 2), "int8", 0.09, 4), b.tensor((1, 4), "int8", 0.09, 4)
    b.operator("QUANTIZE", [mean], [narrow])
    b.operator("RESHAPE", [narrow, b.tensor((2,), "int32", data=np.array([1, 4]))], [flat])
    y = b.tensor((1, 3), "int8", 0.2, 0)
    weights = b.tensor((3, 4), "int4", 0.1, 0, rng.integers(-8, 8, size=(3, 4)))
    b.operator("FULLY_CONNECTED", [flat, weights, -1], [y], 10)
    return b.build([x], [y]), (1, 4, 3, 1)


def make() -> dict[str, bytes]:
    """Return file name -> content."""
    files = {}
    for name, build in (
        ("int8", int8_model), ("float", float_model), ("more", more_model), ("state", state_model),
        ("wide", wide_model),
        ("signal", signal_model),
    ):  # fmt: skip
        rng = np.random.default_rng(20261123)
        model, shape = build(rng)
        io = b""
        peer = interpreter(model)
        for _ in range(RUNS):
            if name == "wide":
                x = rng.integers(-32768, 32768, size=shape).astype(np.int16)
            elif name == "signal":
                x = rng.normal(0, 3000, size=shape).astype("<i2")
            elif name != "float":
                x = rng.integers(-128, 128, size=shape).astype(np.int8)
            else:
                x = rng.normal(0, 2, size=shape).astype(np.float32)
            peer.set_input(x, 0)
            peer.invoke()
            io += x.tobytes() + np.array(peer.get_output(0)).tobytes()
        files[f"{name}.image"] = compile_bytes(model, name).image
        files[f"{name}.io"] = io
    return files


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in make().items():
        FOLDER.joinpath(name).write_bytes(content)
        print(name, len(content), "bytes")
