# SPDX-License-Identifier: MIT
"""Runs in MicroPython: the frost node's steady-state step, model included, with the heap locked.

    micropython frost_heap.py BUNDLE WORLD

Prints how many steps ran under the lock and how many of them ran the model. Frames are left out: a report is
no steady state. Any allocation raises MemoryError.
"""

import sys

import micropython

bundle, world = sys.argv[1:]
sys.path[:] = [bundle]


class Chip:
    pass


Chip.world = Chip.flash = world
Chip.restart = False
Chip.mac = b"\xc2TORPO"
Chip.battery_mv = 3000
Chip.retained_bytes = 2048
Chip.radio_fails = None
sys.modules["virtual_chip"] = Chip

from torpor.node import boot  # noqa: E402

node = boot(bundle)
node._report = lambda now_s, ring: None
node._checkpoint_every = 1 << 16
for _ in range(100):  # into the first frost: all that is imported late has been
    node.hal.sleep(node.step())


def locked_step():
    """One step under the lock; a function, since a new global of this script would itself allocate."""
    micropython.heap_lock()
    try:
        return node.step()
    finally:
        micropython.heap_unlock()


before = node.inferences
steps = 300
for _ in range(steps):
    node.hal.sleep(locked_step())
print(steps, node.inferences - before, node.faults)
