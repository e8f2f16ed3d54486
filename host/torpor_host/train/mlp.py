# SPDX-License-Identifier: MIT
"""A small regression network and its training, in NumPy, with the same bits on every machine.

    >>> net = train(x, y, hidden=(16, 8), seed=1)      # x float64 [N, INPUTS], y float64 [N]
    >>> net.forward(x)                                 # float64 [N]

Training repeats exactly: a model that is committed can be made again and compared byte for byte. A BLAS
library adds the terms of a matrix product in an order of its own, which differs between builds and
processors, and hundreds of steps turn the last bit's difference into another network. So products here are
sums of whole arrays in a fixed order: additions, multiplications, divisions and square roots of float64 are
the same everywhere (IEEE 754), and of random numbers only NumPy's frozen legacy stream is used. For networks
of some hundred weights this costs little.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Mlp:
    """Fully connected layers, ReLU between them, one linear output. weights[i] float64 [OUT, IN], biases[i]
    float64 [OUT]."""

    weights: list[np.ndarray]
    biases: list[np.ndarray]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(w.size + b.size for w, b in zip(self.weights, self.biases))

    def activations(self, x: np.ndarray) -> list[np.ndarray]:
        """What each layer puts out: list of float64 [N, OUT]; the last one is the prediction [N, 1]."""
        out = []
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            x = product(x, weight.T) + bias
            if i != last:
                x = np.maximum(x, 0.0)
            out.append(x)
        return out

    def forward(self, x: np.ndarray) -> np.ndarray:
        """x float64 [N, INPUTS] -> float64 [N]."""
        return self.activations(x)[-1][:, 0]


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a [N, K] times b [K, M], the K terms added in order."""
    out = a[:, :1] * b[0]
    for k in range(1, len(b)):
        out += a[:, k : k + 1] * b[k]
    return out


def fold(terms: np.ndarray) -> np.ndarray:
    """Sum over the first axis by adding halves, the order fixed by the length alone. Overwrites `terms`."""
    while len(terms) > 1:
        half = len(terms) // 2
        terms[:half] += terms[len(terms) - half :]
        terms = terms[: len(terms) - half]
    return terms[0]


def train(
    x: np.ndarray,
    y: np.ndarray,
    hidden: tuple[int, ...] = (16, 8),
    seed: int = 1,
    epochs: int = 20,
    batch: int = 256,
    rate: float = 0.01,
    knee: float = 1.0,
    decay: float = 0.1,
) -> Mlp:
    """Fit by Adam (Kingma and Ba, 2015) with decoupled weight decay (Loshchilov and Hutter, 2019), the rate
    falling linearly to zero.

    The loss is Huber's: squared up to an error of `knee` (in units of y), straight beyond, so that a few
    passing cold fronts, which nobody can foresee from one thermometer, don't bend the rest.
    """
    random = np.random.RandomState(seed)
    widths = [x.shape[1], *hidden, 1]
    # He's initialisation (2015), from the uniform distribution: no transcendental function is involved.
    weights = [(random.random_sample((b, a)) * 2 - 1) * np.sqrt(6.0 / a) for a, b in pairwise(widths)]
    biases = [np.zeros(b) for b in widths[1:]]
    biases[-1][0] = np.sort(y)[len(y) // 2]
    net = Mlp(weights, biases)
    params = [*weights, *biases]
    first = [np.zeros_like(p) for p in params]
    second = [np.zeros_like(p) for p in params]
    steps = epochs * (len(x) // batch)
    step = 0
    keep1, keep2 = 1.0, 1.0
    for _ in range(epochs):
        order = random.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            rows = order[start : start + batch]
            slopes = _slopes(net, x[rows], y[rows], knee)
            pace = rate * (1.0 - step / steps)
            step += 1
            keep1 *= 0.9
            keep2 *= 0.999
            for i, slope in enumerate(slopes):
                first[i] = 0.9 * first[i] + 0.1 * slope
                second[i] = 0.999 * second[i] + 0.001 * slope * slope
                move = (first[i] / (1.0 - keep1)) / (np.sqrt(second[i] / (1.0 - keep2)) + 1e-8)
                if i < len(weights):
                    move += decay * params[i]
                params[i] -= pace * move
    return net


def _slopes(net: Mlp, x: np.ndarray, y: np.ndarray, knee: float) -> list[np.ndarray]:
    """Mean over the batch of the loss's derivative: by every weight matrix, then by every bias."""
    outs = net.activations(x)
    back = np.clip(outs[-1] - y[:, None], -knee, knee) / len(x)
    by_weight: list[np.ndarray] = []
    by_bias: list[np.ndarray] = []
    for i in reversed(range(len(net.weights))):
        below = outs[i - 1] if i else x
        by_weight.insert(0, fold(back[:, :, None] * below[:, None, :]))
        by_bias.insert(0, fold(back.copy()))
        if i:
            back = product(back, net.weights[i]) * (below > 0)
    return [*by_weight, *by_bias]
