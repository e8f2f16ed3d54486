# SPDX-License-Identifier: MIT
"""int16 activations and int4 weights: every value of the curves, the flash that int4 saves, refusals."""

import numpy as np
import pytest

from compiler.builder import SAME, Builder, oracle
from compiler.cases_wide import ALL16, INT32_BIAS, KINDS
from compiler.executors import execute
from torpor_host.compiler import compile_bytes, image
from torpor_host.errors import CompileError


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH", "SOFTMAX"])
def test_every_int16(name: str) -> None:
    """Among them what ends each table, and the scales at which a multiplier is a power of two."""
    rows = ALL16.reshape(256, 256) if name == "SOFTMAX" else ALL16.reshape(1, -1)
    for scale in (2.0**-12, 2.0**-11, 2.0**-13, 1e-5, 3e-4, 7e-3, 0.3):
        b = Builder()
        x, y = b.tensor(rows.shape, "int16", scale), b.tensor(rows.shape, "int16", 2.0**-15)
        b.operator(name, [x], [y], 2, **({"beta": 1.0} if name == "SOFTMAX" else {}))
        data = b.build([x], [y])
        got = execute(compile_bytes(data, name).image, [rows], "native")[0]
        assert np.array_equal(got, oracle(data, [rows])[0].reshape(-1)), scale


@pytest.mark.parametrize("kind", ["network_16x8", "network_8x4"])
def test_networks_say_something(kind: str) -> None:
    """Parity of outputs that are all alike would show little."""
    seen = set()
    for seed in range(8):
        case = KINDS[kind](np.random.default_rng([seed, 3]))
        seen.add(oracle(case.model, case.inputs)[0].tobytes())
    assert len(seen) == 8


def conv(act: str = "int16", weights: str = "int8", bias: str = "int64", **changes: object) -> bytes:
    """A CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED of 32 channels with one thing wrong."""
    name = str(changes.pop("name", "CONV_2D"))
    n = 32
    dense = name == "FULLY_CONNECTED"
    depthwise = name == "DEPTHWISE_CONV_2D"
    b = Builder()
    shape = (1, n) if dense else (1, 2, 2, n)
    x = b.tensor(shape, act, 0.001, int(changes.pop("zero", 0)))  # type: ignore[call-overload]
    w_shape = (n, n) if dense else (1, 3, 3, n) if depthwise else (n, 3, 3, n)
    values = np.random.default_rng(1).integers(-7, 8, size=w_shape) * int(changes.pop("size", 1))  # type: ignore
    scales = np.full(int(changes.pop("scales", n)), changes.pop("w_scale", 0.01))  # type: ignore[call-overload]
    w = b.tensor(w_shape, weights, scales, 0, values, 3 if depthwise else 0)
    bias_values = np.full(n, changes.pop("bias_value", 7))
    inputs = [x, w, b.tensor((n,), bias, 0.00001, 0, bias_values)]
    y = b.tensor(shape, str(changes.pop("out", act)), changes.pop("y_scale", 0.01), 0)
    more = {"depthMultiplier": 1} if depthwise else {}
    if not dense:
        more |= {"padding": SAME, "strideH": 1, "strideW": 1}
    b.operator(name, inputs, [y], 5, **more, **changes)
    return b.build([x], [y])


def test_int4_takes_half_the_flash() -> None:
    sizes = [
        image.read(compile_bytes(conv("int8", weights, "int32"), "m").image, "m").weights_bytes
        for weights in ("int8", "int4")
    ]
    assert sizes[0] - sizes[1] > 0.45 * 9 * 32 * 32


@pytest.mark.parametrize(
    ("changes", "reason", "fix"),
    [
        ({"zero": 3}, "not int16 with one scale and zero point 0", "16X8|INT16_WEIGHTS_INT8"),
        ({"out": "int8"}, "not int16 with one scale and zero point 0", "INT16_WEIGHTS_INT8"),
        ({"weights": "int4"}, "activations are int16 and its weights not int8", "INT16_WEIGHTS_INT8"),
        ({"weights": "int16"}, "activations are int16 and its weights not int8", "INT16_WEIGHTS_INT8"),
        ({"bias": "int32", "name": "DEPTHWISE_CONV_2D"}, "bias is not a constant int64", "int64"),
        ({"bias": "int32", "size": 18, "bias_value": 2_000_000_000}, "can overflow", "int64 bias"),
        ({"bias_value": 1 << 47, "y_scale": 10.0}, "can overflow", "calibrate"),
        ({"w_scale": 100.0, "y_scale": 0.0001}, "can overflow", "calibrate"),
        ({"act": "int8", "weights": "int4", "bias": "int32", "name": "FULLY_CONNECTED"},
         "int4 weights with a scale per unit", "one scale"),
        ({"act": "int8", "weights": "int4", "bias": "int64"}, "bias is not a constant int32", ""),
        ({"act": "int4", "weights": "int4", "bias": "int32"}, "int8", "quantiz"),
    ],
)  # fmt: skip
def test_refusals_name_layer_version_and_fix(changes: dict[str, object], reason: str, fix: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_bytes(conv(**changes), "m.tflite")  # type: ignore[arg-type]
    text = str(caught.value)
    name = str(changes.get("name", "CONV_2D"))
    assert f"layer 0 {name} (version 5)" in text and reason in text, text
    assert any(word in text for word in fix.split("|")), text


def test_sound_ones_compile() -> None:
    for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        compile_bytes(conv(name=name), name)
        compile_bytes(conv("int8", "int4", "int32", name=name, scales=1), name)
    compile_bytes(conv(bias="int32", quantizedBiasType=INT32_BIAS), "32 bits")


def test_requantize_to_the_same_is_nothing() -> None:
    b = Builder()
    x, y, z = (b.tensor((1, 5), "int16", 0.01) for _ in range(3))
    b.operator("QUANTIZE", [x], [y])
    b.operator("RELU", [y], [z])
    info = image.read(compile_bytes(b.build([x], [z]), "m").image, "m")
    assert [op.name for op in info.operators] == ["REQUANTIZE"]


def test_rounding_of_sums_is_by_the_bias() -> None:
    """Without a bias an option chooses between the two roundings, which differ for some input."""
    rng = np.random.default_rng(5)
    differ = False
    for seed in range(30):
        outputs = []
        given = rng.integers(-3000, 3000, size=(1, 4)).astype(np.int16)
        for bias_type in (INT32_BIAS, 4):  # int32, int64
            b = Builder()
            x = b.tensor((1, 4), "int16", 0.001)
            data = np.random.default_rng(seed).integers(-127, 128, size=(40, 4))
            y = b.tensor((1, 40), "int16", 0.0000131)
            w = b.tensor((40, 4), "int8", 0.00071, 0, data)
            b.operator("FULLY_CONNECTED", [x, w, -1], [y], 11, quantizedBiasType=bias_type)
            model = b.build([x], [y])
            want = oracle(model, [given])[0]
            got = execute(compile_bytes(model, "m").image, [given], "reference")[0]
            assert np.array_equal(got, want.reshape(-1))
            outputs.append(want)
        differ |= not np.array_equal(*outputs)
    assert differ
