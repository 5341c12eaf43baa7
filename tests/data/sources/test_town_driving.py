"""How drivers of a town keep to lanes and limits: wander, lane changes, and passing what stands on a lane."""

import numpy as np
import pytest
import shapely

from swerve.data.sources.town import TownOptions, generate_town
from swerve.data.sources.town.jaywalking import FREE_OF_PARKED, draw_unmarked
from swerve.data.sources.town.manners import bounded, draw_manner, draw_pace, ornstein_uhlenbeck
from swerve.data.sources.town.obstructions import draw_obstructions
from swerve.data.sources.town.plan import plan_town
from swerve.data.sources.town.routes import change_lane, smooth_step
from swerve.data.sources.town.screens import draw_screens
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes import ObjectClass, Tracks, keyed_generator
from swerve.scenes.road_map import union_of
from swerve.scenes.visibility import visible_shares
from tests.support.town_logs import ego_footprints, towns, wheeled


def test_the_process_has_unit_variance_and_its_memory():
    values = ornstein_uhlenbeck(400_000, 20.0, 4.0, np.random.default_rng(0).standard_normal(400_000))
    assert values.std() == pytest.approx(1.0, abs=0.02)
    lag = round(20.0 / SPACING)
    # Two lags beyond the smoothing fall off by the memory alone.
    near, far = (np.mean(values[:-one] * values[one:]) for one in (lag, 2 * lag))
    assert far / near == pytest.approx(np.exp(-1.0), abs=0.06)


def test_wander_zero_keeps_to_the_middle_and_a_steady_pace():
    manner = draw_manner(100.0, 0.0, np.random.default_rng(0))
    assert np.all(manner.lateral == 0.0)
    assert np.all(manner.pace == 1.0)
    assert np.abs(draw_manner(100.0, 1.0, np.random.default_rng(0)).lateral).max() > 0.05


def test_half_of_the_drivers_prefer_more_than_the_limit_and_a_twentieth_a_third_more():
    generator = np.random.default_rng(0)
    paces = np.array([draw_pace(generator) for _ in range(20_000)])
    assert np.mean(paces > 1.0) == pytest.approx(0.5, abs=0.02)
    assert np.mean(paces > 4 / 3) == pytest.approx(0.05, abs=0.01)


def test_lateral_positions_leave_the_box_within_its_lane():
    wanted = np.linspace(-3.0, 3.0, 61)
    kept = bounded(wanted, np.full(61, 3.25), 1.9, np.zeros(61))
    assert np.abs(kept).max() < (3.25 - 1.9) / 2 - 0.19
    assert np.all(np.diff(kept) > 0.0)


def test_lane_changes_lead_from_lane_to_lane_without_a_kink():
    lanes = plan_town("town-000000", 0).road_map.lane_by_id
    old = next(one for one in lanes.values() if one.right_neighbor and not one.is_connector)
    new = lanes[old.right_neighbor]
    change = change_lane(old, new, 0, 10.0, 40.0)
    assert change.side < -2.5
    np.testing.assert_allclose(change.line[old.lengths <= 10.0], old.centerline[old.lengths <= 10.0, :2])
    np.testing.assert_allclose(change.line[old.lengths >= 50.0], new.centerline[old.lengths >= 50.0, :2])
    share = smooth_step(np.linspace(-0.2, 1.2, 15))
    assert share[0] == 0.0
    assert share[-1] == 1.0
    assert smooth_step(np.array([0.5]))[0] == pytest.approx(0.5)


def test_what_stands_on_lanes_takes_their_right_part_and_leaves_room_at_both_ends():
    plan = plan_town("town-000003", 0)
    found = draw_obstructions(plan.directions, 1.0, keyed_generator(0, "obstructions"))
    assert len(found) > 3
    assert draw_obstructions(plan.directions, 0.0, keyed_generator(0, "obstructions")) == {}
    for name, here in found.items():
        lane = plan.road_map.lane_by_id[name]
        assert 25.0 < here.begin < here.end < lane.lengths[-1] - 25.0
        assert here.passed_at(2.0) - 1.0 - here.inner >= 0.5 - 1e-9
        assert here.oncoming == (plan.road_map.lane_by_id[here.other].group_id != lane.group_id)


