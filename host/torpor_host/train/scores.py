# SPDX-License-Identifier: MIT
"""How good is a prediction, and the linear model that any network must beat.

>>> mean_absolute_error(predicted, truth)
>>> average_precision(events, -predicted)
>>> ridge(x, y)(x_elsewhere)
"""

from collections.abc import Callable

import numpy as np


def mean_absolute_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """predicted, truth [N], the same unit -> that unit."""
    return float(np.mean(np.abs(predicted - truth)))


def average_precision(events: np.ndarray, urgency: np.ndarray) -> float:
    """Area under the precision-recall curve by steps: sum of (R_k - R_(k-1)) P_k over the distinct urgencies,
    highest first; equal urgencies come as one step. Random ranking scores the share of events.

    events bool [N]; urgency [N], higher = sooner. 0.0 without events. The same number as scikit-learn's
    average_precision_score (tested).
    """
    total = int(events.sum())
    if not total:
        return 0.0
    order = np.argsort(-urgency, kind="stable")
    hits = np.cumsum(events[order])
    last_of_tie = np.append(np.diff(urgency[order]) != 0, True)
    caught = hits[last_of_tie]
    precision = caught / (np.flatnonzero(last_of_tie) + 1)
    return float(np.sum(np.diff(caught, prepend=0) * precision) / total)


def ridge(x: np.ndarray, y: np.ndarray, strength: float = 1.0) -> Callable[[np.ndarray], np.ndarray]:
    """Fit linear least squares on standardised columns with a penalty on the weights (Hoerl and Kennard,
    1970), none on the intercept. x float [N, INPUTS], y [N] -> a function from [M, INPUTS] to [M]. A column
    that never varies is ignored."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, np.inf)
    z = (x - mean) / spread
    weights = np.linalg.solve(z.T @ z + strength * np.eye(x.shape[1]), z.T @ (y - y.mean()))
    level = y.mean()
    return lambda elsewhere: (elsewhere - mean) / spread @ weights + level
