# SPDX-License-Identifier: MIT
"""Every kind of random model there is, by name."""

from collections.abc import Callable

from compiler import (
    builder,
    cases_binary,
    cases_blocks,
    cases_div,
    cases_float,
    cases_graph,
    cases_move,
    cases_reduce,
    cases_resize,
    cases_signal,
    cases_state,
    cases_unary,
    cases_wide,
)
from compiler.builder import Case, Rng

_SOURCES = (
    builder, cases_binary, cases_blocks, cases_div, cases_float, cases_graph, cases_move, cases_reduce,
    cases_resize, cases_signal, cases_state, cases_unary, cases_wide,
)  # fmt: skip

KINDS: dict[str, Callable[[Rng], Case]] = {
    name: make for source in _SOURCES for name, make in source.KINDS.items()
}
