# SPDX-License-Identifier: MIT
"""Imports device code on the host, from a checkout or from the installed package."""

import importlib
import sys
from types import ModuleType

from ..paths import device_dir


def import_device(name: str) -> ModuleType:
    """Return a module of the device tree, such as `torpor.nn.model`."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name not in ("torpor", name.split(".", maxsplit=1)[0]):
            raise
    sys.path.append(str(device_dir()))
    return importlib.import_module(name)
