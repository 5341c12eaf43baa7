"""One rollout of AlpaSim: what its client has told, and the last plan."""

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int

from swerve.eval.alpasim.driver_options import DriverOptions
from swerve.eval.alpasim.ego_buffer import HISTORY_STEPS, EgoBuffer
from swerve.eval.alpasim.frames import from_local, planar_of, time_of, to_local, trajectory_of, upright
from swerve.eval.alpasim.planar_motion import along_arc, sampled
from swerve.eval.alpasim.planner_queue import Plan
from swerve.eval.alpasim.route_command import route_command, waypoints_of
from swerve.eval.alpasim.service_error import invalid, not_ready
from swerve.eval.alpasim.session_cameras import (
    CameraImages,
    FailedImage,
    TimedImage,
    prepares_images,
    timed_image,
    with_images,
)
from swerve.scenes import Camera
from swerve.scenes.planning import History, Image, LoggedFuture, Observation, Planner, Trajectory
from swerve.scenes.polyline import arc_lengths, remove_duplicate_points, to_frenet
from swerve.scenes.transforms import inverse, transform_points
from swerve.scenes.viewpoints import Command

# Of the answers that are no plans of the planner for this very call.
LATE: Final = "late"
FAILED: Final = "failed"
# Times of the poses of plans that go on, and of the recorded drive as future-only planners are told of it.
_CONTINUED_US: Final = 100_000 * np.arange(1, 41)
_FUTURE_STEP: Final = 0.5
_FUTURE_US: Final = 500_000 * np.arange(1, 9)
_MOST_WAYPOINTS: Final = 10_000


@dataclass(frozen=True)
class LocalPlan:
    """A plan in the local frame.

    Attributes:
        made_us: time for which it was made.
        times_us: times of its poses, later than that.
        poses: x, y, heading in the local frame; headings unwrapped.
    """

    made_us: int
    times_us: Int[np.ndarray, "n"]
    poses: Float[np.ndarray, "n 3"]

    def continued(self, now_us: int) -> "LocalPlan":
        """Return what is left of it at a later time, every 0.1 s for 4 s; beyond its end straight on."""
        times_us = now_us + _CONTINUED_US
        return LocalPlan(now_us, times_us, sampled(self.times_us, self.poses, times_us))


@dataclass
class _Anchor:
    """Time at which something was in the rig frame, and the rig's pose then, as soon as it is known."""

    time_us: int
    _pose: Float[np.ndarray, "4 4"] | None = None

    def pose(self, ego: EgoBuffer) -> Float[np.ndarray, "4 4"] | None:
        """Return local_from_ego at that time; None if it is not known."""
        if self._pose is None and ego.covers(self.time_us):
            self._pose = ego.pose_between(self.time_us)
        return self._pose


