# SPDX-License-Identifier: MIT
"""A node's folder, checked and compiled: what check, build, deploy and run all begin with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import config
from .boards import Board
from .compiler import Compiled, compile_file
from .configuration.kernels import choose
from .configuration.memory import heap_bytes
from .errors import CompileError, ConfigError


@dataclass(frozen=True)
class Project:
    """spec is the checked configuration; compiled is None for a node without a model."""

    folder: Path
    spec: config.NodeSpec
    compiled: Compiled | None

    @property
    def model_report(self) -> dict[str, Any] | None:
        return self.compiled.report if self.compiled else None

    def node_bin(self) -> bytes:
        return self.spec.encode(self.model_report)

    def summary(self) -> dict[str, Any]:
        """JSON-able: what `torpor check --json` prints."""
        s = self.spec
        return {
            "ok": True,
            "name": s.name,
            "board": s.board.name,
            "runtime": s.runtime,
            "link": s.link,
            "encrypt": s.encrypt,
            "fields": list(s.fields),
            "state_bytes": s.state_bytes,
            "warnings": list(s.warnings),
            "model": self.model_report,
        }


def prepare(folder: Path, on: str | None = None) -> Project:
    """Check a node wholly: configuration, model, and whether one fits the other and the board.

    Raises ConfigError with every problem found.
    """
    spec = config.load(folder, on)
    if spec.model_path is None:
        return Project(folder, spec, None)
    try:
        compiled = compile_file(spec.model_path)
    except CompileError as e:
        raise ConfigError([f"{folder / 'node.toml'}: model.file: {e}"]) from None
    spec = spec.with_model(compiled)
    problems = spec.check_model(compiled.report)
    if problems:
        raise ConfigError(problems)
    return Project(folder, spec, compiled)


def fit(compiled: Compiled, board: Board) -> list[dict[str, Any]]:
    """Return what does not fit: a list of {region, need_bytes, have_bytes}, empty when all does.

    The image lies in the file system; on the heap the model stands beside the node that runs it, with the
    kernel set that suits it.
    """
    problems = []
    flash, heap = board.filesystem_bytes(), board.heap_bytes()
    report = compiled.report
    kernels = choose(
        "auto", board.runtimes[0], board, report, compiled.image,
        lambda kernels: heap_bytes(report, board, kernels, heap) <= heap,
    )  # fmt: skip
    ram = heap_bytes(report, board, kernels, heap)
    for region, need, have in (("file system", report["flash_bytes"], flash), ("heap", ram, heap)):
        if need > have:
            problems.append({"region": region, "need_bytes": need, "have_bytes": have})
    return problems
