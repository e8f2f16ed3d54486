# SPDX-License-Identifier: MIT
"""Fixtures of all suites. Recordings and models that can't be republished lie beside the repository, in
../shared/data; where that folder is absent the tests that need it are skipped, and counted aloud."""

import gc
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
_without_data: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def few_objects_to_collect() -> None:
    """A Model collects garbage as it is made: slow among all that pytest, scipy and earlier modules hold."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def shared_data(request: pytest.FixtureRequest) -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("needs ../shared/data")
    return SHARED_DATA


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    absent = [r for r in skipped if "needs ../shared/data" in str(r.longrepr)]
    if absent:
        terminalreporter.write_line(
            f"{len(absent)} tests were skipped: ../shared/data is not on this machine", yellow=True
        )
