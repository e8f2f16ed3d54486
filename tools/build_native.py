# SPDX-License-Identifier: MIT
"""Builds the native kernels that the package carries, or checks that they are up to date.

    python tools/build_native.py            needs PyPI ziglang; writes host/torpor_host/kernels/built/
    python tools/build_native.py --check    exits 1 when they are not those of the sources

The check compares the hash of sources and flags always, and rebuilds and compares byte for byte where the
very compiler that made them is installed.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from torpor_host.errors import TorporError
from torpor_host.kernels import carried, mpy


def write(target: Path, data: bytes) -> None:
    temporary = target.with_name(target.name + ".part")
    temporary.write_bytes(data)
    os.replace(temporary, target)


def build() -> int:
    carried.FOLDER.mkdir(exist_ok=True)
    for target in mpy.TARGETS.values():
        data = mpy.build(target)
        write(carried.FOLDER / f"{target.name}.mpy", data)
        print(f"{target.name:10} {len(data):7,} bytes")
    write(carried.FOLDER / carried.NOTE, (json.dumps(carried.note(), indent=2) + "\n").encode())
    return 0


def check() -> int:
    now, then = carried.note(), carried.recorded()
    if now["sources"] != then.get("sources"):
        print("the native modules are older than their sources: run python tools/build_native.py")
        return 1
    if now["ziglang"] != then["ziglang"]:
        print(
            f"native modules: made by ziglang {then['ziglang']}, not here; only their sources were compared"
        )
        return 0
    for target in mpy.TARGETS.values():
        if mpy.build(target) != carried.path(target.name).read_bytes():
            print(f"{target.name}.mpy is not what its sources give: run python tools/build_native.py")
            return 1
    print(f"native modules: {len(mpy.TARGETS)} rebuilt, the same bytes")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the native kernels, or check those that are carried.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    try:
        return check() if parser.parse_args().check else build()
    except TorporError as e:
        print(e, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
