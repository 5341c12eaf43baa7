"""The Argoverse 2 reader on real logs, and on made-up ones, against values found on another way."""

import pickle
import shutil
from itertools import pairwise

import numpy as np
import pyarrow.feather as feather
import pytest
import shapely
from scipy.spatial.transform import Rotation

from swerve.data.sources.av2.av2_source import av2_source, read_log
from swerve.data.sources.av2.av2_tables import read_cameras
from swerve.scenes import LaneMarking, LaneType, LensModel, LogError, ObjectClass
from swerve.scenes.transforms import inverse, transform_points
from tests.support.av2_log import (
    AXLE,
    BOXES,
    POSES,
    START,
    SWEEP,
    later,
    rewrite,
    write_av2_log,
    write_sweep,
)

PITTSBURGH, MIAMI = "adcf7d18-0510-35b0-a2fa-b4cea13a6d76", "3b3570b4-7b0b-3268-a571-b0889dbf40b6"


@pytest.fixture(scope="module")
def pittsburgh(test_data):
    return read_log(test_data / "av2" / PITTSBURGH)


@pytest.fixture(scope="module")
def miami(test_data):
    return read_log(test_data / "av2" / MIAMI)


def test_the_real_logs_hold_what_their_tables_hold(pittsburgh, miami):
    assert (len(pittsburgh.times_us), len(pittsburgh.tracks), pittsburgh.tracks.valid.sum()) == (156, 146, 12078)
    assert (len(miami.times_us), len(miami.tracks), miami.tracks.valid.sum()) == (157, 119, 13820 - 157)
    assert (len(pittsburgh.road_map.lanes), len(pittsburgh.road_map.crosswalks)) == (199, 11)
    kinds = [lane.kind for lane in pittsburgh.road_map.lanes]
    assert (kinds.count(LaneType.BICYCLE), kinds.count(LaneType.BUS)) == (19, 14)
    assert sum(lane.is_connector for lane in miami.road_map.lanes) == 48
    assert np.bincount(pittsburgh.tracks.classes, minlength=7)[ObjectClass.SIGN] > 0


