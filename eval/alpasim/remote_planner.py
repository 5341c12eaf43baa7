"""Driver of AlpaSim as a planner: `grpc://HOST:PORT`."""

import itertools
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float, UInt8

from swerve.data.dataset.image_encoding import encode_image
from swerve.eval.alpasim.camera_specs import camera_message
from swerve.eval.alpasim.ego_buffer import STEP_US
from swerve.eval.alpasim.frames import (
    from_local,
    motion_message,
    planar_of,
    pose_message,
    pose_of,
    to_local,
    trajectory_message,
    trajectory_of,
    upright,
)
from swerve.eval.alpasim.planar_motion import sampled
from swerve.eval.alpasim.protocol import DRIVER, protocol
from swerve.eval.alpasim.route_command import SPACING, WAYPOINTS, command_bytes, command_route, route_message
from swerve.eval.alpasim.stub import Stub
from swerve.scenes import Camera, SwerveError
from swerve.scenes.past_frames import past_name, split_past_name
from swerve.scenes.planning import CameraChoice, Observation, Trajectory
from swerve.scenes.polyline import arc_lengths, interpolate_at, remove_duplicate_points
from swerve.scenes.transforms import inverse

SCHEME: Final = "grpc://"
# Steps of a driver's answer that differ by less than this are equal: times are whole microseconds.
_SAME_STEP_US: Final = 1
# An answer whose steps differ is interpolated to this one.
_STEP_SECONDS: Final = 0.1
_HORIZON_US: Final = 4_000_000
# An answer that goes on for longer is a mistake, and would be interpolated to any number of poses.
_LONGEST_US: Final = 120_000_000
_QUALITY: Final = 95


@dataclass
class _RemoteSession:
    """An open session.

    Attributes:
        uuid: its name.
        token: of its scene.
        now_us: its last time.
        local_from_ego: pose there.
        shift_us: what times are later by as the driver is told them, which cannot be below 0.
    """

    uuid: str
    token: str
    now_us: int
    local_from_ego: Float[np.ndarray, "4 4"]
    shift_us: int

    @property
    def told_us(self) -> int:
        """The last time as the driver was told it."""
        return self.now_us + self.shift_us


