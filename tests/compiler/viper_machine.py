# SPDX-License-Identifier: MIT
"""Runs device/torpor/nn/viper_loops.py cross-compiled on an emulated processor of 32 bits (unicorn).

    with installed("armv6m") as loops:
        model = Model(image, "viper")       # its loops now run there, the rest here
    loops.instructions, loops.calls

Source of the file format: MicroPython py/persistentcode.c; of what a function expects: py/emitnative.c.
"""

import ast
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torpor.nn
from compiler.native_machine import _CODE, _DATA, _DATA_BYTES, _TABLE, Processor
from torpor_host.deploy.bundle import compile_mpy
from torpor_host.paths import device_dir

PROCESSORS = ("armv6m", "armv7emsp", "rv32imc")
_SOURCE = "torpor/nn/viper_loops.py"
_FROM_OBJECT, _TO_OBJECT = 3, 4  # of the runtime's table; a loop that needs more of it fails with a KeyError
_VIPER, _CHILDREN = 2, 4  # kind of code, less that of bytecode; flag beside it
_FUNCTION_TABLE = 0  # type of the constant that stands for the runtime's table
_CANARY = b"\xa5" * 64


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self) -> int:
        value = 0
        while True:
            (byte,) = self.take(1)
            value = value << 7 | (byte & 0x7F)
            if not byte & 0x80:
                return value

    def name(self) -> None:
        size = self.number()
        if not size & 1:
            self.take((size >> 1) + 1)

    def constant(self) -> int:
        """Pass over one; return its type. Singletons have types 1 to 4, tuples 10."""
        (kind,) = self.take(1)
        if kind > 4:
            size = self.number()
            if kind == 10:
                for _ in range(size):
                    self.constant()
            else:
                self.take(size + (kind in (5, 6)))  # str and bytes end with a zero
        return kind

    def codes(self) -> Iterator[bytes]:
        """Yield the machine code of this function, if it has any, and of those in it."""
        head = self.number()
        data = self.take(head >> 3)
        if head & 3:
            assert head & 3 == _VIPER, "only viper functions can be read"
            assert not self.number() & 0x70, "no relocations, no data of its own"
            yield data
        if head & _CHILDREN:
            for _ in range(self.number()):
                yield from self.codes()


def read(mpy: bytes) -> tuple[list[bytes], int]:
    """Return the machine code of each viper function, in order, and which constant the runtime's table is."""
    reader = _Reader(mpy)
    assert reader.take(2) == b"M\x06"
    reader.take(2)
    names, constants = reader.number(), reader.number()
    for _ in range(names):
        reader.name()
    kinds = [reader.constant() for _ in range(constants)]
    return list(reader.codes()), kinds.index(_FUNCTION_TABLE)


class Loops(Processor):
    """`.functions`: by name, called with buffers and ints. `.calls`, `.spent`: how often, instructions."""

    def __init__(self, architecture: str) -> None:
        source = device_dir() / _SOURCE
        with tempfile.TemporaryDirectory(prefix="torpor-viper-") as scratch:
            codes, table = read(compile_mpy(source, source.name, architecture, Path(scratch)))
        tree = ast.parse(source.read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        super().__init__(architecture, b"".join(code + bytes(-len(code) % 16) for code in codes))
        runtime = self._word(_TABLE + 0x300)
        self._uc.mem_write(_TABLE + 0x300, struct.pack("<16I", *[0] * table, runtime, *[0] * (15 - table)))
        self._traps = {_FROM_OBJECT: self._from_object, _TO_OBJECT: lambda r: r[0]}
        self._places: list[int] = []
        self.functions: dict[str, Callable[..., None]] = {}
        at = _CODE
        for name, code in zip(names, codes, strict=True):
            self.functions[name] = self._function(name, at)
            at += len(code) + -len(code) % 16
        self.calls: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()

    def _from_object(self, r: list[int]) -> int:
        """An int for an odd object, else the address of a buffer, as the functions' types want them."""
        if r[0] & 1:
            return (r[0] - (r[0] >> 31 << 32)) >> 1
        return self._places[r[0] >> 1]

    def _function(self, name: str, code: int) -> Callable[..., None]:
        def call(*args: Any) -> None:
            objects, views, at = [], [], _DATA
            self._places = []
            for arg in args:
                if isinstance(arg, int):
                    objects.append((arg << 1 | 1) & 0xFFFFFFFF)
                    continue
                known = [place for view, place in views if view.obj is arg]
                objects.append(len(self._places) << 1)
                if known:  # the same object is the same memory
                    self._places.append(known[0])
                    continue
                view = memoryview(arg)
                self._uc.mem_write(at, _CANARY + view.tobytes() + _CANARY)
                views.append((view, at + len(_CANARY)))
                self._places.append(at + len(_CANARY))
                at += view.nbytes + 2 * len(_CANARY) + 15 & ~15
                assert at < _DATA + _DATA_BYTES
            self._uc.mem_write(_TABLE + 0x1000, struct.pack(f"<{len(objects)}I", *objects))
            self._call(code, [_TABLE, len(objects), 0, _TABLE + 0x1000])
            self.calls[name] += 1
            self.spent[name] += self.instructions
            for view, place in views:
                found = bytes(self._uc.mem_read(place - len(_CANARY), view.nbytes + 2 * len(_CANARY)))
                assert found[: len(_CANARY)] == _CANARY == found[-len(_CANARY) :], f"{name} wrote outside"
                if not view.readonly:
                    view.cast("B")[:] = found[len(_CANARY) : -len(_CANARY)]

        return call


@contextmanager
def installed(architecture: str) -> Iterator[Loops]:
    """Within it the kernel set `viper` can be had on CPython, with its loops on that processor."""
    loops = Loops(architecture)
    module = ModuleType("torpor.nn.viper_loops")
    module.__dict__.update(loops.functions)
    sys.modules[module.__name__] = module
    try:
        yield loops
    finally:
        for name in ("viper_loops", "viper_kernels"):
            sys.modules.pop(f"torpor.nn.{name}", None)
            vars(torpor.nn).pop(name, None)
