# SPDX-License-Identifier: MIT
"""The compiler: an int8 .tflite becomes a model image (.tpm) for the node.

    compiled = compile_file(Path("frost.tflite"))
    Path("frost.tpm").write_bytes(compiled.image)

.tflite -> tflite.parse -> ir.Graph -> spec.accept -> passes -> views -> plan.make -> image.write
and, where a limit of RAM asks for it, from the passes on again with `patches` before the views.
"""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from . import image, operators, patches, plan, spec, tflite, views
from .ir import Graph, Tensor
from .operators.base import per_tensor
from .passes import PASSES

__all__ = ["Compiled", "compile_bytes", "compile_file"]


@dataclass(frozen=True)
class Compiled:
    """image: bytes of the .tpm. report: JSON-able, as `_report` makes it; sizes in bytes."""

    image: bytes
    report: dict[str, Any]


def compile_file(path: Path, ram_bytes: int | None = None) -> Compiled:
    """Compile the .tflite at `path`. Raises CompileError: no such file, damaged, or a layer we lack."""
    return compile_bytes(tflite.load(path), str(path), ram_bytes)


def compile_bytes(data: bytes, name: str, ram_bytes: int | None = None) -> Compiled:
    """Compile .tflite bytes; `name` is for messages. The same bytes always give the same image.

    ram_bytes: what the arena may take at most; layers are split into patches where it would take more.
    Raises CompileError if that is not enough.
    """
    graph = tflite.parse(data, name)
    spec.accept(graph)
    for label, run in PASSES:
        run(graph)
        spec.check(graph, f"after {label}")
    whole = replace(graph, storage=dict(graph.storage), shifts=dict(graph.shifts))
    views.run(graph)
    spec.check(graph, "after views")
    layout = plan.make(graph)
    cost = None
    if ram_bytes is not None and layout.arena_bytes > ram_bytes:
        graph, layout, cost = patches.fit(whole, ram_bytes)
        spec.check(graph, "after patches")
    blob = image.write(graph, layout)
    return Compiled(blob, _report(graph, layout, blob) | {"patches": asdict(cost) if cost else None})


def _report(graph: Graph, layout: plan.Plan, blob: bytes) -> dict[str, Any]:
    info_weights = len(blob) - int.from_bytes(blob[32:36], "little")
    layers = [
        {
            "index": op.layer,
            "name": op.name,
            "macs": operators.KINDS[op.name].macs(graph, op),
            "output_shape": list(graph.output(op).shape),
            "arena_offset": layout.offset(graph, op.outputs[0]),
        }
        for op in graph.operators
    ]
    return {
        "name": graph.name,
        "flash_bytes": len(blob),
        "weights_bytes": info_weights,
        "arena_bytes": layout.arena_bytes,
        "lower_bound_bytes": layout.lower_bound_bytes,  # of the arena: no plan can be below it
        "scratch_bytes": 0,  # outside the arena; what operators need is planned within it
        "persistent_bytes": image.state_bytes(graph),  # state between runs, the arena's first bytes
        "peak_ram_bytes": layout.arena_bytes,  # weights excluded, state included
        "peak_layer": _peak_layer(graph, layout),  # during which most of the arena is in use
        # RAM that the weights take, by how they are held: in place, loaded, or one record's at a time
        "weights_ram_bytes": {"rom": 0, "ram": info_weights, "stream": image.largest_record_bytes(blob)},
        "macs": image.macs(graph),
        "operators": layers,
        "record_codes": image.record_codes(blob),  # which kernels it takes
        "inputs": [_edge(graph.tensors[t]) for t in graph.inputs],
        "outputs": [_edge(graph.tensors[t]) for t in graph.outputs],
        "sha256": hashlib.sha256(blob).hexdigest(),
    }


def _peak_layer(graph: Graph, layout: plan.Plan) -> dict[str, Any] | None:
    """None where that is before the first layer."""
    live = plan.live_bytes(list(layout.buffers), layout.near)
    moment = max(live, key=lambda m: live[m])
    if not 0 <= moment < len(graph.operators):
        return None
    return {"index": graph.operators[moment].layer, "name": graph.operators[moment].name}


def _edge(tensor: Tensor) -> dict[str, Any]:
    quantized = tensor.dtype != "float32" and per_tensor(tensor)
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": float(tensor.scale) if quantized else None,
        "zero_point": tensor.zero_point if quantized else None,
    }
