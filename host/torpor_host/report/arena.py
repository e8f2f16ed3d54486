# SPDX-License-Identifier: MIT
"""The picture of an image's arena: tensors over the records of one run, and below how much is in use."""

import io
from itertools import combinations
from pathlib import Path
from typing import Any

from ..compiler.memory import INNER, INPUT, OUTPUT, SCRATCH, STATE, Box, Layout
from ..errors import UsageError

SUFFIXES = (".png", ".svg", ".pdf")
_INK = "#22303c"
_PEAK = "#c8452f"
_COLOURS = {  # face and edge; a thin box is all edge
    INPUT: ("#5b8e7d", "#2a5c4c"),
    INNER: ("#9ecae8", "#2f6690"),
    OUTPUT: ("#e0a458", "#b5651d"),
    SCRATCH: ("#c9d2da", "#7d93a6"),
    STATE: ("#b58db6", "#6d4470"),
}
_NAMES = {INNER: "between layers"}
_COLUMN_INCHES = 0.46
_HEIGHT_INCHES = 8.4
_WIDEST_INCHES = 150.0  # of a model with many records; its columns are narrower
_DPI = 110
_POINTS = 7.0  # of the text in a box
_LETTER = 0.62  # width of a letter, in sizes of its font
_AXES_POINTS = 340.0  # about what the arena's axes have of the height
_MARGIN_INCHES = 1.2  # beside the axes


def check_suffix(path: Path) -> None:
    """Raise UsageError for a kind of picture that can't be drawn."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"--memory {path}: no such kind of picture", f"give a path that ends in {', '.join(SUFFIXES)}"
        )


def draw(layout: Layout, suffix: str) -> bytes:
    """Return the picture as a file of the kind `suffix`; the same image gives the same picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = len(layout.live_bytes)
    width = min(max(8.0, _MARGIN_INCHES + columns * _COLUMN_INCHES), _WIDEST_INCHES)
    style: Any = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "hatch.linewidth": 0.5,
        "svg.hashsalt": "torpor",
    }
    with pyplot.rc_context(style):
        figure = pyplot.figure(figsize=(width, _HEIGHT_INCHES), layout="constrained")
        grid = figure.add_gridspec(2, 1, height_ratios=(4.5, 1))
        figure.suptitle(f"{Path(layout.name).name}: arena {layout.arena_bytes:,} B", x=0.01, ha="left")
        boxes = figure.add_subplot(grid[0])
        use = figure.add_subplot(grid[1], sharex=boxes)
        _boxes(boxes, layout, (width - _MARGIN_INCHES) * 72 / columns)
        _use(use, layout)
        out = io.BytesIO()
        kind = suffix.lower().removeprefix(".")
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        figure.savefig(out, format=kind, dpi=_DPI, metadata=undated.get(kind))
        pyplot.close(figure)
    return out.getvalue()


def _boxes(axes: Any, layout: Layout, column_points: float) -> None:
    from matplotlib.patches import Patch, Rectangle

    top = max(layout.arena_bytes, 1)
    axes.axvspan(layout.peak_moment - 0.5, layout.peak_moment + 0.5, color=_PEAK, alpha=0.12, linewidth=0)

    def put(left: int, right: int, low: int, high: int, **look: Any) -> None:
        axes.add_patch(Rectangle((left - 0.5, low), right - left + 1, high - low, **look))

    for b in layout.boxes:
        face, edge = _COLOURS[b.kind]
        put(b.first, b.last, b.at, b.end, facecolor=face + "b8", edgecolor=edge, linewidth=0.9)
    shared = [
        (max(a.first, b.first), min(a.last, b.last), max(a.at, b.at), min(a.end, b.end))
        for a, b in combinations(layout.boxes, 2)
        if a.meets(b)
    ]
    for spot in shared:
        put(*spot, fill=False, hatch="////", linewidth=0, edgecolor=_INK + "80")
    for b in layout.boxes:
        _label(axes, layout, b, column_points, _AXES_POINTS / top)
    axes.axhline(layout.arena_bytes, color=_PEAK, linewidth=0.8, linestyle="--")
    axes.set_ylim(-0.012 * top, top * 1.04)
    axes.set_ylabel("arena (bytes)")
    axes.tick_params(labelbottom=False)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    kinds = [k for k in _COLOURS if any(b.kind == k for b in layout.boxes)]
    handles = [
        Patch(facecolor=face + "b8", edgecolor=edge, label=_NAMES.get(k, k))
        for k, (face, edge) in _COLOURS.items()
        if k in kinds
    ]
    if shared:
        handles.append(Patch(fill=False, hatch="////", linewidth=0, edgecolor=_INK, label="written over"))
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False, borderpad=0)


def _label(axes: Any, layout: Layout, box: Box, column_points: float, byte_points: float) -> None:
    """Write shape and bytes where they fit into the part of a box that no other box overlaps."""
    from matplotlib import patheffects

    left, right, low, high = _free(layout, box)
    width = (right - left + 1) * column_points - 3
    height = (high - low) * byte_points - 2
    shape = "x".join(map(str, _without_ones(box.shape)))
    size = f"{box.size_bytes:,}"
    for lines in ([shape, size], [size]):
        long = max(map(len, lines)) * _POINTS * _LETTER
        deep = len(lines) * _POINTS * 1.25
        for across, up, turned in ((long, deep, 0), (deep, long, 90)):
            if lines[0] and across <= width and up <= height:
                axes.text(
                    (left + right) / 2,
                    (low + high) / 2,
                    "\n".join(lines),
                    ha="center",
                    va="center",
                    rotation=turned,
                    fontsize=_POINTS,
                    linespacing=1.1,
                    path_effects=[patheffects.withStroke(linewidth=1.5, foreground="#ffffff90")],
                )
                return


def _free(layout: Layout, box: Box) -> tuple[int, int, int, int]:
    """Return (first moment, last, lowest byte, end) of the largest part of a box that is its own: the longest
    run of moments at which nothing overlaps it, else the most bytes at one moment."""
    others = [b for b in layout.boxes if b is not box and b.meets(box)]
    best = run = 0
    until = box.first
    room = (box.first, box.first, box.at, box.at)
    for moment in range(box.first, box.last + 1):
        now = sorted((b.at, b.end) for b in others if b.first <= moment <= b.last)
        run = 0 if now else run + 1
        if run > best:
            best, until = run, moment
        low = box.at
        for start, end in [*now, (box.end, box.end)]:
            if start - low > room[3] - room[2]:
                room = (moment, moment, low, min(start, box.end))
            low = max(low, end)
    return (until - best + 1, until, box.at, box.end) if best else room


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Leave the leading ones out."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _use(axes: Any, layout: Layout) -> None:
    moments = range(-1, len(layout.live_bytes) - 1)
    peak = layout.peak_moment
    colours = [_PEAK if i == peak else _COLOURS[INNER][0] for i in moments]
    axes.bar(moments, layout.live_bytes, width=0.86, color=colours)
    most = max(layout.live_bytes)
    left = peak < len(moments) / 2
    axes.annotate(
        f"peak {most:,} B at {layout.moment(peak)}",
        (peak, most),
        xytext=(4 if left else -4, 3),
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom",
        color=_PEAK,
    )
    axes.set_ylim(0, max(most, 1) * 1.3)
    axes.set_ylabel("in use")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(-1.5, len(moments) - 1.5)
    axes.set_xticks(list(moments), [layout.moment(i) for i in moments], rotation=90, fontsize=7)
