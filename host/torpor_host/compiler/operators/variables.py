# SPDX-License-Identifier: MIT
"""VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, CALL_ONCE: named bytes that outlive a run.

The pass `variables` makes tensors of them; what is left then are READ_VARIABLE (variable) -> value and
ASSIGN_VARIABLE (value) -> the variable's memory, which are copies, or nothing where `place_state` proves that
both may be the same bytes.
Source: micro_resource_variable.cc, call_once.cc of TensorFlow Lite Micro.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import ITEM_BYTES, Graph, Operator, Tensor
from .base import OPTIONS, Kind, Lowered, Places, Rule
from .move import Part, copies

_SAVE = "save the model with tf.lite's own variables: one VAR_HANDLE for each, in the main graph"


@dataclass
class Variable:
    """value: the tensor of its first ASSIGN_VARIABLE, which gives it size, type and zero point.

    initial: int8 [bytes], what it holds before the first run.
    """

    name: str
    value: Tensor
    initial: np.ndarray


def handles(graph: Graph) -> dict[int, str]:
    """Return the variable's name by the tensor that stands for it."""
    return {
        op.outputs[0]: op.variable
        for op in graph.operators
        if op.name == "VAR_HANDLE" and op.variable is not None and len(op.outputs) == 1
    }


def _assigns(graph: Graph) -> list[tuple[str, Tensor]]:
    """(name, value) of each ASSIGN_VARIABLE whose variable is known."""
    names = handles(graph)
    return [
        (names[op.inputs[0]], graph.tensors[op.inputs[1]])
        for op in graph.operators
        if op.name == "ASSIGN_VARIABLE"
        and len(op.inputs) == 2
        and op.inputs[0] in names
        and op.inputs[1] in graph.tensors
    ]


def of(graph: Graph) -> dict[str, Variable]:
    """Return all variables that something is assigned to, by name.

    Before CALL_ONCE each byte is the zero point of the first tensor assigned, the main graph's first.
    """
    found: dict[str, Variable] = {}
    for part in (graph, *(graph.inits[i] for i in sorted(graph.inits))):
        for name, value in _assigns(part):
            if name not in found and value.dtype in ITEM_BYTES:
                zero = 0 if value.quantization is None else int(value.quantization.zero_points[0])
                fill = np.full(value.size_bytes, ((zero + 128) & 255) - 128, dtype=np.int8)
                found[name] = Variable(name, value, fill)
    for op in graph.operators:
        if op.name == "CALL_ONCE" and op.has_options:
            for name, value in _assigns(graph.inits[int(op.options["init_subgraph"])]):
                if name in found and value.data is not None:
                    found[name].initial = np.frombuffer(value.data.tobytes(), dtype=np.int8)
    return found


# ---- rules


def _named(graph: Graph, op: Operator) -> bool:
    return op.variable is not None and sum(op.outputs[0] in o.outputs for o in graph.operators) == 1


def _known(graph: Graph, op: Operator) -> bool:
    return op.inputs[0] in handles(graph)


def _fits(graph: Graph, op: Operator) -> bool:
    """TensorFlow Lite Micro copies the size that the first assignment had."""
    variable = of(graph).get(handles(graph)[op.inputs[0]])
    value = graph.tensors[op.outputs[0] if op.name == "READ_VARIABLE" else op.inputs[1]]
    return (
        variable is not None
        and value.dtype in ITEM_BYTES
        and not value.sparse
        and value.size_bytes == variable.value.size_bytes
    )


def _before_any_use(graph: Graph, op: Operator) -> bool:
    """Its assignments are folded into what the variables hold at first, so nothing may look before it."""
    set_here = {name for name, _ in _assigns(graph.inits[int(op.options["init_subgraph"])])}
    names = handles(graph)
    for other in graph.operators:
        if other is op:
            return True
        if other.name in ("READ_VARIABLE", "ASSIGN_VARIABLE") and names.get(other.inputs[0]) in set_here:
            return False
    return True


def _init_problem(graph: Graph, op: Operator) -> tuple[str, str] | None:
    """What CALL_ONCE runs must be assignments of constants, as converters write it."""
    index = int(op.options["init_subgraph"])
    init = graph.inits[index]
    names, known = handles(init), of(graph)
    for inner in init.operators:
        where = f"its subgraph {index} has layer {inner.layer} {inner.name} (version {inner.version})"
        fix = "initialize variables with constants"
        if inner.name not in ("VAR_HANDLE", "ASSIGN_VARIABLE"):
            return where, fix
        if inner.name == "VAR_HANDLE":
            if inner.variable is None or len(inner.outputs) != 1:
                return f"{where} without a name", _SAVE
            continue
        if len(inner.inputs) != 2 or inner.inputs[0] not in names or inner.inputs[1] < 0:
            return f"{where} of something that is no VAR_HANDLE", _SAVE
        value = init.tensors[inner.inputs[1]]
        if value.data is None or value.dtype not in ITEM_BYTES or value.sparse:
            return f"{where} of something that is not a constant", fix
        variable = known[names[inner.inputs[0]]]
        if value.size_bytes != variable.value.size_bytes:
            return f"{where} of another size than the graph's", _SAVE
    return None


_KNOWN = Rule(_known, "its variable comes from no VAR_HANDLE of this graph", _SAVE)
_FITS = Rule(_fits, "its variable is assigned nowhere, or with another size", _SAVE)


# ---- what is left after the passes: copies


def _bytes(graph: Graph, source: int, target: int) -> Part:
    """A copy of all of a tensor, whatever its type."""
    return Part(source, target, (graph.tensors[source].size_bytes,), (1,), (1,))


def _lower(graph: Graph, op: Operator, places: Places) -> Lowered:
    return list(copies(graph, [_bytes(graph, op.inputs[0], op.outputs[0])], places))


def _read_init(options: Any) -> dict[str, int | float]:
    return {"init_subgraph": options.InitSubgraphIndex()}


KINDS = (
    Kind(
        name="VAR_HANDLE", inputs=(0, 0), options="VarHandleOptions",
        rules=(OPTIONS, Rule(_named, "its variable has no name", _SAVE)),
    ),
    Kind(name="READ_VARIABLE", inputs=(1, 1), rules=(_KNOWN, _FITS), lower=_lower, state=(0,)),
    Kind(name="ASSIGN_VARIABLE", inputs=(2, 2), outputs=(0, 0), rules=(_KNOWN, _FITS), lower=_lower),
    Kind(
        name="CALL_ONCE", inputs=(0, 0), outputs=(0, 0), options="CallOnceOptions", read=_read_init,
        rules=(
            OPTIONS,
            Rule(_before_any_use, "a variable that it initializes is used before it", "initialize first"),
        ),
        explain=_init_problem,
    ),
)  # fmt: skip
