# SPDX-License-Identifier: MIT
"""The published models in ../shared/data, real inputs for them, and what tflite-micro gives."""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compiler.builder import interpreter
from torpor_host import infer
from torpor_host.compiler import compile_file

FRAME, STEP, FRAMES = 480, 320, 49  # samples at 16 kHz: 30 ms each 20 ms, 49 of them for micro_speech


@dataclass(frozen=True)
class Published:
    """`few`: real inputs for kernels in Python, as many as are quickly run; `right`: answers of tflite-micro
    that are those of the labels; `in_order`: keeps state, so that no input may be left out."""

    folder: str
    few: int
    right: int | None = None
    in_order: bool = False


MODELS = {
    "hello_world_int8": Published("tflm", 60),
    "micro_speech_quantized": Published("tflm", 3, right=3),
    "audio_preprocessor_int8": Published("tflm", 20, in_order=True),
    "audio_preprocessor_float": Published("tflm", 20, in_order=True),
    "ad01_int8": Published("mlperf_tiny", 4),
    "kws_ref_model": Published("mlperf_tiny", 2, right=599),
    "vww_96_int8": Published("mlperf_tiny", 1, right=166),
    "pretrainedResnet_quant": Published("mlperf_tiny", 1, right=296),
    "str_ww_ref_model": Published("mlperf_tiny", 2),
}
_LABELLED = {
    "kws_ref_model": "kws/kws01_open",
    "vww_96_int8": "vww/vww_open",
    "pretrainedResnet_quant": "ic/cifar10_open",
}
# not int8: this compiler refuses them all, tflite-micro the first (hybrid) only: file, words said
REFUSED = (
    ("mlperf_tiny/kws_ref_model_float32", ("hybrid", "layer 0 CONV_2D", "representative")),
    ("mlperf_tiny/ad01_fp32", ("float32 model", "layer 0 FULLY_CONNECTED", "9 more")),
    ("mlperf_tiny/vww_96_float", ("float32 model", "layer 0 CONV_2D")),
    ("mlperf_tiny/pretrainedResnet", ("float32 model", "layer 0 CONV_2D")),
    ("tflm/hello_world_float", ("float32 model", "layer 0 FULLY_CONNECTED", "2 more")),
)


def path_of(name: str, data: Path) -> Path:
    return data / "models" / MODELS[name].folder / f"{name}.tflite"


def frames(data: Path, word: str) -> np.ndarray:
    """int16 [49, 480] of a recording, 1 s."""
    with wave.open(str(data / "inputs" / "micro_speech" / f"{word}_1000ms.wav")) as f:
        assert f.getframerate() == 16000 and f.getnchannels() == 1
        samples = np.frombuffer(f.readframes(f.getnframes()), "<i2")
    found = [samples[at : at + FRAME] for at in range(0, len(samples) - FRAME + 1, STEP)]
    return np.stack(found[:FRAMES])


def inputs_of(name: str, data: Path) -> np.ndarray:
    """[N, ...] inputs, of the model's own type."""
    inputs = data / "inputs"
    if name == "hello_world_int8":
        return np.arange(-128, 128, dtype=np.int8).reshape(-1, 1)
    if name == "ad01_int8":
        windows: np.ndarray = np.load(data / "expected" / "ad01_int8_ad_windows_open.npz")["inp"]
        return windows.astype(np.int8)
    if name == "str_ww_ref_model":
        known = [np.load(inputs / "sww" / f"test_input_class{i}.npy") for i in (0, 1)]
        specs = np.load(inputs / "sww" / "calibration_samples.npz")["specs"]
        edge = compile_file(path_of(name, data)).report["inputs"][0]
        steps = np.round(specs / edge["scale"]) + edge["zero_point"]
        return np.concatenate([*known, np.clip(steps, -128, 127).astype(np.int8)])
    if name.startswith("audio_preprocessor"):
        return np.concatenate([frames(data, word) for word in ("yes", "no", "silence")])
    if name == "micro_speech_quantized":
        front = path_of("audio_preprocessor_int8", data)
        heard = [expected(front, frames(data, word)).reshape(1960) for word in ("silence", "yes", "no")]
        return np.stack(heard)
    x: np.ndarray = np.load(inputs / f"{_LABELLED[name]}.npz")["X"]
    return (x.astype(np.int16) - 128).astype(np.int8) if x.dtype == np.uint8 else x


def labels_of(name: str, data: Path) -> np.ndarray:
    if name == "micro_speech_quantized":
        return np.array([0, 2, 3])  # silence, yes, no; 1 is unknown
    y: np.ndarray = np.load(data / "inputs" / f"{_LABELLED[name]}.npz")["y"]
    return y


def expected(path: Path, x: np.ndarray) -> np.ndarray:
    """[N, outputs] of tflite-micro, one interpreter for all, so that state goes on."""
    peer = interpreter(path.read_bytes())
    out = []
    for row in x:
        peer.set_input(row if row.ndim > 3 else row[None], 0)
        peer.invoke()
        out.append(np.array(peer.get_output(0)).reshape(-1))
    return np.stack(out)


def some(name: str, x: np.ndarray, want: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` inputs: the least certain answers first, since a saturated softmax would hide a
    wrong layer; the first ones where order matters."""
    if MODELS[name].in_order:
        return np.arange(min(count, len(x)))
    return np.array(sorted(range(len(x)), key=lambda i: -len(np.unique(want[i])))[:count])


def wrong_bytes(
    name: str, data: Path, x: np.ndarray, want: np.ndarray, kernels: str, on: str = "cpython"
) -> int:
    """How many bytes of the outputs for `x` are not `want`."""
    got = infer.run(compile_file(path_of(name, data)).image, x, kernels, on)
    have = np.asarray(got).reshape(want.shape)
    assert have.dtype == want.dtype
    return int(np.count_nonzero(have.view("u1") != want.view("u1")))


def right_answers(name: str, data: Path, want: np.ndarray) -> int:
    return int((want.argmax(axis=1) == labels_of(name, data)[: len(want)]).sum())
