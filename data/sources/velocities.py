"""Velocities by finite differences."""

import numpy as np
from jaxtyping import Bool, Float, Int

_LONGEST_GAP_US = 500_000


def velocities_of(
    positions: Float[np.ndarray, "n t 3"], valid: Bool[np.ndarray, "n t"], times_us: Int[np.ndarray, "t"]
) -> Float[np.ndarray, "n t 2"]:
    """Compute velocities (x, y) in m/s by central differences over the valid steps before and after each step.

    A neighbour more than 0.5 s away does not count: at the ends of a track and beside such gaps the difference is
    one-sided, and a step without neighbours has velocity zero, as have invalid steps.
    """
    steps = np.arange(valid.shape[1])
    before = _shifted(np.maximum.accumulate(np.where(valid, steps, -1), axis=1), 1)
    after = _shifted(np.minimum.accumulate(np.where(valid, steps, len(steps))[:, ::-1], axis=1)[:, ::-1], -1)
    near_before = (before >= 0) & (times_us - times_us[np.maximum(before, 0)] <= _LONGEST_GAP_US)
    near_after = (after < len(steps)) & (times_us[np.minimum(after, len(steps) - 1)] - times_us <= _LONGEST_GAP_US)
    first, last = np.where(near_before, before, steps), np.where(near_after, after, steps)
    rows = np.arange(len(valid))[:, None]
    moved = positions[rows, last, :2] - positions[rows, first, :2]
    seconds = (times_us[last] - times_us[first]) * 1e-6
    return np.where(valid[..., None] & (seconds > 0)[..., None], moved / np.maximum(seconds, 1e-9)[..., None], 0.0)


def _shifted(indices: Int[np.ndarray, "n t"], by: int) -> Int[np.ndarray, "n t"]:
    """Shift values by one column from before (by = 1) or after (by = -1); the end is filled with -1 or t."""
    shifted = np.roll(indices, by, axis=1)
    if by > 0:
        shifted[:, 0] = -1
    else:
        shifted[:, -1] = indices.shape[1]
    return shifted
