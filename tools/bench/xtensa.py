# SPDX-License-Identifier: MIT
"""Instructions of the module for ESP32, S2 and S3 on an emulated Xtensa core, layer by layer.

    python tools/bench/xtensa.py [model.tflite ...]      default: the keyword model of ../shared/data

With MAC16, as ESP32 and S3 run it, and without, as the S2 does. A layer is what the model with it takes more
than the model without it. Instructions are no cycles: the emulated core has no caches and no pipeline.
"""

import io
import struct
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "host"))

import xtensa_machine as machine  # noqa: E402

from torpor.nn.image import Image  # noqa: E402
from torpor_host.compiler import compile_file  # noqa: E402
from torpor_host.kernels import carried, xtensa  # noqa: E402

MODEL = ROOT.parent / "shared" / "data" / "models" / "mlperf_tiny" / "kws_ref_model.tflite"
VIPER = 14.5  # the best of several dense loops in MicroPython's viper, rows of 256, on the same core
_COUNT_AT, _OPERATORS_AT = 38, 28  # in the image's header
_NAMES = {1: "FULLY_CONNECTED", 2: "CONV_2D", 3: "DEPTHWISE_CONV_2D"}


def layers(image: bytes) -> list[tuple[str, int]]:
    """Return name and multiplications of every record."""
    (count,) = struct.unpack_from("<H", image, _COUNT_AT)
    (at,) = struct.unpack_from("<I", image, _OPERATORS_AT)
    found = []
    for _ in range(count):
        code, size = struct.unpack_from("<HH", image, at)
        a = struct.unpack_from(f"<{size}i", image, at + 4)
        at += 4 + 4 * size
        macs = 0
        if code == 1:
            macs = a[2] * a[3] * a[4]
        elif code in (2, 3):
            macs = a[3] * a[7] * a[8] * a[9] * a[10] * a[11] * (a[6] if code == 2 else 1)
        found.append((_NAMES.get(code, f"record {code}"), macs))
    return found


def spent(image: bytes, arena: bytes, chip: int) -> list[int]:
    """Return the instructions that each record takes."""
    cases = []
    for count in range(1, len(layers(image)) + 1):
        short = bytearray(image)
        struct.pack_into("<H", short, _COUNT_AT, count)
        cases.append((bytes(short), arena))
    module = carried.path(xtensa.NAME).read_bytes()
    totals = [run.instructions for run in machine.run(module, cases, chip, limit_s=600)]
    return [now - before for now, before in zip(totals, [0, *totals], strict=False)]


def show(path: Path) -> None:
    image = compile_file(path).image
    dice = np.random.default_rng(1)
    arena = dice.integers(0, 256, Image(io.BytesIO(image)).ram_bytes, dtype=np.uint8).tobytes()
    fast, slow = spent(image, arena, machine.ESP32), spent(image, arena, machine.ESP32S2)
    print(f"{path.stem:22}{'MAC':>11}{'MAC16':>13}{'per MAC':>9}{'plain':>13}{'per MAC':>9}")
    rows = [(n, macs, f, s) for (n, macs), f, s in zip(layers(image), fast, slow, strict=True)]
    rows.append(("total", sum(macs for _, macs, _, _ in rows), sum(fast), sum(slow)))
    for name, macs, f, s in rows:
        ratios = [f"{v / macs:9.2f}" if macs else " " * 9 for v in (f, s)]
        print(f"{name:22}{macs:11,}{f:13,}{ratios[0]}{s:13,}{ratios[1]}")
    print(f"a dense loop in viper: {VIPER} per MAC")


def main() -> int:
    if machine.MISSING:
        print(f"{', '.join(machine.MISSING)}: apt-get install qemu-system-misc llvm-22", file=sys.stderr)
        return 1
    for path in [Path(p) for p in sys.argv[1:]] or [MODEL]:
        show(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
