"""Derived data of readers: velocities, unique markings, surfaces from polygons."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from swerve.data.sources.default_rigs import default_rig
from swerve.data.sources.derived_surfaces import edges_of, intersections_of, union_areas
from swerve.data.sources.painted_lines import merge_lane_markings
from swerve.data.sources.velocities import causal_velocities
from swerve.scenes import Ego, GroundHeight, Lane, LaneMarking
from swerve.scenes.transforms import pose_from_yaw


def samples_by_hand(valid, times, step):
    """Steps of the window: back to 0.35 s, or to three samples, and not across a gap of more than 0.55 s."""
    used = [step]
    for earlier in range(step - 1, -1, -1):
        if (times[step] - times[earlier] > 350_000 and len(used) >= 3) or times[used[-1]] - times[earlier] > 550_000:
            break
        used += [earlier] if valid[earlier] else []
    return used


def velocity_by_hand(positions, valid, times, row, step):
    """One cell at a time, by NumPy's own fit of a parabola, or a line."""
    used = samples_by_hand(valid[row], times, step)
    if not valid[row, step] or len(used) < 2:
        return np.zeros(2)
    seconds = (times[used] - times[step]) * 1e-6
    return np.polyfit(seconds, positions[row, used, :2], min(len(used) - 1, 2))[-2]


@given(arrays.arrays(bool, (3, 9)), st.lists(st.integers(50_000, 400_000), min_size=9, max_size=9))
def test_velocities_are_of_parabolas_through_the_valid_samples_before(valid, gaps):
    times = np.cumsum(np.array(gaps, np.int64))
    positions = np.random.default_rng(0).normal(size=(3, 9, 3))
    found = causal_velocities(positions, valid, times)
    for row in range(3):
        for step in range(9):
            known = velocity_by_hand(positions, valid, times, row, step)
            np.testing.assert_allclose(found[row, step], known, rtol=1e-6, atol=1e-6)


@given(st.integers(1, 19))
def test_no_velocity_or_acceleration_knows_what_comes_after(now):
    """Of the ego and of others; and constant acceleration is told exactly, wherever in the world that is."""
    times = 100_000 * np.arange(20) + np.random.default_rng(1).integers(-4_000, 4_000, 20)
    seconds = times * 1e-6
    way = np.stack([3.0 * seconds + 0.7 * seconds**2 + 5e6, 1.0 - seconds], axis=1)
    poses = pose_from_yaw(np.pad(way, ((0, 0), (0, 1))), np.full(20, 0.3))
    other = poses.copy()
    other[now + 1 :, :2, 3] += np.random.default_rng(2).normal(size=(19 - now, 2))
    ego, changed = Ego.from_poses(poses, times), Ego.from_poses(other, times)
    for name in ("velocity", "acceleration", "yaw_rate"):
        np.testing.assert_array_equal(getattr(ego, name)[: now + 1], getattr(changed, name)[: now + 1])
    tracks = [causal_velocities(one[None, :, :3, 3], np.ones((1, 20), bool), times) for one in (poses, other)]
    np.testing.assert_array_equal(tracks[0][:, : now + 1], tracks[1][:, : now + 1])
    np.testing.assert_allclose(tracks[0][0, 2:], np.stack([3.0 + 1.4 * seconds, np.full(20, -1.0)], 1)[2:], atol=1e-6)


def line(*points):
    return np.array([(x, y, 0.1 * x) for x, y in points], float)


def lane(name, left, right, left_marking=LaneMarking.NONE, right_marking=LaneMarking.NONE, **more):
    center = np.stack([(left[0] + right[0]) / 2, (left[-1] + right[-1]) / 2])
    return Lane(name, center, np.concatenate([left, right[::-1]]), left, right, left_marking, right_marking, **more)


def test_a_line_that_two_lanes_share_is_kept_once():
    """Reversed, sampled differently and 0.1 m off: once. One side says NONE: still there."""
    shared = line((0, 0), (40, 0))
    wobbly = line((40, 0.1), (25, -0.1), (10, 0.05), (0, 0))
    lanes = [
        lane("a", shared, line((0, -3), (40, -3)), LaneMarking.SOLID_YELLOW, LaneMarking.SOLID_WHITE),
        lane("b", wobbly, line((40, 3), (0, 3)), LaneMarking.SOLID_YELLOW),
        lane("c", line((0, -3), (40, -3)), line((0, -6), (40, -6)), LaneMarking.NONE),
    ]
    lines = merge_lane_markings(lanes)
    assert sorted((line.paint.name, len(line.points)) for line in lines) == [("SOLID_WHITE", 2), ("SOLID_YELLOW", 4)]


