# SPDX-License-Identifier: MIT
"""The options of CUSTOM operators: a FlexBuffers map of names to integers.

FlexBuffers' own Python reader follows every offset that a file holds; this one reads a flat map of integers
and booleans, which is all that TensorFlow Lite Micro's signal operators have, and stays within the bytes.
Source: https://flatbuffers.dev/internals/ (FlexBuffer encoding).
"""

_MAP = 9
_INTEGERS = (1, 2, 26)  # INT, UINT, BOOL
_LONGEST = 64  # of a name


def options(data: bytes) -> dict[str, int]:
    """Return name -> value. Raises ValueError for anything but a sound map of integers, sorted by name.

    Values are read as TensorFlow Lite Micro reads them: as signed integers of the width that all values of
    the map share, whatever their own type (FlexbufferWrapper, flatbuffer_utils.cc).
    """
    if not data:
        return {}
    width = _width(data[-1])
    packed = _unsigned(data, len(data) - 2, 1)
    if packed >> 2 != _MAP:
        raise ValueError("custom options that are no map")
    at = _target(data, len(data) - 2 - width, width)
    width = 1 << (packed & 3)
    count = _unsigned(data, at - width, width)
    if count > len(data):
        raise ValueError(f"a map of {count} custom options")
    names_at = _target(data, at - 3 * width, width)
    name_width = _width(_unsigned(data, at - 2 * width, width))
    found: dict[str, int] = {}
    previous = ""
    for i in range(count):
        name = _name(data, _target(data, names_at + i * name_width, name_width))
        if name <= previous:
            raise ValueError("custom options that are not sorted")
        if _unsigned(data, at + count * width + i, 1) >> 2 not in _INTEGERS:
            raise ValueError(f"custom option {name} is no integer")
        value = _unsigned(data, at + i * width, width)
        found[name] = value - (1 << 8 * width) if value >> (8 * width - 1) else value
        previous = name
    return found


def _width(value: int) -> int:
    if value not in (1, 2, 4, 8):
        raise ValueError(f"a width of {value} bytes in custom options")
    return value


def _unsigned(data: bytes, at: int, width: int) -> int:
    if not 0 <= at <= len(data) - width:
        raise ValueError("custom options that end early")
    return int.from_bytes(data[at : at + width], "little")


def _target(data: bytes, at: int, width: int) -> int:
    """Where the offset at `at` leads: so many bytes before itself."""
    return at - _unsigned(data, at, width)


def _name(data: bytes, at: int) -> str:
    if at < 0:
        raise ValueError("custom options that begin early")
    end = data.find(b"\0", at, at + _LONGEST)
    if end <= at:
        raise ValueError("a custom option without a name")
    return data[at:end].decode("ascii")
