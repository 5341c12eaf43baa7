"""Shifted poses: by hand on a straight road and on a slope, and on the ground of a town."""

from dataclasses import replace

import numpy as np
import pytest
from simple_log import arc_log, simple_log

from swerve.eval.splat_quality.places import SHIFTS, Shift, moments_of, places_of, shifted
from swerve.scenes import Photo, SwerveError
from swerve.scenes.transforms import inverse, yaw_of
from swerve.scenes.viewpoints import prepare


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_shifts_on_a_straight_road(slope, tmp_path):
    log = simple_log(slope=slope)
    own, ahead, left, turned = shifted(
        prepare(log), 50, [Shift(), Shift(along=5.0), Shift(lateral=-2.0), Shift(turn=0.2)]
    )
    logged = log.ego.world_from_ego[50]
    assert np.allclose(own, logged, atol=1e-9)
    along = ahead[:3, 3] - logged[:3, 3]
    assert along[:2] == pytest.approx([5.0, 0.0], abs=0.02)
    assert along[2] == pytest.approx(slope * along[0], abs=0.01)
    assert left[:3, 3] - logged[:3, 3] == pytest.approx([0.0, -2.0, 0.0], abs=0.02)
    assert turned[:3, 3] == pytest.approx(logged[:3, 3], abs=1e-9)
    assert yaw_of(turned) - yaw_of(logged) == pytest.approx(0.2, abs=1e-6)


def test_shifts_follow_a_bend():
    log = arc_log(radius=40.0, start=-5.0)
    (ahead,) = shifted(prepare(log), 50, [Shift(along=5.0, lateral=1.0)])
    moved = inverse(log.ego.world_from_ego[50]) @ ahead
    # 5 m along a circle of 40 m, then a metre to its middle.
    angle = 5.0 / 40.0
    assert moved[:2, 3] == pytest.approx([39 * np.sin(angle), 40 - 39 * np.cos(angle)], abs=0.02)
    assert yaw_of(moved) == pytest.approx(angle, abs=2e-3)


def test_shifts_stand_on_ground_that_falls_to_one_side():
    log = simple_log()
    ground = log.road_map.ground
    across = ground.corner[1] + ground.spacing * np.arange(len(ground.heights))
    tilted = replace(
        ground, heights=np.repeat(0.05 * across[:, None], ground.heights.shape[1], axis=1).astype(np.float32)
    )
    log = replace(log, road_map=replace(log.road_map, ground=tilted))
    own, right = shifted(prepare(log), 50, [Shift(), Shift(lateral=-2.0)])
    assert right[:3, 3] - own[:3, 3] == pytest.approx([0.0, -2.0, -0.1], abs=0.01)


def test_places_on_the_path_are_where_the_photographs_were_taken(tmp_path):
    log = simple_log()
    elsewhere = log.ego.world_from_ego[10] @ np.array([[1, 0, 0, 0.3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    photos = tuple(Photo("front", int(log.times_us[10]) + late, elsewhere, tmp_path) for late in (30_000, 200_000))
    places = list(places_of(prepare(replace(log, photos=photos)), [10], log.cameras, [Shift(), Shift(lateral=1.0)]))
    assert [(place.shift.name, place.camera.name) for place in places] == [
        ("on the path", "front"),
        ("on the path", "back"),
        ("1 m left", "front"),
        ("1 m left", "back"),
    ]
    assert [place.photo for place in places] == [photos[0], None, None, None]
    assert places[0].time_us == log.times_us[10] + 30_000
    assert np.array_equal(places[0].world_from_ego, elsewhere)
    assert np.allclose(places[1].world_from_ego, log.ego.world_from_ego[10], atol=1e-9)
    assert {place.moment for place in places} == {10}


def test_names_and_moments():
    assert [shift.name for shift in SHIFTS] == [
        "on the path",
        "0.5 m left",
        "0.5 m right",
        "1 m left",
        "1 m right",
        "2 m left",
        "2 m right",
        "5 m ahead",
        "+10 degrees",
        "-10 degrees",
    ]
    assert Shift(2.0, -1.0, 0.1).name == "2 m ahead, 1 m right, +6 degrees"
    log = simple_log()  # 121 steps of 0.1 s.
    assert moments_of(log, 4.0) == [20, 60, 100]
    assert moments_of(log, 1000.0) == [0]
    with pytest.raises(SwerveError, match="every: 0"):
        moments_of(log, 0.0)