@dataclass
class SessionReport:
    """Counts of a session.

    Attributes:
        session: its uuid.
        drives: drive calls.
        late: of them, those in which the planner missed the deadline.
        failed: those in which the planner failed or something was missing; and images that the planner failed to
            prepare, where that is told to the client.
        commands: drive calls by driving command.
        errors: first failures, in words.
        seconds: duration of each call, as far as kept.
    """

    session: str
    drives: int = 0
    late: int = 0
    failed: int = 0
    commands: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Session:
    """A session; calls of several threads are served one after the other.

    Args:
        uuid: its name.
        token: the planner's name of the scene, see `Observation`.
        images: its cameras.
        planner: what it declares decides what observations hold.
        options: of the service.
    """

    def __init__(self, uuid: str, token: str, images: CameraImages, planner: Planner, options: DriverOptions) -> None:
        self.uuid, self.images = uuid, images
        self.report = SessionReport(uuid)
        self.used = time.monotonic()
        self.pending: Plan | None = None
        self.lock = threading.Lock()
        # Drive calls of one session are answered one after the other.
        self.driving = threading.Lock()
        self._token, self._planner, self._options = token, planner, options
        self._ego = EgoBuffer()
        self._route: tuple[_Anchor, Float[np.ndarray, "n 2"]] | None = None
        self._future: tuple[_Anchor, Int[np.ndarray, "n"], Float[np.ndarray, "n 4 4"]] | None = None
        self._plan: LocalPlan | None = None

    def add_image(self, logical_id: str, image: TimedImage | FailedImage) -> None:
        """Keep an image."""
        with self.lock:
            self.images.add(logical_id, image)

    def forget_images(self) -> None:
        """Let go of the images: what is left of a session that ended may refer to it for a while."""
        with self.lock:
            self.images = CameraImages(self.images.cameras)

    def add_egomotion(
        self, times_us: Int[np.ndarray, "n"], poses: Float[np.ndarray, "n 4 4"], motion: Float[np.ndarray, "k 5"]
    ) -> None:
        """Keep poses and their motion, see `EgoBuffer.add`."""
        with self.lock:
            self._ego.add(times_us, poses, motion)

    def set_route(self, message: Any) -> None:  # noqa: ANN401
        """Keep a `Route` in place of the last one.

        Raises:
            ServiceError: it has too many waypoints.
        """
        if len(message.waypoints) > _MOST_WAYPOINTS:
            raise invalid(f"route: {len(message.waypoints)} waypoints, {_MOST_WAYPOINTS} are the most")
        time_us = time_of(message.timestamp_us, "route")
        waypoints = remove_duplicate_points(waypoints_of(message), 1e-3)
        with self.lock:
            self._route = (_Anchor(time_us), waypoints)

    def set_ground_truth(self, message: Any) -> None:  # noqa: ANN401
        """Keep a `GroundTruth` in place of the last one, for planners that declare `future_only`.

        Raises:
            ServiceError: it is malformed.
        """
        time_us = time_of(message.timestamp_us, "ground_truth")
        times_us, poses = trajectory_of(message.trajectory, "ground_truth")
        with self.lock:
            self._future = (_Anchor(time_us), times_us, poses)

    def pose_at(self, now_us: int) -> Float[np.ndarray, "4 4"]:
        """Return local_from_ego at a time, see `EgoBuffer.pose_at`."""
        with self.lock:
            return self._ego.pose_at(now_us)

    def observation(self, now_us: int, told: Command | None = None) -> Observation:
        """Return the planner's observation at a time.

        Args:
            now_us: the time.
            told: driving command; that of the route if None.

        Raises:
            ServiceError: egomotion, an image or the ground truth that the planner declares is missing, or the planner
                failed to prepare an image.
        """
        planner, options = self._planner, self._options
        declares = getattr(planner, "planner", planner)  # a disturbed one's own
        max_age = float(getattr(declares, "max_image_age", options.max_image_age))
        leave_out = getattr(declares, "missing_images", "refuse") == "leave out"
        with self.lock:
            seen = self.images.at(now_us, max_age, leave_out)
            command = route_command(self._route_at(now_us)) if told is None else told
            self.report.commands[command.name] = self.report.commands.get(command.name, 0) + 1
            observed = Observation(
                token=self._token,
                time_us=now_us,
                vehicle=options.body(),
                history=self._ego.history(now_us),
                command=command,
                privileged=self._logged_future(now_us) if getattr(planner, "privileged", False) else None,
                route=self._route_at(now_us) if getattr(planner, "route", False) else None,
                prepared=prepares_images(planner),
            )
        return with_images(observed, seen)

    def remember(self, made_us: int, local_from_ego: Float[np.ndarray, "4 4"], plan: Trajectory) -> LocalPlan:
        """Return a plan in the local frame, and keep it unless a newer one is kept."""
        steps = np.arange(1, len(plan.poses) + 1)
        times_us = made_us + np.round(steps * plan.interval * 1e6).astype(np.int64)
        poses = to_local(plan.poses.astype(np.float64), local_from_ego)
        poses[:, 2] = np.unwrap(poses[:, 2])
        local = LocalPlan(made_us, times_us, poses)
        with self.lock:
            if self._plan is None or self._plan.made_us <= made_us:
                self._plan = local
        return local

    def last_plan(self, now_us: int) -> LocalPlan | None:
        """Return the last plan, continued at a time; None if there is none of before it."""
        with self.lock:
            if self._plan is None or self._plan.made_us > now_us:
                return None
            return self._plan.continued(now_us)

    def straight_on(self, now_us: int) -> LocalPlan:
        """Return a plan that keeps velocity and yaw rate.

        Raises:
            ServiceError: egomotion is missing.
        """
        with self.lock:
            history, local_from_ego = self._ego.history(now_us), self._ego.pose_at(now_us)
        ahead = along_arc(history.velocity[-1], float(history.yaw_rate[-1]), 1e-6 * _FUTURE_US)
        return LocalPlan(now_us, now_us + _FUTURE_US, to_local(ahead, local_from_ego))

    def _route_at(self, now_us: int) -> Float[np.ndarray, "n 2"]:
        """Return the waypoints in the rig frame of now, without those that the car has passed."""
        if self._route is None:
            return np.zeros((0, 2))
        anchor, waypoints = self._route
        then = anchor.pose(self._ego)
        if anchor.time_us == now_us or len(waypoints) < 2 or then is None:
            return waypoints
        now_from_then = inverse(self._ego.pose_at(now_us)) @ then
        moved = transform_points(now_from_then, np.column_stack([waypoints, np.zeros(len(waypoints))]))[:, :2]
        return _from_nearest(moved)

    def _logged_future(self, now_us: int) -> LoggedFuture:
        """Return the recorded drive of the next 4 s.

        Raises:
            ServiceError: it was not submitted, or not of this time.
        """
        if self._future is None:
            raise not_ready("the planner needs the recorded drive: set send_recording_ground_truth in AlpaSim")
        anchor, times_us, poses = self._future
        then = anchor.pose(self._ego)
        if then is None or len(times_us) < 2 or not times_us[0] <= now_us < times_us[-1]:
            raise not_ready(f"the recorded drive does not cover {now_us} us")
        ahead = sampled(times_us, planar_of(then @ poses), now_us + _FUTURE_US)
        return LoggedFuture(from_local(ahead, self._ego.pose_at(now_us)), _FUTURE_STEP)


