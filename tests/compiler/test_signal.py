# SPDX-License-Identifier: MIT
"""The audio front end of TensorFlow Lite Micro's micro_speech, frame after frame; what is refused of its
operators; their options read from damaged bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

from compiler.builder import Builder
from compiler.cases_signal import KINDS, custom
from compiler.published import frames
from compiler.test_state import SETS, interpreter, model_of, oracle, run
from torpor_host import infer
from torpor_host.compiler import compile_bytes, compile_file, image
from torpor_host.compiler import custom as options
from torpor_host.errors import CompileError, TorporError

WORDS = ("silence", "unknown", "yes", "no")  # outputs of micro_speech, in order


@pytest.mark.parametrize("kernels", SETS)
def test_front_end_and_words(kernels: str, shared_data: Path) -> None:
    """Each frame's features are tflite-micro's bytes, though the noise estimate runs from frame to frame; and
    the model behind it hears the right word."""
    folder = shared_data / "models" / "tflm"
    path = folder / "audio_preprocessor_int8.tflite"
    compiled = compile_file(path)
    assert compiled.report["persistent_bytes"] == 160
    speech = compile_file(folder / "micro_speech_quantized.tflite").image
    heard = []
    for word in ("yes", "no", "silence"):
        x = frames(shared_data, word)
        runs = [[row[None]] for row in x]
        want = oracle(interpreter(path.read_bytes()), runs, 1)
        model = model_of(compiled.image, kernels)
        assert run(model, runs) == want
        features = infer.run(compiled.image, x, kernels)
        assert features.dtype == np.int8 and features.shape == (len(x), 40)
        assert features.tobytes() == b"".join(want) and len(np.unique(features)) > 5
        again = run(model, runs[:3])
        assert again != want[:3] or word == "silence", "the noise was kept"
        model.reset()
        assert run(model, runs[:3]) == want[:3]
        scores = infer.run(speech, features.reshape(1, -1), kernels)
        heard.append(WORDS[int(scores.argmax())])
    assert heard == ["yes", "no", "silence"]


@pytest.mark.parametrize("kernels", SETS)
def test_front_end_in_float(kernels: str, shared_data: Path) -> None:
    """The same with float32 at its end: a CAST and a MUL by a constant, to the bit."""
    path = shared_data / "models" / "tflm" / "audio_preprocessor_float.tflite"
    image_bytes = compile_file(path).image
    assert [op.name for op in image.read(image_bytes, "m").operators][-1] == "TO_FLOAT"
    x = frames(shared_data, "yes")
    want = oracle(interpreter(path.read_bytes()), [[row[None]] for row in x], 1)
    features = infer.run(image_bytes, x, kernels)
    assert features.dtype == np.float32 and features.tobytes() == b"".join(want)


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("seed", range(6))
def test_noise_runs_on(seed: int, kernels: str) -> None:
    """Several runs of spectral subtraction alone, with other numbers each time."""
    rng = np.random.default_rng([11, seed])
    case = KINDS["spectral_subtraction"](rng)
    shape = case.inputs[0].shape
    runs = [[(rng.integers(0, 1 << 32, size=shape) >> rng.integers(0, 33)).astype("<u4")] for _ in range(5)]
    want = oracle(interpreter(case.model), [[x.view("<i4")] for (x,) in runs], 2)
    assert run(model_of(compile_bytes(case.model, "noise").image, kernels), runs) == want


def bank(**changes: Any) -> bytes:
    """A filter bank with one thing wrong."""
    tables = {
        "weights": [1, 2, 3, 4], "unweights": [4, 3, 2, 1], "starts": [0, 1, 2], "firsts": [0, 1, 2],
        "widths": [1, 1, 2],
    }  # fmt: skip
    tables.update({k: v for k, v in changes.items() if k in tables})
    b = Builder()
    x, u = b.tensor((4,), "int32"), b.tensor((4,), "uint32")
    b.operator("CAST", [x], [u])
    sums, bits, root = b.tensor((2,), "uint64"), b.tensor((), "int32"), b.tensor((2,), "uint32")
    y = b.tensor((2,), "int32")
    data = [b.tensor((len(t),), "int16", data=np.array(t)) for t in tables.values()]
    custom(b, "SignalFilterBank", [u, *data], [sums], **changes.get("options", {"num_channels": 2}))
    custom(b, "SignalFilterBankSquareRoot", [sums, bits], [root])
    b.operator("CAST", [root], [y])
    return b.build([x, bits], [y])


def alone(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], **given: int) -> bytes:
    """An operator of int16 alone."""
    b = Builder()
    x, y = b.tensor(shapes[0], "int16"), b.tensor(shapes[1], "int16")
    inputs = [x] if name != "SignalWindow" else [x, b.tensor((8,), "int16", data=np.arange(8))]
    custom(b, name, inputs, [y], **given)
    return b.build([x], [y])


def divided(divisor: list[int]) -> bytes:
    b = Builder()
    x, y = b.tensor((2,), "int32"), b.tensor((2,), "int32")
    b.operator("DIV", [x, b.tensor((len(divisor),), "int32", data=np.array(divisor))], [y])
    return b.build([x], [y])


def cast(a: str, c: str) -> bytes:
    b = Builder()
    x, y, z = b.tensor((2,), "int16"), b.tensor((2,), "int32"), b.tensor((2,), c)
    b.operator("CAST", [x], [y])
    b.operator("CAST", [x if a == "int16" else y], [z])
    return b.build([x], [y, z])


_8 = ((2, 8), (2, 8))
REFUSED: tuple[tuple[Callable[[], bytes], str], ...] = (
    (lambda: bank(weights=[1, 2, -3, 4]), "weights below 0"),
    (lambda: bank(starts=[0, 1, 3]), "reach beyond its input"),
    (lambda: bank(firsts=[0, 1, 3]), "reach beyond its input"),
    (lambda: bank(widths=[1, 1]), "its tables"),
    (lambda: bank(options={}), "its options are not num_channels alone"),
    (lambda: bank(options={"num_channels": 2, "more": 1}), "its options are not num_channels alone"),
    (lambda: alone("SignalWindow", _8, shift=32), "shift is not 0 to 31"),
    (lambda: alone("SignalWindow", _8, shift=-1), "shift is not 0 to 31"),
    (lambda: alone("SignalWindow", ((2, 9), (2, 9)), shift=3), "a constant that divides its input"),
    (lambda: alone("SignalWindow", _8), "its options are not shift alone"),
    (lambda: alone("SignalRfft", ((8,), (10,)), T=0, fft_length=8), "int32 or float32"),
    (lambda: alone("SignalRfft", ((8,), (14,)), T=7, fft_length=12), "power of 2"),
    (lambda: alone("SignalRfft", ((9,), (10,)), T=7, fft_length=8), "longer than fft_length"),
    (lambda: alone("SignalRfft", ((8,), (8,)), T=7, fft_length=8), "fft_length / 2 + 1 pairs"),
    (lambda: divided([3, 0]), "is 0 or -1"),
    (lambda: divided([-1]), "is 0 or -1"),
    (lambda: cast("int32", "float32"), "casts"),
)


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_refused(case: int) -> None:
    make, words = REFUSED[case]
    with pytest.raises(CompileError) as caught:
        compile_bytes(make(), "m.tflite")
    assert words in str(caught.value) and str(caught.value).count("; ") >= 1
    compile_bytes(bank(), "sound")
    compile_bytes(alone("SignalWindow", _8, shift=3), "sound")


@pytest.mark.parametrize(
    "values", [{}, {"shift": 12}, {"a": 200, "b": -3, "c": True}, {"x": 70000, "y": 1 << 40}, {"n": 255}]
)
def test_options(values: dict[str, int]) -> None:
    found = options.options(bytes(flexbuffers.Dumps(values)))
    assert found == {name: int(v) for name, v in values.items()}


def test_options_are_read_as_signed_words() -> None:
    """As tflite-micro reads them, whatever type FlexBuffers gave them."""
    data = bytearray(flexbuffers.Dumps({"a": 100}))
    at = data.index(100)
    data[at] = 200
    assert options.options(bytes(data)) == {"a": 200 - 256}


@pytest.mark.parametrize("value", ["text", 1.5, [1, 2], {"deeper": 1}, None])
def test_options_that_are_no_integers(value: Any) -> None:
    with pytest.raises(ValueError, match="no integer"):
        options.options(bytes(flexbuffers.Dumps({"a": value})))
    with pytest.raises(ValueError, match="no map"):
        options.options(bytes(flexbuffers.Dumps([1, 2])))


def test_damaged_options() -> None:
    """Nothing but ValueError, and at once."""
    good = bytes(flexbuffers.Dumps({"T": 7, "end_index": 241, "fft_length": 512, "x": True}))
    rng = np.random.default_rng(3)
    read = 0
    for _ in range(20_000):
        data = bytearray(good[: len(good) if rng.integers(3) else int(rng.integers(len(good) + 1))])
        for _ in range(int(rng.integers(1, 4))):
            if data:
                data[int(rng.integers(len(data)))] = int(
                    rng.choice([0, 1, 2, 4, 8, 127, 255, rng.integers(256)])
                )
        try:
            found = options.options(bytes(data))
        except ValueError:
            continue
        assert all(isinstance(v, int) for v in found.values()) and len(found) <= len(good)
        read += 1
    assert 100 < read < 19_000


def test_int16_input_of_infer(shared_data: Path) -> None:
    path = shared_data / "models" / "tflm" / "audio_preprocessor_int8.tflite"
    blob = compile_file(path).image
    assert image.read(blob, "m").inputs[0].dtype == "int16"
    for x in (np.zeros((1, 480), np.float32), np.zeros((1, 480), np.int8), np.zeros((1, 480), np.int32)):
        with pytest.raises(TorporError, match="the model takes int16;"):
            infer.run(blob, x)
    y = infer.run(blob, np.zeros((2, 480), np.int16))
    assert y.shape == (2, 40) and y.dtype == np.int8
