# SPDX-License-Identifier: MIT
"""What counts as a frost, and as an alarm that was worth something."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_host.report.events import Event, find, score

H = 3600


def hourly(values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(values)) * H, np.array(values)


# Frost at hours 10 to 12 (coldest -3), above freezing elsewhere.
NIGHT = [5.0] * 10 + [-1.0, -3.0, 0.0] + [5.0] * 12


def outcome(*alarms: tuple[float, float]) -> tuple[str, int]:
    result = score(*hourly(NIGHT), [(round(on * H), round(off * H)) for on, off in alarms])
    assert len(result.events) == 1
    return result.outcomes[0], result.false_alarms


def test_a_frost_is_a_run_of_frozen_readings() -> None:
    assert find(*hourly(NIGHT)) == [Event(10 * H, 12 * H, -3.0)]
    assert find(*hourly([1.0, 2.0])) == []
    assert find([], []) == []


def test_frosts_less_than_the_gap_apart_are_one() -> None:
    for warm, count in ((4, 1), (5, 2)):  # frozen readings 5 h apart, then 6 h
        times, values = hourly([-1.0] + [3.0] * warm + [-2.0])
        assert len(find(times, values)) == count
    assert find(*hourly([-1.0, 3.0, -2.0]))[0] == Event(0, 2 * H, -2.0)
    assert len(find(*hourly([-1.0, 3.0, -2.0]), merge_h=0)) == 2


def test_a_long_frost_with_sparse_readings_is_one() -> None:
    assert len(find([0, 12 * H, 24 * H], [-1.0, -1.0, -1.0])) == 1


def test_no_reading_is_no_frost() -> None:
    assert find(*hourly([5.0, np.nan, 5.0])) == []


@pytest.mark.parametrize(
    ("alarm", "expected"),
    [
        ((6, 14), ("caught", 0)),
        ((9.999, 14), ("caught", 0)),
        ((10, 14), ("late", 0)),  # the same wake reads frost: a thermometer, no warning
        ((12, 14), ("late", 0)),
        ((6, 9), ("missed", 0)),  # withdrawn before it froze
        ((13, 14), ("missed", 1)),  # after it was over
        ((1, 3.9), ("missed", 1)),  # more than six hours before
        ((1, 4), ("missed", 0)),  # touches the six hours before it
        ((0, 24), ("caught", 0)),
    ],
)
def test_an_alarm_meets_a_frost_or_does_not(alarm: tuple[float, float], expected: tuple[str, int]) -> None:
    assert outcome(alarm) == expected


def test_no_alarm_misses() -> None:
    assert outcome() == ("missed", 0)


def test_a_withdrawn_warning_that_returns_in_time_or_late() -> None:
    assert outcome((5, 7), (9, 14)) == ("caught", 0)
    assert outcome((5, 7), (11, 14)) == ("late", 0)


def test_lead_is_at_most_the_horizon() -> None:
    assert score(*hourly(NIGHT), [(7 * H, 14 * H)]).lead_h == [3.0]
    assert score(*hourly(NIGHT), [(0, 14 * H)]).lead_h == [6.0]
    assert score(*hourly(NIGHT), []).mean_lead_h == 0.0


def test_an_alarm_without_end_pays_in_idle_hours() -> None:
    result = score(*hourly(NIGHT), [(0, 24 * H)])
    assert (result.caught, result.false_alarms) == (1, 0)
    assert (result.alarm_h, result.idle_h) == (24.0, 24.0 - 8.0)  # the frost's span is 4 h to 12 h


def test_spans_that_overlap_are_not_counted_twice() -> None:
    times, values = hourly([5.0] * 8 + [-1.0] + [5.0] * 7 + [-1.0, 5.0, 5.0])  # 8 h apart, spans 2..8, 10..16
    result = score(times, values, [(0, 18 * H)], horizon_h=9)  # spans 0..8, 7..16: 16 h in all
    assert len(result.events) == 2
    assert result.idle_h == pytest.approx(2.0)


def test_the_same_for_heat_with_signs_turned() -> None:
    times, values = hourly([20.0, 20.0, 31.0, 20.0])
    result = score(times, -values, [(H, 3 * H)], threshold=-30.0)
    assert (result.caught, result.lead_h) == (1, [1.0])


@pytest.mark.parametrize(
    ("times", "values", "alarms"),
    [
        ([0, 1], [1.0], []),
        ([0, 0], [1.0, 1.0], []),
        ([5, 1], [1.0, 1.0], []),
        ([0, 1], [1.0, 1.0], [(3, 2)]),
        ([0, 1], [1.0, 1.0], [(0, 5), (4, 6)]),
    ],
)
def test_what_makes_no_sense_is_refused(times: list[int], values: list[float], alarms: list) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError):
        score(times, values, alarms)


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=12, unique=True),
)
def test_every_frost_has_one_outcome_and_hours_add_up(values: list[float], edges: list[int]) -> None:
    edges = sorted(edges[: len(edges) // 2 * 2])
    alarms = [(on * H, off * H) for on, off in zip(edges[::2], edges[1::2])]
    result = score(*hourly(values), alarms)
    assert result.caught + result.late + result.missed == len(result.events) == len(result.outcomes)
    assert len(result.lead_h) == result.caught
    assert all(0 < lead <= 6 for lead in result.lead_h)
    assert 0 <= result.idle_h <= result.alarm_h
    assert 0 <= result.false_alarms <= result.alarms
    assert sum(value <= 0 for value in values) >= len(result.events)
    assert result.as_dict()["events"] == len(result.events)
