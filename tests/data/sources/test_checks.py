"""Every kind of unsound log gives one error that names file and field."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from swerve.data.sources.checks import check_log, check_motion, microseconds
from swerve.scenes import LogError, Photo, Sweep, Tracks
from tests.support.simple_log import simple_log


def spoiled(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def with_ego(log, **fields):
    return replace(log, ego=replace(log.ego, **fields))


def with_tracks(log, **fields):
    return replace(log, tracks=replace(log.tracks, **fields))


def with_map(log, **fields):
    return replace(log, road_map=replace(log.road_map, **fields))


NAN = float("nan")


def sweep_at(time_us, pose=None):
    return Sweep(time_us, np.eye(4) if pose is None else pose, np.eye(4), Path("x.feather"), np.load)


UNSOUND = {
    "no steps": (lambda log: replace(log, times_us=log.times_us[:0]), "times_us"),
    "times equal": (lambda log: replace(log, times_us=spoiled(log.times_us, 5, log.times_us[4])), "times_us"),
    "NaN pose": (
        lambda log: with_ego(log, world_from_ego=spoiled(log.ego.world_from_ego, (7, 0, 3), NAN)), "ego.world_from_ego",
    ),
    "mirrored pose": (
        lambda log: with_ego(log, world_from_ego=spoiled(log.ego.world_from_ego, (7, 1, 1), -1)), "ego.world_from_ego",
    ),
    "scaled pose": (
        lambda log: with_ego(log, world_from_ego=spoiled(log.ego.world_from_ego, (7, 1, 1), 2)), "ego.world_from_ego",
    ),
    "far away": (
        lambda log: with_ego(log, world_from_ego=spoiled(log.ego.world_from_ego, (7, 1, 3), 4e6)), "ego.world_from_ego",
    ),
    "pose in perspective": (
        lambda log: with_ego(log, world_from_ego=spoiled(log.ego.world_from_ego, (7, 3, 0), 1)), "ego.world_from_ego",
    ),
    "ego teleports": (
        lambda log: with_ego(log, world_from_ego=spoiled(log.ego.world_from_ego, (7, 1, 3), 500)), "ego.world_from_ego",
    ),
    "too few poses": (lambda log: replace(log, ego=log.ego.at(slice(0, 9))), "ego.world_from_ego"),
    "infinite yaw rate": (lambda log: with_ego(log, yaw_rate=spoiled(log.ego.yaw_rate, 0, np.inf)), "ego.yaw_rate"),
    "NaN track": (
        lambda log: with_tracks(log, positions=spoiled(log.tracks.positions, (1, 2, 0), NAN)), "tracks.positions",
    ),
    "box without height": (
        lambda log: with_tracks(log, sizes=spoiled(log.tracks.sizes, (1, 2, 2), 0.0)), "tracks.sizes",
    ),
    "box of a kilometre": (
        lambda log: with_tracks(log, sizes=spoiled(log.tracks.sizes, (1, 2, 0), 1e3)), "tracks.sizes",
    ),
    "box far away": (
        lambda log: with_tracks(log, positions=spoiled(log.tracks.positions, (1, 2, 2), -2e5)), "tracks.positions",
    ),
    "box jumps": (
        lambda log: with_tracks(log, positions=spoiled(log.tracks.positions, (1, 2, 1), 50.0)), "tracks.positions",
    ),
    "box too fast": (
        lambda log: with_tracks(log, velocities=spoiled(log.tracks.velocities, (1, 2, 1), 1e3)), "tracks.velocities",
    ),
    "vehicle of a kilometre": (lambda log: replace(log, vehicle=replace(log.vehicle, length=1e3)), "vehicle"),
    "id twice": (lambda log: with_tracks(log, ids=("track1", *log.tracks.ids[1:])), "tracks.ids"),
    "id missing": (lambda log: with_tracks(log, ids=log.tracks.ids[1:]), "tracks."),
    "steps missing": (lambda log: replace(log, tracks=log.tracks.at(slice(0, 9))), "tracks.valid"),
    "lights short": (lambda log: replace(log, lights=log.lights.at(slice(0, 9))), "lights.states"),
    "NaN light": (
        lambda log: replace(log, lights=replace(log.lights, headings=np.array([NAN]))), "lights.headings",
    ),
    "light far away": (
        lambda log: replace(log, lights=replace(log.lights, positions=np.full((1, 3), 1e6))), "lights.positions",
    ),
    "stop line far away": (
        lambda log: with_map(log, stop_lines=(replace(log.road_map.stop_lines[0], points=np.full((2, 3), 1e6)),)),
        "road_map.stop_lines",
    ),
    "empty map": (lambda log: with_map(log, lanes=(), drivable_areas=()), "road_map"),
    "NaN lane": (
        lambda log: with_map(
            log, lanes=(replace(log.road_map.lanes[0], polygon=np.full((4, 3), NAN)), *log.road_map.lanes[1:])
        ),
        "road_map.lanes.polygon",
    ),
    "lane twice": (lambda log: with_map(log, lanes=log.road_map.lanes[:1] * 2), "road_map.lanes"),
    "route off the map": (lambda log: replace(log, route=("east", "nowhere")), "route"),
    "camera twice": (lambda log: replace(log, cameras=log.cameras[:1] * 2), "cameras"),
    "camera with a scaled mount": (
        lambda log: replace(log, cameras=(log.cameras[0].mounted(np.diag([2.0, 2.0, 2.0, 1.0])),)),
        "cameras.ego_from_camera",
    ),
    "photo with a mirrored pose": (
        lambda log: replace(log, photos=(Photo("front", 0, np.diag([1.0, -1.0, 1.0, 1.0]), Path("x.jpg")),)),
        "photos.world_from_ego",
    ),
    "sweep with a mirrored pose": (
        lambda log: replace(log, sweeps=(sweep_at(0, np.diag([1.0, -1.0, 1.0, 1.0])),)), "sweeps.world_from_ego",
    ),
    "sweep without pose": (
        lambda log: replace(log, sweeps=(sweep_at(0, np.full((4, 4), NAN)),)), "sweeps.world_from_ego",
    ),
    "two sweeps at once": (lambda log: replace(log, sweeps=(sweep_at(7), sweep_at(7))), "sweeps.time_us"),
    "photo of no camera": (
        lambda log: replace(log, photos=(Photo("side", 0, np.eye(4), Path("x.jpg")),)), "photos.camera",
    ),
    "photo without pose": (
        lambda log: replace(log, photos=(Photo("front", 0, np.full((4, 4), NAN), Path("x.jpg")),)),
        "photos.world_from_ego",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNSOUND)
def test_an_unsound_log_gives_one_error_with_file_and_field(case):
    spoil, field = UNSOUND[case]
    with pytest.raises(LogError) as caught:
        check_log(spoil(simple_log()), "some/file")
    assert caught.value.path == "some/file"
    assert caught.value.field.startswith(field)


def test_a_sound_log_passes_unchanged():
    log = simple_log()
    assert check_log(log, "some/file") is log
    bare = replace(log, road_map=None, route=(), cameras=())
    assert check_log(bare, "some/file") is bare


def test_a_log_without_other_agents_is_sound():
    log = simple_log()
    alone = replace(log, tracks=Tracks.empty(len(log.times_us)))
    assert check_log(alone, "some/file") is alone


def test_the_message_names_track_and_step():
    log = simple_log()
    with pytest.raises(LogError, match="track1 at step 2 is a box longer than 100 m"):
        check_log(with_tracks(log, sizes=spoiled(log.tracks.sizes, (1, 2, 0), 1e3)), "some/file")
    with pytest.raises(LogError, match="from step 6 to the next"):
        check_log(with_ego(log, world_from_ego=spoiled(log.ego.world_from_ego, (7, 1, 3), 500)), "some/file")


def test_a_single_step_is_sound():
    log = simple_log()
    step = np.array([5])
    one = replace(log, times_us=log.times_us[step], ego=log.ego.at(step), tracks=log.tracks.at(step))
    check_log(replace(one, lights=log.lights.at(step)), "some/file")


@pytest.mark.parametrize("bad", [NAN, np.inf, 1e300, -1e300])
def test_a_time_that_is_none_is_refused_before_it_is_rounded(bad):
    with pytest.raises(LogError, match="at index 1"):
        microseconds(np.array([0.0, bad]), "some/file", "time")
    np.testing.assert_array_equal(microseconds(np.array([0.1, 1.5e9]), "some/file", "time"), [100_000, 1.5e15])


@pytest.mark.filterwarnings("error")
def test_poses_are_checked_before_anything_is_derived_from_them():
    poses, times = simple_log().ego.world_from_ego, simple_log().times_us
    check_motion(times, poses, "some/file")
    for field, bad_times, bad_poses in (
        ("times_us", spoiled(times, 5, times[4]), poses),
        ("times_us", spoiled(times, 5, np.iinfo(np.int64).min), poses),
        ("ego.world_from_ego", times, spoiled(poses, (3, 0, 0), 1e300)),
        ("ego.world_from_ego", times, spoiled(poses, (3, 0, 3), 1e300)),
    ):
        with pytest.raises(LogError) as caught:
            check_motion(bad_times, bad_poses, "some/file")
        assert caught.value.field == field


def test_what_is_not_valid_may_be_anything():
    log = simple_log()
    valid = spoiled(log.tracks.valid, (1, 2), False)
    positions = spoiled(log.tracks.positions, (1, 2), NAN)
    check_log(with_tracks(log, valid=valid, positions=positions), "some/file")


def test_a_photo_that_is_not_there_gives_one_error(tmp_path):
    file = tmp_path / "x.jpg"
    with pytest.raises(LogError, match="cannot be read"):
        Photo("front", 0, np.eye(4), file).read()
    file.write_bytes(b"0123456789")
    assert Photo("front", 0, np.eye(4), file, offset=2, num_bytes=3).read() == b"234"
    with pytest.raises(LogError, match="ends before the image"):
        Photo("front", 0, np.eye(4), file, offset=8, num_bytes=3).read()