class RemotePlanner:
    """Planner that asks a driver of AlpaSim.

    While the observations of a scene come in order, at most 1.5 s apart, as in closed loop, they are one session: the
    driver sees one drive. Any other observation begins a new session, with 1.5 s of egomotion. The driver is told what
    AlpaSim tells it: images, egomotion, and a route, which is the scene's where there is one, else one that has its
    driving command. The command itself goes along as `renderer_data`, which drivers other than Swerve's ignore: of
    waypoints 4.2 m apart it is not always the same.

    Args:
        address: HOST:PORT.
        cameras: names of the cameras whose images are sent, joined by +; all; or none.
        image_format: of the images that are sent; AlpaSim's own is jpeg.
        timeout: longest time of a call, seconds.
        frames: images of each camera that the driver gets before its first drive call, that of now included.
        frame_interval: seconds between them.

    Raises:
        SwerveError: there is no such driver, or a number is outside its range.
    """

    route = True

    def __init__(
        self,
        address: str,
        cameras: str = "all",
        image_format: str = "png",
        timeout: float = 60.0,
        frames: int = 1,
        frame_interval: float = 0.5,
    ) -> None:
        if not (1 <= frames <= 100 and 0.0 < frame_interval <= 10.0):
            raise SwerveError(f"frames: {frames} must lie in 1..100, frame_interval: {frame_interval} in 0..10 s")
        if image_format not in ("png", "jpeg"):
            raise SwerveError(f"image_format: {image_format!r} must be png or jpeg")
        if not 0.0 < timeout <= 1e6:
            raise SwerveError(f"timeout: {timeout} must be above 0 s, and 1e6 s at most")
        self.address, self.image_format, self.timeout = address, image_format, timeout
        self.cameras = _camera_choice(cameras, [frame_interval * row for row in range(frames - 1, 0, -1)])
        self._cameras_of_now = _camera_choice(cameras, ())
        self._stub: Stub | None = None
        self._session: _RemoteSession | None = None
        self._numbers = itertools.count()
        # A driver that changes has other results.
        self.identity = self._connected().check_version()

    @property
    def class_name(self) -> str:
        """Name for messages."""
        return f"driver {SCHEME}{self.address}"

    def cameras_at(self, observation: Observation) -> CameraChoice:
        """Return the cameras whose images are sent: past ones only where the observation begins a session."""
        return self._cameras_of_now if self._steps_since(observation) else self.cameras

    def plan(self, observation: Observation) -> Trajectory:
        """Return the driver's trajectory.

        Its poses are those of the driver where their times are evenly spaced, else they are interpolated linearly to
        10 Hz; one that ends before 4 s goes on straight at its last speed.

        Raises:
            SwerveError: the driver did not answer, or not with a trajectory.
        """
        try:
            session = self._continued(observation)
            if session is None:
                session = self._started(observation)
                self._submit_past_images(session, observation)
            self._submit_images(session, observation)
            self._submit_route(session, observation)
            answer = self._call(
                "drive",
                session_uuid=session.uuid,
                time_now_us=session.told_us,
                time_query_us=session.told_us + STEP_US,
                renderer_data=command_bytes(observation.command),
            )
            if answer.terminate_session:
                raise SwerveError(f"{self.address}: the driver ended the session")
            return self._trajectory(answer, session)
        except SwerveError:
            self._forget()
            raise

    def close(self) -> None:
        """Close session and connection."""
        self._forget()
        if self._stub is not None:
            self._stub.close()
            self._stub = None

    def _connected(self) -> Stub:
        if self._stub is None:
            self._stub = Stub(DRIVER, self.address, self.timeout)
        return self._stub

    def _call(self, method: str, **fields: Any) -> Any:  # noqa: ANN401
        """Call a method with a request of these fields."""
        return self._connected().call(method, protocol().services[DRIVER][method].request(**fields))

    def _started(self, observation: Observation) -> _RemoteSession:
        """Open a session, in whose local frame the ego now is at the origin."""
        self._forget()
        messages = protocol()
        name = f"{observation.token}-{os.getpid()}-{next(self._numbers)}-{uuid.uuid4().hex[:8]}"
        request = messages.DriveSessionRequest(session_uuid=name)
        request.debug_info.scene_id = observation.token
        request.rollout_spec.vehicle.available_cameras.extend(
            camera_message(one) for one in observation.cameras if not _seconds_ago(one.name)
        )
        self._connected().call("start_session", request)
        steps, now_us = len(observation.history.poses), observation.time_us
        oldest_us = round(1e6 * max([0.0, *map(_seconds_ago, observation.images)]))
        shift_us = max(STEP_US * steps - now_us, oldest_us + STEP_US - now_us, 0)
        self._session = _RemoteSession(name, observation.token, now_us, np.eye(4), shift_us)
        self._submit_history(self._session, observation, steps)
        return self._session

    def _steps_since(self, observation: Observation) -> int:
        """Return the steps of 0.1 s since the open session's last time; 0 if this is another drive."""
        session = self._session
        if session is None or session.token != observation.token:
            return 0
        steps, rest = divmod(observation.time_us - session.now_us, STEP_US)
        return 0 if rest or not 0 < steps < len(observation.history.poses) else steps

    def _continued(self, observation: Observation) -> _RemoteSession | None:
        """Return the open session, told of the egomotion since its last time; None if this is another drive."""
        session, steps = self._session, self._steps_since(observation)
        if session is None or not steps:
            return None
        # The history has the pose of the last time relative to now.
        before = upright(observation.history.poses[-1 - steps, None], 0.0)[0]
        session.local_from_ego = session.local_from_ego @ inverse(before)
        session.now_us = observation.time_us
        self._submit_history(session, observation, steps)
        return session

    def _submit_history(self, session: _RemoteSession, observation: Observation, steps: int) -> None:
        """Submit the last steps of the history, the pose of now included."""
        history, messages = observation.history, protocol()
        local = to_local(history.poses[-steps:], session.local_from_ego)
        times_us = session.told_us + STEP_US * np.arange(1 - steps, 1)
        motion = zip(history.velocity[-steps:], history.acceleration[-steps:], history.yaw_rate[-steps:], strict=True)
        states = [motion_message(velocity, acceleration, float(rate)) for velocity, acceleration, rate in motion]
        request = messages.RolloutEgoTrajectory(
            session_uuid=session.uuid,
            trajectory=trajectory_message(times_us, upright(local, 0.0)),
            dynamic_states=states,
        )
        self._connected().call("submit_egomotion_observation", request)

    def _submit_past_images(self, session: _RemoteSession, observation: Observation) -> None:
        """Submit the images of before the first drive call, as AlpaSim does while it forces the recorded drive."""
        past = [(name, seconds) for name in observation.images if (seconds := _seconds_ago(name)) > 0.0]
        for name, seconds in sorted(past, key=lambda one: -one[1]):
            time_us = session.told_us - round(1e6 * seconds)
            self._submit_image(session, split_past_name(name)[0], observation.images[name], time_us)

    def _submit_images(self, session: _RemoteSession, observation: Observation) -> None:
        for name, image in observation.images.items():
            if not _seconds_ago(name):
                self._submit_image(session, name, image, session.told_us)

    def _submit_image(
        self, session: _RemoteSession, name: str, image: UInt8[np.ndarray, "_ _ 3"], time_us: int
    ) -> None:
        encoded = encode_image(image, "png" if self.image_format == "png" else "jpeg", _QUALITY)
        message = protocol().RolloutCameraImage.CameraImage(
            frame_start_us=time_us, frame_end_us=time_us, image_bytes=encoded, logical_id=name
        )
        self._call("submit_image_observation", session_uuid=session.uuid, camera_image=message)

    def _submit_route(self, session: _RemoteSession, observation: Observation) -> None:
        """Submit the route as AlpaSim does: waypoints 4.2 m apart, up to 80 m."""
        known = observation.route
        waypoints = command_route(observation.command) if known is None else route_waypoints(known)
        self._call("submit_route", session_uuid=session.uuid, route=route_message(waypoints, session.told_us))

    def _trajectory(self, answer: Any, session: _RemoteSession) -> Trajectory:  # noqa: ANN401
        """Return a driver's answer relative to the ego.

        Raises:
            SwerveError: it is empty, too long, or malformed.
        """
        times_us, local = trajectory_of(answer.trajectory, f"{self.address}: drive")
        # The ego is where the driver was told that it is.
        here = pose_of(pose_message(session.local_from_ego), "ego")
        poses = from_local(planar_of(local), here)
        poses[:, 2] = np.unwrap(poses[:, 2])
        now_us = session.told_us
        later = times_us > now_us
        if not later.any():
            raise SwerveError(
                f"{self.address}: drive: the trajectory has no pose later than {now_us} us; drivers that need several "
                "images of each camera answer so at first: tell how many (frames=N)"
            )
        if (ahead_us := int(times_us[-1]) - now_us) > _LONGEST_US:
            raise SwerveError(
                f"{self.address}: drive: the trajectory ends {ahead_us * 1e-6:g} s from now, "
                f"{_LONGEST_US * 1e-6:g} s are the most"
            )
        return _evenly(np.append(now_us, times_us[later]), np.concatenate([np.zeros((1, 3)), poses[later]]))

    def _forget(self) -> None:
        """Close the session; a driver that is gone need not be told."""
        session, self._session = self._session, None
        if session is None or self._stub is None:
            return
        try:
            self._call("close_session", session_uuid=session.uuid)
        except SwerveError:
            self._stub.close()
            self._stub = None


