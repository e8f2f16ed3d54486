# SPDX-License-Identifier: MIT
"""The tables of docs/inference.md, from what is there: random models compiled, the kernel sets asked.

    PYTHONPATH=device:host:tests python tools/operator_table.py [--write]

Prints them, or puts them into the page between <!-- NAME --> and <!-- end -->; test_inference_page.py
fails when the page is stale. The models are those of tests/compiler (kinds.py), so an operator or a type that
no test covers has no place in the table.
"""

import argparse
import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compiler.kinds import KINDS as CASES
from compiler.test_unary import model as unary_model
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes, compile_file, operators, spec, tflite, views
from torpor_host.compiler.image import CODES, read
from torpor_host.compiler.ir import Graph, Operator
from torpor_host.compiler.passes import PASSES
from torpor_host.kernels import mpy, ulab_stand_in
from torpor_host.paths import device_dir

PAGE = Path(__file__).resolve().parents[1] / "docs" / "inference.md"
MODELS = Path(__file__).resolve().parents[2] / "shared" / "data" / "models" / "mlperf_tiny"
SEEDS, ULAB_SEEDS = 16, 4
WEIGHTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "SVDF",
           "UNIDIRECTIONAL_SEQUENCE_LSTM"}  # fmt: skip
# what may be a view of its input or output, where the arena's plan allows it
PARTS = {"CONCATENATION", "SLICE", "SPLIT", "SPLIT_V", "STRIDED_SLICE", "PACK", "UNPACK"}
# the interpreter's arena of PyPI tflite-micro, bytes in all, measured 2026-11
TFLM_ARENA = {
    "kws_ref_model": 24_272, "vww_96_int8": 103_680, "pretrainedResnet_quant": 55_984, "ad01_int8": 3_984,
    "str_ww_ref_model": 16_640,
}  # fmt: skip


@dataclass
class Row:
    types: set[str] = field(default_factory=set)
    records: set[int] = field(default_factory=set)
    nothing: bool = False


class Nowhere:
    """As image.write's places, for records whose codes alone matter."""

    def arena(self, tensor: int) -> int:
        return 0

    def weights(self, values: np.ndarray) -> int:
        return 0

    def scratch(self) -> int:
        return 0


def types_of(graph: Graph, op: Operator) -> str:
    """Such as "int8", "int8 to int32", "int16 by int8" (activations by weights)."""
    given = [graph.tensors[t] for t in op.inputs if t >= 0]
    known = [t.dtype for t in given if t.data is None and t.dtype != "resource" and not t.variable]
    made = [graph.tensors[t].dtype for t in op.outputs if graph.tensors[t].dtype != "resource"]
    x = (known or made or ["-"])[0]
    if op.name in WEIGHTS:
        return f"{x} by {graph.input(op, 1).dtype}"
    return f"{x} to {made[0]}" if made and made[0] != x else x


def lowered(data: bytes) -> dict[int, list[int]]:
    """Return the codes of the records that each layer of a .tflite becomes."""
    graph = tflite.parse(data, "m")
    spec.accept(graph)
    for _, run in PASSES:
        run(graph)
    views.run(graph)
    found: dict[int, list[int]] = {}
    for op in graph.operators:
        lower = operators.KINDS[op.name].lower
        assert lower is not None
        made = lower(graph, op, Nowhere())
        records = made if isinstance(made, list) else [made]
        found.setdefault(op.layer, []).extend(r.code for r in records)
    return found


def collect() -> dict[str, Row]:
    """Return what becomes of each operator of the schema in the random models of the tests."""
    rows: dict[str, Row] = {}
    for i, kind in enumerate(sorted(CASES)):
        for seed in range(SEEDS):
            _add(rows, CASES[kind](np.random.default_rng([seed, i, 9])).model)
    _add(rows, unary_model("RELU_N1_TO_1", (0.1, 4, 0.02, -9)))  # tflite-micro has none: tested by QUANTIZE
    return rows


def _add(rows: dict[str, Row], data: bytes) -> None:
    graph, codes = tflite.parse(data, "m"), lowered(data)
    for op in graph.operators:
        row = rows.setdefault(op.name, Row())
        row.types.add(types_of(graph, op))
        row.records.update(codes.get(op.layer, []))
        row.nothing |= not codes.get(op.layer) and (len(graph.operators) == 1 or op.name in PARTS)