def test_only_the_uncovered_stretch_of_an_overlapping_line_is_kept():
    lanes = [
        lane("a", line((0, 0), (40, 0)), line((0, -3), (40, -3)), LaneMarking.DASHED_WHITE),
        lane("b", line((30, 0.1), (50, 0.1)), line((30, -3), (50, -3)), LaneMarking.DASHED_WHITE),
    ]
    first, second = merge_lane_markings(lanes)
    assert np.ptp(first.points[:, 0]) == 40
    np.testing.assert_allclose(second.points[[0, -1], 0], [40.5, 50], atol=0.5)
    np.testing.assert_allclose(second.points[:, 2], 0.1 * second.points[:, 0])


def test_crossing_and_parallel_lines_stay_whole():
    lanes = [
        lane("a", line((0, 0), (40, 0)), line((0, -3), (40, -3)), LaneMarking.DASHED_WHITE),
        lane("b", line((20, -20), (20, 19)), line((23, -20), (23, 20)), LaneMarking.SOLID_WHITE),
        lane("c", line((0, 0.6), (38, 0.6)), line((0, -3), (40, -3)), LaneMarking.SOLID_WHITE),
    ]
    assert [np.ptp(line.points[:, :2], axis=0).max() for line in merge_lane_markings(lanes)] == [40, 39, 38]
    assert merge_lane_markings([lane("d", line((0, 0), (1, 0)), line((0, -3), (1, -3)))]) == ()


GROUND = GroundHeight.from_points(np.array([[-50, -50, -5], [50, -50, 5], [50, 50, 5], [-50, 50, -5]], float), 10.0)


def test_m9_unions_of_several_pieces_keep_every_piece_and_hole():
    """The original kept what an earlier polygon had left behind when a union was not of the type it expected."""
    ring = [line((0, 0), (10, 0), (10, 2), (0, 2)), line((0, 8), (10, 8), (10, 10), (0, 10))]
    ring += [line((0, 0), (2, 0), (2, 10), (0, 10)), line((8, 0), (10, 0), (10, 10), (8, 10))]
    areas = union_areas([*ring, line((30, 0), (40, 0), (40, 5), (30, 5))], GROUND, "area")
    assert sorted((len(area.holes), round(shapely.Polygon(area.polygon).area)) for area in areas) == [(0, 50), (1, 100)]
    assert len(edges_of(areas)) == 3
    for edge in edges_of(areas):
        np.testing.assert_allclose(edge.points[0], edge.points[-1])
        np.testing.assert_allclose(edge.points[:, 2], 0.1 * edge.points[:, 0], atol=1e-5)


def test_neighbouring_polygons_with_a_gap_become_one():
    gap = [line((0, 0), (10, 0), (10, 5), (0, 5)), line((10.1, 0), (20, 0), (20, 5), (10.1, 5))]
    (area,) = union_areas(gap, GROUND, "area")
    assert shapely.Polygon(area.polygon).area == pytest.approx(100.0, abs=0.1)


def test_connectors_close_together_form_an_intersection():
    def connector(name, x, y):
        return lane(name, line((x, y + 3), (x + 15, y + 3)), line((x, y), (x + 15, y)), is_connector=True)

    lanes = [connector("a", 0, 0), connector("b", 0, 4.5), connector("c", 40, 0)]
    lanes.append(lane("road", line((-20, 3), (0, 3)), line((-20, 0), (0, 0))))
    areas = intersections_of(lanes, GROUND)
    assert sorted(round(shapely.Polygon(area.polygon).area) for area in areas) == [45, 112]
    assert intersections_of(lanes[3:], GROUND) == ()


def test_the_default_rig_looks_all_round_without_gaps():
    rig = default_rig()
    assert len({camera.name for camera in rig}) == 8
    angles = np.linspace(-np.pi, np.pi, 721)
    points = 50 * np.stack([np.cos(angles), np.sin(angles), np.full(721, 0.02)], axis=1)
    seen = [camera.project_world(points, np.eye(4))[2] for camera in rig]
    assert np.sum(seen, axis=0).min() >= 1
    assert all(np.linalg.det(camera.ego_from_camera[:3, :3]) > 0.999 for camera in rig)
