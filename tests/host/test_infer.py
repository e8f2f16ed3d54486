# SPDX-License-Identifier: MIT
"""infer: single inputs and batches, here and in a real MicroPython process, and what it refuses."""

import os
from pathlib import Path

import numpy as np
import pytest

from compiler.builder import Builder, oracle
from torpor_host import infer
from torpor_host.compiler import compile_bytes, compile_file
from torpor_host.errors import ImageFileError, TorporError

SHAPE = (1, 2, 3)


def logistic_model(ends: str = "int8") -> bytes:
    b = Builder()
    x = b.tensor(SHAPE, "int8", 0.05, 10)
    y = b.tensor(SHAPE, "int8", 1 / 256, -128)
    b.operator("LOGISTIC", [x], [y], 2)
    if ends == "int8":
        return b.build([x], [y])
    fx, fy = b.tensor(SHAPE, "float32"), b.tensor(SHAPE, "float32")
    b.operators, after = [], b.operators
    b.operator("QUANTIZE", [fx], [x])
    b.operators += after
    b.operator("DEQUANTIZE", [y], [fy], 2)
    return b.build([fx], [fy])


MODEL = logistic_model()
IMAGE = compile_bytes(MODEL, "logistic").image
FLOAT_MODEL = logistic_model("float32")
FLOAT_IMAGE = compile_bytes(FLOAT_MODEL, "float").image
BATCH = np.random.default_rng(0).integers(-128, 128, size=(3, 2, 3)).astype(np.int8)
PLACES = [
    ("reference", "cpython"),
    ("ulab", "cpython"),
    ("native", "cpython"),
    ("reference", "micropython"),
    ("native", "micropython"),
]


@pytest.mark.parametrize(("kernels", "on"), PLACES)
def test_shapes_and_bytes(kernels: str, on: str) -> None:
    want = np.concatenate([oracle(MODEL, [x[None]])[0] for x in BATCH])
    seen: list[tuple[int, int]] = []
    got = infer.run(IMAGE, BATCH, kernels, on, lambda done, total: seen.append((done, total)))
    assert got.dtype == np.int8 and np.array_equal(got, want)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for single in (BATCH[0], BATCH[:1]):
        y = infer.run(IMAGE, single, kernels, on)
        assert y.shape == SHAPE and np.array_equal(y, want[:1])


@pytest.mark.parametrize(("kernels", "on"), PLACES)
def test_float_ends(kernels: str, on: str) -> None:
    x = np.linspace(-8, 8, 12).reshape(2, 2, 3).astype(np.float32)
    want = np.concatenate([oracle(FLOAT_MODEL, [v[None]])[0] for v in x])
    got = infer.run(FLOAT_IMAGE, x, kernels, on)
    assert got.dtype == np.float32 and np.array_equal(got, want)


def test_float_input_of_an_int8_model_is_quantized_as_tflm_does() -> None:
    """Halves included: 0.05 * (k + 0.5) in float32."""
    x = (np.float32(0.05) * (np.arange(-129, 129) + np.float32(0.5))).astype(np.float32)
    x = np.append(x, [-np.inf, np.inf, 1e30, -1e30, 0.0, 0.05]).astype(np.float32)[:264].reshape(-1, 2, 3)
    b = Builder()
    fx, q = b.tensor(x.shape, "float32"), b.tensor(x.shape, "int8", 0.05, 10)
    b.operator("QUANTIZE", [fx], [q])
    finite = np.where(np.abs(x) < 1e6, x, 0)  # beyond int32 the C code is undefined; we saturate
    q8 = oracle(b.build([fx], [q]), [finite.astype(np.float32)])[0]
    want = infer.run(IMAGE, q8)
    got = infer.run(IMAGE, x.astype(np.float64))
    sound = np.abs(x) < 1e6
    assert np.array_equal(got[sound], want[sound])
    assert set(got[~sound]) == {got.min(), got.max()}


def test_what_it_refuses() -> None:
    bad = (
        (BATCH[:, :1], "shape [3, 1, 3], the model takes [1, 2, 3]"),
        (np.zeros((0, 2, 3), np.int8), "shape"),
        (BATCH.astype(np.int32), "int32, the model takes int8 or float"),
        (BATCH.view(np.uint8), "shift uint8 by 128"),
        (np.full(SHAPE, np.nan), "NaN"),
    )
    for x, words in bad:
        with pytest.raises(TorporError) as caught:
            infer.run(IMAGE, x)
        assert words in str(caught.value) and caught.value.fix
    with pytest.raises(TorporError, match="int8, the model takes float"):
        infer.run(FLOAT_IMAGE, BATCH)
    with pytest.raises(ImageFileError, match="truncated"):
        infer.run(IMAGE[:-4], BATCH)
    for kernels, on in (("magic", "cpython"), ("reference", "mars")):
        with pytest.raises(TorporError, match="no such combination"):
            infer.run(IMAGE, BATCH, kernels, on)
    with pytest.raises(TorporError, match="viper is MicroPython's"):
        infer.run(IMAGE, BATCH, "viper", "cpython")


