# SPDX-License-Identifier: MIT
"""The native kernels as a shared library: the bytes of tflite-micro; nothing bad gets past the check."""

import platform
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from compiler.builder import oracle
from compiler.executors import execute
from compiler.kinds import KINDS
from torpor.errors import ImageError
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes
from torpor_host.kernels import library

CASES = 12  # of each kind, for each instruction set
VECTORS = (
    "conv",
    "conv_blocks",
    "depthwise_conv",
    "depthwise_blocks",
    "add_blocks",
    "fully_connected",
    "network",
)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="needs x86-64")
@pytest.mark.parametrize("processor", ["x86-64", "haswell", "icelake-client"])
def test_every_instruction_set(processor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain C, AVX2 and VNNI; the library of this machine is only one of them."""
    info = Path("/proc/cpuinfo")
    known = info.read_text(encoding="utf-8").split() if info.exists() else []
    wanted = {"haswell": "avx2", "icelake-client": "avx512_vnni"}.get(processor)
    if wanted and wanted not in known:
        pytest.skip(f"this processor has no {wanted}")
    flags = tuple(f"-march={processor}" if f == "-march=native" else f for f in library.FLAGS)
    library.compile_to(tmp_path / "kernels.so", flags)
    module = library.bind(tmp_path / "kernels.so")
    monkeypatch.setattr(library, "module", lambda: module)
    for kind in VECTORS:
        for seed in range(3000, 3000 + CASES):
            case = KINDS[kind](np.random.default_rng([seed, VECTORS.index(kind)]))
            want = oracle(case.model, case.inputs)[0].tobytes()
            got = execute(compile_bytes(case.model, kind).image, case.inputs, "native")[0]
            assert got.tobytes() == want, (kind, seed, case.label)
    assert sys.modules["torpor.nn.native"].__dict__[library.MODULE] is module


IMAGES = [
    compile_bytes(KINDS[kind](np.random.default_rng([5, i])).model, kind).image
    for i, kind in enumerate(sorted(KINDS))
]
NETWORK = IMAGES[sorted(KINDS).index("network")]


def operators_at(image: bytes) -> list[int]:
    """Byte offset of every record."""
    (at,) = struct.unpack_from("<I", image, 28)
    (count,) = struct.unpack_from("<H", image, 38)
    found = []
    for _ in range(count):
        found.append(at)
        at += 4 + 4 * int(struct.unpack_from("<H", image, at + 2)[0])
    return found


def ram_bytes(image: bytes) -> int:
    return sum(struct.unpack_from("<II", image, 16))


def test_check_names_the_bad_record() -> None:
    check = library.module().check
    for image in IMAGES:
        arena = bytearray(ram_bytes(image))
        assert check(image, arena) == 0
        assert check(image, arena[:-1]) == 16, "an arena one byte short"
        assert check(image[:-1], arena) == 8
        for at in operators_at(image):
            for value, sign in ((0, -1), (99, -1)):
                other = bytearray(image)
                struct.pack_into("<H", other, at, value)
                assert check(bytes(other), arena) == sign * at, "an unknown operator"
            other = bytearray(image)
            struct.pack_into("<i", other, at + 4, ram_bytes(image))
            assert check(bytes(other), arena) == at, "reads behind the arena"
            other = bytearray(image)
            struct.pack_into("<H", other, at + 2, struct.unpack_from("<H", image, at + 2)[0] + 1)
            assert check(bytes(other), arena) == at, "one argument too many"


def test_unknown_operator_falls_back_or_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of kernels that knows less than the reference leaves the whole model to it."""
    at = operators_at(NETWORK)[3]
    with library.installed():
        monkeypatch.setattr(library.module(), "check", lambda image, arena: -at)
        monkeypatch.setattr(library.module(), "check_step", lambda step, window, arena: -1)
        model = Model(NETWORK)
        assert model.kernels == "reference"
        with pytest.raises(ImageError) as caught:
            Model(NETWORK, "native")
        assert caught.value.args == ("operator", at)
    model.run()


def test_without_the_module() -> None:
    assert Model(NETWORK).kernels == "reference"
    with pytest.raises(ImportError):
        Model(NETWORK, "native")
