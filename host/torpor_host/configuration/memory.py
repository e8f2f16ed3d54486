# SPDX-License-Identifier: MIT
"""What a model takes of a board's heap, beside the node that runs it."""

import math
from collections.abc import Mapping
from typing import Any

from .board import Board
from .kernels import native_file

# Heap of a node that has decided and reported, so that all its code is loaded, without weights and arena:
# 72 KB measured on MicroPython 1.29 x64 with the frost node, and what imports leave between blocks: with
# 100 KB a run on viper kernels failed for some lengths of the paths it was given, with 104 KB none did
# (tests/host/test_fit.py holds it to that). A 32-bit board's objects and pointers are half as large: half of
# it, not measured on one.
_NODE_BYTES_64 = 104 * 1024
_NODE_BYTES_32 = 52 * 1024
# First-fit leaves gaps between blocks: 5 to 8 % measured, with networks of one large layer.
_FRAGMENTATION = 1.1
# What viper kernels take beyond the plain ones, machine code above all: 39 KB measured with the frost node on
# x64; half of it on a 32-bit board, as above.
_VIPER_BYTES_64 = 40 * 1024


def heap_bytes(
    report: Mapping[str, Any], board: Board, kernels: str = "reference", room: float = math.inf
) -> int:
    """Return the heap that a node with this model needs on `board`; report: the compiled model's.

    The reference and ulab kernels hold the weights in RAM, once, beside the arena; the native ones the whole
    image, or, where that is more than `room`, of the weights one record's only; and the machine code, which
    some ports put elsewhere.
    """
    model = report.get("peak_ram_bytes", 0)
    if kernels == "native":
        image = report.get("flash_bytes", 0)
        codes = report.get("record_codes", (-1,))  # not known: the whole module
        model += len(native_file(board.mpy_arch, frozenset(codes)))
        if _with_node(model + image, board) > room and "weights_ram_bytes" in report:
            image += report["weights_ram_bytes"]["stream"] - report["weights_bytes"]
        model += image
    else:
        model += report.get("weights_bytes", 0)
    if kernels == "viper":  # sums of 32 bits for the largest row of outputs
        rows = (math.prod(o["output_shape"][-2:]) for o in report.get("operators", ()))
        code = _VIPER_BYTES_64 if board.chip == "virtual" else _VIPER_BYTES_64 // 2
        model += code + 4 * max(rows, default=0)
    return _with_node(model, board)


def _with_node(model: int, board: Board) -> int:
    node = _NODE_BYTES_64 if board.chip == "virtual" else _NODE_BYTES_32
    return round(model * _FRAGMENTATION) + node
