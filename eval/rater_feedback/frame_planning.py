"""Planners in WOD-E2E frames: what they observe, and the 20 positions that their trajectories lead through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.wod_e2e.frame import FUTURE_POINTS, PAST_POINTS, PERIOD, E2EFrame, read_image
from swerve.data.sources.wod_e2e.motion import headings, resampled_history
from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, call_observed
from swerve.eval.benchmark.evaluate.observations import HISTORY_SECONDS, declared_cameras, hash_token
from swerve.scenes import Camera, SwerveError, Vehicle
from swerve.scenes.camera_roles import rig_names
from swerve.scenes.errors import PlannerError
from swerve.scenes.planning import History, LoggedFuture, Observation, Planner, Trajectory

_STEP: Final = 0.1
_KNOWN: Final = PERIOD * np.arange(1 - PAST_POINTS, 1)
WAYPOINT_TIMES: Final = PERIOD * np.arange(1, FUTURE_POINTS + 1)


@dataclass(frozen=True)
class FramePlan:
    """Answer of a planner in a frame.

    Attributes:
        waypoints: positions after 0.25, 0.5, ..., 5 s; None if the planner failed.
        horizon: seconds to the end of its trajectory; those after it continue its last velocity.
        error: the planner's error; empty otherwise.
        seconds: duration of the call.
    """

    waypoints: Float[np.ndarray, "20 2"] | None
    horizon: float
    error: str
    seconds: float


def plan_frames(planner: Planner, frames: Sequence[E2EFrame]) -> list[FramePlan]:
    """Ask a planner in several frames, all at once if it has `plan_batch`.

    Raises:
        SwerveError: the planner needs what the frames do not have.
        LogError: an image cannot be read.
    """
    outputs = call_observed(planner, [_observed(frame, planner) for frame in frames])
    return [
        FramePlan(None, 0.0, output.error, output.seconds)
        if output.plan is None
        else FramePlan(waypoints_of(output.plan), horizon_of(output.plan), "", output.seconds)
        for output in outputs
    ]


def _observed(frame: E2EFrame, planner: Planner) -> Observation | PlannerOutput:
    try:
        return observation_of(frame, planner)
    except PlannerError as error:
        return PlannerOutput(None, str(error), 0.0)


def observation_of(frame: E2EFrame, planner: Planner) -> Observation:
    """Return what a planner observes: 1.5 s of history at 10 Hz, the driver's intent, its cameras' images of now.

    The history is interpolated between the points at 4 Hz. Planners that declare `future_only` get the logged future.

    Raises:
        SwerveError: see `required_cameras`; or the planner needs the future, and it is hidden.
        LogError: an image cannot be read.
    """
    cameras = required_cameras(planner, frame)
    there = {camera.name: camera for camera in frame.cameras}
    names = [camera.name for camera in cameras]
    images = {
        name: read_image(frame, there[own]) for name, own in zip(names, rig_names(names, frame.cameras), strict=True)
    }
    return Observation(
        token=hash_token(frame.name),
        time_us=frame.time_us,
        vehicle=Vehicle.pacifica(),
        history=history_of(frame),
        command=frame.command,
        cameras=cameras,
        images=images,
        privileged=logged_future(frame) if getattr(planner, "privileged", False) else None,
    )


def required_cameras(planner: Planner, frame: E2EFrame) -> tuple[Camera, ...]:
    """Return the cameras that a planner declares, see `declared_cameras`.

    Raises:
        SwerveError: it needs map and boxes, or a camera that is not there.
    """
    if getattr(planner, "privileged", False) and not getattr(planner, "future_only", False):
        name = getattr(planner, "class_name", type(planner).__name__)
        raise SwerveError(
            f"planner {name}: needs map and boxes, which WOD-E2E does not have. Planners that need ego states and "
            "images alone can take part, and human"
        )
    return declared_cameras(planner, frame.cameras, frame.name, "the frame has none. Plan without")


def history_of(frame: E2EFrame) -> History:
    """Return the ego's last 1.5 s at 10 Hz."""
    steps = round(HISTORY_SECONDS / _STEP)
    seconds = np.round(_STEP * np.arange(-steps, 1), 9)
    return History(seconds, *resampled_history(seconds, _KNOWN, frame.past, frame.velocity, frame.acceleration))


def logged_future(frame: E2EFrame) -> LoggedFuture:
    """Return the logged driver's poses.

    Raises:
        SwerveError: they are hidden.
    """
    if not len(frame.future):
        raise SwerveError(f"frame {frame.name}: its future is hidden, which this planner needs")
    planar = np.concatenate([frame.past[-1:], frame.future[:, :2]])
    velocity = np.diff(planar, axis=0) / PERIOD
    yaw = headings(np.concatenate([frame.velocity[-1:], velocity]), 0)
    return LoggedFuture(np.column_stack([planar, yaw])[1:], PERIOD)


def waypoints_of(trajectory: Trajectory) -> Float[np.ndarray, "20 2"]:
    """Return the positions of a trajectory after 0.25, 0.5, ..., 5 s.

    Between its poses it is linear, as NAVSIM takes trajectories; after its end it keeps the velocity of its last step.
    """
    times = trajectory.interval * np.arange(len(trajectory.poses) + 1)
    positions = np.concatenate([np.zeros((1, 2)), trajectory.poses[:, :2]])
    if times[-1] < WAYPOINT_TIMES[-1]:
        late = WAYPOINT_TIMES[-1] + trajectory.interval
        rate = (positions[-1] - positions[-2]) / trajectory.interval
        positions = np.concatenate([positions, [positions[-1] + rate * (late - times[-1])]])
        times = np.append(times, late)
    found: Float[np.ndarray, "20 2"] = np.stack(
        [np.interp(WAYPOINT_TIMES, times, column) for column in positions.T], axis=1
    )
    return found


def horizon_of(trajectory: Trajectory) -> float:
    """Return the seconds from now to the last pose."""
    return float(round(len(trajectory.poses) * trajectory.interval, 9))


def initial_speed(frame: E2EFrame) -> float:
    """Return the current speed in m/s, by the last velocity of the past, as Waymo's tutorial computes it."""
    x, y = frame.velocity[-1]
    return float(np.sqrt(x**2 + y**2))
