# SPDX-License-Identifier: MIT
"""Runs in MicroPython: wake a node up to its first trigger decision and print what that took.

    micropython wake_probe.py BUNDLE WORLD first    # the first wake, whole; ends in deep sleep: exit code 10
    micropython wake_probe.py BUNDLE WORLD measure  # the next one, as nearly all wakes are

Prints "heap BYTES" and one "module NAME" a line.
"""

import gc
import sys

bundle, world, what = sys.argv[1:]
sys.path[:] = [bundle]


class _Chip:
    pass


_Chip.world = world
_Chip.flash = world
_Chip.restart = True
_Chip.mac = b"\xc2TORPO"
_Chip.battery_mv = 3000
_Chip.retained_bytes = 2048
_Chip.radio_fails = None
sys.modules["virtual_chip"] = _Chip

gc.collect()
before = gc.mem_alloc()
from torpor.node import boot  # noqa: E402

node = boot(bundle)
if what == "first":
    node.hal.sleep(node.step())
node.sense()
gc.collect()
print("heap", gc.mem_alloc() - before)
for name in sorted(sys.modules):
    if name.split(".")[0] in ("torpor", "drivers"):
        print("module", name)
