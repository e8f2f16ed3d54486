# SPDX-License-Identifier: MIT
"""Source that reads what the simulated HAL's world holds now. args: (channels,)."""


class Source:
    """read_into raises SensorError("world", ...) where the recording has no reading (0x8000) or ended."""

    def __init__(self, channels, hal):
        self.channels = channels
        self.read_into = hal.read_world


def create(args, hal):
    return Source(args[0], hal)
