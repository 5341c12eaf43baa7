"""Every kind of unsound log gives one error that names file and field."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simple_log import simple_log

from swerve.data.checks import check_log
from swerve.scenes import LogError, Photo


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
    "too few poses": (lambda log: replace(log, ego=log.ego.at(slice(0, 9))), "ego.world_from_ego"),
    "infinite yaw rate": (lambda log: with_ego(log, yaw_rate=spoiled(log.ego.yaw_rate, 0, np.inf)), "ego.yaw_rate"),
    "NaN track": (
        lambda log: with_tracks(log, positions=spoiled(log.tracks.positions, (1, 2, 0), NAN)), "tracks.positions",
    ),
    "box without height": (
        lambda log: with_tracks(log, sizes=spoiled(log.tracks.sizes, (1, 2, 2), 0.0)), "tracks.sizes",
    ),
    "id twice": (lambda log: with_tracks(log, ids=("track1", *log.tracks.ids[1:])), "tracks.ids"),
    "id missing": (lambda log: with_tracks(log, ids=log.tracks.ids[1:]), "tracks."),
    "steps missing": (lambda log: replace(log, tracks=log.tracks.at(slice(0, 9))), "tracks.positions"),
    "lights short": (lambda log: replace(log, lights=log.lights.at(slice(0, 9))), "lights.states"),
    "NaN light": (
        lambda log: replace(log, lights=replace(log.lights, headings=np.array([NAN]))), "lights.headings",
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
    assert Photo("front", 0, np.eye(4), file, start=2, size=3).read() == b"234"
    with pytest.raises(LogError, match="ends before the image"):
        Photo("front", 0, np.eye(4), file, start=8, size=3).read()
