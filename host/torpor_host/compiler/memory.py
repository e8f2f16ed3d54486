# SPDX-License-Identifier: MIT
"""What an image keeps in the arena and when, found from the image alone.

Moment i is record i's; -1 is before the first, n, the number of records, behind the last. A box is what one
record writes as one (or an input, a variable, a record's scratch): it lives from that moment to the last one
that reads any of its bytes before something else is written there. So a tensor that several records write
part by part is several boxes, unless the parts' bytes lie between one another; and views of one tensor are
one box. Two boxes share bytes at one moment where a record writes over what it has read.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import image, traffic

INPUT, OUTPUT, INNER, SCRATCH, STATE = "input", "output", "inner", "scratch", "state"
_ROLES = {0: INNER, 1: INPUT, 2: OUTPUT, 3: STATE}


@dataclass(frozen=True)
class Box:
    """dtype and shape are "" and () where no tensor of the image is just this (parts, scratch)."""

    kind: str
    dtype: str
    shape: tuple[int, ...]
    at: int
    size_bytes: int
    first: int
    last: int

    @property
    def end(self) -> int:
        """Behind its last byte."""
        return self.at + self.size_bytes

    def meets(self, other: "Box") -> bool:
        """Whether both share a byte at one moment."""
        return (
            self.first <= other.last
            and other.first <= self.last
            and self.at < other.end
            and other.at < self.end
        )


@dataclass(frozen=True)
class Layout:
    """live_bytes[1 + i]: bytes of the arena in use at moment i; bytes that two boxes share count once.
    top_bytes[1 + i]: where the highest of them ends; more than `live_bytes` where there are gaps."""

    name: str
    arena_bytes: int
    state_bytes: int
    operators: tuple[str, ...]
    boxes: tuple[Box, ...]
    live_bytes: tuple[int, ...]
    top_bytes: tuple[int, ...]

    def moment(self, i: int) -> str:
        """Name of moment i."""
        if i < 0:
            return "before"
        return f"{i} {self.operators[i]}" if i < len(self.operators) else "after"

    @property
    def peak_moment(self) -> int:
        """The first moment at which most is in use."""
        return self.live_bytes.index(max(self.live_bytes)) - 1

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, as `torpor inspect --memory --json` prints it."""
        return {
            "name": self.name,
            "arena_bytes": self.arena_bytes,
            "state_bytes": self.state_bytes,
            "peak": {
                "live_bytes": max(self.live_bytes),
                "moment": self.peak_moment,
                "operator": self.moment(self.peak_moment),
            },
            "tensors": [
                asdict(b) | {"from": self.moment(b.first), "to": self.moment(b.last)} for b in self.boxes
            ],
            "moments": [
                {"moment": i, "operator": self.moment(i), "live_bytes": live, "top_bytes": top}
                for i, (live, top) in enumerate(zip(self.live_bytes, self.top_bytes, strict=True), -1)
            ],
        }


@dataclass
class _Piece:
    """`bytes` as traffic.Access gives them."""

    kind: str
    start: int
    stop: int
    first: int
    last: int
    bytes: Any

    @property
    def gaps(self) -> bool:
        return not isinstance(self.bytes, slice)


def lay_out(data: bytes, name: str) -> Layout:
    """Return what the image `data` keeps and when. Raises ImageFileError: see image.read."""
    info = image.read(data, name)
    pieces = _merged(_pieces(info, data[info.flash_bytes - info.weights_bytes :]))
    boxes = _boxes(info, sorted(pieces, key=lambda p: (p.first, p.kind == SCRATCH, p.start)))
    live, top = [], []
    for i in range(-1, len(info.operators) + 1):
        spans = [(b.at, b.end) for b in boxes if b.first <= i <= b.last]
        live.append(_covered(spans))
        top.append(max((stop for _, stop in spans), default=0))
    operators = tuple(op.name for op in info.operators)
    ram = info.arena_bytes + info.scratch_bytes
    return Layout(name, ram, info.state_bytes, operators, boxes, tuple(live), tuple(top))


