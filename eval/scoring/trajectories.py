"""Planned trajectories, and the 10 Hz references that the tracker follows."""

import numpy as np
from jaxtyping import Float, Int

from swerve.eval.scoring.thresholds import POSE_INTERVAL, STEP, STEPS
from swerve.scenes.transforms import wrap_angle


def references_of(
    poses: Float[np.ndarray, "n k 3"], origin: Float[np.ndarray, "3"], start_us: int, interval: float = POSE_INTERVAL
) -> Float[np.ndarray, "n t 3"]:
    """Interpolate world poses linearly between `origin` and the poses, at 41 steps of 0.1 s.

    Args:
        poses: rear-axle poses (x, y, heading) relative to `origin`, at interval, 2 interval, ...
        origin: world pose of the rear axle now.
        start_us: current timestamp. It matters at 1e-6 m: the reference implementation truncates absolute times to
            microseconds.
        interval: seconds between poses; they must reach 4 s.

    Raises:
        ValueError: the poses end before 4 s.
    """
    ends = np.arange(poses.shape[1]) * interval + interval
    if not len(ends) or ends[-1] < STEP * (STEPS - 1) - 1e-6:
        raise ValueError(f"trajectories of {poses.shape[1]} poses every {interval} s end before {STEP * (STEPS - 1)} s")
    start = start_us * 1e-6
    times = np.concatenate([[start_us], ((ends + start) * 1e6).astype(np.int64)])
    world = np.concatenate([np.broadcast_to(origin, (len(poses), 1, 3)), to_world(poses, origin)], axis=1)
    return resampled(world, times, start_us)


def resampled(
    poses: Float[np.ndarray, "n k 3"], times_us: Int[np.ndarray, "k"], start_us: int
) -> Float[np.ndarray, "n t 3"]:
    """Interpolate world poses linearly at 41 steps from `start_us` on; headings along the shorter arc."""
    wanted = np.arange(STEPS) * STEP + start_us * 1e-6
    wanted_us = np.clip((wanted * 1e6).astype(np.int64), times_us[0], times_us[-1])
    left = np.clip(np.searchsorted(times_us, wanted_us, side="right") - 1, 0, len(times_us) - 2)
    share = (wanted_us - times_us[left]) / (times_us[left + 1] - times_us[left])
    smooth = poses.copy()
    smooth[..., 2] = np.unwrap(poses[..., 2], axis=1)
    mixed: Float[np.ndarray, "n t 3"] = smooth[:, left] + share[:, None] * (smooth[:, left + 1] - smooth[:, left])
    mixed[..., 2] = wrap_angle(mixed[..., 2])
    return mixed


def planned_end(
    poses: Float[np.ndarray, "k 3"], origin: Float[np.ndarray, "3"], interval: float = POSE_INTERVAL
) -> Float[np.ndarray, "2"]:
    """Return a trajectory's position after 4 s as planned, not as simulated (x, y; world); see `references_of`."""
    seconds = interval * np.arange(1, len(poses) + 1)
    last = np.array([np.interp(STEP * (STEPS - 1), seconds, column) for column in poses.T])
    return to_world(last, origin)[:2]


def to_world(poses: Float[np.ndarray, "*b 3"], origin: Float[np.ndarray, "3"]) -> Float[np.ndarray, "*b 3"]:
    """Transform poses from the frame of `origin` to the world."""
    cos, sin = np.cos(origin[2]), np.sin(origin[2])
    x = origin[0] + cos * poses[..., 0] - sin * poses[..., 1]
    y = origin[1] + sin * poses[..., 0] + cos * poses[..., 1]
    return np.stack([x, y, wrap_angle(poses[..., 2] + origin[2])], axis=-1)


def to_ego(poses: Float[np.ndarray, "*b 3"], origin: Float[np.ndarray, "3"]) -> Float[np.ndarray, "*b 3"]:
    """Transform world poses into the frame of `origin`: the inverse of `to_world`."""
    cos, sin = np.cos(origin[2]), np.sin(origin[2])
    dx, dy = poses[..., 0] - origin[0], poses[..., 1] - origin[1]
    return np.stack([cos * dx + sin * dy, cos * dy - sin * dx, wrap_angle(poses[..., 2] - origin[2])], axis=-1)
