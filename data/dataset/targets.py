"""Interpolated poses: targets and inputs of planners at 2 Hz and 10 Hz."""

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from swerve.scenes.planning import History
from swerve.scenes.transforms import interpolate_poses, pose_from_yaw, relative_poses, wrap_angle, yaw_of
from swerve.scenes.viewpoints import Viewpoint, ViewpointKind

Arrays = dict[str, np.ndarray]
_HISTORY_RATE = 10


def trajectory_arrays(viewpoint: Viewpoint, history: float, future: float) -> Arrays:
    """Compute history and futures of a viewpoint in its ego frame, with times in seconds from now.

    The number of rows depends only on the given durations of `history` and `future`, so that samples of sources of any
    rate can be stacked.

    Poses are (x, y, heading). Between the log's steps they are interpolated: positions by cubic splines,
    headings along the shorter arc. Linear positions would be off by up to 4 mm at 10 Hz and 3 m/s2, which is 30 m/s3 in
    the differences of poses whose steps are not exactly tenths of seconds. A log's last step may
    fall short of a wanted time by less than half a step; the pose is then carried on at its last speed. Rows that
    the scene does not cover are zero and marked in the mask ending in `_valid`.
    """
    return {**_history(viewpoint, history), **_futures(viewpoint, future)}


def ego_history(viewpoint: Viewpoint, duration: float) -> tuple[History, Bool[np.ndarray, "h"]]:
    """Return the ego states over `duration` seconds up to now at 10 Hz, and a mask of rows covered by the scene.

    Rows outside the scene are zero. States are those of `Viewpoint.causal_ego`: none depends on what comes after now.
    """
    scene, ego = viewpoint.scene, viewpoint.causal_ego
    times_us, now = scene.times_us[: scene.history + 1], scene.times_us[scene.history]
    seconds = np.arange(-int(duration * _HISTORY_RATE + 1e-6), 1) / _HISTORY_RATE
    poses, valid = interpolate_poses_at(times_us, ego.world_from_ego, now, seconds)
    known = (times_us - now) * 1e-6

    def at(values: Float[np.ndarray, "t *d"]) -> Float[np.ndarray, "h *d"]:
        columns = values.reshape(len(values), -1).T
        rows = np.stack([np.interp(seconds, known, column) for column in columns], axis=-1)
        return np.where(valid[:, None], rows, 0.0).reshape(len(seconds), *values.shape[1:])

    relative = _relative(viewpoint, poses, valid)
    return History(seconds, relative, at(ego.velocity), at(ego.acceleration), at(ego.yaw_rate)), valid


def _history(viewpoint: Viewpoint, duration: float) -> Arrays:
    """Return the ego history as arrays of a sample."""
    history, valid = ego_history(viewpoint, duration)
    return {
        "history_time": history.seconds.astype(np.float32),
        "history_valid": valid,
        "history_pose": history.poses.astype(np.float32),
        "history_velocity": history.velocity.astype(np.float32),
        "history_acceleration": history.acceleration.astype(np.float32),
        "history_yaw_rate": history.yaw_rate.astype(np.float32),
    }


def _futures(viewpoint: Viewpoint, duration: float) -> Arrays:
    """Return the target and the human's trajectory after now."""
    scene = viewpoint.scene
    times_us, now = scene.times_us[scene.history :], scene.times_us[scene.history]
    logged = scene.log.ego.world_from_ego[scene.now]
    seat = viewpoint.world_from_ego if viewpoint.kind is ViewpointKind.CROSS_AGENT else logged
    seat = seat if viewpoint.human_now is None else viewpoint.human_now
    target = np.concatenate([viewpoint.world_from_ego[None], viewpoint.target])
    human = np.concatenate([seat[None], viewpoint.human])
    arrays: Arrays = {}
    for rate in (2, 10):
        seconds = np.arange(1, int(duration * rate + 1e-6) + 1) / rate
        arrays[f"time_{rate}hz"] = seconds.astype(np.float32)
        for name, way in (("target", target), ("human", human)):
            poses, valid = interpolate_poses_at(times_us, way, now, seconds)
            arrays[f"{name}_{rate}hz"] = _relative(viewpoint, poses, valid).astype(np.float32)
            arrays[f"{name}_{rate}hz_valid"] = valid
    return arrays


