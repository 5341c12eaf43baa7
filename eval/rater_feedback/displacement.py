"""Average displacement error (ADE) of trajectories at 4 Hz."""

from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.eval.rater_feedback.rater_feedback_score import FREQUENCY

# Horizons of the leaderboard, seconds.
HORIZONS: Final = (3, 5)


def average_displacements(
    predictions: Float[np.ndarray, "*b t 2"], logged: Float[np.ndarray, "*b t 2"]
) -> Float[np.ndarray, "*b 2"]:
    """Compute the mean distance in metres between predicted and logged positions up to each of `HORIZONS`.

    Args:
        predictions: positions after 0.25, 0.5, ..., 5 s.
        logged: positions of the logged driver at the same times; NaN where unknown, which gives NaN.
    """
    distances = np.linalg.norm(predictions - logged, axis=-1)
    means = [distances[..., : seconds * FREQUENCY].mean(axis=-1) for seconds in HORIZONS]
    errors: Float[np.ndarray, "*b 2"] = np.stack(means, axis=-1)
    return errors
