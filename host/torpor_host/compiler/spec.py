# SPDX-License-Identifier: MIT
"""What a sound graph is, as rules that run: one a line, each with its reason.

`accept` asks whether a graph just read can be compiled, and names every layer that can't with what helps.
`check` asks between passes whether the graph still hangs together.
"""

from collections.abc import Callable

from ..errors import CompileError
from . import operators
from .ir import ITEM_BYTES, MAX_ELEMENTS, Graph, Operator
from .operators.base import per_tensor
from .operators.reshape import ALIASES

OURS = ("LOOKUP", "TO_FLOAT")  # operators that only passes make
_LISTED = 60  # kinds of problem, and layers of one kind, that a message names; the rest is counted

# What to write instead of an operator that is missing, where there is something better than "change it".
REWRITES = {
    "BATCH_MATMUL": "use FULLY_CONNECTED with constant weights",
    "FLEX": "convert with TFLITE_BUILTINS_INT8 only",
}
_WE_HAVE = sorted(name for name in operators.KINDS if name not in OURS and not name.startswith("CUSTOM"))

Rule = tuple[Callable[[Graph], bool], str]
_STRAY = "a variable (streaming state) that is not the state of one operator"


def _tensors_of(graph: Graph) -> set[int]:
    used = set(graph.inputs) | set(graph.outputs)
    for op in graph.operators:
        used.update(t for t in op.inputs + op.outputs if t >= 0)
    return used


def _defined_before_use(graph: Graph) -> bool:
    known = set(graph.inputs) | {i for i, t in graph.tensors.items() if t.data is not None or t.variable}
    for op in graph.operators:
        if not all(known.intersection(graph.chain(t)) for t in op.inputs if t >= 0):
            return False
        known.update(op.outputs)
    return all(known.intersection(graph.chain(t)) for t in graph.outputs)


def _defined_once(graph: Graph) -> bool:
    made = [t for op in graph.operators for t in op.outputs]
    fixed = set(graph.inputs) | {i for i, t in graph.tensors.items() if t.data is not None}
    return len(made) == len(set(made)) and not fixed.intersection(made)


def _variables_kept(graph: Graph) -> bool:
    """A variable is read and written by the one operator that keeps it, or is a named one."""
    allowed = {
        op.inputs[i]: op.layer
        for op in graph.operators
        if op.name in operators.KINDS
        for i in operators.KINDS[op.name].state
        if i < len(op.inputs) and op.inputs[i] >= 0
    }
    for op in graph.operators:
        for i, t in enumerate(op.inputs):
            if t < 0 or not graph.tensors[t].variable or op.name == "READ_VARIABLE":
                continue
            keeps = allowed.get(t) == op.layer and i in operators.KINDS[op.name].state
            if not keeps or op.inputs.count(t) > 1:
                return False
    written = {t for op in graph.operators for t in op.outputs} | {*graph.inputs, *graph.outputs}
    return not any(graph.tensors[t].variable for t in written)


def _unique_io(graph: Graph) -> bool:
    return len(set(graph.inputs)) == len(graph.inputs) and len(set(graph.outputs)) == len(graph.outputs)


def _known_types(graph: Graph) -> bool:
    """resource: what VAR_HANDLE gives, until a pass removes it."""
    return all(graph.tensors[t].dtype in (*ITEM_BYTES, "resource") for t in _tensors_of(graph))


def _static(graph: Graph) -> bool:
    return all(
        all(0 < d <= MAX_ELEMENTS for d in graph.tensors[t].shape) and graph.tensors[t].count <= MAX_ELEMENTS
        for t in _tensors_of(graph)
    )


def _io_typed(graph: Graph) -> bool:
    for t in (graph.tensors[i] for i in graph.inputs + graph.outputs):
        if t.dtype not in ("int8", "int16", "int32", "float32") or len(t.shape) > 4:
            return False
        if t.dtype == "int8" and t.quantization is not None and not per_tensor(t):
            return False  # without a scale, plain integers
    return True


# name: must hold after reading and after every pass
SOUND: tuple[Rule, ...] = (
    (lambda g: len(g.operators) <= 0xFFFF and len(g.tensors) <= 0xFFFF, "too many layers or tensors"),
    (_known_types, "a tensor of an unknown type"),
    (_static, "a tensor whose shape is dynamic, empty or too large"),
    (_defined_once, "a tensor is written twice"),
    (_defined_before_use, "a tensor is used before it is computed"),
    (_unique_io, "a tensor is an input or output twice"),
    (lambda g: all(g.tensors[t].data is None for t in g.inputs + g.outputs), "a constant as input or output"),
    (_variables_kept, _STRAY),
    (_io_typed, "an input or output that is not int8, int16, int32 or float32, or has more than 4 axes"),
)
_FIXES = {
    "a tensor whose shape is dynamic, empty or too large": "convert with a fixed batch size of 1",
    "an input or output that is not int8, int16, int32 or float32, or has more than 4 axes": (
        "convert with inference_input_type and inference_output_type int8"
    ),
    "a tensor of an unknown type": "convert with full integer quantization (int8)",
    _STRAY: "keep state in SVDF, UNIDIRECTIONAL_SEQUENCE_LSTM or tf.Variable",
}


