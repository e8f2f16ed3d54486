# SPDX-License-Identifier: MIT
"""Type-check the files that touch chips against the runtimes' own stubs: `python tools/check_stubs.py`.

Stubs go to .stubs/ (git-ignored), never into the environment: they carry a package `micropython` that would
shadow the interpreter. Missing ones are installed from PyPI first. Exit code 1 on any error.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUBS = ROOT / ".stubs"

# Runtime -> packages, folder inside .stubs, files checked. Drivers and links are checked against both.
BOTH = ["drivers", "torpor/radio/ble.py", "torpor/sense"]
RUNTIMES = {
    "micropython": (["micropython-esp32-stubs>=1.24"], ["torpor/hal/micropython_esp32.py", *BOTH]),
    "circuitpython": (["circuitpython-stubs>=10"], ["torpor/hal/circuitpython.py", *BOTH]),
}

# What the stubs themselves get wrong is not ours to report. Device code carries hardly any annotation, so
# bodies without one are checked all the same.
MYPY_INI = """
[mypy]
check_untyped_defs = true
explicit_package_bases = true
namespace_packages = true
no_site_packages = true
follow_imports = silent
warn_unused_ignores = true
show_error_codes = true
ignore_errors = true
[mypy-torpor.*,drivers.*]
ignore_errors = false
"""


def install(runtime: str, packages: list[str]) -> Path:
    """Return the folder with the stubs, installing them where it is absent. Nothing half-made is kept."""
    target = STUBS / runtime
    if target.is_dir():
        return target
    STUBS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STUBS) as fresh:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", f"{fresh}/{runtime}"]
        if subprocess.run([*pip, *packages], check=False).returncode:
            sys.exit(f"check_stubs: {' '.join(packages)} could not be installed; is PyPI reachable?")
        made = Path(fresh, runtime)
        # mypy finds a package `alarm-stubs` only in site-packages; on its own path it looks for `alarm`.
        for folder in made.glob("*-stubs"):
            name = folder.name.removesuffix("-stubs")
            if name not in sys.stdlib_module_names:  # those few are for CPython's own names: leave them out
                folder.rename(made / name)
        made.rename(target)
    return target


def check(runtime: str, files: list[str] | None = None) -> bool:
    """Check one runtime's files (or others in device/); True when mypy finds nothing in them."""
    packages, own = RUNTIMES[runtime]
    stubs = install(runtime, packages)
    options = ["--config-file", str(STUBS / "mypy.ini"), "--cache-dir", os.devnull]
    if runtime == "micropython":
        options += ["--custom-typeshed-dir", str(stubs)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *(files or own)],
        cwd=ROOT / "device",
        env={**os.environ, "MYPYPATH": os.pathsep.join([str(ROOT / "device"), str(stubs)])},
        check=False,
    )
    return done.returncode == 0


if __name__ == "__main__":
    STUBS.mkdir(exist_ok=True)
    (STUBS / "mypy.ini").write_text(MYPY_INI)
    results = {runtime: check(runtime) for runtime in RUNTIMES}
    for runtime, passed in results.items():
        print(f"{runtime}: {'ok' if passed else 'errors'}")
    sys.exit(0 if all(results.values()) else 1)
