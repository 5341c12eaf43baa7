"""History comfort of one plan with its history, and extended comfort between two successive plans.

Derivatives are Savitzky-Golay filters, which are linear: each is a short window of coefficients per sample, computed
once per length.
"""

from functools import lru_cache

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from swerve.eval.scoring.comfort_kernels import filter_rows, stays_within, unwrapped
from swerve.eval.scoring.simulate import State
from swerve.eval.scoring.thresholds import (
    AXLE_TO_CENTER,
    COMFORT_DECIMALS,
    EXTENDED_ACCELERATION,
    EXTENDED_JERK,
    EXTENDED_YAW_ACCELERATION,
    EXTENDED_YAW_RATE,
    HISTORY_STEP_US,
    MAX_JERK,
    MAX_LATERAL_ACCELERATION,
    MAX_LONGITUDINAL_ACCELERATION,
    MAX_LONGITUDINAL_JERK,
    MAX_YAW_ACCELERATION,
    MAX_YAW_RATE,
    MIN_LONGITUDINAL_ACCELERATION,
    STEP,
)
from swerve.scenes.transforms import wrap_angle

QUANTITIES = (
    "longitudinal acceleration",
    "lateral acceleration",
    "jerk",
    "longitudinal jerk",
    "yaw acceleration",
    "yaw rate",
)


def comfort_bounds_kept(
    states: Float[np.ndarray, "n t 11"], history: Float[np.ndarray, "h 11"] | None
) -> Bool[np.ndarray, "n 6"]:
    """Return whether each of `QUANTITIES` stays strictly within its bounds, over history and simulation.

    Without history all bounds count as kept. "Centre" acceleration is the reference implementation's: ax + 1.461 (yaw
    rate^2 + yaw acceleration), and ay unchanged.
    """
    if history is None:
        return np.ones((len(states), len(QUANTITIES)), bool)
    past = np.broadcast_to(history, (len(states), *history.shape))
    states = np.concatenate([past, states], axis=1)
    turning = states[..., State.YAW_RATE] ** 2 + states[..., State.YAW_ACCELERATION]
    forward = smoothed(states[..., State.ACCELERATION] + AXLE_TO_CENTER * turning, 8, 2)
    sideways = smoothed(states[..., State.LATERAL_ACCELERATION], 8, 2)
    return _kept(states, forward, sideways)


def comfort_bounds_kept_v1(states: Float[np.ndarray, "n t 11"]) -> Bool[np.ndarray, "n 6"]:
    """Return whether the bounds are kept in PDMS: without history, with the rear axle's accelerations."""
    forward = smoothed(states[..., State.ACCELERATION], 8, 2)
    return _kept(states, forward, smoothed(states[..., State.LATERAL_ACCELERATION], 8, 2))


def _kept(
    states: Float[np.ndarray, "n t 11"], forward: Float[np.ndarray, "n t"], sideways: Float[np.ndarray, "n t"]
) -> Bool[np.ndarray, "n 6"]:
    heading = unwrapped(np.ascontiguousarray(states[..., State.HEADING]))
    checks = (
        (forward, MIN_LONGITUDINAL_ACCELERATION, MAX_LONGITUDINAL_ACCELERATION, (1, 0, 0)),
        (sideways, -MAX_LATERAL_ACCELERATION, MAX_LATERAL_ACCELERATION, (1, 0, 0)),
        (_strength(states), -MAX_JERK, MAX_JERK, (15, 2, 1)),
        (forward, -MAX_LONGITUDINAL_JERK, MAX_LONGITUDINAL_JERK, (15, 2, 1)),
        (heading, -MAX_YAW_ACCELERATION, MAX_YAW_ACCELERATION, (5, 3, 2)),
        (heading, -MAX_YAW_RATE, MAX_YAW_RATE, (5, 2, 1)),
    )
    length = states.shape[1]
    return np.stack(
        [
            stays_within(values, *_windows(length, *window), low, high, 10.0**COMFORT_DECIMALS)
            for values, low, high, window in checks
        ],
        axis=1,
    )


