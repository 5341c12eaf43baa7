"""Malformed messages: each gets one clear error, the service goes on, and nothing is left of them."""

import threading

import grpc
import numpy as np
import pytest

from swerve.eval.alpasim import RendererService, Server
from swerve.eval.alpasim.camera_specs import camera_message
from swerve.eval.alpasim.protocol import DRIVER, LARGEST_MESSAGE, RENDERER, protocol
from swerve.eval.alpasim.route_command import command_route, route_message
from swerve.eval.benchmark.view_renderers import RasterRenderer
from swerve.scenes import Camera
from swerve.scenes.camera import FORWARD
from swerve.scenes.transforms import rigid_transform
from swerve.scenes.viewpoints import Command
from tests.support.alpasim_client import START_US, Client, OneTown, Straight, served, wait_until

# A message that is wrong is one of these; UNKNOWN and INTERNAL would be faults of the service.
NAMED = {"ALREADY_EXISTS", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"}
ROUNDS = 60


class Seeing(Straight):
    """Planner that sees the front camera, if it has an image."""

    cameras = ("front",)
    missing_images = "leave out"


def front():
    return Camera("front", 40, 30, 30.0, 30.0, 20.0, 15.0, rigid_transform(FORWARD, np.array([1.5, 0.0, 1.5])))


def valid_requests(messages):
    """Return a request of each method of the driver."""
    pose = messages.Pose(vec=messages.Vec3(x=1.0, y=2.0), quat=messages.Quat(w=1.0))
    poses = [messages.PoseAtTime(pose=pose, timestamp_us=START_US + 100_000 * step) for step in range(-5, 1)]
    trajectory = messages.Trajectory(poses=poses)
    start = messages.DriveSessionRequest(session_uuid="fuzz", random_seed=3)
    start.debug_info.scene_id = "scene"
    start.rollout_spec.vehicle.available_cameras.append(camera_message(front()))
    image = messages.RolloutCameraImage(session_uuid="one")
    image.camera_image.logical_id, image.camera_image.image_bytes = "front", b"\xff\xd8\xff\xe0 no image"
    image.camera_image.frame_end_us = START_US
    return {
        "start_session": start,
        "submit_image_observation": image,
        "submit_egomotion_observation": messages.RolloutEgoTrajectory(
            session_uuid="one", trajectory=trajectory, dynamic_states=[messages.DynamicState()] * 6
        ),
        "submit_route": messages.RouteRequest(
            session_uuid="one", route=route_message(command_route(Command.LEFT), START_US)
        ),
        "submit_recording_ground_truth": messages.GroundTruthRequest(
            session_uuid="one", ground_truth=messages.GroundTruth(trajectory=trajectory, timestamp_us=START_US)
        ),
        "drive": messages.DriveRequest(session_uuid="one", time_now_us=START_US, time_query_us=START_US + 1),
        "close_session": messages.DriveSessionCloseRequest(session_uuid="fuzz"),
        "get_version": messages.Empty(),
    }


def mutations(content, random, rounds=ROUNDS):
    """Yield damaged copies of a message, and bytes that are none."""
    for _ in range(rounds):
        damaged = bytearray(content)
        for place in random.integers(0, max(len(damaged), 1), random.integers(1, 6)):
            if len(damaged):
                damaged[place] = random.integers(0, 256)
        yield bytes(damaged)
    for length in random.integers(0, len(content) + 1, rounds // 4):
        yield content[:length]
    for length in random.integers(1, 200, rounds // 4):
        yield random.bytes(length)
    yield content + content
    yield b"\x0a\xff\xff\xff\xff\x07"  # a string of 2 GB that does not follow


def sent(channel, service, method, content):
    """Send bytes; return the status, "OK" or its name."""
    try:
        channel.unary_unary(f"/{service}/{method}")(content, timeout=120.0)
    except grpc.RpcError as error:
        return error.code().name if error.details() else "without a reason"
    return "OK"


def test_a_driver_survives_anything():
    random, messages = np.random.default_rng(0), protocol()
    with served(Seeing(), on_failure="last-plan") as (service, port, _):
        client = Client(port)
        client.start([front()])
        client.move(START_US + 100_000 * np.arange(-15, 1))
        statuses = {}
        threads = threading.active_count()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for method, request in valid_requests(messages).items():
                for content in mutations(request.SerializeToString(), random):
                    status = sent(channel, DRIVER, method, content)
                    statuses[status] = statuses.get(status, 0) + 1
        assert set(statuses) <= {"OK", *NAMED}, statuses
        assert statuses["INVALID_ARGUMENT"] > 100
        assert statuses["NOT_FOUND"] > 10
        # Sessions with damaged names may have begun: they are closed as those of clients that are gone.
        assert len(service) <= ROUNDS + 20
        other = Client(port, "other")
        other.start([front()])
        other.move(START_US + 100_000 * np.arange(-15, 1))
        assert len(other.drive().trajectory.poses) == 9
        assert threading.active_count() <= threads + 24  # the pool's, at most
    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "planner"])


def test_numbers_out_of_any_range_are_named():
    """What decodes, but makes no sense."""
    messages = protocol()
    with served(Straight()) as (_, port, _), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 1))
        for method, change in (
            ("drive", lambda one: setattr(one, "time_now_us", 2**64 - 1)),
            ("submit_route", lambda one: one.route.waypoints.extend([messages.Vec3()] * 10_001)),
            ("submit_route", lambda one: setattr(one.route, "timestamp_us", 2**63)),
            (
                "submit_recording_ground_truth",
                lambda one: one.ground_truth.trajectory.poses.extend([messages.PoseAtTime()] * 10_001),
            ),
            ("submit_egomotion_observation", lambda one: setattr(one.dynamic_states[0].linear_velocity, "x", np.nan)),
            ("submit_egomotion_observation", lambda one: one.dynamic_states.pop()),
            ("submit_egomotion_observation", lambda one: setattr(one.trajectory.poses[0].pose.vec, "x", np.inf)),
            ("submit_egomotion_observation", lambda one: setattr(one.trajectory.poses[1], "timestamp_us", 5)),
            ("submit_egomotion_observation", lambda one: one.dynamic_states.extend([messages.DynamicState()] * 10_001)),
            ("start_session", lambda one: setattr(one, "session_uuid", "x" * 201)),
            ("start_session", lambda one: setattr(one.debug_info, "scene_id", "x" * 201)),
        ):
            request = valid_requests(messages)[method]
            change(request)
            assert sent(channel, DRIVER, method, request.SerializeToString()) == "INVALID_ARGUMENT", method
        assert sent(channel, DRIVER, "shut_down", b"") == "UNIMPLEMENTED"
        assert client.drive().trajectory.poses


