# SPDX-License-Identifier: MIT
"""Runs a carried native module on an emulated processor (unicorn) under a stand-in for MicroPython's runtime.

    machine = Machine("armv6m")
    assert machine.check(image, arena_bytes) == 0
    arena = machine.invoke(image, arena)            # .instructions: how many it took
    counts = list(machine.records(image, arena))    # the same, record by record
    arena = machine.stream(image, arena)            # as torpor.nn.native.stream does

The module is called as the runtime calls it: mpy_init, then the two functions that it defined, with objects
that only the stand-in's table of functions can read.
"""

import struct
from collections.abc import Callable, Iterator

import unicorn
from unicorn import arm_const, riscv_const

from torpor_host.kernels import carried, mpy

_MODELS = {
    "armv6m": arm_const.UC_CPU_ARM_CORTEX_M0,
    "armv7m": arm_const.UC_CPU_ARM_CORTEX_M3,
    "armv7emsp": arm_const.UC_CPU_ARM_CORTEX_M4,
}
_CODE, _TABLE, _TRAPS, _STACK, _DATA = 0x10000, 0x40000, 0x50000, 0x60000, 0x1000000
_STACK_BYTES, _DATA_BYTES = 0x10000, 0x2000000
_END = _TRAPS + 0x800
_OBJECTS = 0x100  # handle of the first object that is passed
_CHECK_STEP, _STEP = 1003, 1004  # names
_OPERATORS, _COUNT = 28, 38  # of an image's header: where the records lie, and how many
_TO_OBJECT, _SWAP_GLOBALS, _STORE_GLOBAL, _MAKE_FUNCTION, _CHECK_ARGS, _GET_BUFFER = 4, 5, 13, 26, 44, 65


class Processor:
    """An emulated one with `code` at _CODE, a table of functions, which `_traps` holds, and a counter."""

    def __init__(self, architecture: str, code: bytes) -> None:
        self._arm = architecture in _MODELS
        if self._arm:
            self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
            self._uc.ctl_set_cpu_model(_MODELS[architecture])
            self._registers = [getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(4)]
            self._sp, self._ra = arm_const.UC_ARM_REG_SP, arm_const.UC_ARM_REG_LR
            returning = b"\x70\x47"
        else:
            self._uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
            self._registers = [getattr(riscv_const, f"UC_RISCV_REG_A{i}") for i in range(4)]
            self._sp, self._ra = riscv_const.UC_RISCV_REG_SP, riscv_const.UC_RISCV_REG_RA
            returning = b"\x82\x80"
        for start, size in ((_CODE, 0x10000), (_TABLE, 0x10000), (_TRAPS, 0x1000), (_STACK, _STACK_BYTES),
                            (_DATA, _DATA_BYTES)):  # fmt: skip
            self._uc.mem_map(start, size)
        self._uc.mem_write(_CODE, code)
        self._uc.mem_write(_TRAPS, returning * 0x800)
        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)
        self._traps: dict[int, Callable[[list[int]], int]] = {_TO_OBJECT: lambda r: r[0]}
        self._lengths: dict[int, int] = {}
        self.instructions = 0
        self._lay_out()

    def _lay_out(self) -> None:
        """Function object, context, names, objects and the runtime's table, from _TABLE on."""
        one = int(self._arm)  # thumb addresses are odd
        self._uc.mem_write(_TABLE, struct.pack("<4I", 1, _TABLE + 0x100, 0, _CODE))
        self._uc.mem_write(_TABLE + 0x100, struct.pack("<4I", 1, 0x55, _TABLE + 0x200, _TABLE + 0x300))
        self._uc.mem_write(_TABLE + 0x200, struct.pack("<5H", *range(1000, 1005)))
        self._uc.mem_write(_TABLE + 0x300, struct.pack("<I", _TABLE + 0x400))
        table = [0] + [_TRAPS + 4 * i + one for i in range(1, 100)]
        self._uc.mem_write(_TABLE + 0x400, struct.pack("<100I", *table))

    def _word(self, at: int) -> int:
        found: int = struct.unpack("<I", self._uc.mem_read(at, 4))[0]
        return found

    def _on_block(self, uc: unicorn.Uc, address: int, size: int, _: object) -> None:
        if _TRAPS <= address < _END:
            values = [uc.reg_read(r) for r in self._registers]
            uc.reg_write(self._registers[0], self._traps[(address - _TRAPS) >> 2](values) & 0xFFFFFFFF)
            return
        key = address << 12 | size
        if key not in self._lengths:
            self._lengths[key] = self._count(bytes(uc.mem_read(address, size)))
        self.instructions += self._lengths[key]

    def _count(self, code: bytes) -> int:
        """Instructions in a block: of 2 or 4 bytes, which the first halfword tells."""
        count, at = 0, 0
        while at < len(code):
            first = code[at] | code[at + 1] << 8
            wide = first >> 11 >= 0x1D if self._arm else first & 3 == 3
            at += 4 if wide else 2
            count += 1
        return count

    def _call(self, code: int, arguments: list[int]) -> int:
        one = int(self._arm)
        for register, value in zip(self._registers, arguments, strict=True):
            self._uc.reg_write(register, value)
        self._uc.reg_write(self._sp, _STACK + _STACK_BYTES - 64)
        self._uc.reg_write(self._ra, _END | one)
        self.instructions = 0
        self._uc.emu_start(code | one, _END)
        result: int = self._uc.reg_read(self._registers[0])
        return result - (1 << 32) if result >> 31 else result


