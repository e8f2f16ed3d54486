# SPDX-License-Identifier: MIT
"""An operator that takes other types by other rules and another record, under its one name in the schema."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..ir import Graph, Operator, Tensor
from .base import Kind, Lowered, Places, Rule, Test, per_tensor

INT16_FIX = "convert with EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, all layers"


def has_int16(graph: Graph, op: Operator) -> bool:
    """The first input or the output is int16."""
    return "int16" in (graph.input(op, 0).dtype, graph.output(op).dtype)


def symmetric16(tensor: Tensor) -> bool:
    """int16 with one scale and zero point 0: kernels of 16 bits do not look at zero points."""
    return tensor.dtype == "int16" and per_tensor(tensor) and tensor.zero_point == 0


def _int16_in_out(graph: Graph, op: Operator) -> bool:
    return symmetric16(graph.input(op, 0)) and symmetric16(graph.output(op))


INT16 = Rule(_int16_in_out, "its input or output is not int16 with one scale and zero point 0", INT16_FIX)


def swapped(
    kind: Kind,
    rules: Mapping[str, Rule | None],
    lower: Callable[[Graph, Operator, Places], Lowered],
    *more: Rule,
) -> Kind:
    """Return `kind` with some of its rules replaced, named by their reason, `more` at their end, and another
    record without scratch. None leaves a rule out."""
    assert set(rules) <= {rule.reason for rule in kind.rules}, f"{kind.name} has no rule of such a reason"
    kept = (rules.get(rule.reason, rule) for rule in kind.rules)
    return replace(
        kind, rules=(*(r for r in kept if r is not None), *more), lower=lower, scratch=lambda g, o: 0
    )


def either(kind: Kind, when: Test, other: Kind) -> Kind:
    """Return the kind that is `other` for operators of which `when` holds, `kind` for the rest.

    `when` is asked before any rule: it may look at the types of the first input, the output, and of inputs
    that may be missing with care. `in_place` is `kind`'s: it must hold for `other` too.
    """

    def only(rule: Rule, wanted: bool) -> Rule:
        return replace(rule, test=lambda g, o: when(g, o) != wanted or rule.test(g, o))

    def lower(graph: Graph, op: Operator, places: Places) -> Lowered:
        chosen = (other if when(graph, op) else kind).lower
        assert chosen is not None
        return chosen(graph, op, places)

    return replace(
        kind,
        rules=(*(only(r, False) for r in kind.rules), *(only(r, True) for r in other.rules)),
        lower=lower,
        scratch=lambda g, o: (other if when(g, o) else kind).scratch(g, o),
        overlap=lambda g, o: (other if when(g, o) else kind).overlap(g, o),
    )
