# SPDX-License-Identifier: MIT
"""Progress on stderr: a bar on a terminal, nothing where stderr is a file or a pipe."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Update = Callable[[float], None]


def silent(_done: float) -> None:
    pass


@contextmanager
def bar(title: str, total: float, unit: str = "", quiet: bool = False) -> Iterator[Update]:
    """Yield update(done), where done runs from 0 to `total`; `unit` is shown behind both numbers."""
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)

        def update(done: float) -> None:
            progress.update(task, completed=done)

        yield update
