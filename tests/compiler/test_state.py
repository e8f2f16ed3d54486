# SPDX-License-Identifier: MIT
"""Models with state: run after run the bytes of tflite-micro, on every kernel set; reset, saved, restored."""

import struct
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from compiler.builder import VALID, Builder, Case, interpreter
from compiler.cases_state import KINDS, handle, later, lstm, lstm_layer, svdf_layer
from torpor.errors import ImageError
from torpor.nn.lstm import sigmoid, tanh
from torpor.nn.model import Model
from torpor_host.compiler import compile_bytes, image
from torpor_host.compiler.operators.lstm import sigmoid_table
from torpor_host.errors import CompileError
from torpor_host.kernels import library, ulab_stand_in

SETS = ("reference", "ulab", "native")
SEEDS = 12
RUNS = 4
Runs = list[list[np.ndarray]]


def oracle(peer: Any, runs: Runs, outputs: int) -> list[bytes]:
    found = []
    for inputs in runs:
        for i, x in enumerate(inputs):
            peer.set_input(x, i)
        peer.invoke()
        found.append(b"".join(np.array(peer.get_output(i)).tobytes() for i in range(outputs)))
    return found


def model_of(blob: bytes, kernels: str) -> Model:
    """Raises ImageError where `native` does not know all operators."""
    with ExitStack() as stack:
        stack.enter_context(ulab_stand_in.installed())
        if kernels == "native":
            stack.enter_context(library.installed())
        model = Model(blob, kernels)
    assert model.kernels == kernels
    return model


def run(model: Model, runs: Runs) -> list[bytes]:
    found = []
    for inputs in runs:
        for view, x in zip(model.inputs, inputs, strict=True):
            memoryview(getattr(view, "raw", view)).cast("B")[:] = x.tobytes()
        model.run()
        found.append(b"".join(bytes(getattr(view, "raw", view)) for view in model.outputs))
    return found


def drawn(kind: str, seed: int) -> tuple[Case, bytes, Runs]:
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind), 3])
    case = KINDS[kind](rng)
    compiled = compile_bytes(case.model, f"{kind} {seed}")
    return case, compiled.image, [case.inputs, *(later(rng, case) for _ in range(RUNS - 1))]


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_run_after_run(kind: str, kernels: str) -> None:
    ran = 0
    for seed in range(SEEDS):
        case, blob, runs = drawn(kind, seed)
        try:
            model = model_of(blob, kernels)
        except ImageError as e:
            assert kernels == "native" and e.args[0] == "operator"
            continue
        want = oracle(interpreter(case.model), runs, len(model.outputs))
        assert run(model, runs) == want, f"{kind} seed {seed} {kernels}: {case.label}"
        model.reset()
        assert run(model, runs) == want, f"{kind} seed {seed} {kernels} after reset: {case.label}"
        ran += 1
    if not ran:
        pytest.skip("operators that native has not yet")
    assert ran == SEEDS


@pytest.mark.parametrize("kernels", ["reference", "ulab"])
@pytest.mark.parametrize("kind", ["lstm", "svdf", "svdf_int8_state", "variables"])
def test_reset_is_the_interpreters(kind: str, kernels: str) -> None:
    """Not `streaming`: reset() there leaves zero points where CALL_ONCE had put constants."""
    for seed in range(SEEDS):
        case, blob, runs = drawn(kind, seed)
        peer, model = interpreter(case.model), model_of(blob, kernels)
        for _ in range(2):
            assert run(model, runs) == oracle(peer, runs, len(model.outputs)), f"{kind} {seed} {case.label}"
            peer.reset()
            model.reset()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_saved_and_restored(kind: str) -> None:
    """Half of the runs here, the others in a new Model, of other kernels where there are any."""
    for seed in range(SEEDS):
        _, blob, runs = drawn(kind, seed)
        first = model_of(blob, "reference")
        run(first, runs[:2])
        saved = bytes(first.state)
        assert len(saved) == first.state.nbytes == image.read(blob, kind).state_bytes > 0
        rest = run(first, runs[2:])
        for kernels in SETS:
            try:
                second = model_of(blob, kernels)
            except ImageError:
                continue
            second.state[:] = saved
            assert run(second, runs[2:]) == rest, f"{kind} seed {seed} {kernels}"
            assert bytes(second.state) == bytes(first.state)


def test_a_saved_state_matters() -> None:
    """Else the tests above could pass with a state that nobody reads."""
    for kind in sorted(KINDS):
        different = 0
        for seed in range(SEEDS):
            _, blob, runs = drawn(kind, seed)
            a, b = model_of(blob, "reference"), model_of(blob, "reference")
            run(a, runs[:2])
            different += run(a, runs[2:3]) != run(b, runs[2:3])
        assert different > SEEDS // 3, kind


