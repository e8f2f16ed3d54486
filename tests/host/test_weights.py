# SPDX-License-Identifier: MIT
"""Weights in ROM, in RAM, or streamed: the same bytes, and no more memory than each needs."""

import io
import struct
import subprocess
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from compiler.builder import Builder, Case, oracle
from compiler.executors import execute
from compiler.executors import on_micropython as micropython_cases
from compiler.kinds import KINDS
from compiler.test_patches import network
from torpor.errors import ImageError
from torpor.nn.model import Model, load
from torpor_host import infer
from torpor_host.compiler import compile_bytes
from torpor_host.errors import TorporError
from torpor_host.kernels import carried, library, ulab_stand_in
from torpor_host.paths import device_dir
from torpor_host.simulate import interpreter

MODES = ("rom", "ram", "stream")


def cases() -> list[Case]:
    kinds = ("network", "conv", "depthwise_conv", "fully_connected", "gather")
    drawn = [KINDS[kind](np.random.default_rng(seed)) for kind in kinds for seed in range(3)]
    nets = [network(seed) for seed in (1, 3, 6)]
    return drawn + [Case(f"net {i}", data, [x]) for i, (data, x) in enumerate(nets)]


@pytest.mark.parametrize("kernels", ["reference", "ulab", "native"])
def test_every_mode_is_exact(kernels: str) -> None:
    for case in cases():
        image = compile_bytes(case.model, "m").image
        want = oracle(case.model, case.inputs)[0].reshape(-1)
        for mode in MODES:
            with ulab_stand_in.installed(), library.installed():
                model = Model(image, kernels, mode)
            assert model.weights == mode and model.kernels == kernels
            for _ in range(2):  # the second run finds what the first left in the buffers
                for view, x in zip(model.inputs, case.inputs, strict=True):
                    memoryview(getattr(view, "raw", view)).cast("B")[:] = x.tobytes()
                model.run()
                got = bytes(getattr(model.output, "raw", model.output))
                assert got == want.tobytes(), (case.label, mode)


def test_chosen_by_what_there_is(tmp_path: Path) -> None:
    image = compile_bytes(network(1)[0], "m").image
    assert Model(image, "reference").weights == "rom"
    assert Model(io.BytesIO(image), "reference").weights == "ram"
    file = tmp_path / "m.tpm"
    file.write_bytes(image)
    assert load(str(file), "reference").weights == "ram"
    with file.open("rb") as f:
        Model(f, "reference", "stream").run()
    with library.installed():
        assert Model(image, "native").weights == "rom"
        assert Model(image, "native", "stream").weights == "stream"
    for data, kernels, mode in (
        (io.BytesIO(image), None, "rom"),
        (image, None, "x"),
    ):
        with pytest.raises(ValueError, match="weights"), library.installed():
            Model(data, kernels, mode)


def test_a_damaged_shift_is_found_in_every_mode() -> None:
    """The last int32 values of an image are a layer's shifts."""
    image = bytearray(compile_bytes(KINDS["fully_connected"](np.random.default_rng(0)).model, "m").image)
    image[-4:] = struct.pack("<i", 99)
    image[12:16] = struct.pack("<I", zlib.crc32(image[16:]))
    for mode in MODES:
        with pytest.raises(ImageError, match="shift"):
            Model(bytes(image), "reference", mode)
        with pytest.raises(ImageError, match="record"), library.installed():
            Model(bytes(image), "native", mode)


_ON_MICROPYTHON = """
import sys, gc, vfs
sys.path.insert(0, sys.argv[1])
from torpor.nn.model import load, Model
with open(sys.argv[2], "rb") as f:
    rom = f.read()
vfs.mount(vfs.VfsRom(rom), "/rom")
with open(sys.argv[3], "rb") as f:
    x = f.read()
for mode in (None, "rom", "ram", "stream"):
    for name in ("/rom/a.tpm", "/rom/bb.tpm"):
        gc.collect()
        before = gc.mem_alloc()
        model = load(name, "reference", mode)
        gc.collect()
        heap = gc.mem_alloc() - before
        for i in range(len(x)):
            model.input[i] = x[i] - 256 if x[i] > 127 else x[i]
        model.run()
        gc.collect()
        gc.disable()
        for i in range(len(x)):
            model.input[i] = x[i] - 256 if x[i] > 127 else x[i]
        used = gc.mem_alloc()
        model.run()
        used = gc.mem_alloc() - used
        gc.enable()
        print(model.weights, heap, used, bytes(memoryview(model.output)).hex())
        del model
"""


