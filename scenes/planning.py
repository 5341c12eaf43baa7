"""Planner interface: observation in, trajectory out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from swerve.scenes.camera import Camera
from swerve.scenes.errors import SwerveError
from swerve.scenes.vehicle import Vehicle
from swerve.scenes.viewpoints import Command

# Limit on planned distances, metres, and on headings, radians: no vehicle drives farther.
FARTHEST_POSE: Final = 10_000.0
# Names of cameras, a function that chooses among those of a rig, or None for all.
CameraChoice = Sequence[str] | Callable[[Sequence[Camera]], Sequence[str]] | None
Image = UInt8[np.ndarray, "_ _ 3"]
# What a planner does first to each image.
PrepareImage = Callable[[Image, Camera], tuple[Image, Camera]]


@dataclass(frozen=True)
class History:
    """Past ego states at 10 Hz; the last row is the current one.

    Attributes:
        seconds: relative to now: ..., -0.2, -0.1, 0.
        poses: rear axle (x, y, heading) in the ego frame of now.
        velocity: (forward, left) in the ego frame of each step, m/s.
        acceleration: (forward, left) in the ego frame of each step, m/s2.
        yaw_rate: rad/s, counter-clockwise.
    """

    seconds: Float[np.ndarray, "h"]
    poses: Float[np.ndarray, "h 3"]
    velocity: Float[np.ndarray, "h 2"]
    acceleration: Float[np.ndarray, "h 2"]
    yaw_rate: Float[np.ndarray, "h"]


@dataclass(frozen=True)
class Observation:
    """Input of a planner.

    Attributes:
        token: opaque name of the scene, for seeding: benchmark tokens would reveal a follow-up's place in the grid.
        time_us: current timestamp.
        vehicle: the ego's body.
        history: past ego states up to now.
        command: driving command.
        cameras: cameras whose images are given.
        images: RGB images by camera name.
        privileged: simulator state (`swerve.eval.PrivilegedInput`, or `LoggedFuture` where the data set has no more),
            for planners that declare `privileged`; None for all others.
        recording: the scene as its data set recorded it, if it did, for planners that declare `recording`; None
            for all others.
        route: x, y of the way ahead, relative to the ego, from beside it on, in closed loop, for planners that declare
            `route`; None for all others. Its last point is where it ends or forks.
        prepared: whether images and cameras are what the planner's own `prepare_image` returned.
    """

    token: str
    time_us: int
    vehicle: Vehicle
    history: History
    command: Command
    cameras: tuple[Camera, ...] = ()
    images: Mapping[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict)
    privileged: Any = None
    recording: Any = None
    route: Float[np.ndarray, "_ 2"] | None = None
    prepared: bool = False


@dataclass(frozen=True)
class LoggedFuture:
    """Future of the logged driver, the simulator state of data sets in which nothing else is known.

    Attributes:
        poses: (x, y, heading) in the ego frame of now, at interval, 2 interval, ... seconds.
        interval: seconds between poses.
    """

    poses: Float[np.ndarray, "k 3"]
    interval: float


# Seconds between poses at most: one in milliseconds is refused.
LONGEST_INTERVAL: Final = 4.0


@dataclass(frozen=True)
class Trajectory:
    """Future poses of the rear axle.

    Attributes:
        poses: (x, y, heading) in the ego frame of now, at interval, 2 interval, ... seconds from now; to 4 s or beyond.
        interval: seconds between poses.

    Raises:
        SwerveError: poses are not numbers of that shape, one is not finite, the interval is not in its range, or they
            end before 4 s.
    """

    poses: Float[np.ndarray, "k 3"]
    interval: float = 0.5

    def __post_init__(self) -> None:
        try:
            poses = np.asarray(self.poses)
        except ValueError as error:
            raise SwerveError("trajectory: poses are not all of the same length") from error
        kind, shape = poses.dtype.kind, poses.shape
        if kind not in "fiu" or len(shape) != 2 or shape[1] != 3:
            raise SwerveError(f"trajectory: poses of shape {shape} and type {kind!r} are not numbers of shape (k, 3)")
        if not isinstance(self.interval, Real):
            raise SwerveError(f"trajectory: the interval is {self.interval!r}, not a number of seconds")
        if not np.isfinite(self.poses).all():
            bad = np.flatnonzero(~np.isfinite(self.poses).all(axis=1))
            raise SwerveError(f"trajectory: poses {bad[:5].tolist()} are not finite")
        if not 0 < self.interval <= LONGEST_INTERVAL:
            raise SwerveError(
                f"trajectory: the interval is {self.interval} s, it must be above 0 and at most {LONGEST_INTERVAL:g} s"
            )
        if len(self.poses) * self.interval < 4.0 - 1e-6:
            raise SwerveError(f"trajectory: {len(self.poses)} poses every {self.interval} s end before 4 s")


@runtime_checkable
class Planner(Protocol):
    """A planner: any object with this method.

    It may declare, as attributes of class or object:

    - `cameras`: names of the cameras whose images it wants; () for none; None or nothing declared: all; or a function
      that returns the names, given the cameras that there are.
    - `cameras_at(observation: Observation) -> CameraChoice`: what takes the place of `cameras` for one observation,
      which has no images yet. It is asked in closed loop, where calls come in order, so that images that a planner has
      already are not rendered again; planners in a process of their own are not asked.
    - `privileged = True`: it gets `Observation.privileged`; with `future_only = True` as well, that may be a
      `LoggedFuture`.
    - `recording = True`: it gets `Observation.recording` where there is one, and then no images.
    - `route = True`: it gets `Observation.route` where there is one.
    - `max_image_age`, `missing_images`: of planners that are served to AlpaSim, see docs/alpasim.md.
    - `prepare_image(image: np.ndarray, camera: Camera) -> tuple[np.ndarray, Camera]`: what it does first to each image,
      such as a resize. It may be called when the image arrives, ahead of the plan, in any thread; the observation is
      then `prepared`. In a planner's own process it is called in the thread that plans.
    - `check_sensors()`: is called before planning where there is no recording, to raise a SwerveError if the planner
      needs sensors that observations do not have.
    - `plan_batch(observations: Sequence[Observation]) -> Sequence[Trajectory]`: it is called with many scenes at once.

    It keeps nothing from one call to the next: calls come in any order, in several processes.
    """

    def plan(self, observation: Observation) -> Trajectory:
        """Plan a trajectory. An exception or a non-finite pose counts as a failure of this scene."""


def chosen_names(choice: CameraChoice, cameras: Sequence[Camera]) -> list[str]:
    """Return the names of the cameras that a planner declares, given those that there are.

    Raises:
        SwerveError: it declares one text in place of several.
    """
    if choice is None:
        return [camera.name for camera in cameras]
    names = choice(cameras) if callable(choice) else choice
    if isinstance(names, str):  # its letters would be taken for names
        raise SwerveError(f"the planner's cameras are one text, {names!r}: declare a tuple, cameras = ({names!r},)")
    return list(names)


def preparation_of(planner: Planner) -> PrepareImage | None:
    """Return what a planner, or the one whose plans it disturbs, does first to each image, if it says so."""
    prepare: PrepareImage | None = getattr(getattr(planner, "planner", planner), "prepare_image", None)
    return prepare if callable(prepare) else None
