"""The driver service: sessions, deadlines, failures."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from swerve.data.dataset.image_encoding import encode_image
from swerve.eval.alpasim import DriverOptions, DriverService
from swerve.eval.alpasim.protocol import protocol
from swerve.planners.load_planner import load_planner
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory
from swerve.scenes.viewpoints import Command
from tests.support.alpasim_client import (
    RED,
    START_US,
    Broken,
    Client,
    Seeing,
    Slow,
    Straight,
    camera,
    places,
    served,
    wait_until,
)


class Choosing(Straight):
    """Planner that chooses the role front, whatever the cameras are called."""

    def cameras(self, cameras):
        return ("front",)


class SeeingAll(Straight):
    """Planner that sees every camera."""

    cameras = None


def test_a_rollout(tmp_path):
    """The car is at x = 5 m after a second; the plan goes on from there at 5 m/s, by the times of the local frame."""
    planner = Straight()
    with served(planner) as (service, port, reports):
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 11))
        client.route(Command.LEFT, START_US + 1_000_000)
        now = START_US + 1_000_000
        answer = client.drive(now)
        assert np.allclose(places(answer), [[1.0 + 0.5 * k, 5.0 + 2.5 * k] for k in range(9)])
        assert answer.trajectory.poses[1].pose.quat.w == 1.0
        told = json.loads(answer.debug_info.unstructured_debug_info)
        assert told == {"answer": "planned", "planned_for_us": now}
        observation = planner.seen[-1]
        assert (observation.command, observation.time_us) == (Command.LEFT, now)
        assert np.allclose(observation.history.poses[:, 0], np.arange(-15, 1) * 0.5, atol=1e-5)
        assert np.allclose(observation.history.velocity, [5.0, 0.0])
        assert observation.vehicle.wheelbase == 3.089
        assert len(service) == 1
        client.close()
        assert len(service) == 0
    (report,) = reports
    assert (report.drives, report.late, report.failed, report.commands) == (1, 0, 0, {"LEFT": 1})


def test_the_version_names_planner_and_messages():
    with served(Straight(), "rap") as (_, port, _):
        version = Client(port).stub.call("get_version", protocol().Empty())
        assert version.version_id == "swerve-rap"
        assert (version.grpc_api_version.major, version.grpc_api_version.minor) == (0, 54)


def test_a_route_of_a_time_between_two_poses_is_moved_to_now():
    """Egomotion comes every 0.5 s, as in the challenge; the route is of 0.4 s after a pose."""
    with served(Straight()) as (_, port, _):
        client = Client(port)
        client.start()
        client.move(START_US + 500_000 * np.arange(-3, 2))
        client.route(time_us=START_US + 400_000)
        assert client.drive(START_US + 500_000).trajectory.poses


def test_plans_on_black_images_are_few_whatever_cameras_clients_have():
    planner = SeeingAll()
    with served(planner) as (service, port, _):
        for row in range(20):
            Client(port, f"session {row}").start([camera(f"camera {row}")])
        wait_until(lambda: service._queue._waiting.empty())
    assert 0 < len(planner.seen) <= 16


def test_a_route_of_before_is_looked_at_from_where_the_car_is_now():
    """A left turn of 20 m radius begins 29 m ahead: 20 m ahead is 2 m to the side once the car has driven 18 m."""
    planner = Straight()
    lead = 4.2 * np.arange(8)
    turn = 20.0 * np.column_stack([np.sin(np.arange(1, 12) / 5), 1 - np.cos(np.arange(1, 12) / 5)])
    route = np.concatenate([np.column_stack([lead, np.zeros(8)]), turn + np.array([lead[-1], 0.0])])
    messages = protocol()
    with served(planner) as (_, port, _):
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 41))
        waypoints = [messages.Vec3(x=x, y=y) for x, y in route]
        client.call("submit_route", route=messages.Route(timestamp_us=START_US, waypoints=waypoints))
        for seconds in (0, 3, 4):
            client.drive(START_US + 1_000_000 * seconds)
    assert [one.command for one in planner.seen[-3:]] == [Command.STRAIGHT, Command.STRAIGHT, Command.LEFT]


@pytest.mark.parametrize("name", ["front", "CAM_F0"])
@pytest.mark.parametrize("kind", [Seeing, Choosing])
def test_the_planners_cameras_are_chosen_by_name_or_role(kind, name):
    planner = kind()
    with served(planner) as (_, port, _):
        client = Client(port)
        client.start([camera("other", np.pi), camera(name)])
        client.move(START_US + 100_000 * np.arange(-15, 1))
        client.image("other", b"not looked at")
        client.image(name, encode_image(RED, "png"))
        client.image(name, encode_image(RED // 2, "png"), START_US + 1)
        client.drive()
    observation = planner.seen[-1]
    assert np.array_equal(observation.images["front"], RED)  # the later one is of the future
    (own,) = observation.cameras
    # The image has half the sensor's size, and its camera too.
    assert (own.name, own.width, own.fx) == ("front", 40, 30.0)


def test_a_session_without_the_planners_camera_is_refused():
    with served(Seeing()) as (service, port, _):
        with pytest.raises(SwerveError, match=r"FAILED_PRECONDITION.*needs camera 'front'; available: other"):
            Client(port).start([camera("other", np.pi)])
        with pytest.raises(SwerveError, match="two available cameras"):
            Client(port).start([camera("a"), camera("a")])
        assert len(service) == 0


def test_missing_and_old_images_are_errors_unless_the_planner_does_without():
    planner = Seeing()
    with served(planner, max_image_age=0.5) as (_, port, reports):
        client = Client(port)
        client.start([camera("front")])
        client.move(START_US + 100_000 * np.arange(-15, 11))
        with pytest.raises(SwerveError, match=r"FAILED_PRECONDITION: drive: images are missing .*front \(no image\)"):
            client.drive()
        client.image("front", encode_image(RED, "jpeg"))
        client.drive(START_US + 500_000)
        with pytest.raises(SwerveError, match=r"last image 0\.60 s old"):
            client.drive(START_US + 600_000)
        planner.max_image_age = 1.0
        client.drive(START_US + 600_000)
        planner.max_image_age, planner.missing_images = 0.1, "leave out"
        client.drive(START_US + 600_000)
        assert planner.seen[-1].images == {}
        with pytest.raises(SwerveError, match="not a complete JPEG or PNG"):
            client.image("front", b"\x89PNG")
        client.close()
    assert (reports[0].drives, reports[0].failed) == (5, 2)


def test_a_late_planner_is_answered_for_by_its_last_plan():
    """The plan of time 0 goes on: at 0.5 s it says where the car is to be from then on."""
    planner = Slow()
    with served(planner, deadline=0.05) as (_, port, reports):
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 11))
        client.drive()
        late = client.drive(START_US + 500_000)
        assert json.loads(late.debug_info.unstructured_debug_info)["answer"] == "late"
        found = places(late)
        assert found[0].tolist() == [0.5, 2.5]
        assert np.allclose(found[1:, 1], 5.0 * found[1:, 0], atol=1e-5)
        assert found[-1, 0] == pytest.approx(4.5)
        planner.go_on.set()
        wait_until(lambda: len(planner.seen) == 3)
        answer = client.drive(START_US + 1_000_000)
        assert json.loads(answer.debug_info.unstructured_debug_info)["planned_for_us"] == START_US + 1_000_000
        client.close()
    assert (reports[0].drives, reports[0].late, reports[0].failed) == (3, 1, 0)


def test_a_plan_that_comes_late_counts_from_the_next_call_on():
    planner = Slow()
    with served(planner, deadline=0.05) as (service, port, _):
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 11))
        client.drive()
        client.drive(START_US + 500_000)
        planner.go_on.set()
        session = service._sessions["one"]
        wait_until(lambda: session.last_plan(START_US + 600_000).poses[0, 0] > 0 and session._plan.made_us > START_US)
        planner.go_on.clear()
        late = client.drive(START_US + 600_000)
        assert json.loads(late.debug_info.unstructured_debug_info)["answer"] == "late"
        assert session._plan.made_us == START_US + 500_000


def test_without_a_plan_the_car_goes_on_as_it_does():
    """The first call waits for the longer deadline, and then says where the car gets to at its 5 m/s."""
    planner = Slow()
    planner.seen = [None]
    with served(planner, deadline=0.01, first_deadline=0.3) as (_, port, reports):
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 1))
        start = time.monotonic()
        found = places(client.drive())
        assert time.monotonic() - start >= 0.3
        assert np.allclose(found, [[0.5 * k, 2.5 * k] for k in range(9)], atol=1e-5)
        planner.go_on.set()
        client.close()
    assert (reports[0].late, reports[0].failed) == (1, 0)


def test_plans_that_wait_keep_their_place_and_see_the_newest():
    """While the planner is busy with one session, another asks twice: it is planned for once, for its newest time."""
    planner = Slow()
    with served(planner, deadline=0.05) as (_, port, _):
        clients = [Client(port, name) for name in ("busy", "other")]
        planner.go_on.set()
        for client in clients:
            client.start()
            client.move(START_US + 100_000 * np.arange(-15, 11))
            client.drive()
        planner.go_on.clear()
        busy, other = clients
        for client, step in ((busy, 1), (other, 2), (busy, 3), (other, 4)):
            client.drive(START_US + 100_000 * step)
        planner.go_on.set()
        wait_until(lambda: len(planner.seen) == 6)
    times = [(one.time_us - START_US) // 100_000 for one in planner.seen[3:]]
    assert times == [1, 4, 3]


def test_failures_of_the_planner_are_named():
    with served(Broken(), "wheel") as (_, port, reports):
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 1))
        with pytest.raises(SwerveError, match=r"INTERNAL: drive: planner wheel failed: ValueError: the wheel came off"):
            client.drive()
        client.close()
    assert reports[0].failed == 1
    assert "the wheel came off" in reports[0].errors[0]


def test_or_bridged_where_that_is_wanted():
    with served(Broken(), on_failure="last-plan") as (_, port, reports):
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 1))
        answer = client.drive()
        assert np.allclose(places(answer)[:, 1], 5.0 * places(answer)[:, 0], atol=1e-5)
        assert json.loads(answer.debug_info.unstructured_debug_info)["answer"] == "failed"
        client.close()
    assert (reports[0].drives, reports[0].failed) == (1, 1)


def test_human_drives_as_recorded():
    """The recorded drive comes in the rig frame: here it goes left of the car by a metre."""
    from swerve.eval.alpasim.frames import trajectory_message, upright

    messages = protocol()
    seconds = np.arange(0, 61) / 10
    driven = upright(np.column_stack([5.0 * seconds, np.ones(61), np.zeros(61)]), 0.0)
    truth = messages.GroundTruth(
        timestamp_us=START_US, trajectory=trajectory_message(START_US + 100_000 * np.arange(61), driven)
    )
    with served(load_planner("human").planner) as (_, port, _):
        client = Client(port)
        client.start()
        client.move(START_US + 100_000 * np.arange(-15, 11))
        with pytest.raises(SwerveError, match="send_recording_ground_truth"):
            client.drive()
        client.call("submit_recording_ground_truth", ground_truth=truth)
        client.drive(START_US)
        # The pose at which the recorded drive was told may be forgotten since.
        client.move(START_US + 100_000 * np.arange(11, 48))
        answer = client.drive(START_US + 4_700_000)
        assert np.allclose(places(answer)[1:, 1], 5.0 * places(answer)[1:, 0], atol=1e-4)
        client.move(START_US + 100_000 * np.arange(-15, 11))
        answer = client.drive(START_US + 1_000_000)
    found = places(answer)
    assert np.allclose(found[1:, 1], 5.0 * found[1:, 0], atol=1e-4)
    assert np.allclose([one.pose.vec.y for one in answer.trajectory.poses], [0.0, *[1.0] * 8], atol=1e-5)


def test_planners_that_are_told_of_traffic_cannot_be_served():
    with pytest.raises(SwerveError, match=r"idm needs the simulator's traffic"):
        DriverService(load_planner("idm").planner, "idm", DriverOptions())


def test_sessions_are_names_that_exist_once():
    with served(Straight(), max_sessions=2) as (service, port, _):
        one, other = Client(port), Client(port, "two")
        one.start()
        with pytest.raises(SwerveError, match=r"ALREADY_EXISTS.*one is open already"):
            one.start()
        for call in (
            other.close,
            other.drive,
            other.route,
            lambda: other.move([START_US]),
            lambda: other.image("a", b""),
        ):
            with pytest.raises(SwerveError, match=r"NOT_FOUND.*no session 'two' is open: start_session comes first"):
                call()
        other.start()
        with pytest.raises(SwerveError, match="RESOURCE_EXHAUSTED"):
            Client(port, "three").start()
        with pytest.raises(SwerveError, match="INVALID_ARGUMENT"):
            Client(port, "").start()
        assert len(service) == 2


def test_sessions_side_by_side_do_not_mix():
    """Each has its car at another place along the line, and all drive at once."""
    planner = Straight()

    def rollout(row):
        client = Client(port, f"session {row}", timeout=60.0)
        client.start()
        start = START_US + 1_000_000 * row
        client.move(start + 100_000 * np.arange(-15, 21))
        for step in range(0, 21, 5):
            now = start + 100_000 * step
            found = places(client.drive(now))
            assert np.allclose(found[:, 1], 5.0 * found[:, 0], atol=1e-4)
            assert found[0, 0] == pytest.approx(row + step / 10)
        client.close()
        client.stub.close()

    with served(planner) as (service, port, reports):
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(rollout, range(16)))
        assert len(service) == 0
        assert sorted(one.drives for one in reports) == [5] * 16


def test_batches_are_planned_together():
    class Batch(Slow):
        """Planner that takes batches, and waits until several wait."""

        def plan_batch(self, observations):
            sizes.append(len(observations))
            if len(sizes) > 1:
                assert self.go_on.wait(10.0)
            return [Trajectory(np.column_stack([np.arange(1, 9.0), np.zeros(8), np.zeros(8)])) for _ in observations]

    sizes, planner = [], Batch()
    with served(planner) as (service, port, _):
        clients = [Client(port, f"session {row}") for row in range(4)]
        for client in clients:
            client.start()
            client.move(START_US + 100_000 * np.arange(-15, 1))
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(client.drive) for client in clients]
            wait_until(lambda: len(sizes) == 2)
            wait_until(lambda: sum(one.report.drives for one in service._sessions.values()) == 4)
            wait_until(lambda: service._queue._waiting.qsize() == 4 - sizes[1])
            planner.go_on.set()
            assert all(places(one.result())[1, 1] == 1.0 for one in answers)
    assert sum(sizes) == 5  # the first is the warm-up
    assert len(sizes) <= 3


class Halving(Seeing):
    """Planner whose images are of half the size, and which counts them."""

    def __init__(self):
        super().__init__()
        self.prepared = 0

    def prepare_image(self, image, camera):
        self.prepared += 1
        return image[::2, ::2].copy(), camera.resized(camera.width // 2, camera.height // 2)


def test_images_are_prepared_when_they_arrive():
    planner = Halving()
    with served(planner) as (_, port, _):
        client = Client(port)
        client.start([camera("front")])
        assert planner.prepared == 1  # the black image of the first plan
        client.move(START_US + 100_000 * np.arange(-15, 1))
        client.image("front", encode_image(RED, "png"))
        assert planner.prepared == 2
        for _ in range(2):
            client.drive()
        assert planner.prepared == 2
        client.close()
    observation = planner.seen[-1]
    assert observation.prepared
    assert observation.images["front"].shape == (15, 20, 3)
    seen_by = observation.cameras[0]
    # The sensor's 80 x 60 pixels, sent as 40 x 30, halved.
    assert (seen_by.name, seen_by.width, seen_by.height, seen_by.fx, seen_by.cx) == ("front", 20, 15, 15.0, 10.0)


def test_an_image_that_the_planner_cannot_prepare_is_told():
    class Failing(Halving):
        def prepare_image(self, image, camera):
            if image.any():
                raise ValueError("too red")
            return image, camera

    with served(Failing()) as (_, port, _):
        client = Client(port)
        client.start([camera("front")])
        with pytest.raises(SwerveError, match="camera front: prepare_image failed: too red"):
            client.image("front", encode_image(RED, "png"))
        client.close()


def test_a_served_network_has_as_many_threads_as_asked():
    torch = pytest.importorskip("torch", reason="torch is an extra")

    class Counting(Straight):
        def plan(self, observation):
            counted.append(torch.get_num_threads())
            return super().plan(observation)

    for threads in (1, 3):
        counted = []
        with served(Counting(), threads=threads) as (_, port, _):
            client = Client(port)
            client.start()
            client.move(START_US + 100_000 * np.arange(-15, 1))
            client.drive()
            client.close()
        assert set(counted) == {threads}
    with pytest.raises(SwerveError, match=r"threads: 0 must lie in 1\.\.1024"):
        DriverOptions(threads=0)
