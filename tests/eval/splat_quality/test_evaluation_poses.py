"""Shifted places: by hand on a straight road, on slopes and in a bend; and which photographs count."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.splats.log_images import LogImages, PosedImage
from swerve.eval.splat_quality.evaluation_poses import ON_PATH, POSE_OFFSETS, PoseOffset, evaluation_poses, offset_poses
from swerve.scenes import SwerveError
from swerve.scenes.transforms import inverse, yaw_of
from swerve.scenes.viewpoints import build_log_geometry
from tests.support.simple_log import arc_log, simple_log


def picture(log, step, camera=0, late_us=0):
    """Taken at a step of a log, or later at the pose of that step."""
    own = log.cameras[camera].resized(16, 9)
    time = int(log.times_us[step]) + late_us
    return PosedImage(own, time, log.ego.world_from_ego[step], np.full((9, 16, 3), step, np.uint8))


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_shifts_on_a_straight_road(slope):
    log = simple_log(slope=slope)
    shifts = [ON_PATH, PoseOffset(along=5.0), PoseOffset(lateral=-2.0), PoseOffset(turn=0.2)]
    own, ahead, right, turned = offset_poses(build_log_geometry(log), picture(log, 50), shifts)
    logged = log.ego.world_from_ego[50]
    assert np.allclose(own, logged, atol=1e-9)
    along = ahead[:3, 3] - logged[:3, 3]
    assert along[:2] == pytest.approx([5.0, 0.0], abs=0.02)
    assert along[2] == pytest.approx(slope * along[0], abs=0.01)
    assert right[:3, 3] - logged[:3, 3] == pytest.approx([0.0, -2.0, 0.0], abs=0.02)
    assert turned[:3, 3] == pytest.approx(logged[:3, 3], abs=1e-9)
    assert yaw_of(turned) - yaw_of(logged) == pytest.approx(0.2, abs=1e-6)


def test_shifts_follow_a_bend():
    log = arc_log(radius=40.0, start=-5.0)
    (ahead,) = offset_poses(build_log_geometry(log), picture(simple_log(), 50), [PoseOffset(along=5.0, lateral=1.0)])
    moved = inverse(simple_log().ego.world_from_ego[50]) @ ahead
    # 5 m along a circle of 40 m, then a metre to its middle.
    angle = 5.0 / 40.0
    assert moved[:2, 3] == pytest.approx([39 * np.sin(angle), 40 - 39 * np.cos(angle)], abs=0.02)
    assert yaw_of(moved) == pytest.approx(angle, abs=2e-3)


def test_shifts_stand_on_ground_that_falls_to_one_side():
    log = simple_log()
    ground = log.road_map.ground
    across = ground.origin[1] + ground.spacing * np.arange(len(ground.heights))
    heights = np.repeat(0.05 * across[:, None], ground.heights.shape[1], axis=1).astype(np.float32)
    log = replace(log, road_map=replace(log.road_map, ground=replace(ground, heights=heights)))
    own, right = offset_poses(build_log_geometry(log), picture(log, 50), [ON_PATH, PoseOffset(lateral=-2.0)])
    assert right[:3, 3] - own[:3, 3] == pytest.approx([0.0, -2.0, -0.1], abs=0.01)


def test_every_photograph_that_was_not_fitted_counts_and_some_are_shifted_from():
    log = simple_log()  # 0.1 s a step.
    held_out = (picture(log, 30), picture(log, 20), picture(log, 31, camera=1), picture(log, 50, late_us=30_000))
    pictures = LogImages((picture(log, 10),), held_out, (replace(picture(log, 60), camera=log.cameras[1]),))
    places = evaluation_poses(build_log_geometry(log), pictures, 2.5, [PoseOffset(lateral=1.0)])
    assert [(place.group, place.camera.name, place.step) for place in places] == [
        ("on the path", "front", 20),
        ("1 m left", "front", 20),
        ("on the path", "front", 30),  # Only 1 s later.
        ("on the path", "back", 31),
        ("1 m left", "back", 31),
        ("on the path", "front", 50),
        ("1 m left", "front", 50),
        ("test camera back", "back", 60),
    ]
    assert places[0].photo is pictures.held_out[1].rgb
    assert places[1].photo is None
    assert places[6].time_us == log.times_us[50] + 30_000
    assert places[6].world_from_ego[:2, 3] - places[5].world_from_ego[:2, 3] == pytest.approx([0, 1], abs=0.02)
    with pytest.raises(SwerveError, match="fitted to all of its photos"):
        evaluation_poses(build_log_geometry(log), replace(pictures, held_out=()), 1.0)
    with pytest.raises(SwerveError, match=r"scene_interval: 0.0 s"):
        evaluation_poses(build_log_geometry(log), pictures, 0.0)


def test_names():
    assert [shift.name for shift in (ON_PATH, *POSE_OFFSETS)] == [
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
    assert PoseOffset(2.0, -1.0, 0.1).name == "2 m ahead, 1 m right, +6 degrees"