@pytest.mark.parametrize("row", [0, 4321, 12077])
def test_a_cuboid_corner_lies_where_its_own_sweep_puts_it(test_data, pittsburgh, row):
    """The city frame by quaternion products alone, with the pose of the very timestamp (no interpolation)."""
    folder = test_data / "av2" / PITTSBURGH
    box = feather.read_table(folder / "annotations.feather").slice(row, 1).to_pylist()[0]
    poses = feather.read_table(folder / "city_SE3_egovehicle.feather").to_pylist()
    pose = next(pose for pose in poses if pose["timestamp_ns"] == box["timestamp_ns"])
    corner = np.array([box["length_m"], box["width_m"], box["height_m"]]) / 2
    for frame in (box, pose):
        turn = Rotation.from_quat([frame["qx"], frame["qy"], frame["qz"], frame["qw"]])
        corner = turn.apply(corner) + np.array([frame["tx_m"], frame["ty_m"], frame["tz_m"]])
    track = pittsburgh.tracks.ids.index(box["track_uuid"])
    step = int(np.flatnonzero(pittsburgh.times_us == box["timestamp_ns"] // 1000)[0])
    upright_corner = pittsburgh.tracks.footprints()[track, step, 0]
    np.testing.assert_allclose(upright_corner + pittsburgh.origin[:2], corner[:2], atol=0.03)  # roll and pitch are lost
    speed = np.linalg.norm(pittsburgh.tracks.velocities[track, step])
    assert speed < 40


def test_the_vehicle_is_the_annotated_one(miami):
    np.testing.assert_allclose(miami.vehicle.size, [4.877, 2.0, 1.473])


@pytest.mark.parametrize("name", ["pittsburgh", "miami"])
def test_everything_stands_on_the_ground(name, request):
    """Boxes of vehicles, the ego, lanes: all against the ground raster."""
    log = request.getfixturevalue(name)
    ground, tracks = log.road_map.ground, log.tracks
    bottoms = tracks.positions[..., 2] - tracks.sizes[..., 2] / 2 - ground.at(tracks.positions[..., :2])
    gaps = np.abs(bottoms[tracks.valid & (tracks.classes == ObjectClass.VEHICLE)[:, None]])
    assert np.median(gaps) < 0.01
    assert np.percentile(gaps, 75) < 0.05
    ego = log.ego.positions
    assert np.abs(ego[:, 2] - ground.at(ego[:, :2])).max() < 0.1
    borders = np.concatenate([lane.polygon for lane in log.road_map.lanes])
    residual = np.abs(borders[:, 2] - ground.at(borders[:, :2]))
    assert np.median(residual) < 0.03
    assert np.percentile(residual, 75) < 0.05


def test_the_ego_moves_as_its_poses_do(miami):
    """Speed from positions 1 s apart agrees with the differences at 10 Hz; the car drives forward."""
    forward = miami.ego.velocity[5:-5, 0]
    along = np.linalg.norm(miami.ego.positions[10:] - miami.ego.positions[:-10], axis=1)
    seconds = (miami.times_us[10:] - miami.times_us[:-10]) * 1e-6
    np.testing.assert_allclose(forward, along / seconds, atol=0.5)
    assert np.abs(miami.ego.velocity[:, 1]).max() < 0.5


@pytest.mark.parametrize("name", ["pittsburgh", "miami"])
def test_each_painted_line_is_there_once(name, request):
    """Every painted boundary is near a line; no line runs within 0.3 m of another for more than a metre."""
    lanes, lines = request.getfixturevalue(name).road_map.lanes, request.getfixturevalue(name).road_map.road_lines
    shapes = [shapely.LineString(line.points[:, :2]) for line in lines]
    every = shapely.union_all(shapes)
    for lane in lanes:
        for points, paint in ((lane.left_boundary, lane.left_marking), (lane.right_boundary, lane.right_marking)):
            if paint is not LaneMarking.NONE:
                bare = shapely.LineString(points[:, :2]).difference(every.buffer(0.6)).length
                assert bare < 1.0
    tree = shapely.STRtree(shapes)
    for first, second in tree.query(shapes, "dwithin", 0.3).T:
        if first < second:
            shared = shapes[first].intersection(shapes[second].buffer(0.3))
            assert shared.length < 1.2, (lines[first].id, lines[second].id)


def test_neighbours_are_of_the_same_direction(pittsburgh):
    lanes = pittsburgh.road_map.lane_by_id
    chords = {key: lane.centerline[-1, :2] - lane.centerline[0, :2] for key, lane in lanes.items()}
    pairs = [
        (lane.id, other) for lane in lanes.values() for other in (lane.left_neighbor, lane.right_neighbor) if other
    ]
    assert len(pairs) > 50
    assert all(chords[one] @ chords[other] > 0 for one, other in pairs)
    assert all(other in lanes for lane in lanes.values() for other in (*lane.successors, *lane.predecessors))


@pytest.mark.parametrize("name", ["pittsburgh", "miami"])
def test_the_route_holds_the_driven_path(name, request):
    log = request.getfixturevalue(name)
    groups = [log.road_map.group_by_id[key] for key in log.route]
    assert len(groups) >= 3
    surface = shapely.union_all([shapely.Polygon(group.polygon[:, :2]).buffer(0.2) for group in groups])
    assert shapely.contains_xy(surface, log.ego.positions[:, :2]).mean() > 0.99
    assert all(after.id in before.successors for before, after in pairwise(groups))


def test_the_calibration_looks_where_its_names_say(test_data):
    cameras = {camera.name: camera for camera in read_cameras(test_data / "av2" / "calibration")}
    assert len(cameras) == 9
    front, rear = cameras["ring_front_center"], cameras["ring_rear_left"]
    assert (front.width, front.height, front.lens.model) == (1550, 2048, LensModel.PINHOLE)
    assert front.ego_from_camera[0, 2] > 0.999
    assert rear.ego_from_camera[0, 2] < -0.8
    assert rear.ego_from_camera[1, 2] > 0


def points_of(log):
    """Its only sweep's points in the world."""
    (sweep,) = log.sweeps
    return transform_points(sweep.world_from_ego, sweep.read().astype(np.float64))


def test_the_real_sweep_lies_on_the_ground(pittsburgh, miami):
    """Against the map's: of what is on the road within 30 m nothing lies under it, and all that is low lies on it."""
    (sweep,) = pittsburgh.sweeps
    assert sweep.time_us == pittsburgh.times_us[0]
    np.testing.assert_allclose(sweep.world_from_ego, pittsburgh.ego.world_from_ego[0], atol=1e-9)
    assert (sweep.read().dtype, sweep.read().shape) == (np.float32, (100660, 3))
    points = points_of(pittsburgh)
    road = shapely.union_all([shapely.Polygon(area.polygon[:, :2]) for area in pittsburgh.road_map.drivable_areas])
    near = np.linalg.norm(points[:, :2] - sweep.world_from_ego[:2, 3], axis=1) < 30
    points = points[near & shapely.contains_xy(road, points[:, :2])]
    above = points[:, 2] - pittsburgh.road_map.ground.at(points[:, :2])
    assert (above < -0.15).mean() < 1e-3
    assert (above < 0.3).sum() > 10_000
    assert abs(np.median(above[above < 0.3])) < 0.05
    assert miami.sweeps == ()


def test_the_real_sweep_fills_the_boxes(pittsburgh):
    """The table says how many points are inside each box: ours are as many, but for the boxes' lost tilt."""
    tracks, points = pittsburgh.tracks, points_of(pittsburgh)
    (path,) = (sweep.file.parents[2] / BOXES for sweep in pittsburgh.sweeps)
    rows = [
        row for row in feather.read_table(path).to_pylist() if row["timestamp_ns"] // 1000 == pittsburgh.times_us[0]
    ]
    ours = []
    for row in rows:
        track = tracks.ids.index(row["track_uuid"])
        away = points - tracks.positions[track, 0]
        c, s = np.cos(tracks.headings[track, 0]), np.sin(tracks.headings[track, 0])
        ahead, left = away[:, :2] @ [c, s], away[:, :2] @ [-s, c]
        inside = np.abs(np.stack([ahead, left, away[:, 2]], axis=1)) <= tracks.sizes[track, 0] / 2
        ours.append(inside.all(axis=1).sum())
    theirs = np.array([row["num_interior_pts"] for row in rows])
    many = theirs > 50
    assert many.sum() > 15
    np.testing.assert_allclose(np.array(ours)[many], theirs[many], rtol=0.1)


# Made-up logs


def test_a_made_up_log_comes_out_as_it_was_made(tmp_path):
    write_av2_log(tmp_path / "val" / "abc", with_calibration=True)
    log = av2_source(tmp_path / "val").load("abc")
    assert (log.name, log.split, log.origin) == ("abc", "val", (1000.0, 2000.0, 0.0))
    assert log.times_us.tolist() == [START // 1000 + step * 100_000 for step in range(3)]
    np.testing.assert_allclose(log.ego.positions, [[x, 0, 0.02 * x] for x in (0, 1, 2)], atol=2e-3)
    np.testing.assert_allclose(log.ego.velocity, [[10, 0]] * 3, atol=1e-6)
    np.testing.assert_allclose(log.tracks.velocities[0, :, 0], [0.0, 10.0, 10.0], atol=1e-6)
    np.testing.assert_allclose(log.tracks.velocities[1, :, 0], 0.0, atol=1e-6)
    assert log.vehicle.length == 4.877
    camera = log.cameras[0]
    assert camera.ego_from_camera[2, 3] == pytest.approx(1.4 + AXLE, abs=2e-3)
    assert (camera.cx, camera.fy) == (774.5, 1701.0)


def test_the_made_up_map_is_read_right(tmp_path):
    road_map = read_log(write_av2_log(tmp_path / "abc")).road_map
    first, second, third, connector = road_map.lanes
    np.testing.assert_allclose(first.centerline[[0, -1], :2], [[-20, 3.5], [60, 3.5]])
    assert (first.left_neighbor, first.right_neighbor, second.left_neighbor) == (None, "2", "1")
    assert third.left_neighbor is None
    assert second.successors == ("4",)
    assert connector.is_connector
    assert [
        (line.paint, len(line.points)) for line in sorted(road_map.road_lines, key=lambda line: line.paint.name)
    ] == [
        (LaneMarking.DASHED_WHITE, 2),
        (LaneMarking.DOUBLE_SOLID_YELLOW, 5),
        (LaneMarking.SOLID_WHITE, 2),
    ]
    assert [set(group.lane_ids) for group in road_map.lane_groups] == [{"1", "2"}, {"3"}, {"4"}]
    assert shapely.Polygon(road_map.crosswalks[0].polygon[:, :2]).area == pytest.approx(10.5)
    assert len(road_map.road_edges) == 1
    np.testing.assert_allclose(np.ptp(road_map.road_edges[0].points[:, :2], axis=0), [100, 10.5], atol=0.05)


def test_j10_photos_carry_the_pose_of_their_own_time(tmp_path):
    """The original drew rasters from the lidar sweep's pose beside photographs exposed up to 50 ms off it."""
    photo = read_log(write_av2_log(tmp_path / "abc", with_calibration=True)).photos[0]
    assert photo.time_us == START // 1000 + 50_000
    np.testing.assert_allclose(photo.world_from_ego[:3, 3], [0.5, 0.0, 0.01], atol=2e-3)
    assert photo.read().startswith(b"\xff\xd8")


def test_a_sweep_is_read_when_it_is_asked_for(tmp_path):
    folder = write_av2_log(tmp_path / "abc")
    assert read_log(folder).sweeps == ()
    later_one = write_sweep(folder, START + SWEEP, [[5.0, -1.0, 0.5]])
    write_sweep(folder, START + SWEEP // 2, [[5.0, -1.0, -AXLE], [-2.0, 0.0, 1.0]])
    for time in (START - SWEEP, START + 10**10, 10**30):
        write_sweep(folder, time, [[0.0, 0.0, 0.0]])
    later_one.write_bytes(b"nonsense")
    log = read_log(folder)
    first, second = log.sweeps
    assert (first.time_us, second.time_us) == (START // 1000 + 50_000, START // 1000 + 100_000)
    np.testing.assert_allclose(first.world_from_ego[:3, 3], [0.5, 0.0, 0.01], atol=2e-3)
    np.testing.assert_allclose(first.read(), [[5.0, -1.0, 0.0], [-2.0, 0.0, 1.0 + AXLE]], atol=2e-3)
    assert pickle.loads(pickle.dumps(first)).read().tolist() == first.read().tolist()
    with pytest.raises(LogError, match=rf"{START + SWEEP}.feather: file: is not a Feather table"):
        second.read()


def test_without_a_map_the_rest_is_still_there(tmp_path):
    log = read_log(write_av2_log(tmp_path / "abc", with_map=False))
    assert log.road_map is None
    assert log.route == ()
    assert [camera.name for camera in log.cameras][:2] == ["front", "front_left"]
    np.testing.assert_allclose(log.ego.positions[0, 2], AXLE - 0.33, atol=1e-6)


def test_sweeps_that_hold_the_recording_vehicle_alone_are_steps_too(tmp_path):
    """Nobody else at all, or in some sweeps only: the log is as long as its annotated sweeps."""
    for name, alone in (("alone", {0, 1, 2}), ("first", {0})):
        folder = write_av2_log(tmp_path / name)
        own = {"track_uuid": "ego", "category": "EGO_VEHICLE", "length_m": 4.9, "width_m": 2.0, "height_m": 1.5}
        rewrite(folder / BOXES, lambda rows, alone=alone, own=own: [
            row | own if at % 2 else row for at, row in enumerate(rows) if at % 2 or at // 2 not in alone
        ])  # fmt: skip
        log = read_log(folder)
        assert (len(log.times_us), log.tracks.valid.sum()) == (3, 3 - len(alone))
        assert log.vehicle.length == 4.9


def test_photos_in_a_hole_of_the_poses_are_left_out(tmp_path):
    folder = write_av2_log(tmp_path / "abc", with_calibration=True)
    later(folder / POSES, 3 * 10**9, 22)
    (folder / "sensors/cameras/ring_front_center" / f"{START + 10**9}.jpg").touch()
    (folder / "sensors/cameras/ring_front_center" / f"{10**30}.jpg").touch()
    assert [photo.time_us for photo in read_log(folder).photos] == [START // 1000 + 50_000]


def test_a_source_finds_logs_in_split_folders(tmp_path):
    write_av2_log(tmp_path / "train" / "one")
    write_av2_log(tmp_path / "val" / "two", with_map=False)
    shutil.copytree(tmp_path / "val" / "two", tmp_path / "val" / "three")
    source = av2_source(tmp_path)
    assert source.names() == ("one", "three", "two")
    assert [source.load(name).split for name in source.names()] == ["train", "val", "val"]
    assert av2_source(tmp_path / "val" / "two").names() == ("two",)
    with pytest.raises(LogError, match="four"):
        source.load("four")


def test_boxes_seen_from_the_ego_are_those_annotated(test_data, pittsburgh):
    """Back in the data set's ego frame the boxes' centres are the table's numbers."""
    rows = feather.read_table(test_data / "av2" / PITTSBURGH / "annotations.feather").to_pylist()[::500]
    lifted = inverse(pittsburgh.ego.world_from_ego)
    heights = []
    for row in rows:
        step = int(np.searchsorted(pittsburgh.times_us, row["timestamp_ns"] // 1000))
        track = pittsburgh.tracks.ids.index(row["track_uuid"])
        seen = transform_points(lifted[step], pittsburgh.tracks.positions[track, step][None])[0]
        np.testing.assert_allclose(seen[:2], [row["tx_m"], row["ty_m"]], atol=1e-6)
        heights.append(seen[2] - row["tz_m"])
    assert np.ptp(heights) < 1e-6
    assert 0.25 < heights[0] < 0.40
