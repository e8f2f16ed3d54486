# SPDX-License-Identifier: MIT
"""What the module linkers give and an .mpy holds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """`text` is code; `rodata` constants, where they can't lie in the text.

    What only the loader knows: from word number `first` of text on, the address of text has to be added to
    `to_text` words, then that of rodata to `to_rodata` words.
    """

    text: bytes
    rodata: bytes = b""
    first: int = 0
    to_text: int = 0
    to_rodata: int = 0
