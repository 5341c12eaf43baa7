"""Egomotion of a session, buffered by time stamps and interpolated to a planner's history."""

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.dataset.targets import interpolate_poses_at
from swerve.eval.alpasim.frames import planar_of, to_local, upright
from swerve.eval.alpasim.planar_motion import along_arc
from swerve.eval.alpasim.service_error import invalid, not_ready
from swerve.scenes.causal_motion import planar_motion
from swerve.scenes.planning import History
from swerve.scenes.transforms import interpolate_poses, relative_poses

# A planner's history: 1.5 s at 10 Hz.
HISTORY_STEPS: Final = 16
STEP_US: Final = 100_000
# Poses older than this, relative to the newest, are forgotten, and never more than this number is kept.
_KEPT_US: Final = 4_000_000
_MOST: Final = 4096
# Egomotion may be this late: its motion goes on until now.
LATEST_US: Final = 250_000


class EgoBuffer:
    """Poses and motion of the ego by time stamp; messages may come in any order."""

    def __init__(self) -> None:
        self._times = list[int]()
        self._poses = list[Float[np.ndarray, "4 4"]]()
        self._motion = list[Float[np.ndarray, "5"]]()

    def __len__(self) -> int:
        return len(self._times)

    def add(
        self, times_us: Int[np.ndarray, "n"], poses: Float[np.ndarray, "n 4 4"], motion: Float[np.ndarray, "k 5"]
    ) -> None:
        """Add poses; one at a time that is known replaces it.

        Args:
            times_us: their times.
            poses: local_from_ego.
            motion: velocity, acceleration (forward, left) and yaw rate of each pose; none where they are not told.

        Raises:
            ServiceError: the numbers of poses and motions differ.
        """
        if len(motion) not in (0, len(poses)):
            raise invalid(f"{len(poses)} poses come with {len(motion)} dynamic states: one of each is needed, or none")
        rows = motion if len(motion) else np.full((len(poses), 5), np.nan)
        for time_us, pose, row in zip(times_us.tolist(), poses, rows, strict=True):
            place = bisect_left(self._times, time_us)
            end = place + (place < len(self._times) and self._times[place] == time_us)
            self._times[place:end], self._poses[place:end], self._motion[place:end] = [time_us], [pose], [row]
        self._forget()

    def covers(self, time_us: int) -> bool:
        """Return whether a time lies between the first and the last pose."""
        return bool(self._times) and self._times[0] <= time_us <= self._times[-1]

    def pose_between(self, time_us: int) -> Float[np.ndarray, "4 4"]:
        """Return local_from_ego at a time that is covered, from the poses before and after it, however far apart.

        Positions are interpolated linearly, rotations along the shortest arc.
        """
        after = bisect_left(self._times, time_us)
        if self._times[after] == time_us:
            return self._poses[after]
        rows = slice(after - 1, after + 1)
        pose: Float[np.ndarray, "4 4"] = interpolate_poses(
            np.array(self._times[rows], np.int64), np.array(self._poses[rows]), np.array([time_us])
        )[0]
        return pose

    def pose_at(self, now_us: int) -> Float[np.ndarray, "4 4"]:
        """Return local_from_ego at a time, from egomotion up to it.

        Raises:
            ServiceError: there is none, or the last is more than 0.25 s old.
        """
        pose: Float[np.ndarray, "4 4"] = self._until(now_us)[1][-1]
        return pose

    def history(self, now_us: int) -> History:
        """Return the last 1.5 s at 10 Hz, from egomotion up to now.

        Poses are interpolated by cubic splines and motion linearly; without dynamic states motion is that of the poses,
        as in training. Before the first pose the ego kept its velocity and yaw rate.

        Raises:
            ServiceError: see `pose_at`.
        """
        times, poses, motion = self._until(now_us)
        query = now_us + STEP_US * np.arange(1 - HISTORY_STEPS, 1)
        times, poses, motion = _extended_back(times, poses, motion, query[query < times[0]])
        seconds = 1e-6 * (query - now_us)
        found, _ = interpolate_poses_at(times, poses, now_us, seconds)
        known = (times - now_us) * 1e-6
        rows = np.stack([np.interp(seconds, known, column) for column in motion.T], axis=1)
        history = History(
            STEP_US * 1e-6 * np.arange(1 - HISTORY_STEPS, 1),
            relative_poses(poses[-1], found),
            rows[:, :2],
            rows[:, 2:4],
            rows[:, 4],
        )
        for values in vars(history).values():
            values.setflags(write=False)
        return history

    def _until(self, now_us: int) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n 4 4"], Float[np.ndarray, "n 5"]]:
        """Return what is known up to now; if the last is older, it is followed by where its motion leads now.

        Raises:
            ServiceError: see `pose_at`.
        """
        count = bisect_right(self._times, now_us)
        if not count:
            raise not_ready(f"no egomotion up to {now_us} us: submit_egomotion_observation must come before drive")
        late = now_us - self._times[count - 1]
        if late > LATEST_US:
            raise not_ready(f"the last egomotion is {late * 1e-6:.2f} s old, {LATEST_US * 1e-6} s are the most")
        times, poses = np.array(self._times[:count], np.int64), np.array(self._poses[:count])
        motion = _with_motion(times, poses, np.array(self._motion[:count]))
        if late:
            last = _moved(poses[-1], motion[-1], np.array([late * 1e-6]))
            times, poses = np.append(times, now_us), np.concatenate([poses, last])
            motion = np.concatenate([motion, motion[-1:]])
        return times, poses, motion

    def _forget(self) -> None:
        if self._times:
            first = max(bisect_left(self._times, self._times[-1] - _KEPT_US), len(self._times) - _MOST)
            del self._times[:first], self._poses[:first], self._motion[:first]


def _with_motion(
    times: Int[np.ndarray, "n"], poses: Float[np.ndarray, "n 4 4"], motion: Float[np.ndarray, "n 5"]
) -> Float[np.ndarray, "n 5"]:
    """Return the motion, where it is not told that of the poses up to each."""
    untold = np.isnan(motion[:, 0])
    if not untold.any():
        return motion
    velocity, acceleration, yaw_rate = planar_motion(planar_of(poses), times)
    return np.where(untold[:, None], np.column_stack([velocity, acceleration, yaw_rate]), motion)


def _extended_back(
    times: Int[np.ndarray, "n"],
    poses: Float[np.ndarray, "n 4 4"],
    motion: Float[np.ndarray, "n 5"],
    before_us: Int[np.ndarray, "m"],
) -> tuple[Int[np.ndarray, "k"], Float[np.ndarray, "k 4 4"], Float[np.ndarray, "k 5"]]:
    """Prepend poses at times before the first, at its velocity and yaw rate, without acceleration."""
    if not len(before_us):
        return times, poses, motion
    earlier = _moved(poses[0], motion[0], (before_us - times[0]) * 1e-6)
    steady = np.tile(np.where([True, True, False, False, True], motion[0], 0.0), (len(before_us), 1))
    return np.concatenate([before_us, times]), np.concatenate([earlier, poses]), np.concatenate([steady, motion])


def _moved(
    pose: Float[np.ndarray, "4 4"], motion: Float[np.ndarray, "5"], seconds: Float[np.ndarray, "q"]
) -> Float[np.ndarray, "q 4 4"]:
    """Return upright poses of an ego that keeps its velocity and yaw rate."""
    return upright(to_local(along_arc(motion[:2], float(motion[4]), seconds), pose), float(pose[2, 3]))
