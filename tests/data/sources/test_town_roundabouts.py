"""Roundabouts of towns: geometry by hand, lanes within the road, and traffic that gives way to the ring."""

import numpy as np
import pytest
import shapely

from swerve.data.sources.town import generate_town
from swerve.data.sources.town.connectors import Movement
from swerve.data.sources.town.driving_kernels import conflict_zone
from swerve.data.sources.town.plan import plan_town
from swerve.data.sources.town.roundabouts import Branch, fits, ring_line
from swerve.data.sources.town.simulation_tables import find_conflicts
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes import LaneType, box_footprints
from swerve.scenes.polyline import resample
from tests.support.town_logs import wheeled

TOWN = "town-000018"  # its ego and others drive through a roundabout


@pytest.fixture(scope="module")
def plan():
    return plan_town(TOWN, 0)


def rings(plan):
    return [(number, junction) for number, junction in enumerate(plan.junctions) if junction.ring is not None]


def test_a_line_in_round_and_out_by_hand():
    """From the south in and to the west out, three quarters round: arcs of 8 m round a ring of 12 m."""
    south, west = Branch(-np.pi / 2, 2.0, 30.0, 8.0), Branch(np.pi, 2.0, 25.0, 8.0)
    line = ring_line(np.array([100.0, 50.0]), south, west, (12.0, 12.0), 0.1) - [100.0, 50.0]
    np.testing.assert_allclose(line[[0, -1]], [[2.0, -30.0], [-25.0, 2.0]], atol=1e-9)
    away = np.linalg.norm(line, axis=1)
    assert away.min() == pytest.approx(12.0, abs=0.01)
    along, angle = south.touch(12.0)
    assert along == pytest.approx(np.sqrt(20.0**2 - 10.0**2))
    assert np.rad2deg(angle) == pytest.approx(30.0)
    steps = np.diff(line, axis=0)
    turn = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    # Where a chord of 3.75 degrees of an arc meets one of the ring, half of it is lost.
    # 60 degrees to the right on either arc, 210 to the left in the ring: 270 less 30 at both ends.
    assert np.rad2deg(turn[-1] - turn[0]) == pytest.approx(90.0, abs=0.5)
    right, left = np.minimum(np.diff(turn), 0.0).sum(), np.maximum(np.diff(turn), 0.0).sum()
    assert np.rad2deg([right, left]) == pytest.approx([-120.0, 210.0], abs=2 * 3.75)


def test_arms_that_are_too_near_have_no_room():
    first = Branch(0.0, 2.0, 30.0, 8.0)
    assert fits(first, Branch(np.deg2rad(63.0), 2.0, 30.0, 8.0), 12.0)
    assert not fits(first, Branch(np.deg2rad(61.0), 2.0, 30.0, 8.0), 12.0)


def test_towns_have_roundabouts_and_only_where_streets_have_one_lane():
    found = [junction for number in range(12) for _, junction in rings(plan_town(f"town-{number:06d}", 0))]
    assert len(found) > 4
    for junction in found:
        assert len(junction.arms) >= 3
        assert not junction.signalised
        assert junction.priority_arms == ()
        assert all(arm.inbound.lanes == arm.outbound.lanes == 1 for arm in junction.arms)


def test_lanes_lead_counterclockwise_round_the_island(plan):
    for number, junction in rings(plan):
        island = shapely.Point(junction.position).buffer(junction.ring.island)
        ways = {(one.arm, one.to_arm, one.lane.kind) for one in plan.connectors if one.junction == number}
        arms = range(len(junction.arms))
        assert {(a, b) for a, b, _ in ways} == {(a, b) for a in arms for b in arms if a != b}
        for one in (one for one in plan.connectors if one.junction == number):
            line = one.lane.centerline[:, :2] - junction.position
            turn = np.unwrap(np.arctan2(line[:, 1], line[:, 0]))
            inside = np.linalg.norm(line, axis=1) < junction.ring.radius
            assert np.all(np.diff(turn[inside]) > 0.0), one.lane.id
            assert not shapely.Polygon(one.lane.polygon[:, :2]).intersects(island), one.lane.id
            wanted = {Movement.RIGHT: (30, 130), Movement.STRAIGHT: (90, 230), Movement.LEFT: (180, 320)}[one.movement]
            assert wanted[0] < np.rad2deg(turn[-1] - turn[0]) < wanted[1]


def test_the_map_has_the_island_its_kerb_and_a_yield_line_on_each_arm(plan):
    road_map = plan.road_map
    for number, junction in rings(plan):
        name = f"junction-{number}"
        for areas in (road_map.drivable_areas, road_map.intersections):
            (area,) = (area for area in areas if area.id == name)
            assert len(area.holes) == 1
            radii = np.linalg.norm(area.holes[0][:, :2] - junction.position, axis=1)
            np.testing.assert_allclose(radii, junction.ring.island)
        edges = [edge for edge in road_map.road_edges if edge.id.startswith(f"{name}-edge")]
        assert len(edges) == len(junction.arms) + 1
        assert sum(line.id.startswith(f"{name}-stop") for line in road_map.stop_lines) == len(junction.arms)


def test_conflicts_end_where_lanes_have_merged(plan):
    """Between merging ways the stretch to be free is short, so that traffic follows in the ring."""
    (number, _) = rings(plan)[0]
    own = [one for one in plan.connectors if one.junction == number and one.lane.kind is LaneType.VEHICLE]
    whole, merged = find_conflicts(own), find_conflicts(own, [number])
    np.testing.assert_array_equal(whole.rows, merged.rows)
    lengths = [found.zones[:, 1] - found.zones[:, 0] for found in (whole, merged)]
    assert np.all(lengths[1] <= lengths[0])
    assert lengths[1].max() < 0.7 * lengths[0].max()
    zone = np.empty(4)
    for a, b in np.argwhere(merged.rows >= 0):
        lines = [resample(own[row].lane.centerline[:, :2], SPACING) for row in (a, b)]
        assert conflict_zone(*lines, 2.75, zone)
        assert merged.zones[merged.rows[a, b], 0] == zone[0]


def test_vehicles_drive_round_and_nobody_enters_into_someones_way(plan):
    log = generate_town(TOWN)
    tracks = log.tracks.select_tracks(wheeled(log))
    through = 0
    for _, junction in rings(plan):
        away = np.linalg.norm(tracks.positions[..., :2] - junction.position, axis=2)
        inside = (away < junction.ring.radius) & tracks.valid
        through += int(inside.any(axis=1).sum())
        for step in range(0, inside.shape[1], 5):
            rows = np.flatnonzero(inside[:, step])
            places, angle = tracks.positions[rows, step, :2], tracks.headings[rows, step]
            shapes = shapely.polygons(box_footprints(places, angle, tracks.sizes[rows, 0, :2]))
            assert not any(shapes[a].intersects(shapes[b]) for a in range(len(rows)) for b in range(a))
            offset = places - junction.position
            turning = offset[:, 0] * np.sin(angle) - offset[:, 1] * np.cos(angle)
            assert np.all(turning > 0.0)
    assert through >= 4
