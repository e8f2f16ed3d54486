# SPDX-License-Identifier: MIT
"""The device suite on a real MicroPython, one test per file so that a failure names it."""

import subprocess

import pytest

from conftest import REPOSITORY
from torpor_host.simulate.interpreter import command

NAMES = sorted(p.stem for p in (REPOSITORY / "tests" / "device").glob("test_*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_on_micropython(name: str) -> None:
    tests = REPOSITORY / "tests" / "device"
    run = subprocess.run(
        [*command(), str(tests / "run.py"), str(REPOSITORY / "device"), str(tests), name],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed, 0 failed" in run.stdout
