# SPDX-License-Identifier: MIT
"""The operators of the compiler, one module each, by the schema's name."""

from . import add, conv, fully_connected, logistic, lookup, pad, pool, quantize, reshape, softmax, unary
from .base import Kind, Record, Rule

_ALL = (
    add.KIND, conv.CONV_2D, conv.DEPTHWISE_CONV_2D, fully_connected.KIND, logistic.KIND, lookup.KIND,
    pad.KIND, pool.AVERAGE, pool.MAX, quantize.QUANTIZE, quantize.DEQUANTIZE, reshape.KIND, softmax.KIND,
    *unary.KINDS,
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}

__all__ = ["KINDS", "Kind", "Record", "Rule"]
