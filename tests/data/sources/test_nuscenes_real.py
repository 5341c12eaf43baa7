"""The reader on the real scene of the test data, against records of it that others have packaged."""

import numpy as np
import pytest

from swerve.data.sources.registry import open_source
from swerve.scenes.primitives import Semantic, build_static
from swerve.scenes.transforms import wrap_angle
from tests.support.nuscenes_log import key_frame, nuscenes_log
from tests.support.nuscenes_real import NAME, write_real_nuscenes
from tests.support.nuscenes_tables import token


@pytest.fixture(scope="module")
def folder(test_data):
    return test_data / "nuscenes"


@pytest.fixture(scope="module")
def log(folder, tmp_path_factory):
    return open_source(f"nuscenes:{write_real_nuscenes(folder, tmp_path_factory.mktemp('real'))}").load(NAME)


@pytest.fixture(scope="module")
def other(folder):
    """The same scene by the tests' reader of ScenarioNet's record."""
    return nuscenes_log(folder)


def test_the_ego_is_scenarionets(log, other):
    np.testing.assert_array_equal(log.times_us, other.times_us)
    # At the key frame it is mmdet3d's record, 0.16 m from ScenarioNet's.
    np.testing.assert_allclose(log.ego.world_from_ego[1:], other.ego.world_from_ego[1:], atol=1e-9)


def test_boxes_between_key_frames_are_scenarionets(log, other):
    """Four of five steps are interpolated by this reader here, and by ScenarioNet there."""
    ours = {name: row for row, name in enumerate(log.tracks.ids)}
    off, turned, counted = [], [], 0
    for row, name in enumerate(other.tracks.ids):
        own = ours.get(token(NAME, name))
        if own is None:
            continue
        both = log.tracks.valid[own] & other.tracks.valid[row]
        counted += int(both.sum())
        off += np.linalg.norm((log.tracks.positions[own] - other.tracks.positions[row])[both], axis=1).tolist()
        turned += np.abs(wrap_angle(log.tracks.headings[own] - other.tracks.headings[row]))[both].tolist()
        np.testing.assert_array_equal(log.tracks.classes[own], other.tracks.classes[row])
    assert counted > 0.9 * other.tracks.valid.sum()
    assert np.median(off) < 1e-3
    assert np.percentile(off, 95) < 0.02
    assert np.percentile(turned, 95) < 0.01


def test_box_centres_project_where_the_data_set_says(folder, log):
    cameras = {camera.name: camera for camera in log.cameras}
    off = []
    for photo in log.photos:
        wanted = np.array([box["center_2d"] for box in key_frame(folder)["cam_instances"][photo.camera]]) + 0.5
        points = log.tracks.positions[log.tracks.valid[:, 0], 0]
        pixels, _, _ = cameras[photo.camera].project_world(points, photo.world_from_ego)
        off += np.nanmin(np.linalg.norm(wanted[:, None] - pixels[None], axis=2), axis=1).tolist()
    assert len(off) > 60
    assert np.median(off) < 0.05
    assert np.percentile(off, 95) < 0.2


def test_the_sweep_lies_on_the_ground_and_in_the_boxes(log):
    """The road around the car is at height zero of the ego frame, and returns fill the boxes of near vehicles."""
    (sweep,) = log.sweeps
    points = sweep.read().astype(np.float64)
    near = points[(np.abs(points[:, 1]) < 3) & (np.abs(points[:, 0]) < 10) & (np.abs(points[:, 2]) < 0.4)]
    assert abs(np.median(near[:, 2])) < 0.05
    world = points @ sweep.world_from_ego[:3, :3].T + sweep.world_from_ego[:3, 3]
    tracks, filled = log.tracks, []
    for row in np.flatnonzero(tracks.valid[:, 0] & (tracks.classes == 1)):
        apart = world - tracks.positions[row, 0]
        if np.linalg.norm(tracks.positions[row, 0] - sweep.world_from_ego[:3, 3]) < 30:
            cos, sin = np.cos(tracks.headings[row, 0]), np.sin(tracks.headings[row, 0])
            own = np.column_stack(
                [apart[:, 0] * cos + apart[:, 1] * sin, apart[:, 1] * cos - apart[:, 0] * sin, apart[:, 2]]
            )
            filled.append(int((np.abs(own) < tracks.sizes[row, 0] / 2 + 0.1).all(axis=1).sum()))
    assert len(filled) >= 2
    assert min(filled) > 20


def test_the_map_is_drivable(log, other):
    """The ego's path lies in the drivable area and on the route, and the map becomes primitives."""
    import shapely

    surface = shapely.union_all([shapely.Polygon(area.polygon[:, :2]) for area in log.road_map.drivable_areas])
    assert shapely.contains_xy(surface, log.ego.positions[:, :2]).mean() > 0.99
    assert len(log.route) > 3
    kinds = set(build_static(log.road_map).semantics.tolist())
    assert {int(Semantic.ROAD), int(Semantic.LINE_WHITE), int(Semantic.ROAD_EDGE)} <= kinds
    lanes = {lane.id: lane for lane in log.road_map.lanes}
    compared = [lane for lane in other.road_map.lanes if lane.id in lanes]
    assert len(compared) > 100
    for lane in compared:
        assert (
            shapely.LineString(lanes[lane.id].centerline).hausdorff_distance(shapely.LineString(lane.centerline)) < 0.01
        )
