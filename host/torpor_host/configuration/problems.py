# SPDX-License-Identifier: MIT
"""Every problem of a file in one pass, in plain words: 'FILE:LINE: key.path: what is wrong; the fix'.

pydantic finds what is wrong with a table's shape; the words are ours, since its own speak of Python types.
A model field may carry `examples=['"30min"']`: it becomes the fix.
"""

from collections.abc import Callable, Sequence, Set
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..errors import ConfigError, TorporError
from ..units import TABLE, duration_text
from .toml_text import Document, Key, show_key


class Table(BaseModel):
    """One TOML table: no key but those named here, no text taken for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)
    _wrong: frozenset[str] = PrivateAttr(default=frozenset())

    def wrong(self, *keys: str) -> bool:
        """Return whether one of these keys is None because what is written has been refused already."""
        return any(k in self._wrong for k in keys)


T = TypeVar("T", bound=Table)
R = TypeVar("R")


class Fault(TorporError, ValueError):
    """A cross-field fault raised in a validator; `key` is the path below the table it was raised in."""

    def __init__(self, message: str, fix: str, *key: str | int) -> None:
        super().__init__(message, fix)
        self.key: Key = key


def nearest(word: object, known: list[str]) -> str:
    """Return what to write instead of `word`: the nearest spelling first, then all that is known."""
    if not known:
        return ""
    near = get_close_matches(str(word).lower(), [k.lower() for k in known], n=1, cutoff=0.6)
    listed = ", ".join(known)
    if not near:
        return f"known: {listed}"
    right = next(k for k in known if k.lower() == near[0])
    return f"did you mean {right!r}? (known: {listed})" if len(known) > 1 else f"did you mean {right!r}?"


class Problems:
    """Collects problems of one document and the files it names."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._found: list[tuple[str, int, int, str]] = []
        self._written: dict[Key, Key] = {}  # a key that a misspelt one stands for -> the misspelt one

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, key: Key, what: str, fix: str = "", document: Document | None = None) -> None:
        doc = document or self.document
        for end in range(1, len(key) + 1):
            if key[:end] in self._written and doc is self.document:
                key = (*self._written[key[:end]], *key[end:])
        line = doc.line(key)
        text = f"{doc.path}:{line}: {show_key(key)}{': ' if key else ''}{what}{'; ' if fix else ''}{fix}"
        entry = (str(doc.path), line, len(self._found), text)
        if all(text != f[3] for f in self._found):
            self._found.append(entry)

    def foreign(self, line: str) -> None:
        """Take over a problem of another file, already in its final words."""
        path, number = line.split(":")[:2] if line.count(":") > 1 else (line, "0")
        self._found.append((path, int(number) if number.isdigit() else 0, len(self._found), line))

    def lines(self) -> list[str]:
        """Return the problems by file and line, those of the document itself first."""
        own = str(self.document.path)
        return [f[3] for f in sorted(self._found, key=lambda f: (f[0] != own, f[0], f[1], f[2]))]

    def raise_if_any(self) -> None:
        if self._found:
            raise ConfigError(self.lines())

    def common(self, checks: Sequence[Callable[[], R]]) -> R:
        """Run a check in several ways, one of which is meant; keep the problems that each of them finds.

        Returns what the first one that finds no problem returns, else what the first one returns.
        """
        before, results, runs = self._found, [], []
        for check in checks:
            self._found = list(before)
            results.append(check())
            runs.append(self._found[len(before) :])
            if not runs[-1]:
                break
        places = [{_place(f[3]) for f in run} for run in runs]
        self._found = before + [f for f in runs[0] if all(_place(f[3]) in p for p in places)]
        return next((r for r, run in zip(results, runs, strict=True) if not run), results[0])

    def table(self, model: type[T], data: object, key: Key, document: Document | None = None) -> T | None:
        """Return `data` as `model`, or None after noting each way in which it is not one."""
        made = self.partial(model, data, key, document)
        return made if isinstance(data, dict) and _is_whole(model, data) else None

    def partial(self, model: type[T], data: object, key: Key, document: Document | None = None) -> T | None:
        """Return what of `data` fits `model`, after noting what does not; None if it is no table.

        What does not fit, and an absent key that must be there, is None in it, and so is a wrong element of
        a list; Table.wrong() tells. A misspelt key stands for the required one that is absent, whose problems
        are then told of the misspelt one; an optional one it may stand for counts as wrong.
        """
        if not isinstance(data, dict):
            self.add(key, f"a table is needed here, not {_kind(data)}", _table_fix(key, model), document)
            return None
        try:
            return model.model_validate(data)
        except ValidationError as e:
            details = e.errors()
        meant = _meant(model, data, details)
        for where, alike in _by_place(details):
            if alike[0]["type"] == "missing" and where[-1] in meant.values():
                continue  # the misspelt key says it
            at, what, fix = _explain(model, where, alike, data)
            self.add((*key, *at), what, fix, document)
        for written, known in meant.items():
            if document is None and model.model_fields[known].is_required():
                self._written[*key, known] = (*key, written)
        return _what_fits(model, {meant.get(str(k), str(k)): v for k, v in data.items()}, set(meant.values()))