def with_ulab() -> set[int]:
    """Return the codes of the records for which the ulab set has code of its own, in some of the models."""
    found = set()
    with ulab_stand_in.installed():
        for i, kind in enumerate(sorted(CASES)):
            for seed in range(ULAB_SEEDS):
                image = compile_bytes(CASES[kind](np.random.default_rng([seed, i, 9])).model, kind).image
                steps = Model(image, "ulab")._steps
                for record, step in zip(read(image, kind).operators, steps, strict=True):
                    if step[0].__module__ == "torpor.nn.ulab_kernels":
                        found.add(record.code)
    return found


def with_viper() -> set[int]:
    """Return the codes that viper_kernels.bind asks for; it can't be imported by CPython."""
    tree = ast.parse((device_dir() / "torpor" / "nn" / "viper_kernels.py").read_text(encoding="utf-8"))
    bind = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "bind")
    found: set[int] = set()
    for node in ast.walk(bind):
        if not isinstance(node, ast.Compare):
            continue
        text = ast.unparse(node)
        if one := re.fullmatch(r"code == (\d+)", text):
            found.add(int(one[1]))
        elif span := re.fullmatch(r"(\d+) <= code <= (\d+)", text):
            found.update(range(int(span[1]), int(span[2]) + 1))
    return found


def _narrow_first(types: str) -> tuple[int, str]:
    return 0 if types.startswith("int8") else 1, types


def _share(records: set[int], own: set[int] | frozenset[int]) -> str:
    if not records:
        return ""
    return "yes" if records <= own else "part" if records & own else "no"


def operator_table(rows: dict[str, Row], ulab: set[int], viper: set[int]) -> str:
    lines = ["| operator | types | becomes | ulab | viper | native |", "|---|---|---|---|---|---|"]
    for name in sorted(rows, key=lambda n: (n.startswith("CUSTOM:"), n)):
        row = rows[name]
        becomes = [f"{CODES[code]} ({code})" for code in sorted(row.records)]
        if row.nothing or not becomes:
            becomes.append("nothing")
        sets = (_share(row.records, own) for own in (ulab, viper, mpy.CODES))
        cells = (
            name.replace("CUSTOM:", ""),
            ", ".join(sorted(row.types, key=_narrow_first)),
            ", ".join(becomes),
            *sets,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def own_code(ulab: set[int], viper: set[int]) -> str:
    return "\n".join(
        f"- {name}: " + ", ".join(f"{CODES[code]} ({code})" for code in sorted(codes))
        for name, codes in (("ulab", ulab), ("viper", viper))
    )


def model_table() -> str:
    lines = [
        "| model | MACs | image | weights | arena | no plan below | arena of TFLM | ours / TFLM |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, theirs in TFLM_ARENA.items():
        r = compile_file(MODELS / f"{name}.tflite").report
        numbers = (
            r["macs"],
            r["flash_bytes"],
            r["weights_bytes"],
            r["peak_ram_bytes"],
            r["lower_bound_bytes"],
        )
        cells = (name, *(f"{n:,}" for n in (*numbers, theirs)), f"{r['peak_ram_bytes'] / theirs:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables() -> dict[str, str]:
    """Return the page's blocks by name; that of the models only where they are."""
    rows, ulab, viper = collect(), with_ulab(), with_viper()
    found = {"operators": operator_table(rows, ulab, viper), "own": own_code(ulab, viper)}
    return found | ({"models": model_table()} if MODELS.is_dir() else {})


def block(name: str, text: str) -> str:
    """Return what the page has between <!-- name --> and <!-- end -->."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found, f"the page has no block {name}"
    return found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/inference.md")
    write = parser.parse_args().write
    text = PAGE.read_text(encoding="utf-8") if write else ""
    for name, table in tables().items():
        if write:
            old = f"<!-- {name} -->\n{block(name, text)}<!-- end -->"
            text = text.replace(old, f"<!-- {name} -->\n{table}\n<!-- end -->")
        else:
            print(table, end="\n\n")
    if write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
