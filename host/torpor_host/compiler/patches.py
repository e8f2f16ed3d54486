# SPDX-License-Identifier: MIT
"""Patch-based execution: layers near the input computed band by band, where whole they would not fit the RAM.

A stage is a run of layers that go through an image row by row (see bands.py). Its output is cut into
horizontal bands, and each is computed through all of the stage before the next one begins, so that between
the layers only a band of each tensor exists. Neighbouring bands have some rows in common (halos), which are
computed twice: the price is paid in MACs, the bytes stay the same. The rows of the stage's input that no band
reads any more are free for its output. Source: MCUNetV2 (Lin et al. 2021), where patches are rectangles.

The cheapest split that fits is searched for: every stage, bands of every number. A bound that any plan of a
split obeys rules most of them out before they are built.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import gcd

from ..errors import CompileError
from . import bands, operators, plan, views
from .bands import Split
from .ir import Graph

_MOST_BANDS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 96)
_BUILT = 40  # splits to be planned before giving up


@dataclass(frozen=True)
class Patches:
    """What patching costs; layers are those of the .tflite, extra_percent is of the whole model's MACs."""

    first_layer: int
    last_layer: int
    bands: int
    rows: int  # of the stage's output in each band; the last may have fewer
    extra_macs: int
    extra_percent: float


def fit(graph: Graph, ram_bytes: int) -> tuple[Graph, plan.Plan, Patches]:
    """Return `graph` with a stage in bands, and the plan of an arena of at most `ram_bytes`.

    graph: after all passes but `views`; it stays as it is. Raises CompileError that says what it can be
    brought down to.
    """
    found: dict[int, tuple[Graph, plan.Plan]] = {}

    def planned(i: int) -> tuple[Graph, plan.Plan]:
        if i not in found:
            made = bands.build(graph, candidates[i][1])
            views.run(made)
            found[i] = made, plan.make(made)
        return found[i]

    candidates = list(_candidates(graph))
    cheap = sorted(
        (i for i, (bound, _) in enumerate(candidates) if bound <= ram_bytes),
        key=lambda i: candidates[i][1].cost,
    )
    for i in cheap[:_BUILT]:
        made, layout = planned(i)
        if layout.arena_bytes <= ram_bytes:
            return made, layout, _patches(graph, candidates[i][1])
    small = sorted(range(len(candidates)), key=lambda i: candidates[i][0])
    least = whole = _whole(graph)
    for i in small[:_BUILT]:
        if candidates[i][0] >= least:
            break
        least = min(least, planned(i)[1].arena_bytes)
    what = f"in patches {least}" if least < whole else "patches of its first layers don't help"
    raise CompileError(
        f"{graph.name}: its arena takes {whole} bytes, {what}; the limit is {ram_bytes}",
        fix=f"allow {least} bytes (--ram {least}B), or make the model's largest layers smaller",
    )


def _whole(graph: Graph) -> int:
    copy = replace(graph, storage=dict(graph.storage), shifts=dict(graph.shifts))
    views.run(copy)
    return plan.make(copy).arena_bytes


def _patches(graph: Graph, made: Split) -> Patches:
    total = sum(operators.KINDS[op.name].macs(graph, op) for op in graph.operators)
    ops = graph.operators[made.start : made.end + 1]
    return Patches(
        min(op.layer for op in ops), max(op.layer for op in ops), len(made.needs), made.height,
        made.extra_macs,
        round(100 * made.extra_macs / total, 2) if total else 0.0,
    )  # fmt: skip


def _candidates(graph: Graph) -> Iterator[tuple[int, Split]]:
    """Yield (bytes that no plan can be below, split)."""
    buffers, owner = plan.lifetimes(graph)
    live = plan.live_bytes(buffers, plan.overlaps(graph, buffers, owner))
    most = max(live.values(), default=0)
    for start, end in bands.stages(graph):
        outside = max((n for moment, n in live.items() if not start <= moment <= end), default=0)
        if outside >= most > 0:
            continue  # the peak lies elsewhere
        for height in _heights(graph, end):
            made = bands.split(graph, start, end, height)
            if made is not None:
                yield max(outside, bands.least_bytes(graph, made)), made


def _heights(graph: Graph, end: int) -> list[int]:
    """Rows in a band of the stage's output: for so many bands, and rounded up to where views can begin."""
    y = graph.output(graph.operators[end])
    total, row = y.shape[1], y.size_bytes // y.shape[1]
    whole = plan.ALIGN_BYTES // gcd(row, plan.ALIGN_BYTES)
    found = set()
    for count in _MOST_BANDS:
        height = -(-total // min(count, total))
        found |= {height, -(-height // whole) * whole}
    return sorted(h for h in found if h < total)