def response_poses(plan: LocalPlan, local_from_ego: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "n 4 4"]:
    """Return the poses of an answer: that of the car, then those of the plan, upright at its height."""
    return np.concatenate([local_from_ego[None], upright(plan.poses, float(local_from_ego[2, 3]))])


def blank_observation(cameras: tuple[Camera, ...], planner: Planner, options: DriverOptions) -> Observation:
    """Return an observation of a car that stands still, with black images."""
    zeros = np.zeros((HISTORY_STEPS, 3))
    history = History(
        0.1 * np.arange(1 - HISTORY_STEPS, 1), zeros, zeros[:, :2].copy(), zeros[:, :2].copy(), zeros[:, 0].copy()
    )
    future = LoggedFuture(np.zeros((len(_FUTURE_US), 3)), _FUTURE_STEP)
    observed = Observation(
        token="warm-up",
        time_us=0,
        vehicle=options.body(),
        history=history,
        command=Command.STRAIGHT,
        privileged=future if getattr(planner, "privileged", False) else None,
        prepared=prepares_images(planner),
    )
    black = [partial(_black_image, camera) for camera in cameras]
    seen = [timed_image(0, load, camera, planner) for load, camera in zip(black, cameras, strict=True)]
    return with_images(observed, seen)


def _black_image(camera: Camera) -> Image:
    """Return a black image, read-only as those that come."""
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    image.setflags(write=False)
    return image


def _from_nearest(waypoints: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Return a line from its point nearest to the origin on."""
    reached = arc_lengths(waypoints)
    along, _ = to_frenet(waypoints, np.zeros((1, 2)))
    if along[0] <= 0.0:
        return waypoints
    ahead = reached > along[0]
    start = np.stack([np.interp(along, reached, column) for column in waypoints.T], axis=1)
    return np.concatenate([start, waypoints[ahead]])
