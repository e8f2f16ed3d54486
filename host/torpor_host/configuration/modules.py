# SPDX-License-Identifier: MIT
"""Which files of device/ a node needs: what its parts import, and theirs in turn, less what it never reaches.

Parts named by the configuration are imported by name at run time; everything else is found by reading the
imports of the source, also those inside functions.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def closure(device: Path, roots: Iterable[str], without: Iterable[str] = ()) -> tuple[str, ...]:
    """Return device files ("torpor/node.py"), sorted: the roots and all they import.

    `without`: files that are left out with what only they import. A root that does not exist is kept, so that
    building says which; imports of what is not in `device` are the interpreter's own.
    """
    left_out = set(without)
    found: set[str] = set()
    todo = [r for r in roots if r not in left_out]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        path = device / name
        if path.is_file():
            todo += [n for n in _imports(device, path) if n not in left_out and n not in found]
    return tuple(sorted(found))


def _imports(device: Path, path: Path) -> Iterator[str]:
    package = path.relative_to(device).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(device, tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            base = (*base, *(node.module.split(".") if node.module else ()))
            yield from _files(device, base)
            for alias in node.names:
                yield from _files(device, (*base, alias.name))


def _files(device: Path, parts: tuple[str, ...]) -> Iterator[str]:
    """Yield the file of a dotted name, if it is one of ours, and the packages around it."""
    path = Path(*parts) if parts else Path()
    for candidate in (path.with_suffix(".py") if parts else None, path / "__init__.py"):
        if candidate is not None and (device / candidate).is_file():
            yield candidate.as_posix()
            for parent in candidate.parents:
                package = parent / "__init__.py"
                if parent != Path() and (device / package).is_file():
                    yield package.as_posix()
            return
