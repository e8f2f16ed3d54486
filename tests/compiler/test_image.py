# SPDX-License-Identifier: MIT
"""The image file: read back, described, refused when bad; mutated ones never get past ImageError."""

import json
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.executors import KERNELS
from compiler.kinds import KINDS
from torpor.errors import ImageError
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes, image
from torpor_host.errors import ImageFileError
from torpor_host.kernels import library, ulab_stand_in

IMAGES = [
    compile_bytes(KINDS[kind](np.random.default_rng([5, i])).model, kind).image
    for i, kind in enumerate(sorted(KINDS))
]
INT32 = [-1, 0, 1, 2, 1 << 24, -(1 << 31), (1 << 31) - 1]
NETWORK = IMAGES[sorted(KINDS).index("network")]


def test_read_back_and_described() -> None:
    info = image.read(NETWORK, "network.tpm")
    assert [op.name for op in info.operators] == [
        "QUANTIZE", "PAD", "CONV_2D", "CONV_2D", "ADD", "LOOKUP", "MAX_POOL_2D", "FULLY_CONNECTED", "SOFTMAX",
        "DEQUANTIZE",
    ]  # fmt: skip
    assert info.inputs[0].dtype == "float32" and info.outputs[0].dtype == "float32"
    assert info.flash_bytes == len(NETWORK) and info.weights_bytes < info.flash_bytes
    assert json.loads(json.dumps(info.as_dict()))["sha256"] == info.sha256
    text = image.describe(info)
    for word in ("network.tpm", "FULLY_CONNECTED", "float32", str(info.macs), str(info.arena_bytes)):
        assert word in text


def test_records_are_where_the_format_says() -> None:
    """Against docs/architecture.md, with nothing of the reader's own code."""
    head = struct.unpack_from("<4sHHIIIIIIIHHII", NETWORK)
    magic, version, flags, length, crc, _, _, tensors, records, weights, n_tensors, n_records, macs, spare = (
        head
    )
    assert (magic, version, flags, spare) == (b"TPM\x1a", 1, 0, 0)
    assert length == len(NETWORK) and crc == zlib.crc32(NETWORK[16:])
    assert tensors == 48 and records == 48 + 36 * n_tensors and weights % 16 == 0
    at = records
    for _ in range(n_records):
        _, n = struct.unpack_from("<HH", NETWORK, at)
        at += 4 + 4 * n
    assert at <= weights < at + 16 and macs == image.read(NETWORK, "x").macs


def test_bad_files_say_what_and_the_fix() -> None:
    other = bytearray(NETWORK)
    other[4] = 2
    altered = bytearray(NETWORK)
    altered[-1] ^= 1
    record = bytearray(NETWORK)
    record[struct.unpack_from("<I", NETWORK, 28)[0]] = 99  # operator code
    struct.pack_into("<I", record, 12, zlib.crc32(record[16:]))
    for data, words in (
        (b"", "empty"),
        (b"TPM", "truncated"),
        (NETWORK[:40], "truncated"),
        (NETWORK[:-1], "truncated"),
        (NETWORK + b"x", "1 bytes too many"),
        (b"TFL3" + NETWORK, "not a model image"),
        (bytes(other), "format version 2"),
        (bytes(altered), "CRC"),
        (bytes(record), "bad operator at byte"),
    ):
        with pytest.raises(ImageFileError, match=words) as caught:
            image.read(data, "m.tpm")
        assert str(caught.value).startswith("m.tpm: ") and caught.value.fix


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sound image with bytes changed where it is structure, under a right CRC."""
    data = bytearray(draw(st.sampled_from(IMAGES)))
    structure = struct.unpack_from("<I", data, 32)[0] - 1
    for _ in range(draw(st.integers(1, 4))):
        how = draw(st.integers(0, 3))
        at = draw(st.integers(16, structure if how else len(data) - 1))
        if how == 1:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == 2:
            at &= ~3
            struct.pack_into(
                "<i", data, at, draw(st.sampled_from([-1, 0, 1, 2, 1 << 24, -(1 << 31), (1 << 31) - 1]))
            )
        else:
            data[at] = draw(st.integers(0, 255))
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


@settings(max_examples=400, deadline=5000)
@given(mutated(), st.sampled_from(KERNELS))
def test_mutated_images_are_refused_or_run(data: bytes, kernels: str) -> None:
    with ulab_stand_in.installed(), library.installed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # float32 overflow in the stand-in is no news
        try:
            model = Model(data, kernels)
        except ImageError as e:
            what, offset = e.args
            assert what and 0 <= offset <= len(data)
            return
        model.run()
