# SPDX-License-Identifier: MIT
"""The `reference` kernel set: plain integer Python, the definition of every operator.

A family's module is imported when the first record of it is bound, so a dense network loads only `dense`.
"""

from ..errors import ImageError

# by operator code; see each module for its record
_FAMILIES = (
    "", "dense", "conv", "conv", "pool", "pool", "add", "softmax", "lookup", "pad", "floats", "floats",
)  # fmt: skip


def bind(code, args, image, arena):
    """Return (kernel, argument tuple) of one record, checked; raise ImageError for a bad one."""
    if not 0 < code < len(_FAMILIES):
        raise ImageError("operator", image.at)
    return __import__("torpor.nn." + _FAMILIES[code], None, None, ("bind",)).bind(code, args, image, arena)
