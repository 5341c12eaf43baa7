"""Ways back: from a recovery's own state it is the recovery's, and every reason why there is none is stated."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from swerve.scenes import Scene
from swerve.scenes.transforms import pose_from_yaw
from swerve.scenes.viewpoints import KinematicLimits, RecoveryOptions
from swerve.scenes.viewpoints.frenet_motion import FrenetTrajectory
from swerve.scenes.viewpoints.recovery import recovery_at
from swerve.scenes.viewpoints.way_back import WayBack, path_offset, way_back
from tests.support.geometries import geometry_of
from tests.support.simple_log import arc_log, simple_log
from tests.support.town_logs import accepted_recovery, town

OPTIONS = RecoveryOptions()


def past_of(viewpoint):
    ego = viewpoint.ego.at(slice(-3, None))
    return FrenetTrajectory(
        ego.positions[:, :2], np.unwrap(ego.headings), ego.velocity[:, 0], ego.yaw_rate / ego.velocity[:, 0]
    )


def back_from(viewpoint, geometry, tracks=None, options=OPTIONS):
    scene = viewpoint.scene
    there = Scene(scene.log, scene.now, 2, scene.future)
    tracks = scene.log.tracks.at(slice(scene.now, scene.now + scene.future + 1)) if tracks is None else tracks
    return way_back(there, geometry, past_of(viewpoint), float(viewpoint.ego.acceleration[-1, 0]), tracks, options)


@pytest.mark.parametrize("make", [simple_log, arc_log, partial(town, 0), partial(town, 16)])
@pytest.mark.parametrize("offsets", [(1.0, 1.5, 0.1, 0.1), (-0.8, -2.0, -0.05, -0.15)])
def test_from_the_state_of_a_recovery_it_is_the_way_of_the_recovery(make, offsets):
    geometry = geometry_of(make())
    viewpoint = accepted_recovery(geometry, offsets, OPTIONS)
    now = viewpoint.scene.now
    pose = viewpoint.ego.positions[-1, :2], float(viewpoint.ego.headings[-1])
    found = path_offset(geometry, now, *pose)
    assert (found.lateral, found.longitudinal, found.heading) == pytest.approx(offsets[:3], abs=1e-7)
    back = back_from(viewpoint, geometry)
    assert isinstance(back, WayBack)
    # The recovery's own acceleration and curvature are exact, those of its states differences of poses.
    if back.parameters["rejoin_length"] == pytest.approx(viewpoint.parameters["rejoin_length"], rel=0.01):
        np.testing.assert_allclose(back.poses[:, :2, 3], viewpoint.target[:, :2, 3], atol=0.08)
    assert path_offset(geometry, now + 50, back.poses[-1, :2, 3], 0.0).lateral == pytest.approx(0.0, abs=1e-3)


def test_it_keeps_the_bounds_by_finite_differences_of_its_poses():
    geometry = geometry_of(town(0))
    viewpoint = accepted_recovery(geometry, (1.2, 2.0, 0.1, 0.15), OPTIONS)
    back = back_from(viewpoint, geometry)
    points = np.concatenate([past_of(viewpoint).positions, back.poses[:, :2, 3]])
    speeds = np.linalg.norm(np.diff(points, axis=0), axis=1) / 0.1
    relaxed = {name: back.parameters.get(f"relaxed_{name}", 1.0) for name in ("max_acceleration", "max_deceleration")}
    limits = KinematicLimits()
    change = np.diff(speeds) / 0.1
    assert change.max() <= limits.max_acceleration * relaxed["max_acceleration"] * 1.01
    assert -change.min() <= limits.max_deceleration * relaxed["max_deceleration"] * 1.01
    jerk = np.abs(np.diff(change) / 0.1).max()
    assert jerk <= limits.max_longitudinal_jerk * back.parameters.get("relaxed_max_longitudinal_jerk", 1.0) * 1.01


def test_reasons():
    log, now = simple_log(), 40
    geometry, scene = geometry_of(log), Scene(log, now, 20, 50)
    viewpoint = recovery_at(scene, 0, np.array([0.5, 0.0, 0.0, 0.0]), OPTIONS, geometry)
    moved = replace(viewpoint, ego=replace(viewpoint.ego, world_from_ego=shifted(viewpoint, 25.0)))
    assert back_from(moved, geometry) == "far_off"
    assert back_from(viewpoint, geometry, options=replace(OPTIONS, min_distance=1e3)) == "standing"
    tight = replace(OPTIONS, bounds=KinematicLimits(max_lateral_acceleration=1e-4))
    assert back_from(viewpoint, geometry, options=tight) == "infeasible"
    tracks = log.tracks.at(slice(now, now + 51))
    blocked = tracks.positions.copy()
    blocked[0, 30:] = viewpoint.target[30, :3, 3]
    valid = tracks.valid.copy()
    valid[0] = True
    assert back_from(viewpoint, geometry, replace(tracks, positions=blocked, valid=valid)) == "collision_later"


def shifted(viewpoint, lateral):
    ego = viewpoint.ego
    return pose_from_yaw(ego.positions + np.array([0.0, lateral, 0.0]), ego.headings)