def _camera_choice(names: str, ago: Sequence[float]) -> CameraChoice:
    """Return which images the planner declares: cameras by name, and each of them so many seconds ago."""
    if names == "none" or (names == "all" and not ago):
        return () if names == "none" else None

    def chosen(cameras: Sequence[Camera]) -> tuple[str, ...]:
        now = [camera.name for camera in cameras] if names == "all" else names.split("+")
        return (*now, *(past_name(name, seconds) for seconds in ago for name in now))

    return chosen if ago else tuple(names.split("+"))


def _seconds_ago(name: str) -> float:
    """Return how many seconds ago a camera's image is, which its name says: `front@0.5`; 0 for one of now."""
    return split_past_name(name)[1]


def _evenly(times_us: np.ndarray, poses: Float[np.ndarray, "n 3"]) -> Trajectory:
    """Return a trajectory, given the ego's pose and those after it at their times."""
    steps = np.diff(times_us)
    even = int(steps.max() - steps.min()) <= _SAME_STEP_US
    if even and times_us[-1] - times_us[0] >= _HORIZON_US:
        return Trajectory(poses[1:], float((times_us[-1] - times_us[0]) * 1e-6 / len(steps)))
    interval_us = round(float(steps.mean())) if even else round(_STEP_SECONDS * 1e6)
    span = max(int(times_us[-1] - times_us[0]), _HORIZON_US)
    query = times_us[0] + interval_us * np.arange(1, -(-span // interval_us) + 1)
    return Trajectory(sampled(times_us, poses, query), interval_us * 1e-6)


def route_waypoints(route: Float[np.ndarray, "r 2"]) -> Float[np.ndarray, "n 2"]:
    """Return the waypoints of a route, which begins beside the car."""
    if len(route) < 2:
        return np.zeros((0, 2))
    points = remove_duplicate_points(route)
    if len(points) < 2:
        return np.zeros((0, 2))
    length = float(arc_lengths(points)[-1])
    reached = SPACING * np.arange(WAYPOINTS)
    return interpolate_at(points, reached[reached <= length + 1e-6])
