# SPDX-License-Identifier: MIT
"""The `reference` kernel set: plain integer Python, the definition of every operator.

A family's module is imported when the first record of it is bound, so a dense network loads only `dense`.
The imports are spelled out: what builds a bundle finds a node's modules by reading them.
"""

from ..errors import ImageError


def bind(code, args, image, arena):
    """Return (kernel, argument tuple) of one record, checked; raise ImageError for a bad one."""
    if code == 1:
        from .dense import bind as found
    elif 2 <= code <= 3:
        from .conv import bind as found
    elif 4 <= code <= 5:
        from .pool import bind as found
    elif code == 6:
        from .add import bind as found
    elif code == 7:
        from .softmax import bind as found
    elif code == 8:
        from .lookup import bind as found
    elif code == 9:
        from .pad import bind as found
    elif 10 <= code <= 11:
        from .floats import bind as found
    elif 12 <= code <= 13:
        from .move import bind as found
    elif 14 <= code <= 19:
        from .binary import bind as found
    elif 50 <= code <= 53:
        from .spectrum import bind as found
    elif 54 <= code <= 58:
        from .filterbank import bind as found
    elif 70 <= code <= 75:
        from .ints import bind as found
    elif code == 76:
        from .to_float import bind as found
    elif code == 40:
        from .svdf import bind as found
    elif code == 41:
        from .lstm import bind as found
    elif 20 <= code <= 24:
        from .reduce import bind as found
    elif code == 25:
        from .log_softmax import bind as found
    elif code == 26:
        from .resize import bind as found
    elif 28 <= code <= 29:
        from .div import bind as found
    elif code == 31:
        from .requantize import bind as found
    elif 80 <= code <= 83:
        from .mixed import bind as found
    elif 84 <= code <= 86:
        from .convert import bind as found
    elif 87 <= code <= 88:
        from .pool16 import bind as found
    elif 89 <= code <= 92:
        from .binary16 import bind as found
    elif code == 93:
        from .softmax16 import bind as found
    elif code == 94:
        from .sigmoid16 import bind as found
    else:
        raise ImageError("operator", image.at)
    return found(code, args, image, arena)
