"""Shared parts of viewpoints: entry point, commands, collisions, surfaces, smoothing, the driven path."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from swerve.scenes import Scene, box_footprints, extract_scenes, split_windows
from swerve.scenes.road_map import Area, GroundHeight
from swerve.scenes.transforms import yaw_of
from swerve.scenes.vehicle import Vehicle
from swerve.scenes.viewpoints import (
    Command,
    RecoveryOptions,
    Viewpoint,
    ViewpointKind,
    ViewpointOptions,
    build_log_geometry,
    build_viewpoints,
    driving_command,
    logged,
)
from swerve.scenes.viewpoints.collisions import DrivableSurface, boxes_overlap, collisions
from swerve.scenes.viewpoints.ground import place_on_ground
from swerve.scenes.viewpoints.motion_smoother import smooth_motion
from swerve.scenes.viewpoints.path import DrivenPath
from tests.support.simple_log import STEPS, simple_log

ALL = (ViewpointKind.LOGGED, ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT)


def test_the_logged_viewpoint_is_the_log():
    log = simple_log()
    scene = extract_scenes(log)[4]
    found = logged(scene, build_log_geometry(log))
    assert (found.kind, found.index, found.coverage) == (ViewpointKind.LOGGED, 0, 1.0)
    np.testing.assert_array_equal(found.world_from_ego, log.ego.world_from_ego[scene.now])
    np.testing.assert_array_equal(found.target, log.ego.world_from_ego[scene.now + 1 : scene.now + scene.future + 1])
    assert found.target is found.human
    assert len(found.ego) == scene.history + 1
    assert found.tracks.positions.shape[1] == len(scene.times_us)
    assert (found.vehicle, found.cameras, found.command) == (log.vehicle, log.cameras, Command.STRAIGHT)


@given(st.sets(st.integers(1, STEPS - 2), max_size=4))
def test_scenes_last_as_long_as_they_should(missing):
    """Steps are taken out of a log of 10 Hz: no scene reaches over what is missing, and every other window is one."""
    whole = simple_log()
    kept = np.setdiff1d(np.arange(STEPS), list(missing))
    log = replace(
        whole,
        times_us=whole.times_us[kept],
        ego=whole.ego.at(kept),
        tracks=whole.tracks.at(kept),
        lights=whole.lights.at(kept),
    )
    scenes, broken = split_windows(log, 1.0, 2.0, 0.1)
    assert {int(np.ptp(scene.times_us)) for scene in scenes} <= {3_000_000}
    assert all(np.ptp(scene.times_us) > 3_000_000 for scene in broken)
    assert sorted(scene.now for scene in (*scenes, *broken)) == list(range(10, len(kept) - 20))
    assert [scene.token for scene in extract_scenes(log, 1.0, 2.0, 0.1)] == [scene.token for scene in scenes]


def test_every_viewpoint_is_made_or_rejected_with_a_reason():
    log = simple_log()
    geometry = build_log_geometry(log)
    options = ViewpointOptions(RecoveryOptions(samples_per_scene=3))
    for scene in extract_scenes(log)[::4]:
        used, rejected = build_viewpoints(scene, ALL, options, 0, geometry)
        count = Counter(one.kind for one in (*used, *rejected))
        assert count == {ViewpointKind.LOGGED: 1, ViewpointKind.RECOVERY: 3, ViewpointKind.CROSS_AGENT: 4}
        keys = [(one.kind, one.index) for one in (*used, *rejected)]
        assert len(set(keys)) == len(keys)


def test_viewpoints_do_not_depend_on_order_or_company():
    log = simple_log()
    geometry, scenes = build_log_geometry(log), extract_scenes(log)
    together = [one for scene in scenes for one in build_viewpoints(scene, ALL, ViewpointOptions(), 7, geometry)[0]]
    again, _ = build_viewpoints(scenes[5], [ViewpointKind.RECOVERY], ViewpointOptions(), 7, build_log_geometry(log))
    twins = [one for one in together if one.scene.now == scenes[5].now and one.kind == ViewpointKind.RECOVERY]
    for one, twin in zip(again, twins, strict=True):
        np.testing.assert_array_equal(one.target, twin.target)
        assert one.parameters == twin.parameters


def test_wrong_geometry_and_kinds_are_told():
    log, other = simple_log(), simple_log(5.0)
    with pytest.raises(ValueError, match="geometry of log"):
        build_viewpoints(extract_scenes(log)[0], ALL, ViewpointOptions(), 0, build_log_geometry(other))
    with pytest.raises(ValueError, match="follow_up"):
        build_viewpoints(
            extract_scenes(log)[0], [ViewpointKind.FOLLOW_UP], ViewpointOptions(), 0, build_log_geometry(log)
        )


def arc(length, radius, heading=0.0):
    """Points of an arc from the origin on; positive radius turns left."""
    s = np.linspace(0.0, length, 50)
    angle = heading + s / radius
    points = np.stack([np.sin(angle) - np.sin(heading), np.cos(heading) - np.cos(angle)], axis=1)
    return radius * points


@pytest.mark.parametrize(
    ("ahead", "heading", "expected"),
    [
        (arc(30.0, 1e9), 0.0, Command.STRAIGHT),
        (arc(30.0, 95.0), 0.0, Command.LEFT),  # 20^2 / (2 * 95) = 2.1 m
        (arc(30.0, 105.0), 0.0, Command.STRAIGHT),  # 1.9 m
        (arc(30.0, -95.0, 2.0), 2.0, Command.RIGHT),
        (arc(10.0, 20.0), 0.0, Command.LEFT),  # 2.4 m at its end, then straight on
        (arc(4.0, 1e9), 0.0, Command.STRAIGHT),
        (np.zeros((41, 2)), 0.0, Command.UNKNOWN),
    ],
)
def test_commands_without_a_map(ahead, heading, expected):
    assert driving_command(ahead, heading, None) == expected


def test_a_standing_car_takes_the_command_of_its_lane():
    road_map = simple_log().road_map
    standing = np.tile([[195.0, -1.75]], (5, 1))
    assert driving_command(standing, 0.0, road_map) == Command.STRAIGHT
    assert driving_command(standing, np.pi / 2, road_map) == Command.UNKNOWN  # across the lane: none matches
    assert driving_command(standing + np.array([0.0, 50.0]), 0.0, road_map) == Command.UNKNOWN


@pytest.mark.parametrize(
    ("route", "expected"), [((), Command.UNKNOWN), (("turn",), Command.LEFT), (("on",), Command.STRAIGHT)]
)
def test_at_a_fork_the_route_decides(route, expected):
    """East lane ends at x = 200; one successor turns left on 10 m radius, the other goes on."""
    road_map = simple_log().road_map
    lane = road_map.lane_by_id["east_left"]
    bend = np.concatenate([arc(15.0, 10.0) + np.array([200.0, -1.75]), np.zeros((50, 1))], axis=1)
    on = np.array([[200.0, -1.75, 0.0], [240.0, -1.75, 0.0]])
    forked = (
        replace(lane, successors=("turn", "on")),
        replace(lane, id="turn", centerline=bend, group_id="turn"),
        replace(lane, id="on", centerline=on, group_id="on"),
    )
    ahead = np.stack([np.linspace(190.0, 195.0, 41), np.full(41, -1.75)], axis=1)
    assert driving_command(ahead, 0.0, replace(road_map, lanes=forked), route) == expected


boxes = st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(-4, 4), st.floats(0.5, 5), st.floats(0.5, 3))


@given(boxes, boxes)
def test_boxes_overlap_as_polygons_do(a, b):
    first, second = (box_footprints(np.array(box[:2]), np.array(box[2]), np.array(box[3:])) for box in (a, b))
    shared = shapely.intersection(shapely.Polygon(first), shapely.Polygon(second)).area
    if not 0 < shared < 1e-9:
        assert bool(boxes_overlap(first[None], second[None])[0]) == (shared > 0)


def test_contacts_look_at_valid_steps_alone():
    here = np.broadcast_to(box_footprints(np.zeros(2), np.array(0.0), np.array([4.0, 2.0])), (3, 4, 2))
    others = here + np.array([[3.0, 0.0], [0.0, 2.5], [0.0, 1.5]])[:, None, None]
    valid = np.array([[True, False, True], [True, True, True], [False, False, True]])
    assert collisions(here, others, valid).tolist() == [[True, False, True], [False] * 3, [False, False, True]]


def test_the_surface_is_the_union_and_its_holes_are_outside():
    square = np.array([[0.0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]])
    road_map = replace(
        simple_log().road_map,
        lanes=(),
        drivable_areas=(Area("a", square, (square * 0.2 + [4.0, 4.0, 0.0],)),),
        intersections=(Area("b", square + np.array([10.0, 0.0, 0.0])),),
    )
    surface = DrivableSurface.of(road_map)
    small = np.array([[0.1, 0.1], [-0.1, 0.1], [-0.1, -0.1], [0.1, -0.1]])
    centers = np.array([[10.0, 5.0], [5.0, 5.0], [22.0, 5.0], [1.0, 1.0]])
    np.testing.assert_allclose(surface.distance_outside(small + centers[:, None]), [0.0, 0.9, 2.1, 0.0], atol=1e-9)


def test_a_map_without_areas_has_no_surface():
    log = simple_log()
    bare = replace(log, road_map=replace(log.road_map, lanes=(), drivable_areas=()))
    assert build_log_geometry(bare).surface is None
    used, _ = build_viewpoints(extract_scenes(bare)[5], ALL, ViewpointOptions(), 0, build_log_geometry(bare))
    assert {one.parameters.get("surface_checked") for one in used} == {None, 0.0}


@given(st.floats(-np.pi, np.pi), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_standing_on_a_plane(heading, climb_x, climb_y):
    x, y = np.meshgrid(np.arange(-20.0, 21.0), np.arange(-20.0, 21.0))
    ground = GroundHeight((climb_x * x + climb_y * y + 3.0).astype(np.float32), np.array([-20.0, -20.0]), 1.0)
    pose = place_on_ground(ground, np.array([[2.0, -1.0]]), np.array([heading]), Vehicle.pacifica())[0]
    normal = np.array([-climb_x, -climb_y, 1.0]) / np.sqrt(climb_x**2 + climb_y**2 + 1)
    np.testing.assert_allclose(pose[:3, 3], [2.0, -1.0, 3.0 + 2.0 * climb_x - climb_y], atol=1e-5)
    np.testing.assert_allclose(pose[:3, 2], normal, atol=1e-5)
    np.testing.assert_allclose(np.exp(1j * yaw_of(pose)), np.exp(1j * heading), atol=1e-9)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)


def weave(seconds):
    """A car that weaves and changes its speed: exact states of the kinematic bicycle, by fine integration."""
    fine = np.linspace(0.0, seconds[-1], 40 * (len(seconds) - 1) + 1)
    speed = 7.0 + 2.0 * np.sin(0.8 * fine)
    curvature = 0.04 * np.sin(0.6 * fine)
    step = np.diff(fine)
    heading = 3.0 + np.concatenate([[0], np.cumsum(step * (speed * curvature)[:-1])])
    x = np.concatenate([[0], np.cumsum(step * (speed * np.cos(heading))[:-1])])
    y = np.concatenate([[0], np.cumsum(step * (speed * np.sin(heading))[:-1])])
    return np.stack([x, y], axis=1)[::40], heading[::40], speed[::40], curvature[::40]


def test_smoothing_finds_the_motion_behind_noisy_boxes_with_gaps():
    """Position and heading beat the measurements, speed and yaw rate are right; headings wrap within (M7)."""
    seconds = np.arange(120) * 0.1
    axle, heading, speed, curvature = weave(seconds)
    noise, lever = np.random.default_rng(2), 1.3
    middle = axle + lever * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    points = middle + 0.1 * noise.standard_normal(middle.shape)
    headings = np.mod(heading + 0.03 * noise.standard_normal(120) + np.pi, 2 * np.pi) - np.pi
    valid = np.ones((1, 120), bool)
    valid[0, :7] = valid[0, 50:58] = valid[0, 110:] = False
    points[~valid[0]], headings[~valid[0]] = 999.0, 99.0
    times = (seconds * 1e6).astype(np.int64)
    motion = smooth_motion(times, points[None], headings[None], valid, np.array([lever]), 0.1, 0.03).of(0)
    seen = slice(7, 110)
    error = np.linalg.norm(motion.positions - axle, axis=1)[seen]
    assert np.sqrt((error**2).mean()) < 0.07
    turn = (motion.headings - heading + np.pi) % (2 * np.pi) - np.pi
    assert np.sqrt((turn[seen] ** 2).mean()) < 0.012
    assert np.sqrt(((motion.speeds - speed)[seen] ** 2).mean()) < 0.12
    assert np.sqrt(((motion.yaw_rates - speed * curvature)[seen] ** 2).mean()) < 0.04
    assert np.isfinite(motion.positions).all()
    np.testing.assert_array_equal(motion.positions[:7], np.tile(motion.positions[7], (7, 1)))


def test_cars_are_smoothed_independently():
    """A batch gives what each car gives alone; their tracks begin and end at other steps."""
    seconds = np.arange(60) * 0.1
    axle, heading, _, _ = weave(seconds)
    times = (seconds * 1e6).astype(np.int64)
    points = np.stack([axle, axle[::-1] + 5.0])
    headings = np.stack([heading, heading[::-1] + np.pi])
    valid = np.ones((2, 60), bool)
    valid[0, :20] = valid[1, 40:] = False
    both = smooth_motion(times, points, headings, valid, np.array([1.0, 2.0]), 0.1, 0.03)
    for row in range(2):
        one = slice(row, row + 1)
        alone = smooth_motion(times, points[one], headings[one], valid[one], np.array([row + 1.0]), 0.1, 0.03)
        np.testing.assert_allclose(both.positions[row], alone.positions[0], atol=1e-9)


def test_a_standing_car_stays_where_its_boxes_are():
    noise = np.random.default_rng(3)
    points = 0.05 * noise.standard_normal((1, 100, 2))
    headings = 1.0 + 0.02 * noise.standard_normal((1, 100))
    times = np.arange(100) * 100_000
    motion = smooth_motion(times, points, headings, np.ones((1, 100), bool), np.zeros(1), 0.1, 0.03).of(0)
    assert np.abs(motion.speeds).max() < 0.15
    assert np.ptp(motion.headings) < 0.02


def test_the_driven_path_runs_through_the_motion():
    seconds = np.arange(STEPS) * 0.1
    axle, heading, speed, curvature = weave(seconds)
    times = (seconds * 1e6).astype(np.int64)
    motion = smooth_motion(times, axle[None], heading[None], np.ones((1, STEPS), bool), np.zeros(1), 0.03, 0.005).of(0)
    up = np.tile([[0.0, 0.0, 1.0]], (STEPS, 1))
    path = DrivenPath.of(motion, seconds, np.linspace(0.0, 12.0, STEPS), up)
    at = path.at(path.arc_lengths)
    np.testing.assert_allclose(at.positions[:, :2], axle, atol=0.06)
    np.testing.assert_allclose(np.exp(1j * at.headings), np.exp(1j * heading), atol=0.01)
    np.testing.assert_allclose(at.curvatures[5:-5], curvature[5:-5], atol=0.006)
    driven = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * 0.1)])
    np.testing.assert_allclose(path.arc_lengths, driven, atol=0.1)
    beyond = path.at(np.array([-10.0, 0.0]))
    np.testing.assert_allclose(np.linalg.norm(beyond.positions[0] - beyond.positions[1]), 10.0, atol=1e-6)


def test_real_logs(test_data):
    """Both Argoverse 2 logs: every kind is made, all is finite, poses are on the ground, ends are on the path."""
    source = pytest.importorskip("swerve.data.sources.registry")
    if not (test_data / "av2").is_dir():
        pytest.skip("no Argoverse 2 logs")
    logs = source.open_source(f"av2:{test_data / 'av2'}")
    for name in logs.names():
        log = logs.load(name)
        geometry, kinds = build_log_geometry(log), Counter()
        for scene in extract_scenes(log, interval=1.5):
            used, rejected = build_viewpoints(scene, ALL, ViewpointOptions(), 0, geometry)
            kinds.update(one.kind for one in used)
            assert "rough_log" not in {one.reason for one in rejected}
            for one in used:
                _check_real(one)
        assert min(kinds[kind] for kind in ALL) >= 3


def _check_real(found: Viewpoint) -> None:
    scene, ground = found.scene, found.scene.log.road_map.ground
    poses = np.concatenate([found.ego.world_from_ego, found.target])
    assert len(poses) == len(scene.times_us)
    for numbers in (poses, found.ego.velocity, found.ego.acceleration, found.ego.yaw_rate):
        assert np.isfinite(numbers).all()
    assert np.abs(poses[:, 2, 3] - ground.at(poses[:, :2, 3])).max() < 0.4
    assert poses[:, 2, 2].min() > np.cos(np.deg2rad(8.0))
    assert np.linalg.norm(np.diff(poses[:, :2, 3], axis=0), axis=1).max() < 2.5
    if found.parameters.get("rejoins_schedule"):
        assert np.linalg.norm(found.target[-1, :2, 3] - found.human[-1, :2, 3]) < 0.1


def test_a_log_of_one_step_has_its_logged_viewpoint():
    whole = simple_log()
    log = replace(
        whole,
        times_us=whole.times_us[:1],
        ego=whole.ego.at(slice(0, 1)),
        tracks=whole.tracks.at(slice(0, 1)),
        lights=whole.lights.at(slice(0, 1)),
    )
    used, rejected = build_viewpoints(Scene(log, 0, 0, 0), ALL, ViewpointOptions(), 0, build_log_geometry(log))
    assert [one.command for one in used] == [Command.STRAIGHT]
    assert {one.reason for one in rejected} == {"standing", "incomplete_window"}


@pytest.mark.parametrize("future", [1, 2])
def test_a_short_future_leaves_no_room(future):
    log = simple_log(30.0)
    _, rejected = build_viewpoints(
        Scene(log, 30, 0, future), [ViewpointKind.RECOVERY], ViewpointOptions(), 0, build_log_geometry(log)
    )
    assert {one.reason for one in rejected} <= {"standing", "infeasible"}
    assert len(rejected) == 2


def test_scenes_without_history_have_viewpoints():
    log = replace(simple_log(), tracks=simple_log().tracks.select_tracks(np.zeros(0, np.int64)))
    scene = Scene(log, 30, 0, 40)
    used, _ = build_viewpoints(scene, ALL, ViewpointOptions(), 0, build_log_geometry(log))
    assert [len(one.ego) for one in used] == [1, 1, 1]
