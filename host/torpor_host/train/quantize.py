# SPDX-License-Identifier: MIT
"""From a float network to int8: post-training calibration.

    >>> small = quantize(net, x, input_scale=INPUT_SCALE)
    >>> small.layers[0].weights.dtype
    dtype('int8')

The scheme is TensorFlow Lite's (https://ai.google.dev/edge/litert/models/quantization_spec):
real = scale * (q - zero_point); activations int8 and affine, weights int8 in -127..127 and symmetric, one
scale a layer; biases int32 on the scale input * weight. All scales are float32, as the file format has them,
before anything is rounded with them.
"""

from dataclasses import dataclass

import numpy as np

from torpor_host.train.mlp import Mlp


@dataclass(frozen=True)
class Affine:
    """real = scale * (q - zero_point), q int8. `scale` is exactly a float32."""

    scale: float
    zero_point: int

    def quantize(self, real: np.ndarray) -> np.ndarray:
        """float64 [...] -> int8 [...], halves rounded up as the node's integer code does."""
        q = np.floor(np.asarray(real, dtype=np.float64) / self.scale + 0.5) + self.zero_point
        return np.clip(q, -128, 127).astype(np.int8)

    def real(self, q: np.ndarray) -> np.ndarray:
        """int8 [...] -> float64 [...]."""
        return self.scale * (q.astype(np.float64) - self.zero_point)


@dataclass(frozen=True)
class Dense:
    """One layer: weights int8 [OUT, IN] (zero point 0), bias int32 [OUT] on the scale input * weight."""

    weights: np.ndarray
    weight_scale: float
    bias: np.ndarray
    output: Affine
    relu: bool


@dataclass(frozen=True)
class QuantizedMlp:
    input: Affine
    layers: list[Dense]

    @property
    def output(self) -> Affine:
        return self.layers[-1].output


def calibrate(values: np.ndarray) -> Affine:
    """The finest int8 scale that spans all `values` and zero, with zero met exactly."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = float(np.float32((high - low) / 255.0 or 1.0))
    return Affine(scale, int(np.clip(np.floor(-128.0 - low / scale + 0.5), -128, 127)))


def quantize(net: Mlp, x: np.ndarray, input_scale: float, input_zero_point: int = 0) -> QuantizedMlp:
    """`x` float64 [N, INPUTS]: the data whose activations set the ranges; use what the net was trained on.

    Weights are rounded to the nearest. Raises ValueError if a bias needs more than 32 bits (a layer whose
    weights are all but zero).
    """
    entry = Affine(float(np.float32(input_scale)), input_zero_point)
    below = entry
    layers = []
    outs = net.activations(x)
    for i, (weight, bias, out) in enumerate(zip(net.weights, net.biases, outs)):
        scale = float(np.float32(np.abs(weight).max() / 127.0)) or 1.0
        q_weight = np.clip(np.floor(weight / scale + 0.5), -127, 127).astype(np.int8)
        q_bias = np.floor(bias / (below.scale * scale) + 0.5)
        if np.abs(q_bias).max() >= 2**31:
            raise ValueError(
                f"layer {i}: bias {np.abs(bias).max():g} is too large for weights of scale {scale:g}"
            )
        above = calibrate(out)
        layers.append(Dense(q_weight, scale, q_bias.astype(np.int32), above, relu=i != len(outs) - 1))
        below = above
    return QuantizedMlp(entry, layers)