def test_micropython_without_ulab() -> None:
    with pytest.raises(TorporError, match="has no ulab") as caught:
        infer.run(IMAGE, BATCH, "ulab", "micropython")
    assert "cpython" in caught.value.fix


def test_npy_files(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    infer.save_npy(path, BATCH)
    assert np.array_equal(infer.load_npy(path), BATCH) and np.array_equal(np.load(path), BATCH)
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]
    np.save(path, np.array([{}], dtype=object))
    with pytest.raises(TorporError, match=r"x\.npy: not a \.npy array"):
        infer.load_npy(path)
    for content in (b"", b"\x93NUMPY", path.read_bytes()[:90], b"junk" * 50):
        path.write_bytes(content)
        with pytest.raises(TorporError, match=r"not a \.npy array"):
            infer.load_npy(path)
    for array, words in (
        (np.array([1.0, np.nan]), "NaN at value 1"),
        (np.array(["a"]), "not of numbers"),
        (np.zeros((0, 3)), "empty"),
    ):
        np.save(path, array)
        with pytest.raises(TorporError, match=words):
            infer.load_npy(path)
    with pytest.raises(TorporError, match="No such file"):
        infer.load_npy(tmp_path / "none.npy")
    with pytest.raises(TorporError, match="No such file"):
        infer.save_npy(tmp_path / "nowhere" / "y.npy", BATCH)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("name", "count"),
    [("tflm/hello_world_int8", 40), ("mlperf_tiny/ad01_int8", 2), ("mlperf_tiny/kws_ref_model", 1)],
)
def test_published_models_on_micropython(name: str, count: int, shared_data: Path) -> None:
    from compiler.published import expected, inputs_of

    path = shared_data / "models" / f"{name}.tflite"
    x = inputs_of(path.stem, shared_data)[:count]
    got = infer.run(compile_file(path).image, x, on="micropython")
    assert np.array_equal(got.reshape(count, -1), expected(path, x))


def npy(path: Path, shape: str, descr: str = "'|i1'", data: bytes = bytes(6), version: int = 1) -> Path:
    """A file with a header as it says, whatever follows."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + size + header + data)
    return path


def test_npy_headers_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    for version in (1, 2):
        x = infer.load_npy(npy(path, "(2, 3)", data=bytes(range(6)), version=version))
        assert np.array_equal(x, np.arange(6).reshape(2, 3))
    huge = (
        r"x\.npy: not a \.npy array \(its header says \[999999999999, 7\] of int8, 6999999999993 bytes; 6 are"
    )
    with pytest.raises(TorporError, match=huge):
        infer.load_npy(npy(path, "(999999999999, 7)"))
    for shape, words in (
        ("()", "a single number, not an array"),
        ("(7,)", "7 bytes; 6 are there"),
        ("(-1,)", "its header says"),
        ("(-2, -3)", "its header says"),
        ("(0, 999999999999)", "empty"),
        (f"({'1, ' * 70})", "not a .npy array"),
        ("((((", "not a .npy array"),
        ("(" * 60 + "1", "not a .npy array"),
        ("'a'", "not a .npy array"),
        ("6", "not a .npy array"),
    ):
        with pytest.raises(TorporError) as caught:
            infer.load_npy(npy(path, shape))
        assert words in str(caught.value) and caught.value.fix
    for descr, words in (
        ("'<c8'", "not of numbers"),
        ("[('a', '|i1')]", "not of numbers"),
        ("'|O'", "Python objects"),
        ("[[]]", r"not a \.npy"),
        ("'Z'", r"not a \.npy"),
    ):
        with pytest.raises(TorporError, match=words):
            infer.load_npy(npy(path, "(6,)", descr))
    npy(path, "(6,)", version=3)
    with pytest.raises(TorporError, match=r"not a \.npy array"):
        infer.load_npy(path)


def test_npy_headers_damaged_anywhere(tmp_path: Path) -> None:
    """Each byte of a header in turn is another: an array or one clear error, never a traceback."""
    path = tmp_path / "x.npy"
    sound = npy(path, "(2, 3)").read_bytes()
    for at in range(70):
        for byte in b"\0(['{9-\xff\n":
            path.write_bytes(sound[:at] + bytes([byte]) + sound[at + 1 :])
            try:
                infer.load_npy(path)
            except TorporError as e:
                assert "x.npy" in str(e) and e.fix


def test_npy_only_from_and_to_files(tmp_path: Path) -> None:
    with pytest.raises(TorporError, match="not a file"):
        infer.load_npy(Path(os.devnull))
    (tmp_path / "file").touch()
    for path in (Path(""), Path("/"), tmp_path / "file" / "y", tmp_path / ("n" * 300)):
        with pytest.raises(TorporError) as caught:
            infer.save_npy(path, BATCH)
        assert caught.value.fix
    (tmp_path / "link").symlink_to("y.npy")
    infer.save_npy(tmp_path / "link", BATCH)
    assert (tmp_path / "link").is_symlink() and np.array_equal(np.load(tmp_path / "y.npy"), BATCH)