def test_a_model_without_state() -> None:
    b = Builder()
    x, y = b.tensor((1, 4), "int8", 0.1, 3), b.tensor((1, 4), "int8", 1 / 256, -128)
    b.operator("LOGISTIC", [x], [y], 2)
    compiled = compile_bytes(b.build([x], [y]), "stateless")
    assert compiled.report["persistent_bytes"] == 0 and compiled.image[44:48] == bytes(4)
    model = Model(compiled.image, "reference")
    assert len(model.state) == 0
    model.reset()


def stream(early: bool, init: np.ndarray | None = None) -> bytes:
    """One streaming convolution over the last 4 frames of 16 channels, of which 3 are kept."""
    b = Builder()
    more = b.subgraph()
    x = b.tensor((1, 1, 1, 16), "int8", 0.1, 5)
    if init is not None:
        b.operator("CALL_ONCE", [], [], initSubgraphIndex=1)
        value = more.tensor((1, 3, 1, 16), "int8", 0.1, 5, init)
        more.operator("ASSIGN_VARIABLE", [handle(more, "frames"), value], [])
    var = handle(b, "frames")
    old, new = (b.tensor((1, 3, 1, 16), "int8", 0.1, 5) for _ in range(2))
    joined, y = b.tensor((1, 4, 1, 16), "int8", 0.1, 5), b.tensor((1, 1, 1, 8), "int8", 0.2, 0)
    b.operator("READ_VARIABLE", [var], [old])
    b.operator("CONCATENATION", [old, x], [joined], 2, axis=1)
    lists = [b.tensor((4,), "int32", data=np.array(v)) for v in ((0, 1, 0, 0), (1, 4, 1, 16), (1, 1, 1, 1))]
    b.operator("STRIDED_SLICE", [joined, *lists], [new])
    if early:
        b.operator("ASSIGN_VARIABLE", [var, new], [])
    weights = np.random.default_rng(1).integers(-127, 128, size=(8, 4, 1, 16))
    filters = b.tensor((8, 4, 1, 16), "int8", 0.01, 0, weights)
    bias = b.tensor((8,), "int32", 0.001, 0, np.arange(8) * 100)
    b.operator("CONV_2D", [joined, filters, bias], [y], 3, padding=VALID, strideH=1, strideW=1)
    if not early:
        b.operator("ASSIGN_VARIABLE", [var, new], [])
    return b.build([x], [y], () if init is None else (more,))


@pytest.mark.parametrize("early", [True, False])
def test_a_streaming_convolution_copies_its_frames_once_each_way(early: bool) -> None:
    """The frames join the new one, and what is kept is written where it stays: no more copies, no more memory
    than the frames (48), what is joined (64), the convolution's scratch (320) and its output (16)."""
    compiled = compile_bytes(stream(early), "stream")
    info = image.read(compiled.image, "stream")
    assert [op.name for op in info.operators].count("CONV_2D") == 1
    assert 2 <= [op.name for op in info.operators].count("COPY") <= 3
    report = compiled.report
    assert report["persistent_bytes"] == info.state_bytes == 48
    assert report["peak_ram_bytes"] == report["arena_bytes"] <= 48 + 64 + 320 + 16
    (kept,) = [t for t in info.tensors if t.role == 3]
    assert (kept.offset, kept.size_bytes, kept.zero_point) == (0, 48, 5)
    assert "state 48" in image.describe(info)


@pytest.mark.parametrize("early", [True, False])
def test_a_variable_of_float32(early: bool) -> None:
    """Bytes are moved, whatever they are: this run's input or the last one's, quantized."""
    b = Builder()
    x, old = b.tensor((1, 5), "float32"), b.tensor((1, 5), "float32")
    q, y = b.tensor((1, 5), "int8", 0.05, 3), b.tensor((1, 5), "int8", 1 / 256, -128)
    var = handle(b, "sample")
    steps = [("READ_VARIABLE", [var], [old]), ("ASSIGN_VARIABLE", [var, x], [])]
    for name, inputs, outputs in reversed(steps) if early else steps:
        b.operator(name, inputs, outputs)
    b.operator("QUANTIZE", [old], [q])
    b.operator("LOGISTIC", [q], [y], 2)
    data = b.build([x], [y])
    rng = np.random.default_rng(1)
    runs = [[rng.normal(0, 3, (1, 5)).astype(np.float32)] for _ in range(3)]
    for kernels in ("reference", "ulab"):
        model = model_of(compile_bytes(data, "floats").image, kernels)
        assert run(model, runs) == oracle(interpreter(data), runs, 1)


