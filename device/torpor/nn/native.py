# SPDX-License-Identifier: MIT
"""The `native` kernel set: machine code in the module `torpor_native`, one call per run of the whole model.

    torpor_native.check(image, arena)     0: good; n > 0: bad at byte n; n < 0: unknown at byte -n
    torpor_native.invoke(image, arena)    runs an image that was checked with that arena

The module is C from device/kernels, built for each processor; on CPython the host compiles a library.
"""

import torpor_native

from ..errors import ImageError


def bind(image, block, arena, optional):
    """Return Model.run's steps; where the whole image can't be held or run, None if `optional`, else raise.

    The code reads weights where they lie: in `block` if the whole image is there already, else it is read as
    one block.
    """
    try:
        if block is None:
            image.stream.seek(0)
            block = image.stream.read()
        at = torpor_native.check(block, arena)
        if at == -1 and not optional:  # a file in ROMFS may begin anywhere; this code reads words
            block = bytes(block)
            at = torpor_native.check(block, arena)
    except MemoryError:
        if optional:
            return None
        raise
    if at < 0 and optional:
        return None
    if at:
        image.at = abs(at)
        raise ImageError("record" if at > 0 else "operator", image.at)
    return [(_invoke, (block, arena))]


def _invoke(t):
    torpor_native.invoke(t[0], t[1])
