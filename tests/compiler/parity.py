# SPDX-License-Identifier: MIT
"""One random model: what tflite-micro gives for it, and which kernel sets give anything else.

Used by test_parity.py (few seeds of every kind) and tools/soak.py (thousands).
"""

import zlib
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from compiler.builder import Case, Rng, interpreter
from compiler.executors import model_of, on_micropython, run
from compiler.kinds import KINDS
from torpor.errors import ImageError
from torpor.nn.model import Model
from torpor_host.compiler import Compiled, compile_bytes, plan
from torpor_host.compiler.ir import Graph

HERE = ("reference", "ulab", "native", "moved")  # `moved`: native kernels, tensors at odd places
BOARD = ("viper", "native")  # in a real MicroPython; `native` is there the module that boards load
STEPS = (1, 4, 8)
RUNS = 3  # of a model that keeps state


@dataclass(frozen=True)
class Drawn:
    """`want`: the bytes of all outputs after each of `runs`, from tflite-micro."""

    name: str
    case: Case
    compiled: Compiled
    runs: list[list[np.ndarray]]
    want: list[bytes]


def draw(kind: str, seed: int) -> Drawn:
    """The same kind and seed are the same model and inputs, whatever other kinds there are."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    case = KINDS[kind](rng)
    name = f"{kind} {seed}"
    compiled = compile_bytes(case.model, name)
    runs = [case.inputs]
    if compiled.report["persistent_bytes"]:
        runs += [[rng.permuted(x) for x in case.inputs] for _ in range(RUNS - 1)]
    peer, want = interpreter(case.model), []
    for inputs in runs:
        for i, x in enumerate(inputs):
            peer.set_input(x, i)
        peer.invoke()
        outputs = range(len(compiled.report["outputs"]))
        want.append(b"".join(np.array(peer.get_output(i)).tobytes() for i in outputs))
    return Drawn(name, case, compiled, runs, want)


def differences(drawn: Drawn, sets: tuple[str, ...] = HERE) -> list[str]:
    """What each kernel set of `sets`, on CPython, gives that tflite-micro does not; empty if all is well."""
    found = []
    for kernels in sets:
        if kernels == "moved":
            got = run(moved(drawn), drawn.runs)
        else:
            got = run(model_of(drawn.compiled.image, kernels), drawn.runs)
        found += _compare(drawn, kernels, got)
    return found


def differences_on_board(many: list[Drawn], kernels: str) -> list[str]:
    """As differences(), of many models in one process of a real MicroPython; one run of each."""
    got = on_micropython([(d.compiled.image, d.runs[0]) for d in many], kernels)
    found = []
    for drawn, outputs in zip(many, got, strict=True):
        found += _compare(drawn, kernels + " on MicroPython", [b"".join(y.tobytes() for y in outputs)])
    return found


def _compare(drawn: Drawn, kernels: str, got: list[bytes]) -> list[str]:
    found = []
    for i, have in enumerate(got):
        a, b = np.frombuffer(have, "u1"), np.frombuffer(drawn.want[i], "u1")
        wrong = (
            f"{len(a)} bytes for {len(b)}" if len(a) != len(b) else f"{np.count_nonzero(a != b)} of {len(a)}"
        )
        if have != drawn.want[i]:
            found.append(f"{drawn.name}, {kernels}, run {i}: {wrong} bytes differ: {drawn.case.label}")
    return found


def moved(drawn: Drawn) -> Model:
    """A native Model of the same layers with tensors planned at any byte; those that hold or work in wider
    values, which the check wants aligned, at multiples of 4 or 8."""
    seed = zlib.crc32(drawn.name.encode())
    for step in STEPS:
        try:
            return model_of(_planned(drawn, step, np.random.default_rng(seed)), "native")
        except ImageError as e:
            if step == STEPS[-1]:
                raise AssertionError(f"{drawn.name}: not run at multiples of {step}: {e}") from e
    raise AssertionError


def _planned(drawn: Drawn, step: int, rng: Rng) -> bytes:
    """The image with gaps of 0 to 15 bytes, multiples of `step`, behind each tensor and before the first."""
    make = plan.make

    def gap() -> int:
        return step * int(rng.integers(16 // step))

    def placed(graph: Graph) -> plan.Plan:
        made = make(graph)
        if graph.state is not None:  # lies first
            return made
        first = gap()
        offsets = {root: at + first for root, at in made.offsets.items()}
        return plan.Plan(
            made.arena_bytes + first, made.lower_bound_bytes, offsets, made.buffers, made.owner, made.near
        )

    def align(size: int) -> int:
        return -(-size // step) * step + gap()

    with patch.object(plan, "align", align), patch.object(plan, "make", placed):
        return compile_bytes(drawn.case.model, drawn.name).image
