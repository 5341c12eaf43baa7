"""Drivers of AlpaSim as planners: the same planner in this process and over gRPC drives the same way.

Tolerance: messages hold single precision, so that positions a few hundred metres from the start are rounded by 2e-5 m;
rollouts of 4 s stay within 1e-3 m, and scores within 1e-4.
"""

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from swerve.data.storage.checked_image import decode_pixels
from swerve.eval.alpasim import Server
from swerve.eval.alpasim.protocol import DRIVER, protocol, version_message
from swerve.eval.alpasim.remote_planner import RemotePlanner
from swerve.eval.benchmark.view_renderers import RasterRenderer
from swerve.eval.closed_loop import ClosedLoopOptions, RolloutViews, build_closed_loop_scene, drive_prepared
from swerve.planners.fingerprint import fingerprint
from swerve.planners.load_planner import load_planner
from swerve.scenes import Scene, SwerveError
from swerve.scenes.planning import Trajectory
from swerve.scenes.resize import Resize
from swerve.scenes.viewpoints import Command, logged
from tests.support.alpasim_client import Straight, served
from tests.support.geometries import geometry_of
from tests.support.observations import moving
from tests.support.seeing_planners import Reddish
from tests.support.town_logs import town


class Turning:
    """Planner whose path follows the command, and whose speed the history."""

    cameras = ()

    def __init__(self):
        self.seen = []

    def plan(self, observation):
        self.seen.append(observation)
        seconds = np.arange(1, 41) / 10
        side = {Command.LEFT: 1.0, Command.RIGHT: -1.0}.get(observation.command, 0.0)
        history = observation.history
        speed = history.velocity[-1, 0] + 0.1 * history.acceleration[:, 0].mean() + history.yaw_rate[0]
        heading = 0.02 * side * seconds
        return Trajectory(np.column_stack([speed * seconds, 0.01 * speed * side * seconds**2, heading]), 0.1)


def scene_of(number, now, **options):
    log = town(number)
    options = {"seconds": 4.0, "rate": 2.0, **options}
    return build_closed_loop_scene(
        logged(Scene(log, now, 15, 50), geometry_of(log)), ClosedLoopOptions(**options), geometry=geometry_of(log)
    )


def driven(planner, scene, views=None):
    rollout = drive_prepared(scene, planner, views)
    assert rollout.error == ""
    return rollout


def check_same(own, remote):
    assert np.abs(own.states[:, :2] - remote.states[:, :2]).max() < 1e-3
    assert remote.score == pytest.approx(own.score, abs=1e-4)
    assert remote.metrics == pytest.approx(own.metrics, abs=1e-4, nan_ok=True)
    first, other = own.plans[0].trajectory, remote.plans[0].trajectory
    assert (len(other.poses), other.interval) == (len(first.poses), first.interval)
    assert np.abs(first.poses - other.poses).max() < 2e-5


@pytest.mark.parametrize(
    ("spec", "rate"),
    [
        ("constant-velocity,turn=true,noise_across=0.3", 2.0),
        ("constant-acceleration", 10.0),
        ("turning", 0.5),
    ],
)
def test_the_same_planner_drives_the_same_way(spec, rate):
    """With 2 s between plans the history does not reach the last plan: each is a session of its own."""
    own = Turning() if spec == "turning" else load_planner(spec).planner
    scene = scene_of(3, 40, rate=rate)
    with served(own) as (service, port, reports):
        remote = load_planner(f"grpc://127.0.0.1:{port},cameras=none").planner
        check_same(driven(own, scene), driven(remote, scene))
        remote.close()
        assert len(service) == 0
    assert len(reports) == (2 if rate == 0.5 else 1)
    assert sum(one.drives for one in reports) == 4 * rate


def test_commands_are_those_of_this_process():
    """Also where waypoints 4.2 m apart would tell another one."""
    for now in (30, 100):
        scene = scene_of(3, now, rate=2.0)
        own, there = Turning(), Turning()
        driven(own, scene)
        with served(there) as (_, port, _):
            remote = RemotePlanner(f"127.0.0.1:{port}", "none")
            driven(remote, scene)
            remote.close()
        assert [one.command for one in own.seen] == [one.command for one in there.seen[1:]]
        assert [one.token for one in own.seen] == [one.token for one in there.seen[1:]]


@pytest.mark.parametrize("chosen", ["all", "front"])
def test_images_are_sent(chosen):
    scene = scene_of(3, 40, rate=1.0)
    views = RolloutViews(RasterRenderer().prepare(town(3)), Resize((160, 96)))
    with served(Reddish()) as (_, port, _):
        remote = load_planner(f"grpc://127.0.0.1:{port},cameras={chosen}").planner
        check_same(driven(Reddish(), scene, views), driven(remote, scene, views))
        remote.close()


