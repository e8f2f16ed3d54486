# SPDX-License-Identifier: MIT
"""Run the device suite on MicroPython: `micropython tests/device/run.py DEVICE_DIR TESTS_DIR [name ...]`."""

import os
import sys

device_dir, tests_dir = sys.argv[1], sys.argv[2]
sys.path[:0] = [device_dir, tests_dir]

import gc  # noqa: E402

import unittest_mini  # noqa: E402

names = sys.argv[3:] or sorted(
    f[:-3] for f in os.listdir(tests_dir) if f.startswith("test_") and f.endswith(".py")
)
total = [0, 0, 0]
for name in names:
    counts = unittest_mini.run(__import__(name))
    total = [a + b for a, b in zip(total, counts)]
    sys.modules.pop(name, None)
    gc.collect()
print("%d passed, %d failed, %d skipped" % tuple(total))
sys.exit(1 if total[1] or not total[0] else 0)
