# SPDX-License-Identifier: MIT
"""What has been found good while node.toml is checked, and the small checks that all parts share.

Each check notes its problem and goes on, so that all of them come out in one pass; what depends on something
that is itself wrong is left unchecked. Functions return None where they could not make their part.
"""

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from .. import boards
from ..units import UnitError
from . import toml_text
from .board import Board, Capability, pin_fault
from .channels import CHANNELS, Channel
from .problems import Problems, Table, nearest
from .toml_text import Document, Key


@dataclass
class Context:
    """What has been found good so far. uses: pin -> key path that uses it.

    channels: what the sensor delivers; where that is not known (sure is False), all it may. maybe: the
    boards that may be meant where board is none of ours.
    """

    problems: Problems
    folder: Path
    board: Board | None = None
    channels: tuple[str, ...] = tuple(CHANNELS)
    sure: bool = False
    maybe: list[Board] = field(default_factory=list)
    uses: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, key: Key, what: str, fix: str = "", document: Document | None = None) -> None:
        self.problems.add(key, what, fix, document)

    def channel(self, name: str | None, key: Key, document: Document | None = None) -> list[str]:
        """Return the one channel meant, if the sensor delivers it; else, after noting it, what may be meant.

        No name (it has been refused already) may mean each channel.
        """
        if name is None:
            return list(self.channels)
        if name in self.channels:
            return [name]
        fix = nearest(name, list(self.channels))
        fix += "; or add it to sensor.channels" if name in CHANNELS else ""
        self.add(key, f'the sensor does not deliver "{name}"', fix, document)
        if name in CHANNELS:
            return [name]
        like = [c for c in self.channels if len(name) > 2 and c.startswith(name.lower())]
        return like or get_close_matches(name.lower(), self.channels, n=1) or list(self.channels)

    def index(self, name: str) -> int:
        """Return the place of a channel, 0 for one that is not delivered (and has been noted)."""
        return self.channels.index(name) if name in self.channels else 0

    def counts(
        self,
        channel: Channel,
        written: object,
        key: Key,
        *,
        difference: bool = False,
        document: Document | None = None,
    ) -> int | None:
        """Return a quantity in counts, as an int16 holds them; None for None (refused already)."""
        if written is None:
            return None
        if difference and written == 0 and not isinstance(written, bool):
            return 0
        try:
            value = channel.step(written) if difference else channel.value(written)
        except UnitError as e:
            self.add(key, e.message, e.fix, document)
            return None
        except OverflowError:  # finite as written, not so in counts
            value = 1 << 32
        if not -32768 <= value <= 32767:
            low, high = -32768 / channel.counts, 32767 / channel.counts
            self.add(
                key,
                f"{written!r} is out of range",
                f"a reading holds {low:g} to {high:g} {channel.unit}",
                document,
            )
            return None
        return value

    def pin(self, name: str | int, needs: tuple[Capability, ...], key: Key) -> int | None:
        """Return the number of a pin that exists, can do it and is not in use; note that it is now."""
        if self.board is None:
            if self.maybe and not any(b.pin(name) for b in self.maybe):
                which = " or ".join(b.name for b in self.maybe)
                what = f"no pin {name!r} on any board that may be meant ({which})"
                self.add(key, what, "see the pins with: torpor boards BOARD")
            return None
        fault = pin_fault(self.board, name, needs)
        if fault:
            self.add(key, fault.message, fault.fix)
            return None
        found = self.board.pin(name)
        if found is None:
            return None
        own, pin = found
        where = toml_text.show_key(key)
        if own in self.uses:
            self.add(key, f"{own} is used by {self.uses[own]} already", "use each pin once")
            return None
        self.uses[own] = where
        if pin.caution:
            self.warnings.append(f"{where}: {own} of {self.board.name}: {pin.caution}")
        return pin.number


def boards_like(name: str | None) -> list[Board]:
    """Return the boards that a wrong name may mean: those that begin so, the nearest, or all."""
    known = boards.names()
    like = [n for n in known if name and n.startswith(name)]
    return [boards.load(n) for n in like or get_close_matches(name or "", known, n=1) or known]


def one_of_kind(
    context: Context, data: object, key: Key, kinds: dict[str, type[Table]], document: Document | None = None
) -> Table | None:
    """Return what fits of a table whose shape its `kind` decides; None, too, for None (refused already)."""
    if data is None:
        return None
    if not isinstance(data, dict):
        context.add(key, "a table is needed here", 'write { kind = "..." , ... }', document)
        return None
    kind = data.get("kind")
    if kind is None:
        context.add((*key, "kind"), "missing", f"add kind = ...; {nearest('', list(kinds))}", document)
        return None
    if not isinstance(kind, str) or kind not in kinds:
        context.add(
            (*key, "kind"), f"{kind!r} is none of the known kinds", nearest(kind, list(kinds)), document
        )
        return None
    return context.problems.partial(kinds[kind], data, key, document)


def only_one(context: Context, table: Table, keys: tuple[str, ...], key: Key, example: str) -> str | None:
    """Return which of the keys is given, if exactly one is."""
    given = [k for k in keys if getattr(table, k) is not None]
    if len(given) == 1:
        return given[0]
    if given:
        context.add((*key, given[1]), f"{' and '.join(given)} are given", f"keep one of {', '.join(keys)}")
    elif not table.wrong(*keys):
        context.add(key, f"none of {', '.join(keys)} is given", f"add {keys[0]} = {example}")
    return None
