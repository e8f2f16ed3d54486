# SPDX-License-Identifier: MIT
"""The ulab stand-in behaves as ulab's sources say, above all where NumPy does not."""

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy
import pytest

from torpor_host.kernels import ulab_stand_in


@pytest.fixture
def np() -> Iterator[ModuleType]:
    with ulab_stand_in.installed():
        from ulab import numpy as subset

        yield subset


def array(np: ModuleType, values: list[int], letter: str) -> ulab_stand_in.ndarray:
    sizes = {"B": "u1", "b": "i1", "H": "u2", "h": "i2", "f": "f4"}
    return np.frombuffer(numpy.array(values, dtype=sizes[letter]), dtype=ord(letter))


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [("B", "b", "h"), ("B", "H", "H"), ("b", "H", "h"), ("H", "h", "f"), ("b", "b", "b"), ("b", "f", "f")],
)
def test_promotion(np: ModuleType, left: str, right: str, result: str) -> None:
    """ndarray_operators.c; NumPy would go to a wider type in most of these."""
    for a, b in ((left, right), (right, left)):
        assert (array(np, [1], a) + array(np, [2], b)).dtype == ord(result)
        assert (array(np, [1], a) * array(np, [2], b)).dtype == ord(result)


def test_same_dtype_wraps(np: ModuleType) -> None:
    assert list(array(np, [127, -128], "b") * array(np, [2, 2], "b")) == [-2, 0]
    assert list(array(np, [250], "B") + 10) == [4]


def test_scalars_take_the_smallest_dtype(np: ModuleType) -> None:
    assert (array(np, [1], "B") + 123).dtype == ord("B")
    assert (array(np, [1], "b") + 200).dtype == ord("h")
    assert (array(np, [1], "H") + -1).dtype == ord("h")
    assert (array(np, [1], "b") * 1.0).dtype == ord("f")


def test_dot_is_float32_summed_in_order(np: ModuleType) -> None:
    row = np.zeros((1, 3))
    column = np.zeros((3, 1))
    for i, v in enumerate((float(1 << 24), 1.0, 1.0)):
        row[0, i] = 1.0
        column[i, 0] = v
    assert np.dot(row, column)[0, 0] == float(1 << 24), "each 1.0 is lost, as in C"
    a = array(np, [-128] * 1024, "b").reshape((1, 1024))
    assert np.dot(a, a.transpose())[0, 0] == float(1 << 24), "1024 products are exact"


def test_float_objects_have_30_bits(np: ModuleType) -> None:
    """A float32 array keeps (1 << 22) + 1; a float read out of it does not keep (1 << 23) + 1."""
    small = np.zeros(1)
    small[0] = float((1 << 22) - 1)
    assert small[0] == (1 << 22) - 1
    a = array(np, [127] * 521, "b").reshape((1, 521))  # 521 * 127 * 127 = 8403209
    large = np.dot(a, a.transpose())
    assert int(large[0, 0]) != 521 * 127 * 127


def test_views_share_memory(np: ModuleType) -> None:
    buffer = bytearray(6)
    view = np.frombuffer(buffer, dtype=np.int8, count=4, offset=2)
    view.reshape((2, 2))[1][0] = -3
    assert buffer[4] == 253
    view[0:2] = 5
    assert buffer[2:4] == b"\x05\x05"


def test_what_ulab_lacks_is_an_error(np: ModuleType) -> None:
    for missing in ("int32", "matmul", "einsum", "int64"):
        assert not hasattr(np, missing)
    with pytest.raises(TypeError, match="dimensions"):
        np.zeros((1, 2, 3))
    with pytest.raises(TypeError):
        np.dot([1], [2])
    with pytest.raises(TypeError):
        np.zeros(3)[[0, 1]]
    with pytest.raises(KeyError):
        np.zeros(3, dtype=ord("i"))
    with pytest.raises(ValueError, match="smaller"):
        np.frombuffer(b"ab", dtype=np.int8, count=3)


def test_it_leaves_no_trace() -> None:
    with ulab_stand_in.installed():
        assert "ulab" in sys.modules
    assert "ulab" not in sys.modules
