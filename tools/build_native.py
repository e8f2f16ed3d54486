# SPDX-License-Identifier: MIT
"""Builds the native kernels that the package carries, or checks that they are up to date.

    python tools/build_native.py            writes host/torpor_host/kernels/built/
    python tools/build_native.py --check    exits 1 when they are not those of the sources

Needs PyPI ziglang, and for the module of Xtensa clang-22 and llvm-22 (Debian). Where these are missing, a
build leaves that module as it is and exits 1, and made.json goes on saying from which sources it is.

The check compares the hash of sources and flags always, and rebuilds and compares byte for byte where the
very compiler that made a module is installed.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from torpor_host.errors import TorporError
from torpor_host.kernels import carried, mpy, toolchain, xtensa


def write(target: Path, data: bytes) -> None:
    temporary = target.with_name(target.name + ".part")
    temporary.write_bytes(data)
    os.replace(temporary, target)


def build() -> int:
    carried.FOLDER.mkdir(exist_ok=True)
    made = carried.note()
    left = [] if made[carried.CLANG] else [xtensa.NAME]
    for target in mpy.TARGETS.values():
        if target.name in left:
            continue
        sizes = []
        for small in (False, True):
            data = mpy.build(target, small)
            write(carried.name_of(target.name, small), data)
            sizes.append(len(data))
        print(f"{target.name:10} {sizes[0]:7,} bytes, small {sizes[1]:7,} bytes")
    if left:
        then = carried.recorded()
        made |= {key: then.get(key, "") for key in (carried.CLANG, carried.CLANG_SOURCES)}
    write(carried.FOLDER / carried.NOTE, (json.dumps(made, indent=2) + "\n").encode())
    if left:
        print(f"{xtensa.NAME} was not built: apt-get install {toolchain.LLVM_PACKAGES}", file=sys.stderr)
        return 1
    return 0


def check() -> int:
    now, then = carried.note(), carried.recorded()
    if any(now[key] != then.get(key) for key in (carried.SOURCES, carried.CLANG_SOURCES)):
        print("the native modules are older than their sources: run python tools/build_native.py")
        return 1
    rebuilt = 0
    for target in mpy.TARGETS.values():
        compiler = carried.CLANG if target.name == xtensa.NAME else carried.ZIG
        if now[compiler] != then[compiler]:
            made_by = f"{compiler} {then[compiler]}"
            print(f"{target.name}: made by {made_by}, not here; only its sources were compared")
            continue
        for small in (False, True):
            found = carried.path(target.name, small)
            if mpy.build(target, small) != found.read_bytes():
                print(f"{found.name} is not what its sources give: run python tools/build_native.py")
                return 1
            rebuilt += 1
    print(f"native modules: {rebuilt} rebuilt, the same bytes")
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
