"""Rater feedback score (RFS) of WOD-E2E: how well people rated the trajectory that a prediction is like.

After Waymo's metrics/python/rater_feedback_utils.py (waymo-open-dataset, commit 99a4cb3) with its defaults, in the same
order of floating-point operations: `experiments/check_rfs_oracle.py` runs both. Trajectories have 20 positions at 4 Hz,
0.25, 0.5, ..., 5 s from now, in metres, in the ego frame of now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes import SwerveError

FREQUENCY: Final = 4
POINTS: Final = 20
RATERS: Final = 3
# Predictions are compared at these times, seconds.
TIMES: Final = np.array([3, 5])
# By time: lateral tolerance in metres at 11 m/s and above; longitudinally four times as much.
LATERAL_TOLERANCES: Final = np.array([1.0, 1.8])
LONGITUDINAL_TOLERANCES: Final = 4.0 * LATERAL_TOLERANCES
# Least score of a prediction that is in no trajectory's trust region.
FLOOR: Final = 4.0
_DECAY: Final = 0.1
_STEPS: Final = TIMES * FREQUENCY - 1


@dataclass(frozen=True)
class RaterFeedback:
    """Scores of predictions.

    Attributes:
        scores: of each scene, 0 to 10: the mean over its predictions, weighted by their probabilities.
        prediction_scores: of each prediction.
        inside: whether a prediction is in the trust region of one rated trajectory at both times.
    """

    scores: Float[np.ndarray, "b"]
    prediction_scores: Float[np.ndarray, "b i"]
    inside: Bool[np.ndarray, "b i"]


def rater_feedback(
    predictions: Float[np.ndarray, "b i k 2"],
    probabilities: Float[np.ndarray, "b i"],
    rated: Float[np.ndarray, "b p t 2"],
    labels: Float[np.ndarray, "b p"],
    initial_speeds: Float[np.ndarray, "b"],
) -> RaterFeedback:
    """Compute the rater feedback score of b scenes at once.

    Args:
        predictions: i trajectories of each scene.
        probabilities: of the predictions.
        rated: p rated trajectories of each scene, see `padded_ratings`.
        labels: their scores by raters, 0 to 10.
        initial_speeds: current speed in m/s.

    Raises:
        SwerveError: trajectories do not have 20 points, or a number is not finite.
    """
    _check(predictions, probabilities, rated, labels, initial_speeds)
    distances = _normalized_distances(predictions, rated, initial_speeds)
    by_time = labels[:, :, None, None] * _DECAY ** np.maximum(distances - 1.0, 0.0)
    scores = by_time.max(axis=1).mean(axis=-1)
    inside: Bool[np.ndarray, "b i"] = np.any(np.all(distances <= 1.0, axis=-1), axis=1)
    scores = np.where(inside, scores, np.maximum(FLOOR, scores))
    return RaterFeedback((scores * probabilities).sum(axis=-1), scores, inside)


def tolerances(
    initial_speeds: Float[np.ndarray, "b"],
) -> tuple[Float[np.ndarray, "b 2"], Float[np.ndarray, "b 2"]]:
    """Return half the width and half the length of trust regions at `TIMES`: lateral, longitudinal; metres.

    Half the full size below 1.4 m/s, the full size above 11 m/s, linear in between.
    """
    scale = np.clip(0.5 + 0.5 * (initial_speeds - 1.4) / (11 - 1.4), 0.5, 1.0)[:, None]
    return scale * LATERAL_TOLERANCES, scale * LONGITUDINAL_TOLERANCES


def padded_ratings(
    trajectories: Sequence[Float[np.ndarray, "_ 2"]], labels: Sequence[float] | Float[np.ndarray, "_"]
) -> tuple[Float[np.ndarray, "3 20 2"], Float[np.ndarray, "3"]]:
    """Return three rated trajectories of 20 points: longer lists are cut, shorter ones repeat their last entry.

    Raises:
        SwerveError: there is no trajectory, one has no point, or the numbers of trajectories and labels differ.
    """
    if len(trajectories) != len(labels) or not len(labels):
        raise SwerveError(
            f"ratings: {len(trajectories)} trajectories with {len(labels)} scores; one or more are needed"
        )
    if empty := [row for row, points in enumerate(trajectories) if not len(points)]:
        raise SwerveError(f"ratings: trajectory {empty[0]} has no points")
    chosen = np.minimum(np.arange(RATERS), len(labels) - 1)
    rows = [np.asarray(trajectories[row], np.float64) for row in chosen]
    points = np.stack([row[np.minimum(np.arange(POINTS), len(row) - 1)] for row in rows])
    return points, np.asarray(labels, np.float64)[chosen]


def _normalized_distances(
    predictions: Float[np.ndarray, "b i t 2"],
    rated: Float[np.ndarray, "b p t 2"],
    initial_speeds: Float[np.ndarray, "b"],
) -> Float[np.ndarray, "b p i 2"]:
    """Compute at `TIMES` the distance of each prediction to each rated trajectory, in units of the trust region.

    It is the larger of the lateral and the longitudinal one, relative to the rated trajectory's direction of travel.
    """
    along = _directions(rated)[:, :, None]
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    offsets = predictions[:, None, :, _STEPS] - rated[:, :, None, _STEPS]
    lateral, longitudinal = tolerances(initial_speeds)
    distances: Float[np.ndarray, "b p i 2"] = np.maximum(
        np.abs((along * offsets).sum(axis=-1)) / longitudinal[:, None, None],
        np.abs((across * offsets).sum(axis=-1)) / lateral[:, None, None],
    )
    return distances


def _directions(rated: Float[np.ndarray, "b p t 2"]) -> Float[np.ndarray, "b p 2 2"]:
    """Return unit vectors of travel at `TIMES`: of the last step that moves, from now on; forward if none does."""
    moves = np.diff(rated, axis=2, prepend=0.0)
    moving = np.linalg.norm(moves, axis=-1) != 0
    last = np.maximum.accumulate(np.where(moving, np.arange(rated.shape[2]), -1), axis=2)[:, :, _STEPS]
    found = np.take_along_axis(moves, np.maximum(last, 0)[..., None], axis=2)
    found = np.where((last < 0)[..., None], np.array([1.0, 0.0]), found)
    directions: Float[np.ndarray, "b p 2 2"] = found / np.linalg.norm(found, axis=-1, keepdims=True)
    return directions


def _check(predictions: np.ndarray, *others: np.ndarray) -> None:
    """Check shapes and values.

    Raises:
        SwerveError: one is wrong.
    """
    if predictions.shape[2] != POINTS or others[1].shape[2] != POINTS:
        found = predictions.shape[2], others[1].shape[2]
        raise SwerveError(
            f"rater feedback: trajectories have {POINTS} points, 0.25 s to 5 s; predicted and rated ones have {found}"
        )
    names = ("predictions", "probabilities", "rated trajectories", "labels", "initial speeds")
    for name, values in zip(names, (predictions, *others), strict=True):
        if not np.isfinite(values).all():
            raise SwerveError(
                f"rater feedback: {name} are not finite in scene {np.argwhere(~np.isfinite(values))[0][0]}"
            )