def _place(line: str) -> str:
    """Return 'FILE:LINE: key.path' of a problem."""
    return ": ".join(line.split(": ")[:2])


def _is_whole(model: type[BaseModel], data: dict[str, Any]) -> bool:
    try:
        model.model_validate(data)
    except ValidationError:
        return False
    return True


def _what_fits(model: type[T], data: dict[str, Any], guessed: Set[str] = frozenset()) -> T:
    """Return the model with None for each value that is not right, and the others as validated."""
    try:
        if not guessed:
            return model.model_validate(data)
    except ValidationError:
        pass
    values: dict[str, Any] = {}
    wrong: set[str] = set()
    for name, field in model.model_fields.items():
        guess = name in guessed and not field.is_required()
        if name not in data and not field.is_required():
            values[name] = field.get_default(call_default_factory=True)
        elif name not in data or guess or (value := _value(field, data[name])) is None:
            values[name] = None
            wrong.add(name)
        else:
            values[name] = value
    made = model.model_construct(**values)
    made._wrong = frozenset(wrong)
    return made


def _value(field: FieldInfo, written: object) -> Any:
    """Return a field's value; of a list or a table what is right in it; None if nothing is."""
    inner = field.annotation
    if isinstance(inner, type) and issubclass(inner, Table):
        return _what_fits(inner, written) if isinstance(written, dict) else None
    config = ConfigDict(strict=True)
    try:
        return TypeAdapter(field.rebuild_annotation(), config=config).validate_python(written)
    except ValidationError as e:
        bad = {d["loc"][0] if d["loc"] else None for d in e.errors()}
    if not isinstance(written, list) or "list[" not in str(inner) or not all(isinstance(i, int) for i in bad):
        return None
    return [None if i in bad else one for i, one in enumerate(written)]


def _by_place(details: list[ErrorDetails]) -> list[tuple[Key, list[ErrorDetails]]]:
    """Group errors by key: a value that may be text or number gives one error for each that it is not."""
    grouped: dict[Key, list[ErrorDetails]] = {}
    for detail in details:
        loc = tuple(p for p in detail["loc"] if p != "[key]")
        while len(loc) > 1 and loc[-1] in _UNION_TAGS and detail["type"] != "extra_forbidden":
            loc = loc[:-1]
        grouped.setdefault(loc, []).append(detail)
    return list(grouped.items())


def _meant(model: type[BaseModel], data: dict[str, Any], details: list[ErrorDetails]) -> dict[str, str]:
    """Return unknown key -> the known one that it is a misspelling of, if that one is not there."""
    meant: dict[str, str] = {}
    for detail in details:
        if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
            key = str(detail["loc"][0])
            near = get_close_matches(key, list(model.model_fields), n=1, cutoff=0.6)
            if near and near[0] not in data and near[0] not in meant.values():
                meant[key] = near[0]
    return meant


