"""py123d as the oracle: its log of Argoverse 2 equals ours, and it opens what we export.

Needs an interpreter with py123d, which `SWERVE_PY123D` names (its pins differ from the project's), or py123d itself.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.feather as feather
import pytest
import shapely
from PIL import Image

from swerve.data.export_py123d.write_log import write_123d_log
from swerve.data.sources.registry import open_source
from swerve.scenes.road_map import union_of
from swerve.scenes.transforms import inverse, transform_points
from tests.support import py123d_child
from tests.support.source_rows import ROWS

LOG = "adcf7d18-0510-35b0-a2fa-b4cea13a6d76"
pytestmark = pytest.mark.slow


def py123d(*arguments):
    """Run py123d in its interpreter; skip the test where there is none."""
    named = os.environ.get("SWERVE_PY123D", "")
    if not named and importlib.util.find_spec("py123d") is None:
        pytest.skip("no py123d: set SWERVE_PY123D to a Python that has it (pip install py123d==0.7.0)")
    command = [named or sys.executable, py123d_child.__file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def logs(test_data, tmp_path_factory):
    """Our log of Argoverse 2, with calibration and images of its times, and our reading of py123d's log of it."""
    folder = tmp_path_factory.mktemp("py123d")
    own = folder / "av2" / "train" / LOG
    shutil.copytree(test_data / "av2" / LOG, own)
    shutil.copytree(test_data / "av2" / "calibration", own / "calibration")
    poses = feather.read_table(own / "city_SE3_egovehicle.feather")["timestamp_ns"].to_pylist()
    for camera in ("ring_front_center", "ring_side_left"):
        (own / "sensors" / "cameras" / camera).mkdir(parents=True)
        for time in poses[100:103]:
            Image.new("RGB", (64, 48), (time % 255, 90, 30)).save(own / "sensors" / "cameras" / camera / f"{time}.jpg")
    py123d("make", folder / "av2", folder / "root")
    return open_source(f"av2:{folder / 'av2'}").load(LOG), open_source(f"123d:{folder / 'root'}").load(LOG)


def test_ego_and_tracks_equal(logs):
    """But for the ego's height: 123D has no raster of the ground, above which our reader finds the axle.

    py123d 0.7 passes times of poses through float64, so that some are 1 us early: 8 um at 8 m/s.
    """
    own, other = logs
    np.testing.assert_array_equal(own.times_us, other.times_us)
    assert (own.origin, own.split, own.route != ()) == (other.origin, other.split, other.route != ())
    off = own.ego.world_from_ego @ inverse(other.ego.world_from_ego)
    np.testing.assert_allclose(own.ego.headings, other.ego.headings, atol=1e-7)
    np.testing.assert_allclose(off[:, :3, :3], np.tile(np.eye(3), (len(off), 1, 1)), atol=1e-6)
    relative = inverse(own.ego.world_from_ego) @ other.ego.world_from_ego
    np.testing.assert_allclose(relative[:, :2, 3], 0.0, atol=1e-5)
    assert np.ptp(relative[:, 2, 3]) < 1e-5
    assert abs(relative[0, 2, 3]) < 0.05
    assert own.tracks.ids == other.tracks.ids
    np.testing.assert_array_equal(own.tracks.classes, other.tracks.classes)
    np.testing.assert_array_equal(own.tracks.valid, other.tracks.valid)
    for name in ("positions", "headings", "sizes", "velocities"):
        valid = own.tracks.valid
        np.testing.assert_allclose(getattr(own.tracks, name)[valid], getattr(other.tracks, name)[valid], atol=1e-9)


def test_lanes_and_surfaces_equal(logs):
    own, other = (log.road_map for log in logs)
    assert set(own.lane_by_id) == set(other.lane_by_id)
    for lane in own.lanes:
        same = other.lane_by_id[lane.id]
        for name in ("left_boundary", "right_boundary", "polygon"):
            np.testing.assert_allclose(getattr(lane, name), getattr(same, name), atol=1e-9)
        for name in ("kind", "is_connector", "predecessors", "successors", "left_neighbor", "right_neighbor"):
            assert getattr(lane, name) == getattr(same, name)
        # The means of the boundaries, sampled each 0.1 m there and each 2 m here.
        lines = [shapely.LineString(one.centerline[:, :2]) for one in (lane, same)]
        assert shapely.hausdorff_distance(*lines) < 0.15
    assert union_of(own.drivable_areas).symmetric_difference(union_of(other.drivable_areas)).area < 0.1
    for areas in zip(*(sorted(one.crosswalks, key=lambda area: area.id) for one in (own, other)), strict=True):
        np.testing.assert_allclose(areas[0].polygon, areas[1].polygon, atol=1e-9)


