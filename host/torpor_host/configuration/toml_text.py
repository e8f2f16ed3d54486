# SPDX-License-Identifier: MIT
"""A TOML file together with the line on which each key stands.

`tomllib` gives values without places; a second, forgiving scan of the same text finds the places. Where the
scan does not understand something the line of the enclosing table is used: a message with a line a little
too early is better than none.
"""

import bisect
import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError

Key = tuple[str | int, ...]
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DEEPEST = 32  # tables and lists in each other; what we read needs 4
_AT_LINE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")


@dataclass(frozen=True)
class Document:
    """path as messages show it; data as tomllib reads it; lines: key path -> line, from 1."""

    path: Path
    data: dict[str, Any]
    lines: dict[Key, int] = field(repr=False)

    def line(self, key: Key) -> int:
        """Return the line of key, of what encloses it when it is absent, or 1."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.lines:
                return self.lines[key[:end]]
        return 1


def read(path: Path, what: str = "configuration") -> Document:
    """Return the file's content.

    Raises ConfigError when it is missing, not text, not TOML, nested too deeply, or has a number that is
    not finite or, if whole, is beyond 64 bits (as TOML wants): so nobody after this has to think of them.
    """
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise ConfigError([f"{path}:1: no {what} can be read here: {e.strerror}; check the path"]) from None
    try:
        text = raw.decode("utf-8-sig")  # Windows Notepad may put a byte order mark first
    except UnicodeDecodeError as e:
        line = raw[: e.start].count(b"\n") + 1
        raise ConfigError([f"{path}:{line}: not UTF-8 text; save the file as UTF-8"]) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        found = _AT_LINE.fullmatch(str(e))
        says, line = (found[1], int(found[2])) if found else (str(e), text.count("\n") + 1)
        says = says.removesuffix(" (at end of document)")
        raise ConfigError(
            [f"{path}:{line}: not valid TOML: {says}; correct this line or the one above"]
        ) from None
    except ValueError:
        line = max(enumerate(text.split("\n"), 1), key=lambda n: sum(c.isdigit() for c in n[1]))[0]
        raise ConfigError([f"{path}:{line}: a number of too many digits; write a shorter one"]) from None
    except RecursionError:
        raise _too_deep(path, text) from None
    bad = _bad_numbers(data)
    if bad is None:
        raise _too_deep(path, text)
    document = Document(path, data, _Scanner(text.replace("\r\n", "\n")).scan())
    if bad:
        placed = sorted((document.line(key), show_key(key), what, fix) for key, what, fix in bad)
        raise ConfigError([f"{path}:{line}: {name}: {what}; {fix}" for line, name, what, fix in placed])
    return document


def _too_deep(path: Path, text: str) -> ConfigError:
    """Name the line that opens most."""
    line = max(enumerate(text.split("\n"), 1), key=lambda n: sum(n[1].count(c) for c in "[{."))[0]
    what = f"tables or lists nested more than {_DEEPEST} deep"
    return ConfigError([f"{path}:{line}: {what}; nothing here needs that, remove it"])


def _bad_numbers(data: dict[str, Any]) -> list[tuple[Key, str, str]] | None:
    """Return (key, what, fix) of numbers that nothing can be worked out with; None if nested too deeply."""
    bad: list[tuple[Key, str, str]] = []
    todo: list[tuple[Key, Any]] = [((), data)]
    while todo:
        key, value = todo.pop()
        if len(key) > _DEEPEST:
            return None
        if isinstance(value, dict):
            todo += [((*key, k), v) for k, v in value.items()]
        elif isinstance(value, list):
            todo += [((*key, i), v) for i, v in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            bad.append((key, f"{value} is not a finite number", "write a finite one"))
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            bad.append((key, "a number beyond 64 bits", "write a smaller one"))
    return bad


def show_key(key: Key) -> str:
    """Return ('trigger', 'any', 1, 'below') as 'trigger.any[1].below'."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Scanner:
    """One pass over TOML text that tomllib has accepted; it only notes where keys and elements begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Key, int] = {}
        self._newlines = [m.start() for m in re.finditer("\n", text)]
        self._counts: dict[Key, int] = {}

    def scan(self) -> dict[Key, int]:
        table: Key = ()
        try:
            while self._skip(newlines=True):
                if self._peek("[["):
                    self.at += 2
                    table = self._element(self._path())
                    self.at += 2
                elif self._peek("["):
                    self.at += 1
                    table = self._path()
                    self._note(table)
                    self.at += 1
                else:
                    self._pair(table)
        except (IndexError, ValueError, RecursionError):
            pass  # valid TOML beyond this scan: what has been found so far is kept
        return self.lines

    def _note(self, key: Key) -> None:
        self.lines.setdefault(key, bisect.bisect_left(self._newlines, self.at) + 1)

    def _peek(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def _skip(self, newlines: bool) -> bool:
        """Pass white space and comments; return False at the end of the text."""
        blank = " \t\r\n" if newlines else " \t"
        while self.at < len(self.text):
            if self.text[self.at] in blank:
                self.at += 1
            elif self.text[self.at] == "#":
                self.at = self.text.find("\n", self.at) % (len(self.text) + 1)
            else:
                return True
        return False

    def _element(self, key: Key) -> Key:
        """Number the next [[table]] of an array."""
        n = self._counts[key] = self._counts.get(key, -1) + 1
        self._note(key)
        self._note((*key, n))
        return (*key, n)

    def _path(self) -> Key:
        """Read a possibly dotted key; names of arrays of tables stand for their last element."""
        parts: list[str | int] = []
        while True:
            self._skip(newlines=False)
            parts.append(self._string() if self.text[self.at] in "\"'" else self._bare())
            self._skip(newlines=False)
            if not self._peek("."):
                return tuple(parts)
            self.at += 1
            if tuple(parts) in self._counts:
                parts.append(self._counts[tuple(parts)])

    def _bare(self) -> str:
        found = _BARE.match(self.text, self.at)
        if not found:
            raise ValueError(self.at)
        self.at = found.end()
        return found[0]

    def _string(self) -> str:
        quote = self.text[self.at]
        mark = quote * 3 if self._peek(quote * 3) else quote
        begin = self.at = self.at + len(mark)
        while not self._peek(mark):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        text = self.text[begin : self.at]
        self.at += len(mark)
        while len(mark) == 3 and self._peek(quote):  # up to two quotes may touch the closing ones
            self.at += 1
        return text

    def _pair(self, table: Key) -> None:
        begin = self.at
        path = self._path()
        end, self.at = self.at, begin
        for n in range(1, len(path) + 1):
            self._note((*table, *path[:n]))
        self.at = end + 1  # the equals sign
        self._value((*table, *path))

    def _value(self, key: Key) -> None:
        self._skip(newlines=True)
        mark = self.text[self.at]
        if mark in "\"'":
            self._string()
        elif mark == "[":
            self.at += 1
            for n in range(len(self.text)):
                self._skip(newlines=True)
                if self._peek("]"):
                    break
                self._note((*key, n))
                self._value((*key, n))
                self._skip(newlines=True)
                if self._peek(","):
                    self.at += 1
            self.at += 1
        elif mark == "{":
            self.at += 1
            while self._skip(newlines=True) and not self._peek("}"):
                self._pair(key)
                self._skip(newlines=True)
                if self._peek(","):
                    self.at += 1
            self.at += 1
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1