class Machine(Processor):
    def __init__(self, architecture: str, module: bytes | None = None) -> None:
        super().__init__(architecture, mpy.read(module or carried.path(architecture).read_bytes()).code)
        self._traps |= {
            _SWAP_GLOBALS: lambda r: 0x77,
            _STORE_GLOBAL: self._store,
            _MAKE_FUNCTION: lambda r: self._word(r[0] + 4),
            _CHECK_ARGS: lambda r: 0,
            _GET_BUFFER: self._get_buffer,
        }
        self._names: dict[int, int] = {}
        self._buffers: list[tuple[int, int]] = []
        self._call(_CODE, [_TABLE, 0, 0, 0])
        assert sorted(self._names) == [1001, 1002, 1003, 1004], (
            "it defines check, invoke, check_step and step"
        )

    def _store(self, r: list[int]) -> int:
        self._names[r[0]] = r[1]
        return 0

    def _get_buffer(self, r: list[int]) -> int:
        start, size = self._buffers[r[0] - _OBJECTS]
        self._uc.mem_write(r[1], struct.pack("<3I", start, size, ord("B")))
        return 1

    def _function(self, name: int, *buffers: bytes) -> int:
        at, self._buffers = _DATA + 0x1000, []
        for data in buffers:
            self._buffers.append((at, len(data)))
            self._uc.mem_write(at, data)
            at += len(data) + 0x1FFF & ~0xFFF
        assert at < _DATA + _DATA_BYTES
        count = len(buffers)
        self._uc.mem_write(_TABLE + 0x1000, struct.pack(f"<{count}I", *range(_OBJECTS, _OBJECTS + count)))
        return self._call(self._names[name] & ~1, [_TABLE, count, 0, _TABLE + 0x1000])

    def _after(self, number: int) -> bytes:
        """What is now in a buffer of the last call."""
        return bytes(self._uc.mem_read(*self._buffers[number]))

    def check(self, image: bytes, arena_bytes: int) -> int:
        return self._function(1001, image, bytes(arena_bytes))

    def invoke(self, image: bytes, arena: bytes) -> bytes:
        """Return the arena after a run."""
        self._function(1002, image, arena)
        return self._after(1)

    def stream(self, image: bytes, arena: bytes) -> bytes:
        """Return the arena after each record was run with its own window of the weights only."""
        at, weights_at = struct.unpack_from("<2I", image, _OPERATORS)
        count, state_bytes = struct.unpack_from("<H4xI", image, _COUNT)
        for _ in range(count):
            end = at + 4 + 4 * struct.unpack_from("<H", image, at + 2)[0]
            step = struct.pack("<3I", 0, len(image) - weights_at, state_bytes) + image[at:end]
            assert self._function(_CHECK_STEP, step, b"", arena) == 0
            step = self._after(0)
            first, size = struct.unpack_from("<2I", step)
            window = image[weights_at + first :][:size]
            assert self._function(_CHECK_STEP, step, window, arena) == 0 and self._after(0) == step
            self._function(_STEP, step, window, arena)
            arena = self._after(2)
            at = end
        return arena

    def records(self, image: bytes, arena: bytes) -> Iterator[int]:
        """Run each operator record on its own; yield how many instructions it took, the call included."""
        head = bytearray(image)
        (at,) = struct.unpack_from("<I", image, _OPERATORS)
        (count,) = struct.unpack_from("<H", image, _COUNT)
        for _ in range(count):
            struct.pack_into("<I", head, _OPERATORS, at)
            struct.pack_into("<H", head, _COUNT, 1)
            arena = self.invoke(bytes(head), arena)
            yield self.instructions
            at += 4 + 4 * struct.unpack_from("<H", image, at + 2)[0]