def expert_arrays(poses: Float[np.ndarray, "k 3"], duration: float) -> Arrays:
    """Return pseudo-expert poses at 0.1, 0.2, ... s as arrays of a sample: at 2 and 10 Hz, with masks of known rows."""
    arrays: Arrays = {}
    for rate, every in ((2, 5), (10, 1)):
        count = int(duration * rate + 1e-6)
        known = poses[every - 1 :: every][:count].astype(np.float32)
        arrays[f"expert_{rate}hz"] = np.concatenate([known, np.zeros((count - len(known), 3), np.float32)])
        arrays[f"expert_{rate}hz_valid"] = np.arange(count) < len(known)
    return arrays


def expert_target(viewpoint: Viewpoint, poses: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "f 4 4"]:
    """Return pseudo-expert poses at 0.1, 0.2, ... s as world_from_ego at the steps of the scene after now.

    Heights are those of the current pose. Steps beyond the poses are left out.
    """
    scene, base = viewpoint.scene, viewpoint.world_from_ego
    seconds = (scene.times_us[scene.history + 1 :] - scene.times_us[scene.history]) * 1e-6
    known = np.concatenate([np.zeros((1, 3)), poses])
    times = np.arange(len(known)) / _HISTORY_RATE
    seconds = seconds[seconds <= times[-1] + 1e-6]
    unwrapped = np.unwrap(known[:, 2])
    x, y = (np.interp(seconds, times, known[:, axis]) for axis in (0, 1))
    yaw = float(yaw_of(base))
    world = np.stack([np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y, np.zeros_like(x)], axis=-1)
    return pose_from_yaw(base[:3, 3] + world, np.interp(seconds, times, unwrapped) + yaw)


def _relative(
    viewpoint: Viewpoint, poses: Float[np.ndarray, "q 4 4"], valid: Bool[np.ndarray, "q"]
) -> Float[np.ndarray, "q 3"]:
    """Return (x, y, heading) in the ego frame of now; zero where not valid."""
    planar = relative_poses(viewpoint.world_from_ego, poses)
    planar[:, 2] = wrap_angle(planar[:, 2])
    return np.where(valid[:, None], planar, 0.0)


def interpolate_poses_at(
    times_us: Int[np.ndarray, "t"],
    poses: Float[np.ndarray, "t 4 4"],
    now_us: int | np.integer,
    seconds: Float[np.ndarray, "q"],
) -> tuple[Float[np.ndarray, "q 4 4"], Bool[np.ndarray, "q"]]:
    """Interpolate poses at `seconds` from now; also return a mask of times within half a step of the known ones."""
    if len(times_us) < 2:
        return np.repeat(poses, len(seconds), axis=0), seconds == (times_us[0] - now_us) * 1e-6
    reach = int(np.median(np.diff(times_us))) // 2
    known_us = np.concatenate([times_us[:1] - reach, times_us, times_us[-1:] + reach])
    known = np.concatenate([poses[:1], poses, poses[-1:]])
    known[0, :3, 3] += (poses[0] - poses[1])[:3, 3] * reach / (times_us[1] - times_us[0])
    known[-1, :3, 3] += (poses[-1] - poses[-2])[:3, 3] * reach / (times_us[-1] - times_us[-2])
    query = now_us + np.round(seconds * 1e6).astype(np.int64)
    valid = (query >= known_us[0]) & (query <= known_us[-1])
    found = interpolate_poses(known_us, known, np.clip(query, known_us[0], known_us[-1]))
    inside = (query >= times_us[0]) & (query <= times_us[-1])
    found[inside, :3, 3] = _cubic_positions(times_us, poses[:, :3, 3], query[inside])
    return found, valid


def _cubic_positions(
    times_us: Int[np.ndarray, "t"], positions: Float[np.ndarray, "t 3"], query: Int[np.ndarray, "q"]
) -> Float[np.ndarray, "q 3"]:
    """Interpolate positions by cubic splines through the steps (off by a step^4 times the snap over 384)."""
    seconds = (times_us - times_us[0]) * 1e-6
    interpolated: Float[np.ndarray, "q 3"] = scipy.interpolate.CubicSpline(seconds, positions)(
        (query - times_us[0]) * 1e-6
    )
    return interpolated
