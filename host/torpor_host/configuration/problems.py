# SPDX-License-Identifier: MIT
"""Every problem of a file in one pass, in plain words: 'FILE:LINE: key.path: what is wrong; the fix'.

pydantic finds what is wrong with a table's shape; the words are ours, since its own speak of Python types.
A model field may carry `examples=['"30min"']`: it becomes the fix.
"""

from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..errors import ConfigError, TorporError
from .toml_text import Document, Key, show_key


class Table(BaseModel):
    """One TOML table: no key but those named here, no text taken for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


T = TypeVar("T", bound=Table)


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

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, key: Key, what: str, fix: str = "", document: Document | None = None) -> None:
        doc = document or self.document
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

    def table(self, model: type[T], data: object, key: Key, document: Document | None = None) -> T | None:
        """Return `data` as `model`, after noting each way in which it is not one.

        What is left when unknown keys are taken for the nearest known ones and wrong optional keys are
        dropped is returned all the same, so that its other values can be checked; None if that is no table.
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
            at, what, fix = _explain(model, where, alike)
            self.add((*key, *at), what, fix, document)
        try:
            return model.model_validate(_mended(model, data, details, meant))
        except ValidationError:
            return None


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


def _mended(
    model: type[BaseModel], data: dict[str, Any], details: list[ErrorDetails], meant: dict[str, str]
) -> dict[str, Any]:
    mended = {meant.get(k, k): v for k, v in data.items()}
    for detail in details:
        key = detail["loc"][0] if detail["loc"] else ""
        optional = key not in model.model_fields or not model.model_fields[str(key)].is_required()
        if key in mended and optional:
            del mended[str(key)]
    return mended


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


def _explain(model: type[BaseModel], key: Key, alike: list[ErrorDetails]) -> tuple[Key, str, str]:
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
        return key, f"{value} is out of range", f"must be {words} {context[limits[error]]}"
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


def _choices(context: dict[str, Any]) -> list[str]:
    """pydantic gives the choices as "'a', 'b' or 'c'"."""
    return [c.strip(" '") for c in str(context.get("expected", "")).replace(" or ", ",").split(",")]