def problem(graph: Graph, op: Operator) -> tuple[str, str] | None:
    """Return (what keeps this layer from being compiled, what helps), or None."""
    kind = operators.KINDS.get(op.name)
    if kind is None or op.name in OURS:
        hint = REWRITES.get("FLEX" if op.name.startswith("CUSTOM:Flex") else op.name)
        if hint is None and op.name.startswith("CUSTOM:Signal"):
            hint = "compute the features before the model"
        return "no such operator here", hint or f"rewrite the layer with {', '.join(_WE_HAVE)}"
    least, most = kind.inputs
    some, many = kind.outputs
    counts_ok = least <= len(op.inputs) <= most and some <= len(op.outputs) <= many
    if not counts_ok or min(op.outputs + op.inputs[:least], default=0) < 0:
        return "has the wrong number of inputs or outputs", "convert the model again"
    for t in [t for t in op.inputs + op.outputs if t >= 0]:
        tensor = graph.tensors[t]
        if any(not 0 < d <= MAX_ELEMENTS for d in tensor.shape) or tensor.count > MAX_ELEMENTS:
            return (
                f"tensor {t} has the dynamic, empty or huge shape {list(tensor.shape)}",
                "fix the batch size at 1",
            )
    for rule in kind.rules:
        if not rule.test(graph, op):
            return rule.reason, rule.fix or "convert the model again"
    return kind.explain(graph, op)


def _floats_only_at_the_edge(graph: Graph) -> list[int]:
    """Layers that compute in float32, QUANTIZE and DEQUANTIZE aside."""
    return [
        op.layer
        for op in graph.operators
        if op.name not in ("QUANTIZE", "DEQUANTIZE", "CAST", *ALIASES)
        and any(t >= 0 and graph.tensors[t].dtype == "float32" for t in op.outputs + op.inputs[:1])
    ]


def accept(graph: Graph) -> None:
    """Raise CompileError naming all layers of a graph just read that can't be compiled."""
    in_float = _floats_only_at_the_edge(graph)
    hybrid = [op for op in graph.operators if _is_hybrid(graph, op)]
    if in_float and len(in_float) == len([op for op in graph.operators if op.name not in ALIASES]):
        kind = "hybrid (dynamic range: int8 weights, float32 activations)" if hybrid else "float32"
        first = hybrid[0] if hybrid else next(op for op in graph.operators if op.layer in in_float)
        raise CompileError(
            f"{graph.name}: a {kind} model; layer {first.layer} {first.name} (version {first.version}) and "
            f"{len(in_float) - 1} more compute in float32",
            fix="convert with full integer quantization: a representative dataset, TFLITE_BUILTINS_INT8",
            layer=first.layer,
        )
    found = [(op, p) for op in graph.operators if (p := problem(graph, op)) is not None]
    if not found:
        check(graph, "as read")
        return
    by_text: dict[tuple[str, int, str, str], list[int]] = {}
    for op, (reason, fix) in found:
        by_text.setdefault((op.name, op.version, reason, fix), []).append(op.layer)
    lines = [
        f"layer {', '.join(map(str, layers[:_LISTED]))}{' ..' if len(layers) > _LISTED else ''} "
        f"{name} (version {version}): {reason}; {fix}"
        for (name, version, reason, fix), layers in by_text.items()
    ]
    if len(lines) == 1:
        raise CompileError(f"{graph.name}: {lines[0]}", layer=found[0][0].layer)
    if len(lines) > _LISTED:
        lines[_LISTED:] = [f"and {len(lines) - _LISTED} more"]
    title = f"{graph.name}: {len(found)} of {len(graph.operators)} layers can't be compiled"
    raise CompileError("\n  ".join([title, *lines]), layer=found[0][0].layer)


def _is_hybrid(graph: Graph, op: Operator) -> bool:
    return (
        len(op.inputs) > 1
        and min(op.inputs[:2]) >= 0
        and graph.input(op, 0).dtype == "float32"
        and graph.input(op, 1).dtype in ("int8", "uint8")
    )


def check(graph: Graph, stage: str) -> None:
    """Raise CompileError if `graph` breaks a rule; `stage` says after what, for the message."""
    for rule, reason in SOUND:
        if not rule(graph):
            raise CompileError(
                f"{graph.name}: {reason} ({stage})", fix=_FIXES.get(reason, "convert the model again")
            )