def _table_fix(key: Key, model: type[BaseModel]) -> str:
    keys = ", ".join(model.model_fields)
    if len(key) == 1:
        return f"write [{key[0]}] on a line of its own, then {keys}"
    return f"write {{ ... }} with {keys}"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return f"{str(value).lower()}"
    if isinstance(value, str):
        return f'text ("{value}")'
    if isinstance(value, (int, float)):
        return f"a number ({value})"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    return f"{value}"


def _field(model: type[BaseModel], path: Key) -> tuple[list[str], FieldInfo | None]:
    """Return (keys known at the parent of path, the field at path) by walking the model's annotations."""
    known: list[str] = []
    current: Any = model
    found: FieldInfo | None = None
    for part in path:
        if isinstance(part, int):
            continue
        fields = (
            current.model_fields if isinstance(current, type) and issubclass(current, BaseModel) else None
        )
        if fields is None:
            return known, None  # below a mapping, such as pins by name
        known = list(fields)
        found = fields.get(part)
        current = _inner_model(found.annotation) if found else None
    return known, found


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        model = _inner_model(inner)
        if model is not None:
            return model
    return None


_UNION_TAGS = ("str", "int", "float", "bool")
_SHAPES = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list [ ... ]",
    "dict": "a table",
    "model": "a table",
    "tuple": "a list [ ... ]",
}


def _explain(
    model: type[BaseModel], key: Key, alike: list[ErrorDetails], data: dict[str, Any]
) -> tuple[Key, str, str]:
    """Return (key, what, fix) of the pydantic errors about one value."""
    detail = alike[0]
    error, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    known, field = _field(model, key)
    example = str(field.examples[0]) if field is not None and field.examples else ""
    fix = f"write {key[-1]} = {example}" if example and key else ""
    if error == "extra_forbidden":
        return key, "unknown key", nearest(key[-1], known)
    if error == "missing":
        return key, "missing", f"add {key[-1]} = {example}" if example else "add it"
    if error in ("value_error", "assertion_error"):
        raised = context.get("error")
        if isinstance(raised, Fault):
            return (*key, *raised.key), raised.message, raised.fix
        if isinstance(raised, TorporError):
            return key, raised.message, raised.fix
        return key, str(raised), fix
    if error == "literal_error":
        return key, f"{_kind(value)} is none of the known values", nearest(value, _choices(context))
    limits = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    if error in limits:
        words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}[limits[error]]
        written: Any = data
        for part in key:
            inside: Any = written
            written = inside[part] if isinstance(written, (dict, list)) else value
        limit = _amount(context[limits[error]], field if isinstance(written, str) else None)
        return key, f"{written!r} is out of range", f"must be {words} {limit}"
    if error in ("too_short", "string_too_short"):
        return key, "must not be empty", fix
    if error == "too_long":
        return key, f"at most {context.get('max_length')} are possible", "remove some"
    if error == "string_pattern_mismatch":
        return (
            key,
            f'"{value}" has letters that are not allowed',
            fix or f"it must match {context.get('pattern')}",
        )
    shapes = [_SHAPES.get(d["type"].split("_")[0], "") for d in alike]
    shape = shapes[0]
    if len(shapes) > 1:
        shape = "a quantity with its unit" if "text" in shapes and "a number" in shapes else "a number"
        shape = "text or a whole number" if sorted(shapes) == ["a whole number", "text"] else shape
    if shape:
        return key, f"{shape} is needed here, not {_kind(value)}", fix
    return key, detail["msg"], fix


def _amount(value: float, field: FieldInfo | None) -> str:
    """Return a limit in the unit in which the field's example is written."""
    example = str(field.examples[0]).split('"')[1] if field is not None and field.examples else ""
    unit = example.lstrip("+-.0123456789")
    base = next((next(iter(units)) for units in TABLE.values() if unit in units), "")
    if base == "s" and value == round(value):
        return duration_text(value)
    return f"{1000 * value:g}ms" if base == "s" and 0 < abs(value) < 1 else f"{value:g}{base}"


def _choices(context: dict[str, Any]) -> list[str]:
    """pydantic gives the choices as "'a', 'b' or 'c'"."""
    return [c.strip(" '") for c in str(context.get("expected", "")).replace(" or ", ",").split(",")]
