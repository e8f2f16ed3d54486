# SPDX-License-Identifier: MIT
"""The link of the virtual board: its advertisements are records in a file (docs/architecture.md)."""

from ..errors import LinkError


class Link:
    """mac: the 6 bytes that a receiver sees as the sender's address."""

    def __init__(self, hal):
        self.mac = hal.mac
        self._air = hal.air

    def send(self, payload):
        """Send one advertising payload (<= 31 bytes). Raises LinkError(code)."""
        try:
            self._air(payload)
        except OSError as e:
            raise LinkError(e.errno)  # a board keeps no cause


def create(args, hal):
    """args: none are used. hal: one with air(payload), torpor.hal.simulated."""
    return Link(hal)
