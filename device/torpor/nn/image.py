# SPDX-License-Identifier: MIT
"""Reader and checker of model images (.tpm); the format is in docs/architecture.md.

Everything a kernel will touch is checked here or in the kernels' `bind`, once, before anything runs: a bad
image raises ImageError(what, offset) and nothing else. Weights are loaded operator by operator, so that no
block of the whole model's size is needed from a fragmented heap.
"""

import struct
from array import array

from ..compat import const, crc32
from ..errors import ImageError

VERSION = 1
VARIABLE = 3  # role of a tensor; 1 input, 2 output, others are passed over
INT8 = 1  # 2 int16, 3 int32, 4 float32
SIZES = (0, 1, 2, 4, 4)  # bytes of one value, by dtype
TYPECODES = " bhif"
_HEADER = const(48)
_TENSOR = const(36)
_CHUNK = const(256)
RAM_LIMIT = 1 << 24  # arena and scratch each; a damaged size must not ask for gigabytes


class _Zeros:
    """`count` zeros that lie nowhere: array() on MicroPython asks how many, and takes just that much."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count

    def __iter__(self):
        for _ in range(self._count):
            yield 0


def zeros(kind, count):
    """Return array(kind) of `count` zeros. array(kind, bytes(n)) would need twice the memory while it copies,
    and growing an array nearly as much: on a board that is what the weights did not fit into."""
    return array(kind, _Zeros(count))


class Image:
    """An open image. `stream` has seek() and readinto(): a file, or io.BytesIO.

    `.inputs`, `.outputs`: (dtype, arena offset, bytes, scale, zero point, shape) per tensor, in graph order.
    `.states`: (arena offset, bytes, value that fills them at first, or an array of them) per variable.
    `.state_bytes`: what outlives a run, the first bytes of the arena.
    `.ram_bytes`: arena and scratch together. `.macs`: multiplications per run.
    `.length`: bytes of the image, of which the last, from `.weights_at` on, are weights.
    """

    def __init__(self, stream):
        self.stream = stream
        self.load = self.read  # where weights come from, see torpor.nn.weights
        self._known = {}
        self.at = 0  # where in the file the record under check lies, for messages
        head = bytearray(_HEADER)
        self.fill(0, head, _HEADER, "header")
        (magic, version, flags, self.length, crc, arena, scratch, tensors, self._operators, self.weights_at,
         n_tensors, self._count, self.macs, state) = struct.unpack("<4sHHIIIIIIIHHII", head)  # fmt: skip
        if magic != b"TPM\x1a":
            raise ImageError("magic", 0)
        if version != VERSION:
            raise ImageError("version", 4)
        self._check_crc(crc, head)
        if flags:
            raise ImageError("flags", 6)
        if arena > RAM_LIMIT or scratch > RAM_LIMIT:
            raise ImageError("arena", 16)
        if state > arena:
            raise ImageError("state", 44)
        self.state_bytes = state
        self.arena_bytes = arena
        self.ram_bytes = arena + scratch
        if not (_HEADER <= tensors and tensors + n_tensors * _TENSOR <= self._operators):
            raise ImageError("tensors", 24)
        if not (self._operators <= self.weights_at <= self.length) or self.weights_at & 15:
            raise ImageError("weights", 32)
        self.inputs = []
        self.outputs = []
        self.states = []
        for i in range(n_tensors):
            self._tensor(tensors + i * _TENSOR)
        if not self.inputs or not self.outputs:
            raise ImageError("tensors", tensors)

    def fill(self, offset, buffer, size, what):
        self.stream.seek(offset)
        if self.stream.readinto(buffer) != size:
            raise ImageError(what, offset)

    def _check_crc(self, expected, head):
        """CRC-32 over everything behind its own field; the file must end where the header says."""
        crc = crc32(memoryview(head)[16:])
        left = self.length - _HEADER
        if left < 0:
            raise ImageError("length", 8)
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        while left > 0:
            want = view if left >= _CHUNK else view[:left]
            got = self.stream.readinto(want)
            if not got:
                raise ImageError("length", 8)
            crc = crc32(want[:got], crc)
            left -= got
        if self.stream.readinto(buffer):
            raise ImageError("length", 8)
        if crc != expected:
            raise ImageError("crc", 12)

    def _tensor(self, at):
        self.at = at
        raw = bytearray(_TENSOR)
        self.fill(at, raw, _TENSOR, "tensor")
        (dtype, rank, role, loaded, offset, zero, size, scale, d0, d1, d2, d3) = struct.unpack(
            "<BBBBiiIf4i", raw
        )
        if role == 0:
            return
        self.need(role <= VARIABLE and rank <= 4 and INT8 <= dtype <= 4, "tensor")
        shape = (d0, d1, d2, d3)[:rank]
        count = SIZES[dtype]
        for d in shape:
            self.need(0 < d <= RAM_LIMIT, "shape")
            count *= d
        self.need(count == size and offset % SIZES[dtype] == 0, "tensor")
        self.ram(offset, size)
        self.need(-128 <= zero <= 127, "zero point")
        if role == VARIABLE:
            self.need(dtype == INT8 and rank == 1 and offset + size <= self.state_bytes, "state")
            self.states.append((offset, size, self.int8(d3, size) if loaded else zero))
            return
        (self.inputs if role == 1 else self.outputs).append((dtype, offset, size, scale, zero, shape))

    def records(self):
        """Yield (place in the image, code, number of arguments) per record; `.at` follows for messages."""
        at = self._operators
        head = bytearray(4)
        for _ in range(self._count):
            self.at = at
            self.need(at + 4 <= self.weights_at, "operator")
            self.fill(at, head, 4, "operator")
            code, n = struct.unpack("<HH", head)
            self.need(at + 4 + 4 * n <= self.weights_at, "operator")
            yield at, code, n
            at += 4 + 4 * n

    def operators(self):
        """Yield (code, args) per record, in order of execution."""
        for at, code, n in self.records():
            raw = bytearray(4 * n)
            if n:
                self.fill(at + 4, raw, 4 * n, "operator")
            yield code, struct.unpack("<%di" % n, raw)

    def need(self, good, what):
        if not good:
            raise ImageError(what, self.at)

    def take(self, args, count):
        """Return `args` if there are `count` of them."""
        self.need(len(args) == count, "arguments")
        return args

    def sizes(self, *dims):
        """Each of `dims` must be a length or a stride: positive, and no larger than any memory."""
        for d in dims:
            self.need(0 < d <= RAM_LIMIT, "size")

    def ram(self, offset, size):
        """Bytes offset..offset+size of arena and scratch must exist."""
        self.need(0 <= offset and 0 < size and offset + size <= self.ram_bytes, "arena offset")

    def clip(self, low, high):
        self.need(-128 <= low <= high <= 127, "activation range")

    def _take(self, kind, size, offset, count):
        start = self.weights_at + offset
        self.need(offset >= 0 and count > 0 and start + count * size <= self.length, "weight offset")
        return self.load(kind, size, start, count)

    def read(self, kind, size, start, count):
        """Return array(kind) of `count` values of `size` bytes from byte `start` on; the same array for the
        same values, which the bands of a layer in patches share."""
        key = (start, count, size)
        values = self._known.get(key)
        if values is None:
            values = zeros(kind, count)
            self.fill(start, values, count * size, "weights")
            self._known[key] = values
        return values

    def forget(self):
        """Share nothing of what was read with what comes."""
        self._known = {}

    def int8(self, offset, count):
        """Return array('b') of `count` weights, `offset` bytes into the weights."""
        return self._take("b", 1, offset, count)

    def int16(self, offset, count):
        """Return array('h') of `count` int16, `offset` bytes into the weights."""
        return self._take("h", 2, offset, count)

    def uint16(self, offset, count):
        """Return array('H') of `count` uint16, `offset` bytes into the weights."""
        return self._take("H", 2, offset, count)

    def int32(self, offset, count):
        """Return array('i') of `count` int32, `offset` bytes into the weights."""
        return self._take("i", 4, offset, count)

    def shifts(self, offset, count):
        """As int32(); each must be a shift: -31..30."""
        values = self.int32(offset, count)
        for i in range(count):
            self.shift(values[i])
        return values

    def shift(self, value):
        self.need(-31 <= value <= 30, "shift")
