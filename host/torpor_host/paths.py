# SPDX-License-Identifier: MIT
"""Where the files lie that are no Python modules of this package: in a checkout or an installed wheel."""

from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_IN_CHECKOUT = (_REPOSITORY / "device" / "torpor").is_dir()
_DATA = Path(__file__).resolve().parent / "_data"


def device_dir() -> Path:
    """Folder with main.py, torpor/ and drivers/ as they go onto a board."""
    return _REPOSITORY / "device" if _IN_CHECKOUT else _DATA / "device"


def boards_dir() -> Path:
    """Folder with one TOML per board."""
    return _REPOSITORY / "boards" if _IN_CHECKOUT else _DATA / "boards"
