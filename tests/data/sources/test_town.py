"""The town as a source, and its traffic: nobody overlaps, everybody keeps to lanes, signals and physics."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import shapely

from swerve.data.sources.registry import open_source
from swerve.data.sources.town import TownOptions, TownSource, generate_town, town_rig
from swerve.data.sources.town.signals import Phase, Program
from swerve.scenes import LensModel, LightState, LogError, ObjectClass, SwerveError
from swerve.scenes.polyline import interpolate_at
from swerve.scenes.transforms import wrap_angle
from tests.support.town_logs import NUMBERS, ego_centers, ego_footprints, town, towns, wheeled

EGO = -1


def same(first, second) -> bool:
    """Test whether two objects pickle to the same bytes, whatever they share inside."""
    return pickle.dumps(pickle.loads(pickle.dumps(first))) == pickle.dumps(pickle.loads(pickle.dumps(second)))


def overlaps(log, step: int) -> list[tuple[int, int]]:
    """Pairs of tracks (the ego is -1) whose boxes share ground at a step."""
    rows = np.flatnonzero(log.tracks.valid[:, step])
    boxes = shapely.polygons(
        np.concatenate([log.tracks.footprints()[rows, step], ego_footprints(log)[step : step + 1]])
    )
    names = [*rows, EGO]
    pairs = shapely.STRtree(boxes).query(boxes, predicate="intersects").T
    return [(names[a], names[b]) for a, b in pairs if a < b]


def test_the_same_name_gives_the_same_log_and_another_name_another():
    again = generate_town("town-000000")
    first = town(0)
    for part in ("ego", "tracks", "lights", "times_us", "route"):
        assert same(getattr(first, part), getattr(again, part)), part
    for line, other in zip(first.road_map.lanes, again.road_map.lanes, strict=True):
        np.testing.assert_array_equal(line.polygon, other.polygon)
    assert not same(first.ego, town(1).ego)
    assert not same(first.ego, generate_town("town-000000", seed=1).ego)


@pytest.mark.slow
def test_source_names_loads_and_travels():
    source = pickle.loads(pickle.dumps(TownSource(12)))
    assert source.kind == "town"
    assert source.names()[:2] == ("town-000000", "town-000001")
    assert len(source.names()) == 12
    assert same(source.load("town-000000").ego, town(0).ego)  # alone, without those before it
    assert [source.load(name).split for name in ("town-000003", "town-000008", "town-000009")] == [
        "train",
        "val",
        "test",
    ]


@pytest.mark.slow
def test_a_range_of_towns_is_those_of_the_longer_count():
    source = open_source("town:2-3")
    assert source.names() == TownSource(4).names()[2:]
    assert same(source.load("town-000002").ego, TownSource(4).load("town-000002").ego)
    with pytest.raises(LogError, match="It has town-000002 to town-000003"):
        source.load("town-000001")
    with pytest.raises(SwerveError, match="town: -1 logs"):
        open_source("town:3-1")


@pytest.mark.parametrize("name", ["town-000012", "town-12", "village-000001", "town-00000x", "town-٠٠٠٠٠٠"])
def test_source_refuses_other_names(name):
    with pytest.raises(LogError, match="town"):
        TownSource(12).load(name)


def test_source_and_options_refuse_nonsense():
    for count, first in ((0, 0), (1, -1), (2, 999_999)):
        with pytest.raises(SwerveError, match=f"town: {count} logs from number {first}"):
            TownSource(count, first=first)
    with pytest.raises(ValueError, match="seconds"):
        TownOptions(seconds=0.0)
    with pytest.raises(ValueError, match="parked"):
        TownOptions(parked=1.5)


def test_the_ego_does_not_leave_a_town_whose_first_route_ends_at_once():
    """In this town the first route drawn is one street long, and no other turns where it should."""
    log = generate_town("town-000525")
    assert len(log.route) > 1
    assert log.ego.velocity[:, 0].max() > 1.0


def test_options_decide_how_much_there_is():
    empty = generate_town("town-000001", 0, TownOptions(5.0, 0.0, 0.0, 0.0, parked=0.0, occlusions=0.0))
    assert len(empty.times_us) == 51
    assert not np.isin(empty.tracks.classes, [ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE]).any()


def test_logs_have_their_length_and_finite_numbers():
    for log in towns():
        assert log.source == "town"
        assert np.all(np.diff(log.times_us) == 100_000)
        assert len(log.times_us) == len(log.ego) == 201
        for arrays in (vars(log.ego), vars(log.tracks), vars(log.lights)):
            assert all(np.isfinite(a).all() for a in arrays.values() if isinstance(a, np.ndarray))
        kinds = set(log.tracks.classes)
        assert {ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN} <= kinds
    everywhere = {kind for log in towns() for kind in log.tracks.classes}
    assert everywhere == {int(kind) for kind in ObjectClass}


@pytest.mark.parametrize("number", NUMBERS)
def test_nobody_ever_overlaps(number):
    log = town(number)
    for step in range(0, 201, 2):
        assert overlaps(log, step) == [], step


@pytest.mark.parametrize("number", NUMBERS)
def test_only_right_turns_cross_a_stop_line_at_red(number):
    """They halt before: nobody is faster than a rolling stop there."""
    log = town(number)
    for row, step, lane_id in crossings_of_stop_lines(log, {LightState.RED}):
        track = wheeled(log)[row]
        turn = wrap_angle(log.tracks.headings[track, min(step + 60, 200)] - log.tracks.headings[track, step])
        assert turn < -0.3 or step > 170, (row, step, lane_id)
        assert np.linalg.norm(log.tracks.velocities[track, step]) < 4.0


def test_some_turn_right_at_red():
    """The test above would be empty if nobody did."""
    assert sum(len(crossings_of_stop_lines(log, {LightState.RED})) for log in towns()) > 0


def test_vehicles_do_cross_stop_lines_at_green():
    """The test above would be empty if it could not see anybody cross."""
    assert sum(len(crossings_of_stop_lines(log, {LightState.GREEN})) for log in towns()) > 20


def crossings_of_stop_lines(log, states) -> list[tuple[int, int, str]]:
    """(track, step, lane) of front bumpers that pass a stop line while all heads of its lane show one of the states."""
    rows = wheeled(log)
    centers = np.concatenate([log.tracks.positions[rows, :, :2], ego_centers(log)[None]])
    headings = np.concatenate([log.tracks.headings[rows], log.ego.headings[None]])
    lengths = np.append(log.tracks.sizes[rows, 0, 0], log.vehicle.length)
    fronts = centers + lengths[:, None, None] / 2 * np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    found = []
    for lane_id, heads in heads_by_lane(log).items():
        lane = log.road_map.lane_by_id[lane_id]
        ahead = lane.centerline[-1, :2] - lane.centerline[-2, :2]
        ahead /= np.linalg.norm(ahead)
        local = fronts - lane.centerline[-1, :2]
        along, aside = local @ ahead + 0.3, local @ np.array([-ahead[1], ahead[0]])
        there = (np.abs(aside) < 1.6) & (np.abs(along) < 4.0)
        passes = (along[:, :-1] < 0) & (along[:, 1:] >= 0) & there[:, :-1] & there[:, 1:]
        shown = np.isin(log.lights.states[heads], [int(state) for state in states]).all(axis=0)
        found += [(int(row), int(step), lane_id) for row, step in np.argwhere(passes & shown[1:])]
    return found


def heads_by_lane(log) -> dict[str, list[int]]:
    """Rows of the heads whose connectors begin at each lane."""
    heads: dict[str, list[int]] = {}
    for row, name in enumerate(log.lights.lane_ids):
        heads.setdefault(log.road_map.lane_by_id[name].predecessors[0], []).append(row)
    return heads


@pytest.mark.parametrize("number", NUMBERS)
def test_vehicles_keep_to_their_lanes(number):
    log = town(number)
    lines = shapely.union_all([shapely.LineString(lane.centerline[:, :2]) for lane in log.road_map.lanes])
    rows = wheeled(log)
    valid = log.tracks.valid[rows]
    away = shapely.distance(lines, shapely.points(log.tracks.positions[rows][..., :2][valid]))
    cyclists = (log.tracks.classes[rows] == ObjectClass.BICYCLE)[:, None] & np.ones_like(valid)
    assert away[~cyclists[valid]].max() < 2.4  # half a lane in lane changes, more past what stands on a lane
    assert np.mean(away[~cyclists[valid]] > 0.8) < 0.1
    assert away.max() < 2.4  # cyclists ride near the right edge of lanes that all share
    assert shapely.distance(lines, shapely.points(ego_centers(log))).max() < 2.4


@pytest.mark.parametrize("number", NUMBERS)
def test_ego_stays_on_the_road_and_its_route(number):
    log = town(number)
    areas = [
        shapely.Polygon(area.polygon[:, :2], [hole[:, :2] for hole in area.holes])
        for area in log.road_map.drivable_areas
    ]
    road = shapely.union_all(areas, grid_size=1e-6).buffer(0.01)
    assert shapely.contains(road, shapely.polygons(ego_footprints(log))).all()
    groups = [log.road_map.group_by_id[name] for name in log.route]
    assert all(second.id in first.successors for first, second in pairwise(groups))
    ways = shapely.union_all([shapely.Polygon(group.polygon[:, :2]).buffer(0.1) for group in groups])
    assert shapely.contains(ways, shapely.points(log.ego.positions[:, :2])).all()


@pytest.mark.parametrize("number", NUMBERS)
def test_motion_is_that_of_a_car(number):
    """Bounds: 1.45 times the limit, 2 m/s2 forward, 2.4 m/s2 sideways by the path, 0.7 rad/s; no sliding."""
    log = town(number)
    ego = log.ego
    limit = max(lane.speed_limit for lane in log.road_map.lanes)
    assert ego.velocity[:, 0].min() > -0.01
    assert ego.velocity[:, 0].max() <= 1.45 * limit
    assert np.abs(ego.velocity[:, 1]).max() < 0.15  # of the estimate over 0.35 s, at the entry of rings
    assert -7.0 < ego.acceleration[:, 0].min() <= ego.acceleration[:, 0].max() < 2.2
    assert np.abs(ego.acceleration[:, 1]).max() < 3.0
    jumps = np.abs(np.diff(ego.acceleration[:, 0]))
    assert jumps.max() < 2.0  # where somebody steps or cuts in before the car
    assert (jumps > 0.8).mean() < 0.02
    assert np.abs(ego.yaw_rate).max() < 0.7
    assert np.abs(np.diff(ego.yaw_rate)).max() < 0.1


@pytest.mark.parametrize("number", NUMBERS)
def test_others_move_like_vehicles_too(number):
    log = town(number)
    rows = wheeled(log)
    tracks = log.tracks.select_tracks(rows)
    whole = tracks.valid.all(axis=1)
    speed = np.linalg.norm(tracks.velocities[whole], axis=-1)
    assert speed.max() < 1.5 * max(lane.speed_limit for lane in log.road_map.lanes)
    change = np.diff(speed, axis=1) / 0.1
    assert change.max() < 2.5
    assert change.min() > -8.5
    assert np.abs(wrap_angle(np.diff(tracks.headings[whole], axis=1))).max() / 0.1 < 1.2
    # The box's middle lies ahead of the rear axle and so moves at a small angle to the heading, but never across it.
    heading = np.stack([np.cos(tracks.headings[whole]), np.sin(tracks.headings[whole])], axis=-1)
    velocity = tracks.velocities[whole]
    sideways = heading[..., 0] * velocity[..., 1] - heading[..., 1] * velocity[..., 0]
    assert np.abs(sideways).max() < 1.5


@pytest.mark.parametrize("number", NUMBERS)
def test_everybody_stands_on_the_ground(number):
    log = town(number)
    ground = log.road_map.ground
    bottoms = log.tracks.positions[..., 2] - log.tracks.sizes[..., 2] / 2
    np.testing.assert_allclose(bottoms, ground.at(log.tracks.positions[..., :2]), atol=1e-6)
    poses = log.ego.world_from_ego
    np.testing.assert_allclose(poses[:, 2, 3], ground.at(poses[:, :2, 3]), atol=1e-9)
    nose = (poses @ np.array([log.vehicle.wheelbase, 0.0, 0.0, 1.0]))[:, :3]
    np.testing.assert_allclose(nose[:, 2], ground.at(nose[:, :2]), atol=0.01)
    rotation = poses[:, :3, :3]
    identity = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), identity, atol=1e-9)


def test_tracks_are_annotated_within_range():
    for log in towns():
        gaps = np.linalg.norm(log.tracks.positions[..., :2] - ego_centers(log), axis=2)
        assert gaps[log.tracks.valid].max() < 150.0
        assert log.tracks.valid.any(axis=1).all()


def test_parked_cars_stand_in_car_parks():
    for log in towns():
        bays = shapely.union_all([shapely.Polygon(area.polygon[:, :2]) for area in log.road_map.parking_areas]).buffer(
            0.3
        )
        rows = [
            row
            for row, name in enumerate(log.tracks.ids)
            if name.startswith("standing") and log.tracks.classes[row] == ObjectClass.VEHICLE
        ]
        assert rows
        assert shapely.contains(bays, shapely.polygons(log.tracks.footprints()[rows, 0])).all()
        assert np.abs(log.tracks.velocities[rows]).max() == 0.0


def test_pedestrians_walk_on_pavements_and_cross_the_road():
    """Most on crossings, some between junctions: straight over, at a walker's pace."""
    crossed, jaywalked, people = 0, 0, 0
    for log in towns():
        crossings = shapely.union_all([shapely.Polygon(area.polygon[:, :2]) for area in log.road_map.crosswalks])
        pavements = [shapely.Polygon(area.polygon[:, :2]) for area in log.road_map.walkways]
        rows = np.flatnonzero(log.tracks.classes == ObjectClass.PEDESTRIAN)
        places = shapely.points(log.tracks.positions[rows][..., :2])
        allowed = shapely.union_all([crossings, *pavements], grid_size=1e-6).buffer(0.6)
        off = ~shapely.contains(allowed, places)
        road = shapely.union_all([shapely.Polygon(area.polygon[:, :2]) for area in log.road_map.drivable_areas])
        assert shapely.contains(road.buffer(0.6), places[off]).all()
        jaywalked, people = jaywalked + int(off.any(axis=1).sum()), people + len(rows)
        crossed += int(shapely.contains(crossings, places).any(axis=1).sum())
        assert np.linalg.norm(np.diff(log.tracks.positions[rows, :, :2], axis=1), axis=-1).max() < 0.22
    assert crossed > 3
    assert 0 < jaywalked < 0.25 * people


