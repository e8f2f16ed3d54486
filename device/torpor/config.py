# SPDX-License-Identifier: MIT
"""Reader of `node.bin`, the binary configuration that the host writes (docs/architecture.md has the format).

    records, layout = config.load("node.bin")
    kind, args = records[1][0]                  # tag 1 is the node: its HAL, and ints

Anything that is not exactly what the host wrote raises ConfigError with the field that is wrong: "file",
"magic", "version", "length", "crc" or "record".
"""

import struct

from .compat import const, crc32
from .errors import ConfigError

_HEADER_BYTES = const(16)  # <4sHHII: magic, version, record count, total length, CRC-32 of what follows
_VERSION = const(1)


def load(path: str) -> tuple:
    """Return ({tag: [(kind, args), ...]}, layout): kind str, args tuple of int.

    layout is the low half of the CRC-32: state saved under another configuration is not taken for ours.
    """
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError:
        raise ConfigError("file")  # a board keeps no cause
    size = len(data)
    if size < _HEADER_BYTES:
        raise ConfigError("length")
    magic, version, count, length, crc = struct.unpack_from("<4sHHII", data, 0)
    if magic != b"TPCF":
        raise ConfigError("magic")
    if version != _VERSION:
        raise ConfigError("version")
    if length != size:
        raise ConfigError("length")
    if crc32(memoryview(data)[_HEADER_BYTES:]) != crc:
        raise ConfigError("crc")
    records = {}
    at = _HEADER_BYTES
    for _ in range(count):
        if at + 3 > size:
            raise ConfigError("record")
        tag = data[at]
        begin = at + 3
        end = begin + data[at + 1]
        args = data[at + 2]
        at = end + 4 * args
        if at > size:
            raise ConfigError("record")
        for i in range(begin, end):
            if not 32 <= data[i] < 127:
                raise ConfigError("record")
        kind = str(data[begin:end], "ascii")
        records.setdefault(tag, []).append((kind, struct.unpack_from("<%di" % args, data, end)))
    if at != size:
        raise ConfigError("record")
    return records, crc & 0xFFFF


def read(path: str) -> dict:
    """Return the records alone; see load()."""
    return load(path)[0]
