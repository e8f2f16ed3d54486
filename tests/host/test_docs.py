# SPDX-License-Identifier: MIT
"""Documentation is run: the commands in ```sh blocks work in order, the outputs shown are what is printed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import torpor

from conftest import REPOSITORY
from torpor_host import cli

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PAGES += sorted((REPOSITORY / "examples").glob("*/README.md"))


def shown(page: Path, name: str) -> str:
    """The text block between <!-- name --> and <!-- end -->."""
    found = re.search(
        rf"<!-- {name} -->\n```text\n(.*?)```\n<!-- end -->", page.read_text("utf-8"), re.DOTALL
    )
    assert found, f"{page.name} has no block {name}"
    return found[1]


def test_readme_commands_run_in_order(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    ran = 0
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
            continue
        assert words[0] == "torpor", line
        run = torpor(*words[1:], cwd=tmp_path)
        assert run.returncode == 0, f"{line}\n{run.stderr}"
        ran += 1
    assert ran >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_each_command_shown_parses(page: Path) -> None:
    """In code spans: `torpor ...` with its options, unless it only names the verb."""
    for span in re.findall(r"`(torpor [^`\n]+)`", page.read_text(encoding="utf-8")):
        words = [w for w in shlex.split(span) if not re.fullmatch(r"\[[A-Z]+\]", w)]
        if len(words) < 3 or words[1].isupper():
            continue
        words = ["1d" if w == "DURATION" else w for w in words]
        assert cli.parser().parse_args(words[1:]).verb == words[1], span


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """The full year, on a real MicroPython with 100 KB of heap."""
    demo = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    command = "torpor run examples/frost --on virtual --for 365d"
    assert command in demo
    run = torpor(*shlex.split(command)[1:], "--out", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    wanted = shown(REPOSITORY / "README.md", "demo")
    assert wanted in run.stdout
    assert "365 days" in wanted


def test_a_mistake_gets_its_line_as_shown(tmp_path: Path) -> None:
    assert torpor("new", "shed", "--board", "esp32c3-devkitm-1", cwd=tmp_path).returncode == 0
    path = tmp_path / "shed" / "node.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("wake_every"))
    lines[at] = lines[at].replace("wake_every", "wake_evry")
    path.write_text("\n".join(lines), encoding="utf-8")
    said = torpor("check", "shed", cwd=tmp_path).stderr
    expected = shown(REPOSITORY / "README.md", "check")
    assert said.startswith(expected.strip()), said


@pytest.mark.skipif(sys.platform == "win32", reason="make")
def test_makefile_has_the_promised_targets() -> None:
    for target in ("setup", "demo", "test", "check", "bench", "soak", "clean"):
        run = subprocess.run(
            ["make", "-n", target, "PYTHON=" + sys.executable],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            env=os.environ,
            check=False,
        )
        assert run.returncode == 0, run.stderr
