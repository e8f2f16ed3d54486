# SPDX-License-Identifier: MIT
"""Every kind of random model there is, by name."""

from collections.abc import Callable

from compiler import (
    builder,
    cases_binary,
    cases_move,
    cases_signal,
    cases_state,
    cases_unary,
    cases_wide,
)
from compiler.builder import Case, Rng

KINDS: dict[str, Callable[[Rng], Case]] = {
    **builder.KINDS,
    **cases_unary.KINDS,
    **cases_move.KINDS,
    **cases_binary.KINDS,
    **cases_signal.KINDS,
    **cases_state.KINDS,
    **cases_wide.KINDS,
}