def test_lights_of_conflicting_arms_are_never_open_together():
    program = Program((Phase((0, 2), False, 10.0), Phase((1, 3), False, 8.0)), 4.0)
    seconds = np.arange(600) * 0.1
    first, then = program.states(0, seconds), program.states(1, seconds)
    assert not ((first != LightState.RED) & (then != LightState.RED)).any()
    assert program.cycle == 28.0
    runs = "".join(str(state) for state in first[: int(program.cycle * 10)])
    # Zero seconds are 4 s into the green: 6 s green, 3 s yellow, 15 s red, and again 4 s green.
    assert runs == "3" * 60 + "2" * 30 + "1" * 150 + "3" * 40


def test_heads_face_the_traffic_they_rule():
    states = set()
    for log in towns():
        for row, name in enumerate(log.lights.lane_ids):
            lane = log.road_map.lane_by_id[name]
            step = lane.centerline[1, :2] - lane.centerline[0, :2]
            assert abs(wrap_angle(np.arctan2(*step[::-1]) - log.lights.headings[row] - np.pi)) < 0.1
            height = log.lights.positions[row, 2] - log.road_map.ground.at(log.lights.positions[row : row + 1, :2])[0]
            assert 2.0 < height < 6.0
        states |= set(np.unique(log.lights.states))
    assert states == {int(state) for state in LightState}