def _pieces(info: image.ImageInfo, weights: bytes) -> list[_Piece]:
    end = len(info.operators)
    owner = np.full(info.arena_bytes + info.scratch_bytes, -1, np.int32)  # number of the piece, by byte
    pieces: list[_Piece] = []

    def put(kind: str, start: int, stop: int, moment: int, picked: Any) -> None:
        owner[picked] = len(pieces)
        pieces.append(_Piece(kind, start, stop, moment, moment, picked))

    def read(picked: Any, moment: int) -> list[_Piece]:
        found = owner[picked]
        heads = np.flatnonzero(np.diff(found, prepend=found[0] - 1))
        readers = [pieces[i] for i in np.unique(found[heads]) if i >= 0]
        for piece in readers:
            piece.last = max(piece.last, moment)
        return readers

    for role in (STATE, INPUT):
        for t in info.tensors:
            if _ROLES.get(t.role) == role:
                put(role, t.offset, t.offset + t.size_bytes, -1, slice(t.offset, t.offset + t.size_bytes))
    for i, op in enumerate(info.operators):
        done = traffic.accesses(op.code, op.args, weights)
        for access in done:
            if access.use == traffic.READ:
                read(access.bytes(), i)
        for access in done:
            if access.use == traffic.SCRATCH:
                put(SCRATCH, access.start, access.stop, i, access.bytes())
            elif access.use == traffic.WRITE and access.stop > info.state_bytes:
                put(INNER, access.start, access.stop, i, access.bytes())
    for t in info.outputs:
        for piece in read(slice(t.offset, t.offset + t.size_bytes), end):
            if piece.kind == INNER:
                piece.kind = OUTPUT
    for piece in pieces:
        if piece.kind == STATE:
            piece.last = end
    return pieces


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    """Make one of the pieces whose bytes lie between one another, such as the parts of a CONCATENATION along
    its last axis."""
    done: list[_Piece] = []
    groups: list[list[_Piece]] = []  # what each of `done` was made of, where that has gaps
    for piece in pieces:
        for whole, parts in zip(done, groups, strict=True):
            if piece.first <= whole.last and any(_between(part, piece) for part in parts):
                whole.start, whole.stop = min(whole.start, piece.start), max(whole.stop, piece.stop)
                whole.last = max(whole.last, piece.last)
                parts.append(piece)
                break
        else:
            done.append(_Piece(**vars(piece)))
            groups.append([piece] if piece.gaps else [])
    return done


def _between(one: _Piece, other: _Piece) -> bool:
    """Whether both have gaps, reach into one another and share no byte."""
    if not other.gaps or one.start >= other.stop or other.start >= one.stop:
        return False
    return not len(np.intersect1d(one.bytes, other.bytes))


def _boxes(info: image.ImageInfo, pieces: list[_Piece]) -> tuple[Box, ...]:
    """Find for each piece the tensor record that is just this; inner ones come in the operators' order."""
    inner = [t for t in info.tensors if _ROLES.get(t.role) == INNER]
    behind = 0
    boxes = []
    for p in pieces:
        place = (p.start, p.stop - p.start)
        found = None
        if p.kind == INNER:
            at = next((i for i in range(behind, len(inner)) if _place(inner[i]) == place), None)
            if at is not None:
                found, behind = inner[at], at + 1
        elif p.kind != SCRATCH:
            found = next(
                (t for t in info.tensors if _ROLES.get(t.role) == p.kind and _place(t) == place), None
            )
        dtype, shape = (found.dtype, found.shape) if found else ("", ())
        boxes.append(Box(p.kind, dtype, shape, *place, p.first, p.last))
    return tuple(boxes)


def _place(tensor: image.TensorInfo) -> tuple[int, int]:
    return tensor.offset, tensor.size_bytes


def _covered(spans: list[tuple[int, int]]) -> int:
    """Return how many bytes lie in any of the spans."""
    total = end = 0
    for start, stop in sorted(spans):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total
