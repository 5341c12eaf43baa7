"""Calibration of predicted sub-scores."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Calibration of each sub-score, columns as in `Metric`.

    Attributes:
        error: expected calibration error: the mean distance, over ten equal bins of the prediction, of the mean
            prediction to the mean of the true sub-score (Guo et al., "On calibration of modern neural networks", 2017).
        brier: mean squared difference of prediction and true sub-score.
    """

    error: Float[np.ndarray, "8"]
    brier: Float[np.ndarray, "8"]


def calibration_of(predicted: Float[np.ndarray, "n 8"], true: Float[np.ndarray, "n 8"]) -> Calibration:
    """Compare predicted sub-scores (0 to 1) with the exact ones."""
    bins = np.minimum((predicted * _BINS).astype(int), _BINS - 1)
    error = np.zeros(predicted.shape[1])
    for place in range(_BINS):
        inside = bins == place
        error += np.abs(np.where(inside, predicted - true, 0.0).sum(axis=0)) / len(predicted)
    return Calibration(error, ((predicted - true) ** 2).mean(axis=0))