def test_cameras_images_and_points_equal(logs):
    own, other = logs
    cameras = {camera.name: camera for camera in own.cameras}
    assert [camera.name for camera in other.cameras] == ["ring_front_center", "ring_side_left"]
    for camera in other.cameras:
        same = cameras[camera.name]
        for name in ("fx", "fy", "cx", "cy", "width", "height", "lens"):
            assert getattr(camera, name) == getattr(same, name)
        np.testing.assert_allclose(camera.ego_from_camera[:3, :3], same.ego_from_camera[:3, :3], atol=1e-9)
        np.testing.assert_allclose(camera.ego_from_camera[:2, 3], same.ego_from_camera[:2, 3], atol=1e-9)
    photos = [sorted(log.photos, key=lambda photo: (photo.camera, photo.time_us)) for log in logs]
    assert len(photos[0]) == 6
    for photo, same in zip(*photos, strict=True):
        assert (photo.camera, photo.time_us, photo.read()) == (same.camera, same.time_us, same.read())
        mounts = [next(camera for camera in log.cameras if camera.name == photo.camera) for log in logs]
        eyes = [one.world_from_ego @ mount.ego_from_camera for one, mount in zip((photo, same), mounts, strict=True)]
        np.testing.assert_allclose(eyes[0], eyes[1], atol=1e-6)
    points = [transform_points(log.sweeps[0].world_from_ego, log.sweeps[0].read().astype(float)) for log in logs]
    np.testing.assert_allclose(points[0], points[1], atol=1e-5)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Our logs of the small nuPlan and DGP examples, and what py123d sees of their exports."""
    folder = tmp_path_factory.mktemp("export")
    found = {}
    for row in ROWS:
        if row.kind in ("nuplan", "dgp"):
            source = open_source(row.write(folder / row.kind))
            found[row.kind] = source.load(source.names()[0])
            write_123d_log(folder / "out", found[row.kind])
    printed = py123d("open", folder / "out")
    seen = json.loads(printed[printed.index("JSON") + 4 :])
    return {kind: (log, seen[log.name]) for kind, log in found.items()}


@pytest.mark.parametrize("kind", ["nuplan", "dgp"])
def test_py123d_opens_what_we_export(export, kind):
    log, seen = export[kind]
    assert seen["times_us"] == log.times_us.tolist()
    for step, found in ((int(step), found) for step, found in seen["steps"].items()):
        np.testing.assert_allclose(found["rear_axle"][:3], log.ego.positions[step] + log.origin, atol=1e-6)
        np.testing.assert_allclose(found["velocity"][:2], log.ego.velocity[step], atol=1e-9)
        rows = np.flatnonzero(log.tracks.valid[:, step])
        assert set(found["boxes"]) == {log.tracks.ids[row] for row in rows}
        for row in rows:
            box = found["boxes"][log.tracks.ids[row]]
            np.testing.assert_allclose(box[:3], log.tracks.positions[row, step] + log.origin, atol=1e-6)
            np.testing.assert_allclose(2 * np.arctan2(box[6], box[3]), log.tracks.headings[row, step], atol=1e-6)
            np.testing.assert_allclose(box[7:10], log.tracks.sizes[row, step])
            assert box[10] == "VEHICLE"
        for name, (shape, _) in found["images"].items():
            (camera,) = (camera for camera in log.cameras if camera.name == name)
            assert shape == [camera.height, camera.width, 3]
    first = seen["steps"]["0"]
    assert set(first["images"]) == {photo.camera for photo in log.photos}
    points = log.sweeps[0].read()
    assert first["points"][0] == len(points)
    np.testing.assert_allclose(first["points"][1], points.mean(axis=0), atol=1e-4)


def test_py123d_reads_our_map_and_lights(export):
    log, seen = export["nuplan"]
    assert export["dgp"][1]["map"] is None
    layers, lanes = seen["map"]["layers"], seen["map"]["lanes"]
    assert layers["LANE_GROUP"] == len(log.road_map.lane_groups)
    assert layers["CROSSWALK"] == len(log.road_map.crosswalks)
    for lane in log.road_map.lanes:
        length, successors, group = lanes[lane.id]
        assert length == pytest.approx(shapely.LineString(lane.centerline).length, abs=0.1)
        assert {str(other) for other in successors} == set(lane.successors)
        assert str(group) == lane.group_id
    assert seen["steps"]["0"]["lights"] == {"21": "RED"}
