# SPDX-License-Identifier: MIT
"""From a recording to a `.tflite`: inputs as the node computes them, training, quantization, file."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from torpor_host.simulate import weather
from torpor_host.train import inputs as model_inputs
from torpor_host.train import mlp, scores
from torpor_host.train.inputs import Input
from torpor_host.train.mlp import Mlp
from torpor_host.train.quantize import Affine, QuantizedMlp, calibrate, quantize
from torpor_host.train.rehearsal import rehearse
from torpor_host.train.tflite import encode_mlp, infer, write_mlp

ALL_KINDS = [
    Input("value", "temperature", 0, mean=442, std=533),
    Input("value", "humidity", 4, mean=7000, std=1500),
    Input("change", "temperature", 3, mean=-1, std=112),
    Input("change", "humidity", 6, mean=0, std=900),
    Input("minimum", "temperature", 7, mean=300, std=533),
    Input("maximum", "humidity", 2, mean=8000, std=1200),
    Input("dew_point_depression", mean=450, std=244),
    Input("hour_sine"),
    Input("hour_cosine", std=700),
]


def network(seed: int, widths: tuple[int, ...]) -> Mlp:
    random = np.random.RandomState(seed)
    pairs = list(pairwise(widths))
    return Mlp([random.normal(size=(b, a)) for a, b in pairs], [random.normal(size=b) for _, b in pairs])


def example(seed: int = 3, widths: tuple[int, ...] = (5, 7, 4, 1)) -> tuple[Mlp, QuantizedMlp, np.ndarray]:
    net = network(seed, widths)
    x = np.random.RandomState(seed + 1).uniform(-4, 3.9, size=(400, widths[0]))
    return net, quantize(net, x, 1 / 32), x


# --- inputs ---


@pytest.mark.parametrize("site", ["greensboro", "sand-point"])
def test_whole_arrays_give_what_the_nodes_code_gives_on_every_hour(site: str) -> None:
    year = weather.load(site)
    counts, times_s, offset_s = year.counts(), year.times_s(), round(year.utc_offset_h * 3600)
    by_node = model_inputs.fill(ALL_KINDS, counts, times_s, offset_s, 1 / 32)
    x = model_inputs.raw(ALL_KINDS, counts, times_s, offset_s)
    rows = model_inputs.rows_needed(ALL_KINDS)
    assert rows == 7
    assert np.array_equal(by_node[rows - 1 :], model_inputs.quantise(ALL_KINDS, x, 1 / 32)[rows - 1 :])
    assert not by_node[: rows - 1].any()
    assert np.all(np.ptp(by_node.astype(int), axis=0) > 40), "an input that says nothing tests nothing"


def test_raw_inputs_are_the_weather() -> None:
    year = weather.load("greensboro")
    x = model_inputs.raw(ALL_KINDS, year.counts(), year.times_s(), -5 * 3600)
    assert np.array_equal(x[:, 0], np.round(year.temperature_c * 100))
    assert np.array_equal(x[9:, 2], x[9:, 0] - x[6:-3, 0])
    # The file gives humidity to 1 %RH and the dew point to 0.1 K: some rounding lies between the two.
    given_k = year.temperature_c - year.dew_point_c
    assert np.median(np.abs(x[:, 6] / 100 - given_k)) < 0.1
    # Local midnight and noon: the sine is 0, the cosine 1 and -1.
    assert x[year.hour_local == 24, 7:].tolist() == [[0, 1000]] * 365
    assert x[year.hour_local == 12, 7:].tolist() == [[0, -1000]] * 365


def test_standardise_gives_mean_and_deviation_in_counts() -> None:
    x = np.array([[100, 5], [300, 7]])
    first, hour = model_inputs.standardise([Input("value", "temperature"), Input("hour_sine")], x)
    assert (first.mean, first.std) == (200, 100)
    assert hour == Input("hour_sine")
    (flat,) = model_inputs.standardise([Input("value", "temperature")], np.array([[7], [7]]))
    assert flat.std == 1, "a column that never varies must not divide by zero"


def test_features_toml_says_the_same_in_units() -> None:
    import tomllib

    from torpor_host.units import parse

    items = tomllib.loads(model_inputs.toml(ALL_KINDS))["inputs"]
    assert [item["kind"] for item in items] == [item.kind for item in ALL_KINDS]
    assert items[6] == {"kind": "dew_point_depression", "mean": "4.50K", "std": "2.44K"}
    assert parse(items[0]["mean"], "temperature") == pytest.approx(4.42)
    assert parse(items[1]["std"], "humidity") == pytest.approx(15.0)
    assert parse(items[2]["mean"], "difference") == pytest.approx(-0.01)
    assert items[8] == {"kind": "hour_cosine", "std": 0.7}


# --- training ---


def test_fixed_order_arithmetic_is_a_matrix_product_and_a_sum() -> None:
    random = np.random.RandomState(0)
    a, b = random.normal(size=(37, 5)), random.normal(size=(5, 3))
    assert np.allclose(mlp.product(a, b), a @ b)
    for length in (1, 2, 3, 7, 256, 259):
        terms = random.normal(size=(length, 2, 3))
        assert np.allclose(mlp.fold(terms.copy()), terms.sum(axis=0))


def test_slopes_are_those_of_the_loss() -> None:
    net = network(1, (3, 4, 1))
    x = np.random.RandomState(2).normal(size=(9, 3))
    y = net.forward(x) + np.linspace(-2, 2, 9)  # errors on both sides of the knee

    def loss() -> float:
        error = np.abs(net.forward(x) - y)
        return float(np.mean(np.where(error < 1, error**2 / 2, error - 0.5)))

    for values, slope in zip([*net.weights, *net.biases], mlp._slopes(net, x, y, knee=1.0)):
        for at in np.ndindex(values.shape):
            before = values[at]
            values[at] = before + 1e-6
            above = loss()
            values[at] = before - 1e-6
            below = loss()
            values[at] = before
            assert slope[at] == pytest.approx((above - below) / 2e-6, abs=1e-5)


def test_training_learns_what_a_line_cannot_and_repeats_to_the_bit() -> None:
    x = np.random.RandomState(5).uniform(-1, 1, size=(2000, 2))
    y = np.abs(x[:, 0]) - x[:, 1]
    net = mlp.train(x, y, hidden=(8,), seed=4, epochs=60, decay=0.0)
    error = scores.mean_absolute_error(net.forward(x), y)
    assert error < 0.3 * scores.mean_absolute_error(scores.ridge(x, y)(x), y)
    again = mlp.train(x, y, hidden=(8,), seed=4, epochs=60, decay=0.0)
    assert all(np.array_equal(a, b) for a, b in zip(net.weights + net.biases, again.weights + again.biases))
    other = mlp.train(x, y, hidden=(8,), seed=5, epochs=60, decay=0.0)
    assert not np.array_equal(net.weights[0], other.weights[0])


# --- scores ---


def test_average_precision_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.RandomState(1)
    for _ in range(20):
        events = random.random_sample(200) < 0.2
        urgency = np.round(random.normal(size=200) + events, 1)  # with ties
        assert scores.average_precision(events, urgency) == pytest.approx(
            metrics.average_precision_score(events, urgency)
        )
    assert scores.average_precision(np.zeros(3, dtype=bool), np.arange(3.0)) == 0.0
    assert scores.average_precision(np.array([True, False]), np.array([2.0, 1.0])) == 1.0


def test_ridge_is_scikit_learns() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    random = np.random.RandomState(1)
    x = random.normal(size=(50, 4)) * [1, 10, 0.1, 1] + 3
    y = x @ [1.0, 0.2, -3.0, 0.0] + random.normal(size=50)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    expected = linear.Ridge(alpha=2.0).fit(z, y).predict(z)
    assert np.allclose(scores.ridge(x, y, strength=2.0)(x), expected)
    flat = np.column_stack([x, np.full(50, 7.0)])
    assert np.allclose(scores.ridge(flat, y, strength=2.0)(flat), expected), "a constant column is ignored"


# --- quantization ---


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.5, 2.0), (-4.0, -1.0), (0.0, 0.0), (-1e-6, 50.0)])
def test_a_scale_spans_its_values_and_meets_zero(low: float, high: float) -> None:
    affine = calibrate(np.array([low, high]))
    assert affine.scale == float(np.float32(affine.scale))
    assert affine.real(affine.quantize(np.array([0.0])))[0] == 0.0
    for value in (low, high):
        assert abs(affine.real(affine.quantize(np.array([value])))[0] - value) <= affine.scale * 0.51


def test_weights_are_symmetric_and_within_half_a_step() -> None:
    net, small, _ = example()
    for weight, layer in zip(net.weights, small.layers):
        assert layer.weights.dtype == np.int8
        assert np.abs(layer.weights.astype(int)).max() == 127
        assert np.abs(layer.weights * layer.weight_scale - weight).max() <= layer.weight_scale * 0.51
        assert layer.bias.dtype == np.int32


def test_a_bias_beyond_32_bits_is_refused() -> None:
    net = Mlp([np.full((1, 2), 1e-9)], [np.array([50.0])])
    with pytest.raises(ValueError, match="layer 0: bias 50"):
        quantize(net, np.ones((4, 2)), 1 / 32)


# --- the file ---


def test_the_file_says_what_the_network_is() -> None:
    _, small, _ = example()
    model = schema.ModelT.InitFromPackedBuf(encode_mlp(small, "sample"), 0)
    assert (model.version, model.description) == (3, b"sample")
    assert [code.builtinCode for code in model.operatorCodes] == [schema.BuiltinOperator.FULLY_CONNECTED]
    (graph,) = model.subgraphs
    tensors = graph.tensors
    assert [tensors[i].shape.tolist() for i in (*graph.inputs, *graph.outputs)] == [[1, 5], [1, 1]]
    assert len(model.buffers[0].data if model.buffers[0].data is not None else []) == 0
    relu = schema.ActivationFunctionType.RELU
    assert [op.builtinOptions.fusedActivationFunction for op in graph.operators] == [relu, relu, 0]
    for op, layer in zip(graph.operators, small.layers):
        x, weights, bias, out = (tensors[i] for i in (*op.inputs, *op.outputs))
        assert model.buffers[weights.buffer].data.tobytes() == layer.weights.tobytes()
        assert model.buffers[bias.buffer].data.tobytes() == layer.bias.astype("<i4").tobytes()
        assert weights.quantization.zeroPoint.tolist() == bias.quantization.zeroPoint.tolist() == [0]
        assert bias.quantization.scale[0] == pytest.approx(
            x.quantization.scale[0] * weights.quantization.scale[0], rel=1e-6
        )
        affine = Affine(float(out.quantization.scale[0]), int(out.quantization.zeroPoint[0]))
        assert affine == layer.output


def test_every_buffer_is_aligned_to_16_bytes() -> None:
    for widths in ((5, 7, 4, 1), (3, 1), (1, 13, 3)):
        _, small, _ = example(widths=widths)
        data = encode_mlp(small)
        model = schema.Model.GetRootAs(data, 0)
        found = 0
        for i in range(model.BuffersLength()):
            buffer = model.Buffers(i)
            if not buffer.DataIsNone():
                at = buffer._tab.Vector(buffer._tab.Offset(4))
                assert at % 16 == 0
                found += 1
        assert found == 2 * (len(widths) - 1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_tflite_micro_computes_the_float_network_within_its_steps(seed: int, widths: list[int]) -> None:
    net, small, x = example(seed, tuple(widths))
    q = small.input.quantize(x)
    got = small.output.real(infer(encode_mlp(small), q))
    wanted = net.activations(small.input.real(q))[-1]
    # Each layer adds half a step of its weights and of its output; what follows magnifies it.
    slack = 0.0
    below = np.abs(small.input.real(q)).max()
    for weight, layer, out in zip(net.weights, small.layers, net.activations(x)):
        slack = np.abs(weight).sum(axis=1).max() * slack + below * layer.weight_scale * weight.shape[1]
        slack += 2 * layer.output.scale
        below = np.abs(out).max()
    assert got.shape == (400, widths[-1])
    assert np.abs(got - wanted).max() <= slack


def test_a_typical_network_loses_little() -> None:
    net, small, x = example(widths=(7, 16, 8, 1))
    got = small.output.real(infer(encode_mlp(small), small.input.quantize(x)))[:, 0]
    assert np.abs(got - net.forward(x)).mean() < 0.02 * np.ptp(net.forward(x))


def test_bytes_depend_on_the_network_alone_and_land_whole(tmp_path: Path) -> None:
    _, small, _ = example()
    path = tmp_path / "a.tflite"
    path.write_bytes(b"something good")
    data = write_mlp(small, path)
    assert path.read_bytes() == data == encode_mlp(example()[1])
    assert [p.name for p in tmp_path.iterdir()] == ["a.tflite"]
    _, other, _ = example(seed=9)
    assert encode_mlp(other) != data


# --- what a node would do ---


def run(temperatures: list[int], scores_: list[int], **settings_: object):  # type: ignore[no-untyped-def]
    times_s = 10**9 + 3600 * np.arange(len(temperatures))
    counts = np.array([[t, 5000] for t in temperatures], dtype=np.int16)
    wanted: dict = {  # type: ignore[type-arg]
        "rows": 1, "triggers": [], "decision": (-1, 0, 100, 1, 0), "heartbeat_s": 86400
    } | settings_  # fmt: skip
    result = rehearse(times_s, counts, np.array(scores_), **wanted)
    hours = [((on - 10**9) // 3600, (off - 10**9) // 3600) for on, off in result.alarms]
    return hours, result.inferences, result.uplinks


def test_a_rehearsal_counts_alarms_inferences_and_frames() -> None:
    assert run([500] * 6, [200, 0, 50, 100, -1, 300]) == ([(1, 3), (4, 5)], 6, 5)  # 4 changes and a heartbeat
    assert run([500] * 49, [200] * 49) == ([], 49, 3)
    assert run([500] * 3, [0] * 3) == ([(0, 2)], 3, 1)  # still on at the end; on and first heartbeat are one


def test_a_rehearsal_asks_the_model_only_when_triggered_and_warm() -> None:
    level = [("level", (0, -1, 400, 100))]
    assert run([500, 400, 500, 501, 390], [-9] * 5, triggers=level) == ([(1, 3), (4, 4)], 3, 4)
    assert run([300] * 5, [-9] * 5, triggers=level, rows=4) == ([(3, 4)], 2, 2)
    falls = [("level", (0, -1, 0, 100)), ("change", (0, -1, 200))]
    # The reference is the last report: the first wake's 900, the alarm's 700, its end's 600.
    assert run([900, 701, 700, 600, 401], [-9] * 5, triggers=falls)[1] == 1
    assert run([900, 701, 700, 600, 400], [-9] * 5, triggers=falls)[1] == 2
