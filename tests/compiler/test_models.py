# SPDX-License-Identifier: MIT
"""Four published models on their real inputs: the bytes of tflite-micro, and the sizes the plan promises."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.executors import KERNELS, execute
from torpor_host.compiler import compile_file
from torpor_host.compiler.image import read

# model: (file, MACs, TFLM's own arena in bytes, how many of the real inputs to run)
MODELS = {
    "hello_world_int8": ("tflm", 288, None, 60),
    "ad01_int8": ("mlperf_tiny", 264_192, 3_984, 8),
    "kws_ref_model": ("mlperf_tiny", 2_656_768, 24_272, 4),
    "pretrainedResnet_quant": ("mlperf_tiny", 12_501_632, 55_984, 1),
}
# model: (TFLM's own arena, bytes by which the plan may pass the bound that no plan can be below)
ARENAS = {
    "ad01_int8": (3_984, 0),
    "kws_ref_model": (24_272, 2_624),  # four pairs of layers, each output below the one before
    "vww_96_int8": (103_680, 240),
    "pretrainedResnet_quant": (55_984, 0),
    "str_ww_ref_model": (16_640, 0),
}
SEARCHED = 60  # real inputs among which to choose


def inputs_of(name: str, data: Path) -> np.ndarray:
    """int8 [N, ...] inputs."""
    if name == "hello_world_int8":
        return np.arange(-128, 128, dtype=np.int8).reshape(-1, 1)
    if name == "ad01_int8":
        expected: np.ndarray = np.load(data / "expected" / "ad01_int8_ad_windows_open.npz")["inp"]
        return expected.astype(np.int8)
    if name == "kws_ref_model":
        x: np.ndarray = np.load(data / "inputs" / "kws" / "kws01_open.npz")["X"]
        return x
    images: np.ndarray = np.load(data / "inputs" / "ic" / "cifar10_open.npz")["X"]
    return (images.astype(np.int16) - 128).astype(np.int8)


def oracle(path: Path, x: np.ndarray) -> np.ndarray:
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(path))
    out: list[Any] = []
    for row in x:
        interpreter.set_input(row[None], 0)
        interpreter.invoke()
        out.append(np.array(interpreter.get_output(0)).reshape(-1))
    return np.stack(out)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", MODELS)
def test_same_bytes_as_tflite_micro(name: str, kernels: str, shared_data: Path) -> None:
    folder, _, _, count = MODELS[name]
    path = shared_data / "models" / folder / f"{name}.tflite"
    x = inputs_of(name, shared_data)
    x = x[:: max(1, len(x) // SEARCHED)][:SEARCHED]
    want = oracle(path, x)
    # the least certain answers first: a saturated softmax would hide a wrong layer
    order = sorted(range(len(x)), key=lambda i: -len(np.unique(want[i])))[:count]
    x, want = x[order], want[order]
    image = compile_file(path).image
    got = np.stack([execute(image, [row], kernels)[0] for row in x])
    assert len(np.unique(want)) > 2
    assert np.array_equal(got, want), f"{int((got != want).sum())} of {want.size} bytes differ"


@pytest.mark.parametrize("name", MODELS)
def test_report(name: str, shared_data: Path) -> None:
    folder, macs, tflm_bytes, _ = MODELS[name]
    path = shared_data / "models" / folder / f"{name}.tflite"
    compiled, again = compile_file(path), compile_file(path)
    assert compiled.image == again.image
    report = compiled.report
    assert report["macs"] == macs == sum(op["macs"] for op in report["operators"])
    assert report["flash_bytes"] == len(compiled.image) < path.stat().st_size
    assert report["lower_bound_bytes"] <= report["arena_bytes"] == report["peak_ram_bytes"]
    assert tflm_bytes is None or report["peak_ram_bytes"] <= 0.75 * tflm_bytes
    info = read(compiled.image, name)
    assert info.sha256 == report["sha256"]
    assert [list(t.shape) for t in info.inputs] == [t["shape"] for t in report["inputs"]]
    assert len(info.operators) == len(report["operators"])


@pytest.mark.parametrize("name", ARENAS)
def test_three_quarters_of_the_peer_s_memory(name: str, shared_data: Path) -> None:
    tflm_bytes, above = ARENAS[name]
    report = compile_file(shared_data / "models" / "mlperf_tiny" / f"{name}.tflite").report
    assert report["peak_ram_bytes"] <= 0.75 * tflm_bytes
    assert report["arena_bytes"] - report["lower_bound_bytes"] <= above


def test_published_models_that_cannot_be_compiled(shared_data: Path) -> None:
    from torpor_host.errors import CompileError

    models = shared_data / "models"
    for path, words in (
        (
            models / "mlperf_tiny" / "kws_ref_model_float32.tflite",
            ("hybrid", "layer 0 CONV_2D", "representative"),
        ),
        (
            models / "tflm" / "hello_world_float.tflite",
            ("float32 model", "layer 0 FULLY_CONNECTED", "2 more"),
        ),
    ):
        with pytest.raises(CompileError) as caught:
            compile_file(path)
        for word in (str(path), *words):
            assert word in str(caught.value), word
