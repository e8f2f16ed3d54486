# SPDX-License-Identifier: MIT
"""Quantities with units: what is understood, and that what is not says how to write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_host import units
from torpor_host.errors import TorporError
from torpor_host.units import UnitError, parse


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("30min", "duration", 1800),
        ("365d", "duration", 31536000),
        ("-5h", "duration", -18000),
        ("-3h30min", "duration", -12600),
        ("1h 30min", "duration", 5400),
        ("0.5 h", "duration", 1800),
        ("4degC", "temperature", 4),
        ("-1.5degC", "temperature", -1.5),
        ("3 °C", "temperature", 3),
        ("2K", "difference", 2),
        ("55%", "ratio", 0.55),
        ("55%", "humidity", 55),
        ("25cm2", "area", 0.0025),
        ("3.3V", "voltage", 3.3),
        ("2.5Ah", "charge", 2500),
        ("20mg", "acceleration", 20),
        ("1g", "acceleration", 1000),
        ("48KB", "bytes", 49152),
        ("400kHz", "frequency", 400000),
        (0.25, "number", 0.25),
    ],
)
def test_understood(text: object, kind: str, value: float) -> None:
    assert parse(text, kind) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "kind", "what", "fix"),
    [
        ("30", "duration", "has no unit", '"30min"'),
        (30, "duration", "has no unit", '"30min"'),
        ("30minutes", "duration", "is not a duration", "min"),
        ("30Min", "duration", "is not a duration", "did you mean min?"),
        ("", "duration", "is not a duration", '"30min"'),
        ("soon", "duration", "is not a duration", '"30min"'),
        ("h", "duration", "is not a duration", '"30min"'),
        ("nanh", "duration", "is not a duration", '"30min"'),
        ("1e999h", "duration", "is not a duration", '"30min"'),
        ("4K", "temperature", "is not a temperature", "K the difference of two"),
        ("4degC", "difference", "is not a difference", "K the difference of two"),
        (True, "duration", "is not a duration", '"30min"'),
        (["1h"], "duration", "is not a duration", '"30min"'),
        (float("nan"), "number", "is not a plain number", "0.5"),
        ("3", "number", "is not a plain number", "without quotes"),
    ],
)
def test_refused_with_the_fix(text: object, kind: str, what: str, fix: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse(text, kind)
    assert what in caught.value.message
    assert fix in caught.value.fix


def test_an_error_is_a_usage_error_for_the_command_line_and_a_value_error_for_pydantic() -> None:
    with pytest.raises(ValueError):
        parse("x", "duration")
    with pytest.raises(TorporError) as caught:
        parse("x", "duration")
    assert caught.value.exit_code == 2


def test_every_kind_understands_its_own_example() -> None:
    for kind, example in units.EXAMPLES.items():
        assert parse(float(example) if kind == "number" else example, kind) > 0


def test_every_unit_of_every_kind() -> None:
    for kind, table in units.TABLE.items():
        for unit, factor in table.items():
            assert parse(f"3{unit}", kind) == pytest.approx(3 * factor)


@given(st.integers(-(10**9), 10**9))
def test_duration_text_reads_back(seconds: int) -> None:
    assert parse(units.duration_text(seconds), "duration") == seconds


@given(st.text(max_size=12), st.sampled_from(sorted(units.TABLE)))
def test_any_text_is_a_quantity_or_a_unit_error(text: str, kind: str) -> None:
    try:
        assert isinstance(parse(text, kind), float)
    except UnitError as e:
        assert e.fix
