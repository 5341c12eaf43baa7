"""Client of the driver service that tells of a car, and planners that it asks."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from swerve.eval.alpasim import DriverOptions, DriverService, Server
from swerve.eval.alpasim.camera_specs import camera_message
from swerve.eval.alpasim.frames import motion_message, trajectory_message, upright
from swerve.eval.alpasim.protocol import DRIVER, protocol
from swerve.eval.alpasim.route_command import command_route, route_message
from swerve.eval.alpasim.stub import Stub
from swerve.scenes import Camera
from swerve.scenes.camera import FORWARD
from swerve.scenes.planning import Trajectory
from swerve.scenes.transforms import rigid_transform, rotation_about_z
from swerve.scenes.viewpoints import Command
from tests.support.town_logs import town

# A time of the epoch, which a signed 32-bit number of seconds or a float32 would not hold to the microsecond.
START_US = 1_700_000_000_123_456
RED = np.full((30, 40, 3), (200, 10, 10), np.uint8)


class Straight:
    """Planner that drives on at 5 m/s, and keeps what it was shown."""

    cameras = ()

    def __init__(self):
        self.seen = []

    def plan(self, observation):
        self.seen.append(observation)
        return Trajectory(np.column_stack([2.5 * np.arange(1, 9), np.zeros(8), np.zeros(8)]), 0.5)


class Seeing(Straight):
    """Planner that sees the front camera."""

    cameras = ("front",)


class Slow(Straight):
    """Planner that waits for an event before it returns, from its second plan on."""

    def __init__(self):
        super().__init__()
        self.go_on = threading.Event()

    def plan(self, observation):
        if len(self.seen) > 1:
            assert self.go_on.wait(10.0)
        return super().plan(observation)


class Broken(Straight):
    """Planner that fails in every scene."""

    def plan(self, observation):
        raise ValueError("the wheel came off")


def camera(name: str, yaw: float = 0.0) -> Camera:
    """Return a camera on the roof, turned to the left by a yaw."""
    mount = rigid_transform(rotation_about_z(yaw) @ FORWARD, np.array([1.5, 0.0, 1.5]))
    return Camera(name, 80, 60, 60.0, 60.0, 40.0, 30.0, mount)


class OneTown:
    """Source with one generated town, which other tests have generated too."""

    kind = "town"

    def names(self):
        return (town(3).name,)

    def load(self, name):
        return town(3)


class Client:
    """A session of the driver service: a car on a line at 5 m/s along the local x axis, from START_US on."""

    def __init__(self, port, uuid="one", timeout=20.0):
        self.stub, self.uuid = Stub(DRIVER, f"127.0.0.1:{port}", timeout), uuid

    def call(self, name, **fields):
        return self.stub.call(name, protocol().services[DRIVER][name].request(session_uuid=self.uuid, **fields))

    def start(self, cameras=()):
        messages = protocol()
        spec = messages.DriveSessionRequest.RolloutSpec()
        spec.vehicle.available_cameras.extend(camera_message(camera) for camera in cameras)
        return self.call("start_session", rollout_spec=spec)

    def move(self, times_us, motion=True):
        """Submit where the car is at times."""
        times_us = np.asarray(times_us, np.int64)
        x = 5.0 * (times_us - START_US) * 1e-6
        poses = upright(np.column_stack([x, np.zeros((len(x), 2))]), 0.0)
        state = motion_message(np.array([5.0, 0.0]), np.zeros(2), 0.0)
        states = [state] * len(poses) if motion else []
        return self.call(
            "submit_egomotion_observation", trajectory=trajectory_message(times_us, poses), dynamic_states=states
        )

    def route(self, command=Command.STRAIGHT, time_us=START_US):
        return self.call("submit_route", route=route_message(command_route(command), time_us))

    def image(self, logical_id, encoded, time_us=START_US):
        image = protocol().RolloutCameraImage.CameraImage(
            frame_start_us=time_us, frame_end_us=time_us, image_bytes=encoded, logical_id=logical_id
        )
        return self.call("submit_image_observation", camera_image=image)

    def drive(self, time_us=START_US, **fields):
        return self.call("drive", time_now_us=time_us, time_query_us=time_us + 100_000, **fields)

    def close(self):
        return self.call("close_session")


def places(response):
    """Return seconds from START_US and x of an answer's poses."""
    rows = [((one.timestamp_us - START_US) * 1e-6, one.pose.vec.x) for one in response.trajectory.poses]
    return np.array(rows)


@contextmanager
def served(planner, label="test", **options) -> Iterator[tuple[DriverService, int, list]]:
    """Serve a planner; yield the service, its port, and the reports of closed sessions."""
    reports = []
    service = DriverService(planner, label, DriverOptions(**{"deadline": 10.0, **options}), reports.append)
    try:
        with Server(DRIVER, service.methods, "127.0.0.1", 0, 24) as server:
            yield service, server.port, reports
    finally:
        if isinstance(planner, Slow):
            planner.go_on.set()
        service.close()


def wait_until(condition, seconds=5.0):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