def test_options_leave_out_what_is_not_wanted():
    options = TownOptions(5.0, wander=0.0, lane_changes=0.0, obstructions=0.0, jaywalkers=0.0)
    log = generate_town("town-000007", 0, options)
    assert not any(name.startswith("stopped") for name in log.tracks.ids)
    assert any(name.startswith("stopped") for name in generate_town("town-000007").tracks.ids)


def test_vehicles_that_stop_on_lanes_never_move():
    found = 0
    for log in towns():
        rows = [row for row, name in enumerate(log.tracks.ids) if name.startswith("stopped")]
        found += sum(log.tracks.classes[rows] == ObjectClass.VEHICLE)
        assert np.abs(log.tracks.velocities[rows]).max(initial=0.0) == 0.0
    assert found > 0


def standing(things) -> Tracks:
    """Tracks of one step of (centre, heading, size)."""
    centers, headings, sizes = (np.array(column, float) for column in zip(*things, strict=True))
    return Tracks(
        ids=tuple(str(row) for row in range(len(things))),
        classes=np.full(len(things), ObjectClass.VEHICLE, np.uint8),
        positions=np.column_stack([centers, sizes[:, 2] / 2])[:, None],
        headings=headings[:, None],
        sizes=sizes[:, None],
        velocities=np.zeros((len(things), 1, 2)),
        valid=np.ones((len(things), 1), bool),
    )


def test_parked_vans_hide_who_is_about_to_cross():
    """From 20 m before, in the middle of the lane, someone on the pavement is not seen; without the van they are."""
    hidden = 0
    for number in range(4):
        plan = plan_town(f"town-{number:06d}", 0)
        places = draw_screens(
            plan, draw_unmarked(plan, {}, keyed_generator(0, "places")), 1.0, keyed_generator(0, "vans")
        )
        for place in places:
            step = place.kerbs[1] - place.kerbs[0]
            across = step / np.linalg.norm(step)
            for van in place.screens:
                forward = np.array([np.cos(van.heading), np.sin(van.heading)])
                right = np.array([forward[1], -forward[0]])
                kerb = place.kerbs[0 if right @ across < 0 else 1]
                out, _ = place.local(van.center[None])[0]
                assert -0.05 < abs(out) - van.size[0] / 2 - FREE_OF_PARKED < 0.7  # nothing stands on the line itself
                assert (van.center - kerb) @ forward < 0.0  # it stands before the line, as traffic comes
                eye = np.array([*(kerb - 20.0 * forward - 4.5 * right), 1.5])[None]
                walker = (kerb + 0.8 * right, 0.0, (0.6, 0.6, 1.7))
                with_van = visible_shares(standing([walker, (van.center, van.heading, van.size)]), eye)
                assert visible_shares(standing([walker]), eye)[0, 0] == 1.0
                hidden += int(with_van[0, 0] < 0.2)
    assert hidden >= 8
    assert not any(place.screens for place in draw_screens(plan, places, 0.0, keyed_generator(0, "vans")))


@pytest.mark.slow
@pytest.mark.parametrize("number", [10, 18, 25, 31, 40, 60, 81, 95, 112, 130])
def test_boxes_stay_on_the_road_and_apart_in_other_towns(number):
    """Corners of moving vehicles leave the drivable area by 0.1 m at most, at any step; no two boxes ever overlap."""
    log = generate_town(f"town-{number:06d}")
    road = union_of(log.road_map.drivable_areas)
    shapely.prepare(road)
    rows, feet, own = wheeled(log), log.tracks.footprints(), ego_footprints(log)
    corners = np.concatenate([feet[rows][log.tracks.valid[rows]].reshape(-1, 2), own.reshape(-1, 2)])
    outside = corners[~shapely.contains_xy(road, corners)]
    assert shapely.distance(road, shapely.points(outside)).max(initial=0.0) < 0.1
    for step in range(0, 201, 4):
        there = log.tracks.valid[:, step]
        shapes = shapely.polygons(np.concatenate([feet[there, step], own[step : step + 1]]))
        first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        assert np.all(first == second), step
