# SPDX-License-Identifier: MIT
"""Outputs laid over rows of their input by hand, as far as the kernels' contract lets a plan: all that is
written for output rows 0..oy lies below the lowest byte that row oy or a later one still reads."""

import platform
import struct
import zlib
from types import ModuleType

import numpy as np
import pytest

from compiler.builder import oracle
from compiler.executors import execute
from compiler.kinds import KINDS
from torpor_host.compiler import compile_bytes
from torpor_host.kernels import library

CASES = 24
KIND_NAMES = ("conv", "conv_blocks", "depthwise_conv", "depthwise_blocks", "average_pool", "max_pool")
X86 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> list[ModuleType]:
    """For this processor; with bands of a few rows, which some rows do not fit; and plain C."""
    folder = tmp_path_factory.mktemp("native")
    flags = [(*library.FLAGS, "-DTORPOR_BAND=600")]
    if X86:
        flags.append(tuple("-march=x86-64" if f == "-march=native" else f for f in library.FLAGS))
    made = [library.module()]
    for i, some in enumerate(flags):
        library.compile_to(folder / f"{i}.so", some)
        made.append(library.bind(folder / f"{i}.so"))
    return made


def distance(code: int, args: tuple[int, ...]) -> int:
    """How far below its input the output of a CONV_2D, DEPTHWISE_CONV_2D or pool record must begin."""
    if code in (2, 3):
        batches, h, w, c, oh, ow, n, _, _, stride = args[3:13]
        top = args[16]
    else:
        batches, h, w, c, oh, ow, _, _, stride = args[2:11]
        n, top = c, args[12]
    return max(
        0,
        *(
            (b * oh + oy + 1) * ow * n - (b * h + max(0, oy * stride - top)) * w * c
            for b in range(batches)
            for oy in range(oh)
        ),
    )


def overlapped(image: bytes) -> tuple[bytes, bool] | None:
    """The image with input and output as close as can be, and whether they overlap; None where it is not one
    record of those."""
    data = bytearray(image)
    tensors, operators = struct.unpack_from("<II", data, 24)
    count, records = struct.unpack_from("<HH", data, 36)
    code, n = struct.unpack_from("<HH", data, operators)
    if records != 1 or code not in (2, 3, 4, 5):
        return None
    args = struct.unpack_from(f"<{n}i", data, operators + 4)
    sizes = {}
    for at in range(tensors, tensors + 36 * count, 36):
        role, size = data[at + 2], struct.unpack_from("<I", data, at + 12)[0]
        sizes[role] = size
        struct.pack_into("<i", data, at + 4, distance(code, args) if role == 1 else 0)
    x = distance(code, args)
    arena, scratch = max(x + sizes[1], sizes[2]), 0
    struct.pack_into("<ii", data, operators + 4, x, 0)
    if code in (2, 3):
        arena = (arena + 3) & ~3
        struct.pack_into("<i", data, operators + 12, arena)
        scratch = 5 * (args[6] * args[10] * args[11] + 3) + 12 * args[9]  # as torpor/nn/conv.py says, at most
    struct.pack_into("<II", data, 16, arena, scratch)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data), x < sizes[2]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_over_the_input(kind: str, libraries: list[ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    overlapping = 0
    for seed in range(CASES):
        case = KINDS[kind](np.random.default_rng([seed, 41]))
        made = overlapped(compile_bytes(case.model, kind).image)
        if made is None:
            continue
        image, closer = made
        overlapping += closer
        want = oracle(case.model, case.inputs)[0].tobytes()
        assert execute(image, case.inputs, "reference")[0].tobytes() == want, (seed, case.label)
        for i, module in enumerate(libraries):
            monkeypatch.setattr(library, "module", lambda module=module: module)
            assert execute(image, case.inputs, "native")[0].tobytes() == want, (i, seed, case.label)
    assert overlapping > CASES // 2
