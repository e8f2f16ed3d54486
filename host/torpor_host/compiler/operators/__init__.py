# SPDX-License-Identifier: MIT
"""The operators of the compiler, one module each, by the schema's name."""

from . import (
    add,
    binary,
    conv,
    fully_connected,
    gather,
    logistic,
    lookup,
    mixed,
    pad,
    parts,
    pool,
    quantize,
    reshape,
    softmax,
    unary,
)
from .base import Kind, Record, Rule

_ALL = (
    add.KIND, conv.CONV_2D, conv.DEPTHWISE_CONV_2D, fully_connected.KIND, logistic.KIND, lookup.KIND,
    pad.KIND, pool.AVERAGE, pool.MAX, quantize.QUANTIZE, quantize.DEQUANTIZE, reshape.KIND, softmax.KIND,
    gather.GATHER, gather.MIRROR_PAD, pad.PADV2, reshape.EXPAND_DIMS, reshape.SQUEEZE,
    *binary.KINDS, *unary.KINDS, *parts.KINDS,
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in (*_ALL, *mixed.KINDS)}  # the last of a name

__all__ = ["KINDS", "Kind", "Record", "Rule"]