def test_a_network_drives_the_same_way(tmp_path):
    pytest.importorskip("torch", reason="torch is an extra")
    from swerve.planners.learning import save_learned
    from swerve.planners.rap import RapConfig, RapModel

    path = tmp_path / "rap.safetensors"
    config = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=4, image_width=96, image_height=64)
    save_learned(RapModel(config), {}, path)
    own = load_planner(str(path)).planner
    scene = scene_of(3, 40, rate=1.0)
    views = RolloutViews(RasterRenderer().prepare(town(3)), Resize((160, 96)))
    with served(own) as (_, port, _):
        remote = load_planner(f"grpc://127.0.0.1:{port}").planner
        check_same(driven(own, scene, views), driven(remote, scene, views))
        remote.close()


def test_other_scenes_are_other_sessions():
    planner = Straight()
    with served(planner) as (_, port, reports):
        remote = RemotePlanner(f"127.0.0.1:{port}", "none")
        for token in ("a", "b", "a"):
            found = remote.plan(moving(token=token))
            assert np.allclose(found.poses[:, 0], 2.5 * np.arange(1, 9))
        remote.close()
    assert len(reports) == 3
    assert len({one.session for one in reports}) == 3


def test_a_driver_that_changes_has_another_fingerprint():
    prints = set()
    for label in ("one", "one", "other"):
        with served(Straight(), label) as (_, port, _):
            named = load_planner(f"grpc://127.0.0.1:{port},cameras=none,label=x")
            named.planner.close()
            prints.add(fingerprint(type(named)(named.label, named.planner, "spec")))
    assert len(prints) == 2


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        # 3 s at 0.5 s, as drivers answer that plan for less than 4 s: straight on at the last speed.
        (500_000 * np.arange(1, 7), 0.5),
        # Uneven times: at 10 Hz.
        (np.array([100_000, 300_000, 1_000_000, 5_000_000]), 0.1),
        (100_000 * np.arange(1, 51), 0.1),
    ],
)
def test_answers_of_any_times_are_trajectories(times, expected):
    with Answering(times) as port:
        found = RemotePlanner(f"127.0.0.1:{port}", "none").plan(moving())
    assert found.interval == pytest.approx(expected)
    seconds = found.interval * np.arange(1, len(found.poses) + 1)
    assert seconds[-1] >= 4.0 - 1e-9
    assert np.allclose(found.poses[:, 0], 3.0 * seconds, atol=1e-5)


def test_what_is_no_driver_is_named():
    with Answering(np.zeros(0, int)) as port, pytest.raises(SwerveError, match="no pose later than 1600000 us"):
        RemotePlanner(f"127.0.0.1:{port}", "none").plan(moving())
    with Answering(np.array([1]), end=True) as port, pytest.raises(SwerveError, match="ended the session"):
        RemotePlanner(f"127.0.0.1:{port}", "none").plan(moving())
    with (
        Answering(np.array([100_000, 200_000_000])) as port,
        pytest.raises(SwerveError, match="ends 200 s from now, 120 s are the most"),
    ):
        RemotePlanner(f"127.0.0.1:{port}", "none").plan(moving())
    other = r"of version 1\.0\.0, those of Swerve of 0\.54\.0"
    with Answering(np.array([1]), version=(1, 0, 0)) as port, pytest.raises(SwerveError, match=other):
        load_planner(f"grpc://127.0.0.1:{port}")
    with pytest.raises(SwerveError, match="image_format: 'gif'"):
        load_planner("grpc://127.0.0.1:1,image_format=gif")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SwerveError, match=f"{address}: get_version: no server answers there"):
            RemotePlanner(address, timeout=0.3)


def test_a_driver_that_dies_fails_the_scene_alone():
    with served(Straight()) as (_, port, _):
        remote = RemotePlanner(f"127.0.0.1:{port}", "none")
        remote.plan(moving())
    with pytest.raises(SwerveError, match=r"UNAVAILABLE|NOT_FOUND"):
        remote.plan(moving())
    remote.close()


def test_planners_of_one_driver_run_side_by_side():
    with served(Straight()) as (service, port, reports):

        def rollout(row):
            remote = RemotePlanner(f"127.0.0.1:{port}", "none")
            remote.plan(moving(token=f"scene {row}"))
            remote.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(rollout, range(8)))
        assert len(service) == 0
    assert len(reports) == 8


class Answering:
    """A driver that always answers with poses at 3 m/s at these times after now."""

    def __init__(self, times, end=False, version=None):
        self.times, self.end, self.version = times, end, version

    def __enter__(self):
        from swerve.eval.alpasim.frames import trajectory_message, upright

        def drive(request):
            local = np.column_stack([3.0 * self.times * 1e-6, np.zeros((len(self.times), 2))])
            times = request.time_now_us + self.times
            return messages.DriveResponse(
                trajectory=trajectory_message(times, upright(local, 0.0)), terminate_session=self.end
            )

        def get_version(_):
            told = version_message("test")
            if self.version:
                told.grpc_api_version.major, told.grpc_api_version.minor, _ = self.version
            return told

        messages = protocol()
        methods = {name: lambda _, reply=method.reply: reply() for name, method in messages.services[DRIVER].items()}
        self.server = Server(DRIVER, {**methods, "drive": drive, "get_version": get_version}, "127.0.0.1", 0, 4)
        return self.server.port

    def __exit__(self, *_):
        self.server.stop()