def _strength(states: Float[np.ndarray, "n t 11"]) -> Float[np.ndarray, "n t"]:
    """Smooth the norm of the rear axle's acceleration."""
    length = np.hypot(states[..., State.ACCELERATION], states[..., State.LATERAL_ACCELERATION])
    return smoothed(length, 8, 2)


def plan_differences(
    now: Float[np.ndarray, "n t 11"], before: Float[np.ndarray, "n t 11"], steps: int
) -> Float[np.ndarray, "n 4"]:
    """Compute RMS differences of two simulated plans over their common time.

    Args:
        now: states of the plans made now.
        before: states of those made `steps` steps earlier.
        steps: whole steps of 0.1 s between the two.

    Returns:
        RMS differences of acceleration, jerk, yaw rate and yaw acceleration.
    """
    difference = _features(now[:, : now.shape[1] - steps]) - _features(before[:, steps:])
    differences: Float[np.ndarray, "n 4"] = np.sqrt((difference**2).mean(axis=2)).T
    return differences


def _features(states: Float[np.ndarray, "n t 11"]) -> Float[np.ndarray, "4 n t"]:
    heading = unwrapped(np.ascontiguousarray(states[..., State.HEADING]))
    strength = _strength(states)
    return np.stack([strength, smoothed(strength, 15, 2, 1), smoothed(heading, 5, 2, 1), smoothed(heading, 5, 2, 2)])


def extended_comfort(
    now: Float[np.ndarray, "n t 11"], before: Float[np.ndarray, "n t 11"], steps: int
) -> Float[np.ndarray, "n"]:
    """Return 1 if two successive plans differ within the thresholds, else 0; see `plan_differences`."""
    bounds = np.array([EXTENDED_ACCELERATION, EXTENDED_JERK, EXTENDED_YAW_RATE, EXTENDED_YAW_ACCELERATION])
    return (plan_differences(now, before, steps) <= bounds).all(axis=1).astype(float)


def history_states(
    times_us: Int[np.ndarray, "k"], poses: Float[np.ndarray, "k 3"], accelerations: Float[np.ndarray, "k 2"]
) -> Float[np.ndarray, "h 11"]:
    """Interpolate the logged states before now at intervals of 0.1 s; the last given state is the current one.

    The reference implementation drops the last sample, so the history ends 0.2 s before now, or 0.1 s if the timestamps
    span a microsecond more than a whole number of steps.
    """
    wanted = np.arange(times_us[0], times_us[-1], HISTORY_STEP_US)[:-1]
    states = np.zeros((len(wanted), len(State)))
    values = np.concatenate([poses[:, :2], np.unwrap(poses[:, 2])[:, None], accelerations], axis=1)
    columns = (State.X, State.Y, State.HEADING, State.ACCELERATION, State.LATERAL_ACCELERATION)
    for column, value in zip(columns, values.T, strict=True):
        states[:, column] = np.interp(wanted, times_us, value)
    states[:, State.HEADING] = wrap_angle(states[:, State.HEADING])
    return states


def smoothed(
    values: Float[np.ndarray, "n t"], window: int, order: int, derivative: int = 0
) -> Float[np.ndarray, "n t"]:
    """Apply a Savitzky-Golay filter along samples 0.1 s apart; the ends as in scipy's mode "interp"."""
    filtered: Float[np.ndarray, "n t"] = filter_rows(
        np.ascontiguousarray(values), *_windows(values.shape[1], window, order, derivative)
    )
    return filtered


@lru_cache(maxsize=64)
def _windows(
    length: int, window: int, order: int, derivative: int
) -> tuple[Float[np.ndarray, "t w"], Int[np.ndarray, "t"]]:
    """Return the coefficients of each sample, and the first sample they apply to."""
    matrix = scipy.signal.savgol_filter(
        np.eye(length), window, order, deriv=derivative, delta=STEP, axis=0, mode="interp"
    )
    centred = np.arange(length) - (window - 1) // 2
    starts = np.clip(centred, 0, length - window)
    return np.stack([matrix[row, start : start + window] for row, start in enumerate(starts)]), starts
