# SPDX-License-Identifier: MIT
"""docs/inference.md says what is: its tables are made anew, its snippets and messages looked up, its commands
run."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from test_cli import torpor

from conftest import REPOSITORY
from torpor_host.compiler import operators, spec
from torpor_host.compiler.image import CODES
from torpor_host.kernels import mpy

sys.path.insert(0, str(REPOSITORY / "tools"))

import operator_table

PAGE = operator_table.PAGE
TEXT = PAGE.read_text(encoding="utf-8")
SNIPPETS = re.findall(r"<!-- (\S+/\S+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
STALE = "PYTHONPATH=device:host:tests python tools/operator_table.py --write"


def test_tables_are_up_to_date() -> None:
    rows, ulab, viper = operator_table.collect(), operator_table.with_ulab(), operator_table.with_viper()
    assert set(rows) >= set(operators.KINDS) - set(spec.OURS), "an operator without a random model"
    assert ulab >= {1, 2, 3} and viper >= {1, 2, 3}
    wanted = operator_table.operator_table(rows, ulab, viper)
    assert operator_table.block("operators", TEXT) == wanted + "\n", STALE
    assert operator_table.block("own", TEXT) == operator_table.own_code(ulab, viper) + "\n", STALE
    assert {c for row in rows.values() for c in row.records} == set(CODES)
    assert set(CODES) <= mpy.CODES, "the page says that native has them all"


def test_model_table_is_up_to_date(shared_data: Path) -> None:
    assert operator_table.block("models", TEXT) == operator_table.model_table() + "\n", STALE


@pytest.mark.parametrize(("path", "snippet"), SNIPPETS)
def test_snippets_are_quotations(path: str, snippet: str) -> None:
    assert snippet in (REPOSITORY / path).read_text(encoding="utf-8")


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 7
    assert len(SNIPPETS) == len(re.findall(r"```(?:python|c)\n", TEXT))


def test_refusals_are_said_in_these_words() -> None:
    table = TEXT.split("| message | fix |\n|---|---|\n")[1].split("\n\n")[0]
    rows = [tuple(line.strip("| ").split(" | ")) for line in table.splitlines()]
    known = {(rule.reason, rule.fix) for kind in operators.KINDS.values() for rule in kind.rules}
    known |= {(reason, spec._FIXES.get(reason, "")) for _, reason in spec.SOUND}
    known |= {(f"no such operator here ({name})", fix) for name, fix in spec.REWRITES.items()}
    assert len(rows) > 8
    for row in rows:
        assert row in known, row


def test_commands_run(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    ran = 0
    for line in "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
            continue
        assert words[0] == "torpor", line
        run = torpor(*words[1:], cwd=tmp_path)
        assert run.returncode == 0, f"{line}\n{run.stderr}"
        ran += 1
    assert ran >= 3


def test_files_named_exist() -> None:
    """In code spans: paths from the root, and test files by their name alone."""
    ours = ("device", "docs", "examples", "host", "tests", "tools")  # not .venv, which is large
    there = ["/" + str(p.relative_to(REPOSITORY)) for name in ours for p in (REPOSITORY / name).rglob("*.*")]
    for span in set(re.findall(r"`([\w/]+\.(?:py|c|h))`", TEXT)):
        assert any(path.endswith("/" + span) for path in there), span