def test_ego_gets_somewhere_and_turns_in_many_towns():
    ways = [np.linalg.norm(np.diff(log.ego.positions[:, :2], axis=0), axis=1).sum() for log in towns()]
    assert min(ways) > 20.0
    assert np.mean(ways) > 80.0
    turned = [np.ptp(np.unwrap(log.ego.headings)) > np.deg2rad(45.0) for log in towns()]
    assert sum(turned) >= len(turned) / 2
    for log in towns():
        lanes = [log.road_map.lane_by_id[log.road_map.group_by_id[name].lane_ids[0]] for name in log.route]
        planned = sum(np.linalg.norm(np.diff(lane.centerline[:, :2], axis=0), axis=1).sum() for lane in lanes)
        assert planned > 120.0


def test_rig_sees_all_round_and_its_lenses_are_one_to_one():
    rig = town_rig()
    assert {camera.lens.model for camera in rig} == {LensModel.BROWN, LensModel.FISHEYE}
    angle = np.deg2rad(np.arange(0.0, 360.0, 0.5))
    ring = np.stack([40 * np.cos(angle), 40 * np.sin(angle), np.full(len(angle), 1.5)], axis=1)
    seen = np.array([camera.project_world(ring, np.eye(4))[2] for camera in rig])
    assert seen.any(axis=0).all()
    for camera in rig:
        assert 1.5 <= camera.ego_from_camera[2, 3] <= 1.8
        rim = np.array([[0.5, 0.5], [1919.5, 0.5], [0.5, 1119.5], [1919.5, 1119.5], [960.0, 560.0]])
        rays = camera.unproject(rim)
        assert np.isfinite(rays).all()
        np.testing.assert_allclose(camera.project(rays)[0], rim, atol=1e-3)


def test_streets_curve():
    bends = []
    for log in towns():
        for lane in log.road_map.lanes:
            if not lane.is_connector:
                line = lane.centerline[:, :2]
                chord = interpolate_at(
                    np.stack([line[0], line[-1]]), np.linspace(0, np.linalg.norm(line[-1] - line[0]), 9)
                )
                bends.append(shapely.LineString(line).hausdorff_distance(shapely.LineString(chord)))
    assert np.median(bends) > 0.5
    assert max(bends) < 12.0
