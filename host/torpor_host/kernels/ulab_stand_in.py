# SPDX-License-Identifier: MIT
"""A strict stand-in for `ulab` on CPython: what the ulab kernels use, behaving as CircuitPython's build does.

    install()
    from ulab import numpy as np        # now imports the stand-in, unless a real ulab is there

It knows five dtypes, promotes as ulab promotes (not as NumPy does), wraps integers silently, computes in
float32, has at most two dimensions, and gives out float scalars with the 30 bits of CircuitPython's float
objects. What it lacks raises AttributeError or TypeError, so that a kernel which leans on NumPy fails here
and not first on a board. `dot` sums in order and in float32, as the C loop does.
Source: v923z/micropython-ulab ndarray.c, ndarray_operators.c, numpy/transform.c, numpy/create.c;
adafruit/circuitpython py/circuitpy_mpconfig.h (MICROPY_OBJ_REPR_C).
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy

_MAX_DIMS = 2
_EXACT = float(1 << 24)  # float32 holds every integer up to here
_DTYPES = {
    ord(c): numpy.dtype(d) for c, d in (("B", "u1"), ("b", "i1"), ("H", "u2"), ("h", "i2"), ("f", "f4"))
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}

# result of + - * for two different integer dtypes; equal ones keep theirs, float wins over all
_PROMOTED = {
    frozenset("Bb"): "h",
    frozenset("BH"): "H",
    frozenset("Bh"): "h",
    frozenset("bH"): "h",
    frozenset("bh"): "h",
    frozenset("Hh"): "f",
}


def _promote(a: int, b: int) -> int:
    if a == b:
        return a
    if ord("f") in (a, b):
        return ord("f")
    return ord(_PROMOTED[frozenset((chr(a), chr(b)))])


def _scalar(value: float, other: int) -> numpy.ndarray:
    """A Python number as an array of one, in the dtype ulab would pick beside an array of dtype `other`."""
    if isinstance(value, float):
        return numpy.array([_board_float(numpy.float32(value))], dtype="f4")
    if not -32768 <= value <= 65535:
        return numpy.array([value], dtype="f4")
    if value < 0:
        return numpy.array([value], dtype="i1" if value >= -128 else "i2")
    if other in (ord("b"), ord("h")):
        return numpy.array([value], dtype="i1" if value < 128 else "i2")
    return numpy.array([value], dtype="u1" if value < 256 else "u2")


def _board_float(value: numpy.floating) -> float:
    """A float32 as CircuitPython hands it to Python: without its two lowest bits."""
    bits = numpy.float32(value).view(numpy.uint32) & numpy.uint32(0xFFFFFFFC)
    return float(bits.view(numpy.float32))


class ndarray:
    """One or two dimensions of one of five dtypes; slices, rows, reshape and transpose are views."""

    __slots__ = ("_values",)

    def __init__(self, values: numpy.ndarray) -> None:
        if values.dtype not in _CODES or not 1 <= values.ndim <= _MAX_DIMS:
            raise TypeError(f"no such ulab array: {values.dtype}, {values.ndim} dimensions")
        self._values = values

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def dtype(self) -> int:
        return _CODES[self._values.dtype]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        _check_index(index)
        part = self._values[index]
        if isinstance(part, numpy.ndarray):
            return ndarray(part)
        return _board_float(part) if self.dtype == ord("f") else int(part)

    def __setitem__(self, index: Any, value: Any) -> None:
        _check_index(index)
        values = value._values if isinstance(value, ndarray) else _scalar(value, 0)
        if values.dtype.kind == "f" and self._values.dtype.kind != "f":
            values = _round(values)
        values = values.astype(self._values.dtype)
        self._values[index] = values.reshape(()) if values.size == 1 else values

    def reshape(self, shape: tuple[int, ...]) -> "ndarray":
        if not isinstance(shape, tuple):
            raise TypeError("shape must be a tuple")
        return ndarray(self._values.reshape(shape))

    def transpose(self) -> "ndarray":
        return ndarray(self._values.T)

    def _binary(self, other: Any, operate: Callable[[Any, Any], Any]) -> "ndarray":
        right = other._values if isinstance(other, ndarray) else _scalar(other, self.dtype)
        code = _promote(self.dtype, _CODES[right.dtype])
        wide = "f4" if code == ord("f") else "i8"
        return ndarray(operate(self._values.astype(wide), right.astype(wide)).astype(_DTYPES[code]))

    def __add__(self, other: Any) -> "ndarray":
        return self._binary(other, numpy.add)

    def __sub__(self, other: Any) -> "ndarray":
        return self._binary(other, numpy.subtract)

    def __mul__(self, other: Any) -> "ndarray":
        return self._binary(other, numpy.multiply)


def _check_index(index: Any) -> None:
    for part in index if isinstance(index, tuple) else (index,):
        if not isinstance(part, (int, slice)):
            raise TypeError("indices are integers, slices, or tuples of them")


def _round(values: numpy.ndarray) -> numpy.ndarray:
    return numpy.trunc(values.astype("f8") + numpy.copysign(0.5, values)).astype("i8")


def zeros(shape: int | tuple[int, ...], dtype: int = ord("f")) -> ndarray:
    return ndarray(numpy.zeros(shape, dtype=_DTYPES[dtype]))


def frombuffer(buffer: Any, *, dtype: int = ord("f"), count: int = -1, offset: int = 0) -> ndarray:
    """A one-dimensional view of `buffer`, which stays alive with it."""
    raw = numpy.frombuffer(buffer, dtype="u1")
    size = _DTYPES[dtype].itemsize
    if offset < 0 or offset > len(raw):
        raise ValueError("offset must be non-negative and no greater than buffer length")
    if (len(raw) - offset) % size:
        raise ValueError("buffer size must be a multiple of element size")
    length = (len(raw) - offset) // size
    if count > 0:
        if length < count:
            raise ValueError("buffer is smaller than requested size")
        length = count
    return ndarray(numpy.frombuffer(buffer, dtype=_DTYPES[dtype], count=length, offset=offset))


def dot(a: ndarray, b: ndarray) -> Any:
    """float32 product [n, k] x [k, m]; with one-dimensional operands as ulab shapes it."""
    if not isinstance(a, ndarray) or not isinstance(b, ndarray):
        raise TypeError("arguments must be ndarrays")
    left, right = a._values, b._values
    if left.shape[-1] != right.shape[0]:
        raise ValueError("dimensions do not match")
    rows = numpy.atleast_2d(left).astype("f8")
    columns = (right if right.ndim == 2 else right.reshape(-1, 1)).astype("f8")
    integers = ord("f") not in (a.dtype, b.dtype)
    # integers that never pass 2**24 sum to the same in any order
    if integers and (numpy.abs(rows) @ numpy.abs(columns)).max(initial=0.0) <= _EXACT:
        sums = (rows @ columns).astype("f4")
    else:
        sums = _dot_in_order(rows.astype("f4"), columns.astype("f4"))
    if left.ndim == right.ndim == 1:
        return _board_float(sums[0, 0])
    return ndarray(sums if left.ndim == right.ndim == 2 else sums.reshape(-1))


def _dot_in_order(rows: numpy.ndarray, columns: numpy.ndarray) -> numpy.ndarray:
    sums = numpy.zeros((rows.shape[0], columns.shape[1]), dtype="f4")
    for k in range(rows.shape[1]):
        sums += rows[:, k : k + 1] * columns[k]
    return sums


@contextmanager
def installed() -> Iterator[None]:
    """Within it `import ulab` works; a real ulab, where there is one, is left alone.

    Afterwards code that asks for ulab finds none again, so a node that runs here picks the kernels it would
    pick on a board without it.
    """
    before = "ulab" in sys.modules
    install()
    try:
        yield
    finally:
        if not before:
            _uninstall()


def install() -> None:
    """Make `import ulab` work from now on."""
    if "ulab" in sys.modules or find_spec("ulab") is not None:
        return
    ulab = ModuleType("ulab", "strict stand-in, see torpor_host.kernels.ulab_stand_in")
    subset = ModuleType("ulab.numpy")
    for name, value in (("ndarray", ndarray), ("zeros", zeros), ("frombuffer", frombuffer), ("dot", dot)):
        setattr(subset, name, value)
    for name, letter in (("uint8", "B"), ("int8", "b"), ("uint16", "H"), ("int16", "h"), ("float", "f")):
        setattr(subset, name, ord(letter))
    ulab.__dict__["numpy"] = subset
    sys.modules["ulab"] = ulab
    sys.modules["ulab.numpy"] = subset


def _uninstall() -> None:
    module = sys.modules.get("ulab")
    if module is not None and getattr(module, "__file__", None) is None:
        for name in ("ulab", "ulab.numpy"):
            sys.modules.pop(name, None)
