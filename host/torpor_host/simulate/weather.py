# SPDX-License-Identifier: MIT
"""A year of real hourly weather at two sites, read from the files that the `pvlib` wheel carries.

    >>> load("greensboro").temperature_c[:3]
    array([10., 10., 10.])

The files are NREL's typical meteorological years, third edition (TMY3; public domain): twelve months, each
taken whole from the year that was most typical of that month, joined together. So the weather is real within
a month and jumps at its end: no window that a model is trained or scored on may cross from one month into
the next (`Weather.month` tells them apart).

Time: a row stamped 01:00 closes the first hour of the day and 24:00 is the day's end, in local *standard*
time (no summer time). Temperature, dew point, humidity and pressure are what was read *at* the stamped time;
only radiation and rain, which are not used here, are totals of the hour before it.
Source: S. Wilcox and W. Marion, Users Manual for TMY3 Data Sets, NREL/TP-581-43156, May 2008.
"""

import csv
import difflib
import importlib.util
from calendar import timegm
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from torpor_host.errors import TraceError, UsageError

HOURS = 8760
# A year of TMY3 has no 29 February; any common year names its hours. This one keeps clocks in the near past.
YEAR = 2025

_FILES = {"greensboro": "723170TYA.CSV", "sand-point": "703165TY.csv"}
# Column titles in the second line of a TMY3 file, and the range outside which a value stands for "missing"
# (the files write -9900). Ranges are generous bounds of weather at ground level.
_COLUMNS = {
    "temperature_c": ("Dry-bulb (C)", -70.0, 60.0),
    "dew_point_c": ("Dew-point (C)", -80.0, 40.0),
    "humidity_pct": ("RHum (%)", 0.0, 100.0),
    "pressure_hpa": ("Pressure (mbar)", 600.0, 1100.0),
}
_SOURCE = "Dry-bulb source"


@dataclass(frozen=True)
class Weather:
    """One site's year. All arrays have shape [8760], one value an hour, in the order of the file.

    temperature_c, dew_point_c  float64, degC, given to 0.1
    humidity_pct                float64, %RH, given to 1
    pressure_hpa                float64, hPa at the station, given to 1
    month                       int64, 1..12, the month the hour belongs to (24:00 belongs to the day it ends)
    hour_local                  int64, 1..24, the stamp: local standard time *at the end* of the hour
    utc_offset_h                local standard time minus UTC, hours
    modelled, interpolated      fractions of the temperatures that no thermometer read: estimated by a model;
                                drawn between readings
    """

    site: str
    name: str
    latitude_deg: float
    longitude_deg: float
    utc_offset_h: float
    modelled: float
    interpolated: float
    temperature_c: np.ndarray
    dew_point_c: np.ndarray
    humidity_pct: np.ndarray
    pressure_hpa: np.ndarray
    month: np.ndarray
    hour_local: np.ndarray

    def times_s(self, year: int = YEAR) -> np.ndarray:
        """int64 [8760]: seconds UTC at which each hour's values were read, as if it were that common year."""
        first = timegm((year, 1, 1, 0, 0, 0)) - round(self.utc_offset_h * 3600)
        return first + 3600 * np.arange(1, HOURS + 1, dtype=np.int64)

    def counts(self) -> np.ndarray:
        """int16 [8760, 2]: temperature in 0.01 degC, humidity in 0.01 %RH: the node's channels."""
        return np.round(np.stack([self.temperature_c, self.humidity_pct], axis=1) * 100).astype(np.int16)


def sites() -> list[str]:
    return sorted(_FILES)


def load(site: str) -> Weather:
    """Read one site's year. Raises UsageError for a site that is not known, TraceError when pvlib's file is
    missing or is not the file expected."""
    if site not in _FILES:
        near = difflib.get_close_matches(site.lower(), _FILES, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(sites())}"
        raise UsageError(f"no weather for site '{site}'", hint)
    return read(_find(_FILES[site]), site)


