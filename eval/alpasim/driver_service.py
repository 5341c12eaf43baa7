"""AlpaSim's driver service, answered by a planner."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.eval.alpasim.driver_options import DriverOptions
from swerve.eval.alpasim.frames import motion_of, time_of, trajectory_message, trajectory_of
from swerve.eval.alpasim.planner_queue import Plan, PlannerQueue
from swerve.eval.alpasim.protocol import protocol, version_message
from swerve.eval.alpasim.route_command import told_command
from swerve.eval.alpasim.service_error import LONGEST_NAME, ServiceError, invalid
from swerve.eval.alpasim.session import (
    FAILED,
    LATE,
    LocalPlan,
    Session,
    SessionReport,
    blank_observation,
    response_poses,
)
from swerve.eval.alpasim.session_cameras import (
    CameraImages,
    FailedImage,
    TimedImage,
    decoded_image,
    negotiated,
    timed_image,
)
from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput
from swerve.eval.benchmark.evaluate.observations import hash_token
from swerve.eval.planner_process import ProcessPlanner
from swerve.scenes import Camera, SwerveError
from swerve.scenes.planning import Planner
from swerve.scenes.printable import printable
from swerve.scenes.viewpoints import Command

LOGGER = logging.getLogger("swerve.alpasim")
# Longest time of the plan on black images, seconds.
_LONGEST_WARM_UP: Final = 600.0
_MOST_POSES: Final = 10_000
_KEPT_ERRORS, _KEPT_SECONDS = 5, 100_000
# Sets of cameras for which a plan on black images is made: clients choose them.
_MOST_WARMED: Final = 16

Closed = Callable[[SessionReport], None]


class DriverService:
    """Sessions of AlpaSim, driven by one planner.

    Args:
        planner: plans in one thread; it is asked for its cameras, and prepares images, in the threads of the calls.
        label: its name, for the version and errors.
        options: of the service.
        closed: is called with the report of every session that ends.

    Raises:
        SwerveError: the planner needs what AlpaSim does not give.
    """

    def __init__(self, planner: Planner, label: str, options: DriverOptions, closed: Closed | None = None) -> None:
        if getattr(planner, "privileged", False) and not getattr(planner, "future_only", False):
            raise SwerveError(
                f"planner {label} needs the simulator's traffic, lights and map (privileged), which AlpaSim does not "
                "tell drivers. Serve one that sees images, or human, constant-velocity, ..."
            )
        self.label, self.options, self.planner = label, options, planner
        self._queue, self._closed = PlannerQueue(planner, options.threads), closed
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._warmed = set[tuple[str, ...]]()

    @property
    def methods(self) -> Mapping[str, Callable[[Any], Any]]:
        """The service's methods, from request to reply."""
        names = protocol().services["egodriver.EgodriverService"]
        return {name: getattr(self, name) for name in names}

    def __len__(self) -> int:
        """Return the number of open sessions."""
        return len(self._sessions)

    def get_version(self, _: Any) -> Any:  # noqa: ANN401
        """Return the planner's name and the version of the messages."""
        return version_message(f"swerve-{self.label}")

    def start_session(self, request: Any) -> Any:  # noqa: ANN401
        """Open a session, and choose its cameras.

        Raises:
            ServiceError: its name is taken, there are too many, or a camera of the planner is not available.
        """
        uuid, scene = request.session_uuid, request.debug_info.scene_id
        if not 0 < len(uuid) <= LONGEST_NAME or len(scene) > LONGEST_NAME:
            raise invalid(
                f"session_uuid has {len(uuid)} characters, scene_id {len(scene)}: 1 to {LONGEST_NAME} are needed, and "
                f"{LONGEST_NAME} at most"
            )
        self._check_free(uuid)
        cameras = negotiated(self.planner, request.rollout_spec.vehicle.available_cameras)
        token = scene or hash_token(uuid)
        session = Session(uuid, token, CameraImages(cameras), self.planner, self.options)
        self._warm_up(cameras)
        with self._lock:
            self._check_free(uuid)
            self._sessions[uuid] = session
        LOGGER.info("session %s begins; cameras: %s", printable(uuid), printable(", ".join(cameras) or "none"))
        return protocol().SessionRequestStatus()

    def close_session(self, request: Any) -> Any:  # noqa: ANN401
        """Close a session, and report it."""
        with self._lock:
            session = self._sessions.pop(request.session_uuid, None)
        if session is None:
            raise _unknown(request.session_uuid)
        self._end(session)
        return protocol().Empty()

    def submit_image_observation(self, request: Any) -> Any:  # noqa: ANN401
        """Keep an image, prepared for the planner; those of cameras that it does not see are let pass.

        Raises:
            ServiceError: the image is damaged; or the planner failed to prepare it, unless drive calls answer that.
        """
        session, message = self._session(request.session_uuid), request.camera_image
        time_us = time_of(message.frame_end_us, "camera_image")
        if message.logical_id in session.images.cameras:
            session.add_image(message.logical_id, self._prepared(session, time_us, message))
        return protocol().Empty()

    def submit_egomotion_observation(self, request: Any) -> Any:  # noqa: ANN401
        """Keep poses and their motion."""
        session = self._session(request.session_uuid)
        if max(len(request.trajectory.poses), len(request.dynamic_states)) > _MOST_POSES:
            raise invalid(f"trajectory: {len(request.trajectory.poses)} poses, {_MOST_POSES} are the most")
        times_us, poses = trajectory_of(request.trajectory, "trajectory")
        session.add_egomotion(times_us, poses, motion_of(request.dynamic_states, "dynamic_states"))
        return protocol().Empty()

    def submit_route(self, request: Any) -> Any:  # noqa: ANN401
        """Keep the route."""
        self._session(request.session_uuid).set_route(request.route)
        return protocol().Empty()

    def submit_recording_ground_truth(self, request: Any) -> Any:  # noqa: ANN401
        """Keep the recorded drive, which only planners that declare `future_only` are told of."""
        session = self._session(request.session_uuid)
        if len(request.ground_truth.trajectory.poses) > _MOST_POSES:
            raise invalid(f"ground_truth: more than {_MOST_POSES} poses")
        if getattr(self.planner, "future_only", False):
            session.set_ground_truth(request.ground_truth)
        return protocol().Empty()

    def drive(self, request: Any) -> Any:  # noqa: ANN401
        """Return the plan for a time, or what takes its place, see `DriverOptions`.

        Raises:
            ServiceError: there is no such session, something is missing, or the planner failed.
        """
        begun = time.perf_counter()
        session, now_us = self._session(request.session_uuid), time_of(request.time_now_us, "time_now_us")
        with session.driving:
            session.report.drives += 1
            local_from_ego = session.pose_at(now_us)
            plan, kind = self._answer(session, told_command(request.renderer_data), now_us, local_from_ego, begun)
            if len(session.report.seconds) < _KEPT_SECONDS:
                session.report.seconds.append(time.perf_counter() - begun)
        return _response(plan, kind, now_us, local_from_ego)

    def close_idle(self) -> None:
        """Close the sessions that were not used for longer than their timeout; free images of closed ones."""
        first = time.monotonic() - self.options.session_timeout
        with self._lock:
            idle = [uuid for uuid, session in self._sessions.items() if session.used < first]
            ended = [self._sessions.pop(uuid) for uuid in idle]
        for session in ended:
            LOGGER.warning("session %s was not used for %g s", printable(session.uuid), self.options.session_timeout)
            self._end(session)
        if isinstance(self.planner, ProcessPlanner):
            self.planner.drop_freed()

    def close(self) -> None:
        """Close all sessions, and end the planner's thread."""
        with self._lock:
            ended, self._sessions = list(self._sessions.values()), {}
        try:
            for session in ended:
                self._end(session)
        finally:
            self._queue.close()

    def _answer(
        self,
        session: Session,
        command: Command | None,
        now_us: int,
        local_from_ego: Float[np.ndarray, "4 4"],
        begun: float,
    ) -> tuple[LocalPlan, str]:
        """Return a plan, and the kind of answer that it is: empty if it is the planner's for this call."""
        try:
            asked = self._asked(session, command, now_us, local_from_ego)
        except ServiceError as error:
            return self._substitute(session, now_us, error), FAILED
        output = asked.output(self.options.deadline - (time.perf_counter() - begun))
        if output is None:
            session.report.late += 1
            if (last := session.last_plan(now_us)) is not None:
                return last, LATE
            output = asked.output(self.options.first_deadline - (time.perf_counter() - begun))
        if output is None:
            return session.straight_on(now_us), LATE
        if output.plan is None:
            lines = output.error.splitlines() or ["no reason is known"]
            broken = ServiceError("INTERNAL", f"planner {self.label} failed: {lines[-1]}")
            return self._substitute(session, now_us, broken), FAILED
        return session.remember(now_us, local_from_ego, output.plan), ""

    def _asked(
        self, session: Session, command: Command | None, now_us: int, local_from_ego: Float[np.ndarray, "4 4"]
    ) -> Plan:
        """Ask for a plan, in the place of one of an earlier call that has not begun."""

        def done(output: PlannerOutput) -> None:
            if output.plan is not None:
                session.remember(now_us, local_from_ego, output.plan)

        observation = session.observation(now_us, command)
        if session.pending is None or not session.pending.renew(observation, done):
            session.pending = self._queue.ask(observation, done)
        return session.pending

    def _prepared(self, session: Session, time_us: int, message: Any) -> TimedImage | FailedImage:  # noqa: ANN401
        """Return an image prepared for the planner, or how the planner failed, for the drive calls that need it.

        Raises:
            ServiceError: the image is damaged, or the failure is to be told at once.
        """
        load = partial(decoded_image, message.image_bytes, printable(message.logical_id))
        try:
            return timed_image(time_us, load, session.images.cameras[message.logical_id], self.planner)
        except ServiceError as error:
            if error.status != "INTERNAL":  # the client's fault
                raise
            if self.options.on_failure == "error":
                self._count_failure(session, time_us, error)
                raise
            return FailedImage(time_us, str(error))

    def _substitute(self, session: Session, now_us: int, error: ServiceError) -> LocalPlan:
        """Count a failure, and return what takes the place of a plan.

        Raises:
            ServiceError: the failure is to be told instead.
        """
        self._count_failure(session, now_us, error)
        if self.options.on_failure == "error":
            raise error
        return session.last_plan(now_us) or session.straight_on(now_us)

    def _count_failure(self, session: Session, time_us: int, error: ServiceError) -> None:
        """Count a failure of a session, and tell the first ones."""
        with session.lock:  # images come in several threads
            session.report.failed += 1
            told = len(session.report.errors) < _KEPT_ERRORS
            if told:
                session.report.errors.append(str(error))
        if told:
            LOGGER.warning("session %s at %d us: %s", printable(session.uuid), time_us, error)

    def _session(self, uuid: str) -> Session:
        session = self._sessions.get(uuid)
        if session is None:
            raise _unknown(uuid)
        session.used = time.monotonic()
        return session

    def _warm_up(self, cameras: Mapping[str, Camera]) -> None:
        """Plan once, without time limit, on black images: the first plan of a network takes longer than others."""
        names = tuple(cameras)
        with self._lock:
            if names in self._warmed or len(self._warmed) >= _MOST_WARMED:
                return
            self._warmed.add(names)
        if not self._plans_on(tuple(cameras.values())):
            LOGGER.info("planner %s does not plan on black images: its first plan may take longer", self.label)

    def _plans_on(self, cameras: tuple[Camera, ...]) -> bool:
        """Return whether the planner makes a plan on black images."""
        try:
            black = blank_observation(cameras, self.planner, self.options)
        except ServiceError:  # it failed to prepare them
            return False
        output = self._queue.ask(black, _ignore).output(_LONGEST_WARM_UP)
        return output is not None and output.plan is not None

    def _check_free(self, uuid: str) -> None:
        if uuid in self._sessions:
            raise ServiceError("ALREADY_EXISTS", f"session {uuid} is open already")
        if len(self._sessions) >= self.options.max_sessions:
            raise ServiceError(
                "RESOURCE_EXHAUSTED", f"{len(self._sessions)} sessions are open: max_sessions is reached"
            )

    def _end(self, session: Session) -> None:
        if session.pending is not None:
            session.pending.cancel()
        session.forget_images()
        LOGGER.info("%s", report_line(session.report))
        if self._closed is not None:
            self._closed(session.report)


