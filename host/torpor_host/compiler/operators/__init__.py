# SPDX-License-Identifier: MIT
"""The operators of the compiler, one module each, by the schema's name."""

from . import (
    add,
    arg,
    binary,
    conv,
    curves16,
    div,
    filterbank,
    fully_connected,
    gather,
    int16,
    ints,
    log_softmax,
    logistic,
    lookup,
    lstm,
    mixed,
    pad,
    parts,
    pool,
    quantize,
    reduce,
    reshape,
    resize,
    softmax,
    spectrum,
    svdf,
    to_float,
    transpose_conv,
    unary,
    variables,
)
from .base import Kind, Record, Rule
from .variants import either

_ALL = (
    add.KIND, conv.CONV_2D, conv.DEPTHWISE_CONV_2D, fully_connected.KIND, logistic.KIND, lookup.KIND,
    pad.KIND, pool.AVERAGE, pool.MAX, quantize.QUANTIZE, quantize.DEQUANTIZE, reshape.KIND, softmax.KIND,
    gather.GATHER, gather.MIRROR_PAD, pad.PADV2, reshape.EXPAND_DIMS, reshape.SQUEEZE,
    *binary.KINDS, *unary.KINDS, *parts.KINDS, *variables.KINDS,
    svdf.KIND, lstm.KIND, *spectrum.KINDS, *filterbank.KINDS, ints.CAST,
    div.KIND, log_softmax.KIND, resize.BILINEAR, resize.NEAREST, transpose_conv.KIND,
    *arg.KINDS, *reduce.KINDS,
)  # fmt: skip

# the last of a name: those take more types than the first
KINDS: dict[str, Kind] = {k.name: k for k in (*_ALL, *mixed.KINDS, *int16.KINDS, *curves16.KINDS)}
for _name in ("ADD", "MUL", "MAXIMUM", "MINIMUM", "DIV"):
    KINDS[_name] = ints.with_int32(KINDS[_name])
KINDS["CAST"] = either(KINDS["CAST"], to_float.casts_to_float, to_float.CAST)
KINDS["MUL"] = either(KINDS["MUL"], to_float.scales_float, to_float.MUL)
KINDS[to_float.KIND.name] = to_float.KIND

__all__ = ["KINDS", "Kind", "Record", "Rule"]
