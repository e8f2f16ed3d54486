# SPDX-License-Identifier: MIT
"""The years of weather in pvlib's files: what they hold, when it was read, and what happens without them."""

import importlib.util
import warnings
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from torpor_host.errors import TraceError, UsageError
from torpor_host.simulate import weather


@pytest.fixture(scope="module")
def years() -> dict[str, weather.Weather]:
    return {site: weather.load(site) for site in weather.sites()}


def test_sites_are_known_by_name_and_place(years: dict[str, weather.Weather]) -> None:
    assert list(years) == ["greensboro", "sand-point"]
    assert years["greensboro"].name == "Greensboro Piedmont Triad Int, NC"
    assert (years["sand-point"].latitude_deg, years["sand-point"].longitude_deg) == (55.317, -160.517)
    assert (years["greensboro"].utc_offset_h, years["sand-point"].utc_offset_h) == (-5.0, -9.0)


def test_every_column_has_a_value_for_each_hour(years: dict[str, weather.Weather]) -> None:
    for year in years.values():
        for column in (year.temperature_c, year.dew_point_c, year.humidity_pct, year.pressure_hpa):
            assert column.shape == (8760,)
            assert np.all(np.isfinite(column))
        assert np.all(year.dew_point_c <= year.temperature_c + 0.1)


def test_what_is_known_of_the_two_years(years: dict[str, weather.Weather]) -> None:
    greensboro, sand_point = years["greensboro"], years["sand-point"]
    assert (greensboro.temperature_c.min(), greensboro.temperature_c.max()) == (-16.7, 35.6)
    assert (sand_point.temperature_c.min(), sand_point.temperature_c.max()) == (-10.6, 19.4)
    assert (greensboro.modelled, greensboro.interpolated) == (0.0, 0.0)
    assert sand_point.modelled == pytest.approx(0.1815, abs=1e-4)
    assert sand_point.interpolated == pytest.approx(0.1517, abs=1e-4)
    assert np.ptp(sand_point.pressure_hpa) == 0, "why pressure is no input of the frost model"


def test_hours_are_stamped_at_their_end_in_local_standard_time(years: dict[str, weather.Weather]) -> None:
    year = years["greensboro"]
    assert year.hour_local[:25].tolist() == [*range(1, 25), 1]
    assert year.month[[0, 743, 744, 8759]].tolist() == [1, 1, 2, 12]
    times = year.times_s(2025)
    assert datetime.fromtimestamp(int(times[0]), UTC) == datetime(2025, 1, 1, 6, tzinfo=UTC)  # 01:00 EST
    assert datetime.fromtimestamp(int(times[-1]), UTC) == datetime(2026, 1, 1, 5, tzinfo=UTC)  # 24:00 EST
    assert set(np.diff(times)) == {3600}


def test_the_sun_warms_the_afternoon(years: dict[str, weather.Weather]) -> None:
    """Whatever the header says: were the clock UTC or turned, the warmest hour would not follow noon."""
    for year in years.values():
        by_hour = [year.temperature_c[year.hour_local == hour].mean() for hour in range(1, 25)]
        assert 13 <= 1 + int(np.argmax(by_hour)) <= 16
        assert 4 <= 1 + int(np.argmin(by_hour)) <= 7


def test_counts_are_the_channels_of_the_node(years: dict[str, weather.Weather]) -> None:
    year = years["sand-point"]
    counts = year.counts()
    assert counts.dtype == np.int16
    assert counts[0].tolist() == [400, 9300]
    assert np.array_equal(counts[:, 0] / 100, year.temperature_c)


def test_pvlib_reads_the_same(years: dict[str, weather.Weather]) -> None:
    iotools = pytest.importorskip("pvlib.iotools")
    for site, year in years.items():
        path = weather._find(weather._FILES[site])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pandas deprecates this year is not ours
            table, head = iotools.read_tmy3(path, map_variables=True)
        assert np.array_equal(table["temp_air"], year.temperature_c)
        assert np.array_equal(table["relative_humidity"], year.humidity_pct)
        assert head["TZ"] == year.utc_offset_h


def test_an_unknown_site_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        weather.load("Greensborough")
    assert "'greensboro'" in caught.value.fix
    with pytest.raises(UsageError) as caught:
        weather.load("zzz")
    assert "sand-point" in caught.value.fix


def test_without_pvlib_or_its_file_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(TraceError, match="723170TYA") as caught:
        weather.load("greensboro")
    assert caught.value.fix.startswith("pip install")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TraceError, match="not installed"):
        weather.load("greensboro")


def _altered(lines: list[str], line: int, old: str, new: str) -> list[str]:
    assert old in lines[line]
    return [*lines[:line], lines[line].replace(old, new, 1), *lines[line + 1 :]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "lines"),
        (lambda lines: [], "0 lines"),
        (lambda lines: _altered(lines, 1, "Dry-bulb (C),", "Wet-bulb (C),"), "no column 'Dry-bulb"),
        (lambda lines: _altered(lines, 9, ",A,7,", ",A,"), "shorter"),
        (lambda lines: _altered(lines, 9, ",08:00,", ",09:00,"), "out of order"),
        (lambda lines: _altered(lines, 2, ",10.0,A,7,", ",-9900,A,7,"), ":3: 'Dry-bulb (C)' is -9900"),
        (lambda lines: _altered(lines, 2, ",10.0,A,7,", ",nan,A,7,"), ":3: 'Dry-bulb (C)' is nan"),
        (lambda lines: _altered(lines, 2, ",10.0,A,7,", ",warm,A,7,"), "Dry-bulb"),
        (lambda lines: _altered(lines, 2, "01/01/1988", "January 1 "), "line 3"),
        (lambda lines: _altered(lines, 0, "-5.0", "west"), "line 1"),
        (lambda lines: [lines[0] + "\u00e9", *lines[1:]], "can't be read"),
    ],
)
def test_a_damaged_file_is_named_with_its_place(change, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lines = weather._find(weather._FILES["greensboro"]).read_text(encoding="ascii").splitlines()
    path = tmp_path / "tmy.csv"
    path.write_text("\n".join(change(lines)), encoding="utf-8")
    with pytest.raises(TraceError) as caught:
        weather.read(path, "greensboro")
    assert message in caught.value.message
    assert str(path) in caught.value.message


def test_a_file_that_is_not_there_is_an_error_of_the_trace(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="can't be read"):
        weather.read(tmp_path / "absent.csv", "greensboro")
