# SPDX-License-Identifier: MIT
"""Models that can't be compiled: every layer is named with what helps, and no damaged file does worse."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.builder import SAME, Builder
from compiler.kinds import KINDS
from torpor_host.compiler import compile_bytes, compile_file, image
from torpor_host.errors import CompileError


def refused(data: bytes) -> CompileError:
    with pytest.raises(CompileError) as caught:
        compile_bytes(data, "m.tflite")
    assert "Traceback" not in str(caught.value)
    return caught.value


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    missing = tmp_path / "none.tflite"
    with pytest.raises(CompileError, match="No such file"):
        compile_file(missing)
    with pytest.raises(CompileError, match="directory"):
        compile_file(tmp_path)
    for content, words in ((b"", "empty"), (b"TFL3", "not a .tflite"), (b"\x7fELF" * 100, "not a .tflite")):
        missing.write_bytes(content)
        with pytest.raises(CompileError, match=words) as caught:
            compile_file(missing)
        assert str(missing) in str(caught.value) and caught.value.fix


def test_every_layer_is_named_with_its_version_and_rewrite() -> None:
    b = Builder()
    shape = (1, 4, 4, 2)
    tensors = [b.tensor(shape, "int8", 0.1, 0) for _ in range(5)]
    b.operator("COS", [tensors[0]], [tensors[1]], 2)
    b.operator("LOGISTIC", [tensors[1]], [tensors[2]], 2)  # output scale not 1/256, zero point not -128
    b.operator("CUSTOM:SignalFramer", [tensors[2]], [tensors[3]])
    b.operator("COS", [tensors[3]], [tensors[4]], 2)
    error = refused(b.build([tensors[0]], [tensors[4]]))
    text = str(error)
    assert error.layer == 0
    assert "4 of 4 layers" in text
    assert "layer 0, 3 COS (version 2): no such operator here; rewrite the layer" in text
    assert "layer 1 LOGISTIC" in text and "zero point is not -128" in text
    assert "layer 2 CUSTOM:SignalFramer (version 1)" in text and "features before the model" in text


def conv(**changes: object) -> bytes:
    """A CONV_2D with one thing wrong."""
    b = Builder()
    x_shape = changes.pop("x_shape", (1, 4, 4, 2))
    x = b.tensor(x_shape, "int8", changes.pop("x_scale", 0.1), 0)  # type: ignore[arg-type]
    data = np.ones((3, 2, 2, 2), dtype=np.int8)
    data = data[..., :1] if changes.pop("grouped", False) else data
    weights = b.tensor(
        data.shape, "int8", changes.pop("w_scale", 0.01), int(changes.pop("w_zero", 0)), data,  # type: ignore
    )  # fmt: skip
    bias_type = str(changes.pop("bias_type", "int32"))
    bias_values = changes.pop("bias", [1, 2, 3])
    bias = b.tensor((3,), bias_type, 0.001, 0, np.array(bias_values))
    y = b.tensor(changes.pop("y_shape", (1, 4, 4, 3)), "int8", changes.pop("y_scale", 0.1), 0)  # type: ignore
    options = {"padding": SAME, "strideH": 1, "strideW": 1, **changes}
    b.operator("CONV_2D", [x, weights, bias], [y], 3, **options)
    return b.build([x], [y])


def test_convolutions_that_do_not_fit() -> None:
    compile_bytes(conv(), "sound")
    for changes, words in (
        ({"grouped": True}, "grouped"),
        ({"w_zero": 3}, "symmetric"),
        ({"w_scale": [0.1, 0.2]}, "scales or bias"),
        ({"y_shape": (1, 3, 3, 3)}, "strides and padding"),
        ({"strideH": 0}, "strides and padding"),
        ({"y_shape": (1, 4, 4, 4)}, "output channels"),
        ({"x_shape": (-1, 4, 4, 2)}, "dynamic"),
        ({"x_scale": None}, "not int8 with one scale"),
        ({"x_scale": float("nan")}, "not int8 with one scale"),
        ({"y_scale": 0.0}, "not int8 with one scale"),
        ({"bias_type": "int64"}, "bias"),
        ({"bias": [2**31 - 1, 0, 0]}, "overflow 32 bits"),
        ({"fusedActivationFunction": 4}, "fused activation"),
    ):
        text = str(refused(conv(**changes)))
        assert words in text, (changes, text)
        assert text.startswith("m.tflite: layer 0 CONV_2D (version 3)") and text.count("; ") >= 1
        assert "\n" not in text


def test_state_and_cycles_are_refused() -> None:
    b = Builder()
    x, y = (b.tensor((1, 4), "int8", 1 / 256, -128) for _ in range(2))
    b.tensors[x].isVariable = True
    b.operator("LOGISTIC", [x], [y])
    assert "variable" in str(refused(b.build([x], [y])))
    b = Builder()
    x, y, z = (b.tensor((1, 4), "int8", 1 / 256, -128) for _ in range(3))
    b.operator("LOGISTIC", [z], [y])
    b.operator("LOGISTIC", [y], [z])
    assert "before it is computed" in str(refused(b.build([x], [z])))


MODELS = [KINDS[kind](np.random.default_rng([7, i])).model for i, kind in enumerate(sorted(KINDS))]
WORDS = [b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\x01\0\0\0"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(MODELS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        how = draw(st.integers(0, 3))
        if how == 0:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == 1:
            data[at : at + 4] = draw(st.sampled_from(WORDS))
        elif how == 2:
            data[at] = draw(st.integers(0, 255))
        elif at:
            del data[at:]
    return bytes(data)


@settings(max_examples=400, deadline=2000)
@given(damaged())
def test_damaged_models_are_refused_or_compiled(data: bytes) -> None:
    """No other exception, no hang (the deadline), and what compiles is an image a board accepts."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            compiled = compile_bytes(data, "damaged")
        except CompileError as e:
            assert "damaged" in str(e)
            return
    image.read(compiled.image, "damaged")


def test_truncated_at_every_length() -> None:
    model = MODELS[sorted(KINDS).index("fully_connected")]
    for length in range(0, len(model), 7):
        try:
            compile_bytes(model[:length], "cut")
        except CompileError:
            continue
        pytest.fail(f"accepted {length} of {len(model)} bytes")