def _find(name: str) -> Path:
    # pvlib itself is not imported: its data is all that is needed, and pandas would come along.
    spec = importlib.util.find_spec("pvlib")
    if spec is None or not spec.submodule_search_locations:
        raise TraceError(
            "the weather comes with the package 'pvlib', which is not installed", "pip install pvlib"
        )
    path = Path(spec.submodule_search_locations[0]) / "data" / name
    if not path.is_file():
        raise TraceError(
            f"{path}: this release of pvlib does not carry the file", "pip install 'pvlib==0.16.1'"
        )
    return path


def read(path: Path, site: str) -> Weather:
    """Parse one TMY3 file. Raises TraceError naming file, line and column."""
    rows: list[list[str]] = []
    try:
        with path.open(newline="", encoding="ascii") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path}: can't be read as TMY3 ({error})", "reinstall pvlib") from error
    if len(rows) != HOURS + 2 or len(rows[0]) < 7:
        raise TraceError(f"{path}: {len(rows)} lines, a TMY3 file has {HOURS + 2}", "reinstall pvlib")
    station, titles, hours = rows[0], rows[1], rows[2:]
    wanted = ["Date (MM/DD/YYYY)", "Time (HH:MM)", _SOURCE, *(column[0] for column in _COLUMNS.values())]
    absent = [title for title in wanted if title not in titles]
    if absent:
        raise TraceError(f"{path}:2: no column '{absent[0]}'", "reinstall pvlib")
    if min(map(len, hours)) < len(titles):
        raise TraceError(f"{path}: a line is shorter than the titles", "reinstall pvlib")

    try:
        utc_offset_h, latitude_deg, longitude_deg = (float(text) for text in station[3:6])
    except ValueError as error:
        raise TraceError(f"{path}: line 1: {error}", "reinstall pvlib") from error
    month = _leading_numbers(path, titles, hours, wanted[0])
    hour = _leading_numbers(path, titles, hours, wanted[1])
    if not np.array_equal(hour, np.tile(np.arange(1, 25), 365)) or np.any(np.diff(month) < 0):
        raise TraceError(f"{path}: hours are missing or out of order", "reinstall pvlib")
    at = titles.index(_SOURCE)
    # Source flags of meteorological elements: A as received, B and C interpolated, E modelled or estimated.
    flags = [row[at] for row in hours]
    return Weather(
        site=site,
        name=station[1].title() + ", " + station[2],
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        utc_offset_h=utc_offset_h,
        modelled=flags.count("E") / HOURS,
        interpolated=(flags.count("B") + flags.count("C")) / HOURS,
        month=month,
        hour_local=hour,
        **{field: _column(path, titles, hours, *column) for field, column in _COLUMNS.items()},
    )


def _leading_numbers(path: Path, titles: list[str], hours: list[list[str]], title: str) -> np.ndarray:
    """Month of MM/DD/YYYY, hour of HH:MM."""
    at = titles.index(title)
    bad = next((i for i, row in enumerate(hours) if not row[at][:2].isdecimal()), None)
    if bad is not None:
        raise TraceError(f"{path}: line {bad + 3}: '{title}' is '{hours[bad][at]}'", "reinstall pvlib")
    return np.array([int(row[at][:2]) for row in hours], dtype=np.int64)


def _column(
    path: Path, titles: list[str], hours: list[list[str]], title: str, low: float, high: float
) -> np.ndarray:
    at = titles.index(title)
    try:
        values = np.array([float(row[at]) for row in hours])
    except ValueError as error:
        raise TraceError(f"{path}: column '{title}': {error}", "reinstall pvlib") from error
    bad = np.flatnonzero(~((values >= low) & (values <= high)))
    if bad.size:
        raise TraceError(
            f"{path}:{bad[0] + 3}: '{title}' is {values[bad[0]]}, out of range", "reinstall pvlib"
        )
    return values