def on_micropython(code: str, *args: Path | str, heap_bytes: int = 0) -> list[list[str]]:
    done = subprocess.run(
        [*interpreter.command(heap_bytes), "-c", code, *map(str, args)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_romfs_on_micropython(tmp_path: Path) -> None:
    """Two files one after the other: at most one of them begins at a multiple of four."""
    from mpremote.romfs import VfsRomWriter

    case = KINDS["fully_connected"](np.random.default_rng(7))
    image = compile_bytes(case.model, "m").image
    writer = VfsRomWriter()
    for name in ("a.tpm", "bb.tpm"):
        writer.mkfile(name, image)
    rom, x = tmp_path / "rom.img", tmp_path / "x"
    rom.write_bytes(writer.finalise())
    x.write_bytes(case.inputs[0].tobytes())
    lines = on_micropython(_ON_MICROPYTHON, device_dir(), rom, x)
    want = oracle(case.model, case.inputs)[0].tobytes().hex()
    assert [line[0] for line in lines] == ["rom"] * 4 + ["ram"] * 2 + ["stream"] * 2
    assert {line[3] for line in lines} == {want}
    assert {line[2] for line in lines} == {"0"}, "a run allocated"


_SHORT_OF_MEMORY = """
import sys, gc
sys.path[:0] = sys.argv[1], sys.argv[4]
from torpor.nn.model import load
model = load(sys.argv[2], None if sys.argv[3] == "native" else "reference")
assert model.kernels == sys.argv[3]
for i in range(len(model.input)):
    model.input[i] = i % 100 - 50
model.run()
print(model.weights, bytes(memoryview(model.output)).hex())
"""


def test_short_of_memory_it_streams(tmp_path: Path, shared_data: Path) -> None:
    """400 KB of weights are in the file; a heap of 200 KB holds one layer at a time."""
    rng, b = np.random.default_rng(1), Builder()
    x = at = b.tensor((1, 64), "int8", 0.05, 0)
    sizes = (64, 250, 250, 250, 250, 64)
    for depth, units in pairwise(sizes):
        w = b.tensor((units, depth), "int8", 0.01, 0, rng.integers(-127, 128, size=(units, depth)))
        bias = b.tensor((units,), "int32", 0.0005, 0, rng.integers(-500, 500, size=units))
        out = b.tensor((1, units), "int8", 0.2, 0)
        b.operator("FULLY_CONNECTED", [at, w, bias], [out], 4)
        at = out
    data = b.build([x], [at])
    file = tmp_path / "m.tpm"
    compiled = compile_bytes(data, "m")
    file.write_bytes(compiled.image)
    want = oracle(data, [(np.arange(64) % 100 - 50).astype(np.int8)[None]])[0].tobytes().hex()
    sets = [("reference", 190_000)]
    if carried.for_machine():
        sets.append(("native", 240_000))
        (tmp_path / f"{library.MODULE}.mpy").write_bytes(
            carried.smallest("x64", frozenset(compiled.report["record_codes"])).read_bytes()
        )
    for kernels, little in sets:
        for heap_bytes, mode in ((4 << 20, "ram"), (little, "stream")):
            args = device_dir(), file, kernels, tmp_path
            assert on_micropython(_SHORT_OF_MEMORY, *args, heap_bytes=heap_bytes) == [[mode, want]]


@pytest.mark.parametrize("kernels", ["reference", "native"])
@pytest.mark.parametrize("on", ["cpython", "micropython"])
def test_infer_in_every_mode(on: str, kernels: str) -> None:
    case = KINDS["fully_connected"](np.random.default_rng(0))
    compiled = compile_bytes(case.model, "m")
    held = compiled.report["weights_ram_bytes"]
    assert held["rom"] == 0 < held["stream"] <= held["ram"] == compiled.report["weights_bytes"]
    want = oracle(case.model, case.inputs)[0].reshape(-1)
    for mode in MODES:
        got = infer.run(compiled.image, case.inputs[0], kernels, on, weights=mode)
        assert np.array_equal(got.reshape(-1), want)
    with pytest.raises(TorporError, match="no weights"):
        infer.run(compiled.image, case.inputs[0], kernels, on, weights="flash")


@pytest.mark.parametrize("kernels", ["reference", "native"])
def test_every_operator_streams(kernels: str) -> None:
    for kind in sorted(KINDS):
        for seed in range(2):
            case = KINDS[kind](np.random.default_rng([seed, 5, sorted(KINDS).index(kind)]))
            compiled = compile_bytes(case.model, kind)
            want = oracle(case.model, case.inputs, len(compiled.report["outputs"]))
            got = execute(compiled.image, case.inputs, kernels, "stream")
            assert [y.tobytes() for y in got] == [y.tobytes() for y in want], (kind, seed, case.label)


@pytest.mark.parametrize("mode", ["rom", "stream"])
@pytest.mark.parametrize("kernels", ["reference", "viper", "native"])
def test_every_operator_on_micropython(kernels: str, mode: str) -> None:
    """What a uctypes array or a buffer that is filled anew can't do shows only there."""
    cases = [KINDS[kind](np.random.default_rng([6, sorted(KINDS).index(kind)])) for kind in sorted(KINDS)]
    compiled = [compile_bytes(case.model, case.label) for case in cases]
    pairs = [(c.image, case.inputs) for c, case in zip(compiled, cases, strict=True)]
    for case, c, got in zip(cases, compiled, micropython_cases(pairs, kernels, mode), strict=True):
        want = oracle(case.model, case.inputs, len(c.report["outputs"]))
        assert [y.tobytes() for y in got] == [y.tobytes() for y in want], case.label
