# SPDX-License-Identifier: MIT
"""The native modules: what the linker writes and refuses; the carried x64 module in a real MicroPython."""

import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

from compiler.builder import KINDS, oracle
from torpor_host import infer
from torpor_host.compiler import compile_bytes, compile_file
from torpor_host.errors import TorporError
from torpor_host.kernels import carried, mpy, toolchain, xtensa
from torpor_host.paths import device_dir
from torpor_host.simulate import interpreter

needs_x64 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="needs x86-64")
needs_zig = pytest.mark.skipif(not toolchain.zig_version(), reason="needs ziglang")


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("architecture", sorted(mpy.TARGETS))
def test_carried_module(architecture: str, small: bool) -> None:
    data = carried.path(architecture, small).read_bytes()
    module = mpy.read(data)
    assert module.target.name == architecture and module.names == mpy.NAMES
    x64 = architecture == "x64"  # where no board is
    most = (26 if x64 else 20) if small else (52 if x64 else 44)
    assert len(data) < most << 10 and len(module.code) % 4 == 0


def test_carried_modules_are_of_these_sources() -> None:
    then, now = carried.recorded(), carried.note()
    for key in (carried.SOURCES, carried.CLANG_SOURCES):
        assert then[key] == now[key], "run tools/build_native.py"


def test_none_for_others() -> None:
    with pytest.raises(TorporError, match="no native kernels for z80"):
        carried.path("z80")
    for data in (b"", b"M\x06", b"M\x05\x0b\x1f\x00", carried.path("x64").read_bytes() + b"\0"):
        with pytest.raises(TorporError, match="native module"):
            mpy.read(data)


@needs_zig
@pytest.mark.parametrize("architecture", sorted(set(mpy.TARGETS) - {xtensa.NAME}))
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("int count; int f(void) { return ++count; }", "of .refused"),
        ("extern int other(int); int f(void) { return other(1); }", "undefined symbol: other"),
        (
            "static int a(void) { return 1; } static int b(void) { return 2; }"
            "int (*const table[])(void) = {a, b}; int f(int i) { return table[i](); }",
            "relocation|of .refused",
        ),
    ],
)
def test_refused(
    architecture: str, source: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables, unknown functions and tables of pointers would crash a board; they do not get there."""
    (tmp_path / "module.ld").write_bytes((toolchain.sources_dir() / "module.ld").read_bytes())
    entry = '__attribute__((section(".text.mpy_init"), used)) int mpy_init(int i) { return f(i); }'
    (tmp_path / "bad.c").write_text(source.replace("f(void)", "f(int unused)") + entry)
    monkeypatch.setattr(toolchain, "sources_dir", lambda: tmp_path)
    monkeypatch.setattr(mpy, "SOURCES", ("bad.c",))
    with pytest.raises(TorporError, match=words):
        mpy.compile_code(mpy.TARGETS[architecture])


def inputs_of(name: str, data: Path) -> np.ndarray:
    if name == "hello_world_int8":
        return np.arange(-128, 128, dtype=np.int8).reshape(-1, 1)
    if name == "ad01_int8":
        expected: np.ndarray = np.load(data / "expected" / "ad01_int8_ad_windows_open.npz")["inp"]
        return expected.astype(np.int8)[:20]
    x: np.ndarray = np.load(data / "inputs" / "kws" / "kws01_open.npz")["X"]
    return x


@needs_x64
@pytest.mark.parametrize(
    "name", ["mlperf_tiny/kws_ref_model", "mlperf_tiny/ad01_int8", "tflm/hello_world_int8"]
)
def test_real_models_in_micropython(name: str, shared_data: Path) -> None:
    x = inputs_of(Path(name).name, shared_data)
    path = shared_data / "models" / f"{name}.tflite"
    got = infer.run(compile_file(path).image, x, "native", "micropython")
    some = range(0, len(x), max(1, len(x) // 60))
    want = np.concatenate([oracle(path.read_bytes(), [x[i : i + 1]])[0] for i in some])
    assert np.array_equal(got[list(some)].reshape(want.shape), want)


@needs_x64
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_operator_in_micropython(kind: str) -> None:
    for seed in range(40):
        case = KINDS[kind](np.random.default_rng([seed, sorted(KINDS).index(kind)]))
        if len(case.inputs) == 1:
            break
    want = oracle(case.model, case.inputs)[0]
    got = infer.run(compile_bytes(case.model, kind).image, case.inputs[0], "native", "micropython")
    assert np.array_equal(got.reshape(-1).view("u1"), want.reshape(-1).view("u1"))


_FALSE_ARGUMENTS = """
import sys
sys.path.insert(0, sys.argv[1])
import torpor_native
for args in ((), (b"",), (1, bytearray(4)), (b"", b""), (b"", bytearray(1), 1)):
    try:
        print(torpor_native.check(*args))
    except TypeError:
        print("TypeError")
print(torpor_native.check(b"", bytearray(1)), torpor_native.check(bytes(48), bytearray(1)))
"""


@needs_x64
def test_arguments_are_checked(tmp_path: Path) -> None:
    (tmp_path / "torpor_native.mpy").write_bytes(carried.for_this_machine().read_bytes())
    script = tmp_path / "script.py"
    script.write_text(_FALSE_ARGUMENTS)
    done = subprocess.run(
        [*interpreter.command(), str(script), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["TypeError"] * 5 + ["8", "8"]


@needs_x64
def test_auto_takes_native_where_it_lies(tmp_path: Path) -> None:
    """And the run allocates nothing: the heap is locked around it."""
    case = KINDS["network"](np.random.default_rng(3))
    (tmp_path / "m.tpm").write_bytes(compile_bytes(case.model, "network").image)
    (tmp_path / "torpor_native.mpy").write_bytes(carried.for_this_machine().read_bytes())
    (tmp_path / "x").write_bytes(case.inputs[0].tobytes())
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, micropython\nsys.path[:0] = sys.argv[1:3]\n"
        "from torpor.nn.model import load\nm = load(sys.argv[2] + '/m.tpm')\n"
        "open(sys.argv[2] + '/x', 'rb').readinto(m.input.raw)\n"
        "micropython.heap_lock()\nm.run()\nmicropython.heap_unlock()\n"
        "print(m.kernels, bytes(m.output.raw).hex())\n"
    )
    done = subprocess.run(
        [*interpreter.command(), str(script), str(device_dir()), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["native", oracle(case.model, case.inputs)[0].tobytes().hex()]
