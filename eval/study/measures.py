"""Open-loop measures of a planner: arrays of planners x scene groups, oriented so that more is better."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from swerve.eval.scoring.score import epdms
from swerve.eval.scoring.sub_scores import Metric
from swerve.eval.scoring.thresholds import HISTORY_COMFORT_WEIGHT, POSE_INTERVAL, PROGRESS_WEIGHT, TTC_WEIGHT
from swerve.eval.study.study_records import Study
from swerve.scenes.transforms import wrap_angle

Formula = Literal["full", "reduced"]
FORMULAS: tuple[Formula, ...] = ("full", "reduced")
OPEN_LOOP = ("ade", "fde", "ols", "pdms")

# nuPlan's open-loop score compares at 1 Hz up to 3, 5 and 8 s; a plan of 4 s covers the first of these.
_OLS_HORIZON = 3.0
_OLS_MISS = 6.0
_OLS_DISTANCE = 8.0
_OLS_HEADING = 0.8
_OLS_WEIGHTS = (1.0, 1.0, 2.0, 2.0)

_REDUCED_GATES = (Metric.NO_AT_FAULT_COLLISIONS, Metric.DRIVABLE_AREA_COMPLIANCE, Metric.DRIVING_DIRECTION_COMPLIANCE)
_REDUCED_TERMS = (Metric.EGO_PROGRESS, Metric.TIME_TO_COLLISION_WITHIN_BOUND, Metric.HISTORY_COMFORT)
_REDUCED_WEIGHTS = np.array([PROGRESS_WEIGHT, TTC_WEIGHT, HISTORY_COMFORT_WEIGHT])


def one_stage_measures(study: Study) -> dict[str, Float[np.ndarray, "p c"]]:
    """Compute scores of stage one only: EPDMS, the mean of a scene group's two scenes; PDMS of the current scene.

    Unfiltered measures are without the human filter.
    """
    comfort = np.repeat(study.comfort_one[..., None], 2, axis=-1)
    measures = {}
    for formula in FORMULAS:
        measures[f"one stage, {formula}"] = frame_scores(study.stage_one, comfort, formula).mean(axis=-1)
        raw = frame_scores(study.stage_one_raw, comfort, formula)
        measures[f"one stage, {formula}, unfiltered"] = raw.mean(axis=-1)
    return {**measures, "one stage, PDMS": study.open_loop[..., OPEN_LOOP.index("pdms")]}


def imitation_measures(study: Study) -> dict[str, Float[np.ndarray, "p c"]]:
    """Compute imitation measures over 4 s; errors are negated, so that more is better."""
    ade, fde, ols = (study.open_loop[..., OPEN_LOOP.index(name)] for name in ("ade", "fde", "ols"))
    return {"minus ADE": -ade, "minus FDE": -fde, "open-loop score": ols}


def frame_scores(
    metrics: Float[np.ndarray, "*n 8"], comfort: Float[np.ndarray, "*n"], formula: Formula
) -> Float[np.ndarray, "*n"]:
    """Compute EPDMS of scenes; reduced as in the paper: without TLC, LK and EC, which nuPlan's closed loop lacks.

    The closed-loop score of this package lacks LK and EC, and has a different TLC.
    """
    if formula == "full":
        return epdms(metrics, comfort)
    return np.asarray(gates(metrics, comfort, "reduced") * quality(metrics, comfort, "reduced"))


def gates(
    metrics: Float[np.ndarray, "*n 8"], comfort: Float[np.ndarray, "*n"], formula: Formula
) -> Float[np.ndarray, "*n"]:
    """Compute the product of the multiplicative sub-scores, without extended comfort."""
    columns = slice(0, 4) if formula == "full" else list(_REDUCED_GATES)
    return np.asarray(metrics[..., columns].prod(axis=-1))


def quality(
    metrics: Float[np.ndarray, "*n 8"], comfort: Float[np.ndarray, "*n"], formula: Formula
) -> Float[np.ndarray, "*n"]:
    """Compute the weighted mean of the other sub-scores."""
    if formula == "reduced":
        return np.asarray(metrics[..., list(_REDUCED_TERMS)] @ _REDUCED_WEIGHTS / _REDUCED_WEIGHTS.sum())
    passed = metrics.copy()
    passed[..., :4] = 1.0
    return epdms(passed, comfort)


def displacement_errors(
    poses: Float[np.ndarray, "p k 3"], human: Float[np.ndarray, "k 3"]
) -> tuple[Float[np.ndarray, "p"], Float[np.ndarray, "p"]]:
    """Compute ADE and FDE, metres: mean and last distance of the plan's poses from the human's at the same times."""
    distances = _distances(poses, human)
    return distances.mean(axis=1), distances[:, -1]


def open_loop_scores(poses: Float[np.ndarray, "p k 3"], human: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "p"]:
    """Compute nuPlan's open-loop score of single plans, with the thresholds of the one horizon that they cover.

    A plan that is 6 m off at any second up to 3 s scores 0. For the others: errors relative to 8 m and 0.8 rad, weights
    1 for ADE and FDE and 2 for the mean and the final heading error. nuPlan averages over horizons of 3, 5 and 8 s and
    requires misses in less than 30 % of a log's frames.

    Args:
        poses: of the plans, every 0.5 s.
        human: of the logged ego, the same.
    """
    seconds = round(1.0 / POSE_INTERVAL)
    rows = slice(seconds - 1, round(_OLS_HORIZON / POSE_INTERVAL), seconds)
    distances = _distances(poses[:, rows], human[rows])
    turns = np.abs(wrap_angle(poses[:, rows, 2] - human[rows, 2]))
    errors = (distances.mean(axis=1), distances[:, -1], turns.mean(axis=1), turns[:, -1])
    bounds = (_OLS_DISTANCE, _OLS_DISTANCE, _OLS_HEADING, _OLS_HEADING)
    parts = np.stack([np.clip(1.0 - error / bound, 0.0, 1.0) for error, bound in zip(errors, bounds, strict=True)])
    return np.where(distances.max(axis=1) <= _OLS_MISS, np.average(parts, axis=0, weights=_OLS_WEIGHTS), 0.0)


def _distances(poses: Float[np.ndarray, "p k 3"], human: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "p k"]:
    distances: Float[np.ndarray, "p k"] = np.hypot(poses[..., 0] - human[:, 0], poses[..., 1] - human[:, 1])
    return distances