def report_line(report: SessionReport) -> str:
    """Return a report in words."""
    line = f"session {report.session} ends: {report.drives} drive calls, {report.late} late, {report.failed} failed"
    if report.seconds:
        median, most = 1e3 * np.median(report.seconds), 1e3 * np.max(report.seconds)
        line += f"; {median:.1f} ms in the median, {most:.1f} ms at most"
    return printable(line + "".join(f"; {error}" for error in report.errors[:1]))


def _response(plan: LocalPlan, kind: str, now_us: int, local_from_ego: Float[np.ndarray, "4 4"]) -> Any:  # noqa: ANN401
    """Return the reply to a drive call; its debug information is JSON."""
    times_us = np.concatenate([[now_us], plan.times_us])
    told = {"answer": kind or "planned", "planned_for_us": plan.made_us}
    response = protocol().DriveResponse(trajectory=trajectory_message(times_us, response_poses(plan, local_from_ego)))
    response.debug_info.unstructured_debug_info = json.dumps(told).encode()
    return response


def _ignore(_: PlannerOutput) -> None:
    """Ignore a plan."""


def _unknown(uuid: str) -> ServiceError:
    return ServiceError("NOT_FOUND", f"no session {uuid[:LONGEST_NAME]!r} is open: start_session comes first")
