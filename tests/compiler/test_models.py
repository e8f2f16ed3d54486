# SPDX-License-Identifier: MIT
"""The published models on their real inputs: the bytes of tflite-micro, its right answers, and the sizes that
the plan promises. `make soak` gives the slower kernel sets ten times the inputs."""

from pathlib import Path

import numpy as np
import pytest

from compiler.published import (
    MODELS,
    REFUSED,
    expected,
    inputs_of,
    path_of,
    right_answers,
    some,
    wrong_bytes,
)
from torpor_host.compiler import compile_file
from torpor_host.compiler.image import read
from torpor_host.errors import CompileError

PLACES = (
    ("reference", "cpython"),
    ("ulab", "cpython"),
    ("viper", "micropython"),
    ("native", "micropython"),
)
# what tflite-micro gave for all inputs, kept: it takes longer than our kernels; `make soak` asks it again
KEPT = {
    "kws_ref_model": "kws_ref_model_kws01_open",
    "vww_96_int8": "vww_96_int8_vww_open",
    "pretrainedResnet_quant": "pretrainedResnet_quant_cifar10_open",
}
SIZES = {  # model: (MACs, TFLM's own arena in bytes)
    "hello_world_int8": (288, None),
    "ad01_int8": (264_192, 3_984),
    "kws_ref_model": (2_656_768, 24_272),
    "pretrainedResnet_quant": (12_501_632, 55_984),
}
# model: (TFLM's own arena, bytes by which the plan may pass the bound that no plan can be below)
ARENAS = {
    "ad01_int8": (3_984, 0),
    "kws_ref_model": (24_272, 2_624),  # four pairs of layers, each output below the one before
    "vww_96_int8": (103_680, 240),
    "pretrainedResnet_quant": (55_984, 0),
    "str_ww_ref_model": (16_640, 0),
}


def wanted(name: str, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """All inputs, and tflite-micro's outputs."""
    x = inputs_of(name, data)
    if name not in KEPT:
        return x, expected(path_of(name, data), x)
    kept: np.ndarray = np.load(data / "expected" / f"{KEPT[name]}.npz")["out"]
    return x, kept


@pytest.mark.parametrize("name", MODELS)
def test_native_on_all_inputs(name: str, shared_data: Path) -> None:
    x, want = wanted(name, shared_data)
    assert len(np.unique(want)) > 2
    assert wrong_bytes(name, shared_data, x, want, "native") == 0
    if MODELS[name].right is not None:
        assert right_answers(name, shared_data, want) == MODELS[name].right


@pytest.mark.parametrize(("kernels", "on"), PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_every_kernel_set_on_some(name: str, kernels: str, on: str, shared_data: Path) -> None:
    x, want = wanted(name, shared_data)
    rows = some(name, x, want, MODELS[name].few)
    assert wrong_bytes(name, shared_data, x[rows], want[rows], kernels, on) == 0


@pytest.mark.parametrize("name", KEPT)
def test_kept_answers_are_tflite_micros(name: str, shared_data: Path) -> None:
    x, want = wanted(name, shared_data)
    rows = some(name, x, want, 10)
    assert np.array_equal(expected(path_of(name, shared_data), x[rows]), want[rows])


def test_percentages() -> None:
    """As they are published for these inputs: 667 words, 200 photographs, 334 pictures."""
    for name, count, percent in (
        ("kws_ref_model", 667, 89.8),
        ("vww_96_int8", 200, 83.0),
        ("pretrainedResnet_quant", 334, 88.6),
    ):
        assert round(100 * (MODELS[name].right or 0) / count, 1) == percent


@pytest.mark.parametrize("name", SIZES)
def test_report(name: str, shared_data: Path) -> None:
    macs, tflm_bytes = SIZES[name]
    path = path_of(name, shared_data)
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
    report = compile_file(path_of(name, shared_data)).report
    assert report["peak_ram_bytes"] <= 0.75 * tflm_bytes
    assert report["arena_bytes"] - report["lower_bound_bytes"] <= above


@pytest.mark.parametrize(("name", "words"), REFUSED)
def test_float_models_are_refused(name: str, words: tuple[str, ...], shared_data: Path) -> None:
    path = shared_data / "models" / f"{name}.tflite"
    with pytest.raises(CompileError) as caught:
        compile_file(path)
    for word in (str(path), *words):
        assert word in str(caught.value), word


def test_every_published_model_is_run_or_refused(shared_data: Path) -> None:
    there = {p.stem for p in (shared_data / "models").rglob("*.tflite")}
    assert there == set(MODELS) | {Path(name).name for name, _ in REFUSED}