def test_what_call_once_assigns_is_there_at_first_and_after_reset() -> None:
    init = np.random.default_rng(2).integers(-128, 128, size=(1, 3, 1, 16)).astype(np.int8)
    data = stream(True, init)
    model = Model(compile_bytes(data, "init").image, "reference")
    assert bytes(model.state) == init.tobytes()
    x = np.full((1, 1, 1, 16), 9, dtype=np.int8)
    want = oracle(interpreter(data), [[x]] * 5, 1)
    assert run(model, [[x]] * 5) == want and len(set(want)) > 2
    model.reset()
    assert bytes(model.state) == init.tobytes()


def test_the_table_of_the_activations_is_tflite_micros() -> None:
    """Every int16, by LOGISTIC and TANH, which use the table that the LSTM's gates use."""
    x = np.arange(-32768, 32768, dtype=np.int16).reshape(1, -1)
    table = [int(v) for v in sigmoid_table()]
    for name, ours in (("LOGISTIC", sigmoid), ("TANH", lambda t, v: tanh(t, v, 3, 0))):
        b = Builder()
        a, y = b.tensor(x.shape, "int16", 2**-12, 0), b.tensor(x.shape, "int16", 2**-15, 0)
        b.operator(name, [a], [y], 3)
        peer = interpreter(b.build([a], [y]))
        peer.set_input(x, 0)
        peer.invoke()
        want = np.array(peer.get_output(0)).reshape(-1)
        assert [ours(table, int(v)) for v in x[0]] == want.tolist(), name


# ---- what is refused


