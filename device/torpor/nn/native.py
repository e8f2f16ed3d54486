# SPDX-License-Identifier: MIT
"""The `native` kernel set: machine code in the module `torpor_native`, one call per run of the whole model.

    torpor_native.check(image, arena)     0: good; n > 0: bad at byte n; n < 0: unknown at byte -n
    torpor_native.invoke(image, arena)    runs an image that was checked with that arena

Where the image does not fit the memory, one call per record, with a window of the weights: those that it
reads and what lies between them.

    torpor_native.check_step(step, window, arena)    0: good; 1: bad; -1: unknown; see stream()
    torpor_native.step(step, window, arena)

The module is C from device/kernels, built for each processor; on CPython the host compiles a library.
"""

import gc

import torpor_native

from ..compat import const
from ..errors import ImageError
from .image import zeros

_HEAD = const(3)  # a step: the window's first byte and size, the bytes of state, then the record


def bind(image, block, arena, optional):
    """Return Model.run's steps; where the whole image can't be run, None if `optional`, else raise.

    The code reads weights where they lie: in `block` if the whole image is there already, else it is read as
    one block.
    """
    if block is None:
        block = memoryview(zeros("b", image.length))
        image.fill(0, block, image.length, "length")
    at = torpor_native.check(block, arena)
    if at == -1 and not optional:  # a file in ROMFS may begin anywhere; this code reads words
        block = bytes(block)
        at = torpor_native.check(block, arena)
    if at < 0 and optional:
        return None
    if at:
        image.at = abs(at)
        raise ImageError("record" if at > 0 else "operator", image.at)
    return [(_invoke, (block, arena))]


def _invoke(t):
    torpor_native.invoke(t[0], t[1])


def stream(image, arena, optional):
    """As bind(), with steps that read each window into one buffer, as large as the largest of them.

    A first check says what a record's window is; the second, with that in memory, that it is good.
    """
    records = []
    most = 0
    nothing = memoryview(arena)[:0]  # aligned, which an empty constant of an .mpy file need not be
    for at, _, n in image.records():
        step = zeros("i", _HEAD + 1 + n)
        image.fill(at, memoryview(step)[_HEAD:], 4 + 4 * n, "operator")
        step[1] = image.length - image.weights_at
        step[2] = image.state_bytes
        if not _is_good(image, step, nothing, arena, optional):
            return None
        most = max(most, step[1])
        records.append((at, step))
    gc.collect()
    buffer = memoryview(zeros("b", most))
    steps = []
    held = 0, 0
    for image.at, step in records:
        window = buffer[: step[1]]
        place = image.weights_at + step[0], step[1]
        if step[1] and place != held:
            held = place
            image.fill(place[0], window, place[1], "weights")
            steps.append((_fill, (image.stream, place[0], window)))
        if not _is_good(image, step, window, arena, optional):
            return None
        steps.append((_step, (step, window, arena)))
    return steps


def _is_good(image, step, window, arena, optional):
    found = torpor_native.check_step(step, window, arena)
    if found and (found > 0 or not optional):
        raise ImageError("record" if found > 0 else "operator", image.at)
    return found == 0


def _fill(t):
    t[0].seek(t[1])
    t[0].readinto(t[2])


def _step(t):
    torpor_native.step(t[0], t[1], t[2])
