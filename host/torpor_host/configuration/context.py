# SPDX-License-Identifier: MIT
"""What has been found good while node.toml is checked, and the small checks that all parts share.

Each check notes its problem and goes on, so that all of them come out in one pass; what depends on something
that is itself wrong is left unchecked. Functions return None where they could not make their part.
"""

from dataclasses import dataclass, field
from pathlib import Path

from ..units import UnitError
from . import toml_text
from .board import Board, Capability, pin_fault
from .channels import CHANNELS, Channel
from .problems import Problems, Table, nearest
from .toml_text import Document, Key


@dataclass
class Context:
    """What has been found good so far. uses: pin -> key path that uses it."""

    problems: Problems
    folder: Path
    board: Board | None = None
    channels: tuple[str, ...] = ()
    uses: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, key: Key, what: str, fix: str = "", document: Document | None = None) -> None:
        self.problems.add(key, what, fix, document)

    def channel(self, name: str, key: Key, document: Document | None = None) -> Channel | None:
        """Return the channel of that name if the sensor delivers it."""
        if not self.channels:
            return None
        if name not in self.channels:
            known = nearest(name, list(self.channels))
            self.add(
                key,
                f'the sensor does not deliver "{name}"',
                f"{known}; or add it to sensor.channels",
                document,
            )
            return None
        return CHANNELS[name]

    def counts(
        self,
        channel: Channel,
        written: object,
        key: Key,
        *,
        difference: bool = False,
        document: Document | None = None,
    ) -> int | None:
        """Return a quantity in counts, as an int16 holds them."""
        if difference and written == 0 and not isinstance(written, bool):
            return 0
        try:
            value = channel.step(written) if difference else channel.value(written)
        except UnitError as e:
            self.add(key, e.message, e.fix, document)
            return None
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


def one_of_kind(
    context: Context, data: object, key: Key, kinds: dict[str, type[Table]], document: Document | None = None
) -> Table | None:
    """Return a table whose shape its `kind` decides."""
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
    return context.problems.table(kinds[kind], data, key, document)


def only_one(context: Context, table: Table, keys: tuple[str, ...], key: Key, example: str) -> str | None:
    """Return which of the keys is given, if exactly one is."""
    given = [k for k in keys if getattr(table, k) is not None]
    if len(given) == 1:
        return given[0]
    if given:
        context.add((*key, given[1]), f"{' and '.join(given)} are given", f"keep one of {', '.join(keys)}")
    else:
        context.add(key, f"none of {', '.join(keys)} is given", f"add {keys[0]} = {example}")
    return None
