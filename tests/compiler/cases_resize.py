# SPDX-License-Identifier: MIT
"""Random models of the operators that enlarge images."""

from collections.abc import Callable

import numpy as np

from compiler.builder import SAME, Builder, Case, Rng, _int8, _scale, _weight_tensors, _weighted, _zero


def _resize(rng: Rng, name: str) -> Case:
    b_, h, w, c = (int(v) for v in (rng.integers(1, 3), *rng.integers(1, 9, size=2), rng.integers(1, 6)))
    oh, ow = (int(rng.choice([1, n, 2 * n, 3 * n, int(rng.integers(1, 20))])) for n in (h, w))
    corners, centers = [(False, False), (True, False), (False, True), (True, True)][int(rng.integers(4))]
    if name == "RESIZE_BILINEAR":
        corners = corners and not centers
    scale, zero = _scale(rng), _zero(rng)
    b = Builder()
    x = b.tensor((b_, h, w, c), "int8", scale, zero)
    size = b.tensor((2,), "int32", data=np.array([oh, ow]))
    y = b.tensor((b_, oh, ow, c), "int8", scale, zero)
    b.operator(name, [x, size], [y], 3, alignCorners=corners, halfPixelCenters=centers)
    label = f"{(b_, h, w, c)} -> {(oh, ow)} corners {corners} centers {centers}"
    return Case(label, b.build([x], [y]), [_int8(rng, (b_, h, w, c))])


def resize_nearest(rng: Rng) -> Case:
    return _resize(rng, "RESIZE_NEAREST_NEIGHBOR")


def resize_bilinear(rng: Rng) -> Case:
    return _resize(rng, "RESIZE_BILINEAR")


def transpose_conv(rng: Rng) -> Case:
    """Outputs of the usual size, and of any: some then lie where only the bias reaches."""
    b_, h, w_, c = (int(v) for v in (rng.integers(1, 3), *rng.integers(1, 6, size=2), rng.integers(1, 6)))
    n = int(rng.integers(1, 7))
    padding, out, strides, filters = int(rng.integers(2)), [], [], []
    for size in (h, w_):
        stride, taps = int(rng.integers(1, 4)), int(rng.integers(1, 6))
        usual = size * stride if padding == SAME else (size - 1) * stride + taps
        strides.append(stride)
        filters.append(taps)
        out.append(usual if rng.integers(3) else max(1, usual + int(rng.integers(-2, 3))))
    w = _weighted(rng, (n, *filters, c), n, filters[0] * filters[1] * c)
    b = Builder()
    x = b.tensor((b_, h, w_, c), "int8", w.in_scale, w.in_zero)
    y = b.tensor((b_, *out, n), "int8", w.out_scale, w.out_zero)
    shape = b.tensor((4,), "int32", data=np.array([b_, *out, n]))
    weights, *bias = _weight_tensors(b, w, 0)
    b.operator(
        "TRANSPOSE_CONV", [shape, weights, x, *bias], [y], 4, padding=padding, strideH=strides[0],
        strideW=strides[1], fusedActivationFunction=w.activation,
    )  # fmt: skip
    label = f"{(b_, h, w_, c)} -> {(*out, n)}, filter {filters}, strides {strides}, padding {padding}"
    return Case(label, b.build([x], [y]), [_int8(rng, (b_, h, w_, c))])


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f for f in (resize_nearest, resize_bilinear, transpose_conv)
}
