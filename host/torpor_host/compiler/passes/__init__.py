# SPDX-License-Identifier: MIT
"""Rewrites of the graph, in order. Each takes a sound graph and leaves a sound one; `spec` looks between."""

from collections.abc import Callable

from ..ir import Graph
from . import drop_dead, drop_noops, fold_constants, fuse_lookups, place_state, to_float, to_lookup, variables

PASSES: tuple[tuple[str, Callable[[Graph], None]], ...] = (
    ("variables", variables.run),
    ("fold_constants", fold_constants.run),
    ("to_lookup", to_lookup.run),
    ("to_float", to_float.run),
    ("drop_noops", drop_noops.run),
    ("fuse_lookups", fuse_lookups.run),
    ("drop_dead", drop_dead.run),
    ("place_state", place_state.run),  # last: aliases of aliases are flat
)