class Remembering:
    """A driver that keeps images by camera and time, and answers with an empty trajectory until it has enough."""

    def __init__(self, frames):
        self.frames, self.seen, self.cameras = frames, {}, []

    def __enter__(self):
        from swerve.eval.alpasim.frames import trajectory_message, upright

        messages = protocol()

        def start(request):
            self.cameras = [one.logical_id for one in request.rollout_spec.vehicle.available_cameras]
            self.seen = {name: [] for name in self.cameras}
            return messages.SessionRequestStatus()

        def submit(request):
            image = request.camera_image
            self.seen[image.logical_id].append((image.frame_end_us, image.image_bytes))
            return messages.Empty()

        def drive(request):
            ready = all(len(one) >= self.frames for one in self.seen.values())
            steps = np.arange(1, 41 if ready else 1) * 100_000
            local = np.column_stack([4.0 * steps * 1e-6, np.zeros((len(steps), 2))])
            return messages.DriveResponse(
                trajectory=trajectory_message(request.time_now_us + steps, upright(local, 0.0))
            )

        methods = {name: lambda _, reply=method.reply: reply() for name, method in messages.services[DRIVER].items()}
        own = {
            "start_session": start,
            "submit_image_observation": submit,
            "drive": drive,
            "get_version": lambda _: version_message("remembering"),
        }
        self.server = Server(DRIVER, {**methods, **own}, "127.0.0.1", 0, 4)
        return self, self.server.port

    def __exit__(self, *_):
        self.server.stop()


def looking_back(remote, cameras, time_us=0):
    """Return an observation with the images that a remote planner declares, each of a grey level of its own."""
    observation = replace(moving(), time_us=time_us)
    names = remote.cameras(cameras) if callable(remote.cameras) else [one.name for one in cameras]
    by_name = {one.name: one for one in cameras}
    placed = tuple(replace(by_name[name.partition("@")[0]], name=name) for name in names)
    images = {name: np.full((8, 16, 3), row, np.uint8) for row, name in enumerate(names)}
    return replace(observation, cameras=placed, images=images)


def test_a_driver_that_needs_several_images_gets_them_before_its_first_call():
    cameras = tuple(one.resized(16, 8) for one in town(3).cameras if one.name in ("front", "front_left"))
    with Remembering(4) as (driver, port):
        remote = RemotePlanner(f"127.0.0.1:{port}", "front+front_left", frames=4)
        found = remote.plan(looking_back(remote, cameras))
        assert np.allclose(found.poses[:, 0], 4.0 * found.interval * np.arange(1, len(found.poses) + 1), atol=1e-5)
        assert driver.cameras == ["front", "front_left"]
        for row, name in enumerate(driver.cameras):
            times, images = zip(*driver.seen[name], strict=True)
            assert np.diff(times).tolist() == [500_000] * 3
            assert times[0] >= 0
            # Names are declared by time, the oldest first after those of now.
            assert [int(decode_pixels(one, "RGB")[0, 0, 0]) for one in images] == [2 + row, 4 + row, 6 + row, row]
        # A drive goes on with the images of now alone.
        remote.plan(looking_back(remote, cameras, 500_000))
        assert [len(one) for one in driver.seen.values()] == [5, 5]
        remote.close()
    with Remembering(4) as (_, port), pytest.raises(SwerveError, match=r"tell how many \(frames=N\)"):
        RemotePlanner(f"127.0.0.1:{port}", "front").plan(looking_back(RemotePlanner(f"127.0.0.1:{port}"), cameras[:1]))
    with pytest.raises(SwerveError, match=r"frames: 0 must lie in 1\.\.100"):
        RemotePlanner("127.0.0.1:1", frames=0)


def test_a_driver_that_needs_two_images_drives_in_closed_loop(monkeypatch):
    """Its first session has the image of half a second before the start; later calls add one each."""
    scene, views = scene_of(3, 60), RolloutViews(RasterRenderer("surfaces").prepare(town(3)), Resize((32, 18)))
    with Remembering(2) as (driver, port):
        remote = RemotePlanner(f"127.0.0.1:{port}", "front", frames=2)
        rendered = []
        monkeypatch.setattr(
            RolloutViews, "images", lambda *a, whole=RolloutViews.images: rendered.append(a[2]) or whole(*a)
        )
        rollout = driven(remote, scene, views)
        # The past is rendered for the first call alone.
        assert [[one.name for one in cameras] for cameras in rendered] == [["front", "front@0.5"], *[["front"]] * 7]
        (seen,) = driver.seen.values()
        assert len(seen) == len(rollout.plans) + 1 == 9
        assert np.diff([time_us for time_us, _ in seen]).tolist() == [500_000] * 8
        # The car was elsewhere then.
        assert len({image for _, image in seen}) == len(seen)
        remote.close()
        needy = RemotePlanner(f"127.0.0.1:{port}", "front")
        assert "tell how many (frames=N)" in drive_prepared(scene, needy, views).error
        needy.close()