def refused(data: bytes, *words: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_bytes(data, "m.tflite")
    text = str(caught.value)
    for word in words:
        assert word in text, text
    assert "\n" not in text and text.count("; ") >= 1


def one_svdf(change: Callable[[Builder], None]) -> bytes:
    b, rng = Builder(), np.random.default_rng(4)
    x = b.tensor((1, 8), "int8", 0.1, 0)
    y = svdf_layer(b, rng, x, 1, 8, 0.1, wide=True)
    change(b)
    return b.build([x], [y])


def one_lstm(change: Callable[[Builder], None], power: int = -11) -> bytes:
    b, rng = Builder(), np.random.default_rng(4)
    x = b.tensor((1, 3, 8), "int8", 0.1, 0)
    y = lstm_layer(b, rng, x, (1, 3, 8), 0.1, 4, power)
    change(b)
    return b.build([x], [y])


def test_svdf_and_lstm_that_tflite_micro_has_not() -> None:
    compile_bytes(one_svdf(lambda b: None), "sound")
    compile_bytes(one_lstm(lambda b: None), "sound")

    def stateless(b: Builder) -> None:
        for t in b.tensors:
            t.isVariable = False

    def no_bias(b: Builder) -> None:
        b.operators[0].inputs[3] = -1

    def rank(b: Builder) -> None:
        b.operators[0].builtinOptions.rank = 100

    def time_type(b: Builder) -> None:
        b.tensors[2].type = b.schema.TensorType.INT8
        b.tensors[2].buffer = 0

    def bias_scale(b: Builder) -> None:
        b.tensors[3].quantization.scale[0] *= 1e6

    def peephole(b: Builder) -> None:
        b.operators[0].inputs[9] = b.operators[0].inputs[12]

    def no_input_gate(b: Builder) -> None:
        b.operators[0].inputs[1] = -1

    def relu(b: Builder) -> None:
        b.operators[0].builtinOptions.fusedActivationFunction = 1

    def cell_scale(b: Builder) -> None:
        b.tensors[b.operators[0].inputs[19]].quantization.scale[0] = 0.0007

    def hidden_scale(b: Builder) -> None:
        b.tensors[b.operators[0].inputs[18]].quantization.scale[0] *= 2

    def huge(b: Builder) -> None:
        b.tensors[b.operators[0].inputs[1]].quantization.scale[0] = 3e4

    for build, change, words in (
        (one_svdf, stateless, "state are not of the int8 scheme"),
        (one_svdf, no_bias, "wrong number of inputs"),
        (one_svdf, rank, "shapes do not fit"),
        (one_svdf, time_type, "state are not of the int8 scheme"),
        (one_svdf, bias_scale, "does not have the scale of state times time weights"),
        (one_svdf, huge, "overflow 32 bits"),
        (one_lstm, stateless, "its states are not int8"),
        (one_lstm, peephole, "peepholes"),
        (one_lstm, no_input_gate, "left out"),
        (one_lstm, relu, "not activated by TANH"),
        (one_lstm, cell_scale, "not a power of 2"),
        (one_lstm, hidden_scale, "its states are not int8"),
        (one_lstm, huge, "overflow 32 bits"),
    ):
        name = "SVDF (version 4)" if build is one_svdf else "UNIDIRECTIONAL_SEQUENCE_LSTM (version 1)"
        refused(build(change), f"layer 0 {name}", words)  # type: ignore[operator]


def test_variables_that_can_not_be_folded() -> None:
    shape = (1, 4)

    def model(
        *, assign: bool = True, after: bool = False, inner: str = "", size: int = 4, name: str = "v"
    ) -> bytes:
        b = Builder()
        more = b.subgraph()
        x, y, z = (b.tensor(shape, "int8", 0.1, 0) for _ in range(3))
        var = handle(b, name)
        once = [lambda: b.operator("CALL_ONCE", [], [], initSubgraphIndex=1)]
        read = [lambda: b.operator("READ_VARIABLE", [var], [y])]
        for step in read + once if after else once + read:
            step()
        b.operator("ADD", [x, y], [z], 2)
        if assign:
            b.operator("ASSIGN_VARIABLE", [var, z], [])
        there = handle(more, name if assign else "another")
        value = more.tensor((1, size), "int8", 0.1, 0, np.arange(size))
        if inner:
            made = more.tensor((1, size), "int8", 0.1, 0)
            more.operator(inner, [value, value], [made], 2)
            value = made
        more.operator("ASSIGN_VARIABLE", [there, value], [])
        return b.build([x], [z], (more,))

    compile_bytes(model(), "sound")
    refused(model(assign=False), "layer 2 READ_VARIABLE", "assigned nowhere")
    refused(model(after=True), "layer 2 CALL_ONCE", "used before it")
    refused(model(inner="ADD"), "CALL_ONCE", "its subgraph 1 has layer 1 ADD (version 2)", "constants")
    refused(model(size=5), "CALL_ONCE", "another size")
    b = Builder()
    x, y = b.tensor(shape, "int8", 0.1, 0), b.tensor(shape, "int8", 0.1, 0)
    b.operator("READ_VARIABLE", [x], [y])
    refused(b.build([x], [y]), "layer 0 READ_VARIABLE", "no VAR_HANDLE")


def test_a_state_of_two_operators() -> None:
    b, rng = Builder(), np.random.default_rng(4)
    x = b.tensor((1, 8), "int8", 0.1, 0)
    y = svdf_layer(b, rng, x, 1, 8, 0.1, wide=True)
    z = b.tensor(tuple(b.tensors[y].shape), "int8", 0.1, 0)
    b.operators.append(type(b.operators[0])())
    b.operators[1].__dict__.update(b.operators[0].__dict__, outputs=np.array([z], dtype=np.int32))
    refused(b.build([x], [y, z]), "variable")


# ---- what a board refuses


def sealed(data: bytearray) -> bytes:
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


def what(data: bytes, kernels: str) -> str:
    try:
        model_of(data, kernels)
    except ImageError as e:
        return str(e.args[0])
    return "accepted"


def test_state_sizes_and_offsets_are_checked() -> None:
    case = lstm(np.random.default_rng(8))
    blob = compile_bytes(case.model, "lstm").image
    arena, state = struct.unpack_from("<I", blob, 16)[0], struct.unpack_from("<I", blob, 44)[0]
    records = struct.unpack_from("<I", blob, 28)[0]
    hidden, cell = records + 4 + 4 * 2, records + 4 + 4 * 3

    def changed(at: int, value: int) -> bytes:
        data = bytearray(blob)
        struct.pack_into("<i", data, at, value)
        return sealed(data)

    assert what(blob, "reference") == what(blob, "native") == "accepted"
    assert what(changed(44, arena + 1), "reference") == "state"
    with library.installed():
        assert library.module().check(changed(44, arena + 1), bytearray(arena)) == 44
    # the tensors' records are the reader's, the operators' the kernels'
    assert what(changed(44, state - 2), "reference") == what(changed(44, state - 2), "native") == "state"
    for at in (hidden, cell):
        for offset in (state, state - 1, -1, -(1 << 31), (1 << 31) - 1):
            assert what(changed(at, offset), "reference") in ("state", "arena offset")
            assert what(changed(at, offset), "native") == "record"
    assert what(changed(cell, 1), "reference") == "state" and what(changed(cell, 1), "native") == "record"