def test_messages_that_are_too_large_are_refused():
    with served(Straight()) as (_, port, _), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = Client(port)
        client.start()
        content = b"\x0a\x01x" + b"\x00" * (LARGEST_MESSAGE + 1)
        assert sent(channel, DRIVER, "submit_route", content) == "RESOURCE_EXHAUSTED"
        client.close()


@pytest.mark.parametrize("method", ["render_rgb", "batch_render_rgb", "get_available_cameras"])
def test_a_renderer_survives_anything(method):
    random, messages = np.random.default_rng(1), protocol()
    source = OneTown()
    (name,) = source.names()
    pose = messages.Pose(quat=messages.Quat(w=1.0))
    rgb = messages.RGBRenderRequest(
        scene_id=name,
        resolution_w=16,
        resolution_h=8,
        camera_intrinsics=camera_message(front()).intrinsics,
        frame_end_us=4_000_000,
        sensor_pose=messages.PosePair(start_pose=pose, end_pose=pose),
        image_format=1,
    )
    request = {
        "render_rgb": rgb,
        "batch_render_rgb": messages.BatchRGBRenderRequest(
            items=[messages.BatchRGBRenderRequestItem(camera_name="front", request=rgb)]
        ),
        "get_available_cameras": messages.AvailableCamerasRequest(scene_id=name),
    }[method]
    service = RendererService(source, RasterRenderer())
    server = Server(RENDERER, service.methods, "127.0.0.1", 0, 4)
    with server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert sent(channel, RENDERER, method, request.SerializeToString()) == "OK"
        found = {sent(channel, RENDERER, method, one) for one in mutations(request.SerializeToString(), random, 24)}
    assert found <= {"OK", *NAMED}, found
    assert "INVALID_ARGUMENT" in found
