# SPDX-License-Identifier: MIT
"""The only place that touches a chip. One module per runtime and chip family, each with a class `Hal`.

Interface: docs/architecture.md, "HAL". A wake pin is its number where a high level wakes, ~number where a low
one does.
"""

COLD = 0  # power came back: retained memory and the clock are lost
TIMER = 1
PIN = 2
RESET = 3  # button, watchdog, soft reset, crash: retained memory may or may not have survived


def load(kind):
    """Import torpor.hal.<kind> and return its Hal(). Raises ImportError where there is no such module."""
    return __import__("torpor.hal." + kind, None, None, ("Hal",)).Hal()
