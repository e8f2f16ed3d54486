# SPDX-License-Identifier: MIT
"""On a 32-bit board an integer of more than 31 bits is a heap object. No interpreter here is so small: each
file on the wake path is recompiled with a check around every operation, and run over its whole range."""

import ast
import importlib
import random
from array import array
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conftest import REPOSITORY

LIMIT = 1 << 30


class TooLarge(Exception):
    pass


def _small(value: Any) -> Any:
    if isinstance(value, int) and not -LIMIT <= value < LIMIT:
        raise TooLarge(value)
    assert not isinstance(value, float), "no float on the wake path"
    return value


class _Checks(ast.NodeTransformer):
    """Wrap every operation outside constructors, which run once and may be generous."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node if node.name == "__init__" else self.generic_visit(node)  # type: ignore[return-value]

    def _wrap(self, node: ast.expr) -> ast.expr:
        return ast.Call(ast.Name("_small", ast.Load()), [node], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return self._wrap(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return self._wrap(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.Assign:
        self.generic_visit(node)
        target = ast.parse(ast.unparse(node.target), mode="eval").body
        return ast.Assign([node.target], self._wrap(ast.BinOp(target, node.op, node.value)))


def checked(name: str) -> Any:
    """Load device/<name> with the checks in; `torpor.x.y` as a dotted name."""
    path: Path = REPOSITORY / "device" / (name.replace(".", "/") + ".py")
    tree = ast.fix_missing_locations(_Checks().visit(ast.parse(path.read_text())))
    module = ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    module.__dict__["_small"] = _small
    exec(compile(tree, str(path), "exec"), module.__dict__)
    return module


@pytest.fixture
def rng() -> random.Random:
    return random.Random(1)


def ring(values: list[int], channels: int = 1) -> Any:
    made = checked("torpor.sense.ring").Ring(len(values), channels)
    for v in values:
        made.push(array("h", [v] * channels))
    return made


def extremes(rng: random.Random, n: int) -> list[list[int]]:
    """Windows of n values that stress sums, squares and scales."""
    return [
        [-32768] * n,
        [32767] * n,
        [-32768, 32767] * (n // 2) + [0] * (n % 2),
        [-32768] * (n - 1) + [32767],
        [32767] + [-32768] * (n - 1),
        [rng.randint(-32768, 32767) for _ in range(n)],
        [rng.randint(-3, 3) for _ in range(n)],
    ]


def test_the_check_is_real() -> None:
    tree = ast.parse("def f(a):\n    a *= a\n    return a >> 20\n")
    names: dict[str, Any] = {"_small": _small}
    exec(compile(ast.fix_missing_locations(_Checks().visit(tree)), "x", "exec"), names)
    f: Callable[[int], int] = names["f"]
    assert f(32767) == 1023
    with pytest.raises(TooLarge):
        f(32768)


@pytest.mark.parametrize("window", [2, 3, 24, 63, 64, 1000, 4095, 4096])
def test_zscore(window: int, rng: random.Random) -> None:
    module = checked("torpor.sense.zscore")
    for z in (100, 300, 800):
        trigger = module.create((0, window, z))
        for values in extremes(rng, window + 1):
            trigger.fired(ring(values))


@pytest.mark.parametrize("window", [1, 2, 24, 64, 1000, 4096])
def test_energy(window: int, rng: random.Random) -> None:
    module = checked("torpor.sense.energy")
    for rms in (1, 100, 32767):
        trigger = module.create((0, window, rms))
        for values in extremes(rng, window):
            trigger.fired(ring(values))


def test_level_and_change(rng: random.Random) -> None:
    level, change = checked("torpor.sense.level"), checked("torpor.sense.change")
    for value in (-32768, 0, 32767):
        for threshold in (-32768, 0, 32767):
            parts = [level.create((0, d, threshold, 32767)) for d in (-1, 1)]
            parts += [change.create((0, d, 65535)) for d in (-1, 0, 1)]
            for part in parts:
                part.fired(ring([threshold]))
                part.reported(ring([threshold]))
                part.fired(ring([value]))
                part.load_from(bytes(part.save_into(bytearray(8), 0)), 0)


def test_adc() -> None:
    class Full:
        def adc(self, pin: int) -> "Full":
            return self

        def read_mv(self) -> int:
            return 4096

    row = array("h", [0])
    for numerator in (-262143, 1, 262143):
        checked("torpor.sense.adc").create((0, 65535, numerator, 7), Full()).read_into(row)


def test_dew_point() -> None:
    depression = checked("torpor.dsp.dewpoint").depression
    for t in [*range(-32768, 32767, 331), -6000, 12500]:
        for h in [*range(-32768, 32767, 997), *range(0, 10001, 250), 1]:
            depression(t, h)


def test_hours() -> None:
    module = checked("torpor.dsp.hours")
    for second in range(-86400, 3 * 86400, 97):
        module.cosine(second)


def test_features(rng: random.Random) -> None:
    module = checked("torpor.dsp.features")
    for mul in (1, 255, 65536, (1 << 24) - 1):
        for sign in (-1, 1):
            for mean in (-32768, 0, 32767):
                specs = tuple((kind, 0, 1 if kind == 4 else 3, mean, sign * mul) for kind in range(7))
                features = module.Features(specs, -43200)
                for values in extremes(rng, 4):
                    features.fill(ring(values, 2), 820000000, array("b", [0] * 7), -128)


def test_decision(rng: random.Random) -> None:
    module = checked("torpor.decision")
    for average in (1, 255):
        for level in (-32768, 32767):
            for direction in (-1, 1):
                decision = module.Decision((direction, level, level, average, 0))
                for i in range(2 * average):
                    # The clock itself, Unix seconds, is past 2^30 on any board: not what is asked here.
                    decision.update(rng.choice((-100000, -32768, 32767, 100000)), 820000000 + i)


# Coefficients of three chips, as in tests/device/test_bme280.py.
CHIPS = (
    (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000, 75, 370, 0, 313, 50, 30),
    (28485, 26735, 50, 36738, -10635, 3024, 6980, -4, -7, 9900, -10230, 4285, 75, 353, 0, 340, 0, 30),
    (27917, 26128, 50, 37996, -10583, 3024, 8271, 38, -7, 9900, -10230, 4285, 0, 376, 0, 288, 50, 30),
)


@pytest.mark.parametrize("coefficients", CHIPS)
def test_bme280(coefficients: tuple[int, ...]) -> None:
    """Small over everything the chip is made for; what it refuses or saturates may allocate on the way."""
    module, plain = checked("drivers.bme280"), importlib.import_module("drivers.bme280")
    chip, exact = (m.BME280.__new__(m.BME280) for m in (module, plain))
    names = [
        *(f"_t{i}" for i in (1, 2, 3)),
        *(f"_p{i}" for i in range(1, 10)),
        *(f"_h{i}" for i in range(1, 7)),
    ]
    for one in (chip, exact):
        one.__dict__.update(dict(zip(names, coefficients, strict=True)))
    temperatures, humid, pressures = set(), 0, 0
    for raw in range(200000, 800000, 2503):
        fine = exact._fine(raw)
        temperature = fine * 5 + 128 >> 8
        if not -4000 <= temperature <= 8500:
            continue
        temperatures.add(temperature)
        assert chip._fine(raw) == fine
        for humidity in range(0, 65536, 1093):
            want = exact._humidity(humidity, fine)
            if want < 10000:
                humid += 1
                assert chip._humidity(humidity, fine) == want
        for pressure in range(0, 1 << 20, 20011):
            want = exact._pascal(pressure, fine)
            if 20000 <= want <= 120000:
                pressures += 1
                assert chip._pascal(pressure, fine) == want
    assert min(temperatures) < -3900 < 8400 < max(temperatures)
    assert humid > 3000
    assert pressures > 3000
