# SPDX-License-Identifier: MIT
"""Board profiles: one TOML per board, each number with its error bar and source.

from torpor_host import boards
board = boards.load("esp32s3-devkitc-1")          # or a path to a profile of your own
board.power.deep_sleep_module_uw.value            # 26
print(boards.describe(board))
"""

import os
from pathlib import Path
from typing import Any

from .configuration import toml_text
from .configuration.board import Board, Figure, faults
from .configuration.problems import Problems, nearest
from .errors import ConfigError, UsageError
from .paths import boards_dir

__all__ = ["Board", "Figure", "as_rows", "describe", "load", "names"]


def names() -> list[str]:
    """Return the names of the boards that come with Torpor, sorted."""
    return sorted(p.stem for p in boards_dir().glob("*.toml"))


def load(name: str | Path) -> Board:
    """Return the profile called `name`, or the one in the TOML file that `name` is a path of.

    Raises UsageError for an unknown name, with the nearest spelling; ConfigError with every problem of a
    broken profile.
    """
    text = str(name)
    if isinstance(name, Path) or text.endswith(".toml") or os.sep in text:
        path = Path(name)
    else:
        path = boards_dir() / f"{text}.toml"
        if text not in names():
            raise UsageError(
                f'there is no board "{text}"', f"{nearest(text, names())}; or give a path to your own .toml"
            )
    document = toml_text.read(path, "board profile")
    problems = Problems(document)
    board = problems.table(Board, document.data, ())
    if board is None:
        raise ConfigError(problems.lines())
    for fault in faults(board):
        problems.add(fault.key, fault.message, fault.fix)
    if path.parent == boards_dir() and board.name != path.stem:
        problems.add(("name",), f'"{board.name}" in a file called {path.name}', f'write name = "{path.stem}"')
    problems.raise_if_any()
    return board


def as_rows() -> list[dict[str, Any]]:
    """Return one dict per board for a table: chip, runtimes, links, memory, sleep power, flashing."""
    rows = []
    for name in names():
        board = load(name)
        first = board.runtime[board.runtimes[0]]
        rows.append(
            {
                "board": board.name,
                "chip": board.chip,
                "runtimes": ", ".join(board.runtimes),
                "mpy": board.mpy_arch,
                "links": ", ".join(board.links),
                "heap_kb": round(first.heap_bytes.value / 1024),
                "retained_bytes": int(first.retained_bytes.value),
                "sleep_uw": board.power.deep_sleep_module_uw.value,
                "boot_mj": round(first.boot_stock_uj.value / 1000, 1),
                "flash": board.flash.method,
            }
        )
    return rows


def describe(board: Board) -> str:
    """Return the whole profile as text of several lines, each number with error bar, mark and source."""
    lines = [
        f"{board.name}: {board.title}",
        f"  chip {board.chip}, .mpy architecture {board.mpy_arch}, links {', '.join(board.links)}",
        f"  firmware by {_flash(board)}",
        "",
        _figures("memory", board.memory),
        _figures("cpu", board.cpu),
    ]
    for facts_of in board.runtimes:
        facts = board.runtime[facts_of]
        lines.append(
            _figures(f"{facts_of} (HAL {facts.hal}, {facts.filesystem}, deployed by {facts.deploy})", facts)
        )
    lines.append(_figures("power and energy, at 3.3 V", board.power))
    lines.append("buses")
    for name, bus in board.bus.items():
        pins = ", ".join(f"{role} {pin}" for role, pin in bus.lines().items())
        lines.append(f"  {name:8} {pins}, {bus.freq_hz // 1000} kHz  [{bus.source}]")
    lines.append(f"\npins  [{board.pins_from.checked}: {board.pins_from.source}]")
    for name, pin in board.pins.items():
        also = f" ({', '.join(pin.also)})" if pin.also else ""
        note = (
            f"  RESERVED: {pin.reserved}"
            if pin.reserved
            else f"  caution: {pin.caution}"
            if pin.caution
            else ""
        )
        lines.append(f"  {name + also:32} {', '.join(pin.can)}{note}")
    lines.append("\nmarks: V read in the primary source, S secondary, C computed, R recalled only")
    return "\n".join(lines)


def _flash(board: Board) -> str:
    flash = board.flash
    if flash.method == "esptool":
        offsets = ", ".join(f"{name} at 0x{at:x}" for name, at in (flash.offset or {}).items())
        return f"esptool --chip {flash.chip}: {offsets}"
    if flash.method == "uf2":
        return f"copying a .uf2 to the drive {flash.volume} (Board-ID {flash.board_id})"
    return "nothing: torpor starts it"


def _figures(title: str, table: Any) -> str:
    lines = [title]
    for key in type(table).model_fields:
        figure = getattr(table, key)
        if isinstance(figure, Figure):
            bar = "" if figure.low == figure.high else f" ({figure.low}..{figure.high})"
            lines.append(f"  {key:24} {figure.value}{bar}  [{figure.checked}: {figure.source}]")
    return "\n".join(lines) + "\n"
