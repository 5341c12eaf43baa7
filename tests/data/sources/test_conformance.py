"""Every source keeps one contract: frames, units, order of time, boxes in photos, tracks, splits, laziness, damage.

`tests.support.source_rows` has a row per source that declares what it has; what it does not declare, it must not have.
"""

import importlib.util
import pickle
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from PIL import Image

from swerve.data.jobs.source_records import file_state
from swerve.data.sources.registry import open_source
from swerve.data.sources.source import HOLDINGS as HOLDINGS_OF_JOBS
from swerve.data.sources.source import FileSource, PartialSource, RigSource, Source, require_scenes
from swerve.data.splats.log_images import read_photo
from swerve.scenes import Log, LogError, ObjectClass, SwerveError
from swerve.scenes.transforms import inverse, transform_points, wrap_angle
from tests.support.rooms import ROOT
from tests.support.source_rows import HOLDINGS, REAL_ROWS, ROWS, SourceRow, sources_table

_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
# Boxes nearer than this are looked for in photos and point clouds, metres.
_NEAR = 40.0


@dataclass(frozen=True)
class Example:
    """A row, what opens its example, and the log in it."""

    row: SourceRow
    text: str
    source: Source
    log: Log


@pytest.fixture(scope="module", params=[*ROWS, *REAL_ROWS], ids=lambda row: row.name)
def example(request, tmp_path_factory):
    row = request.param
    if row in REAL_ROWS:
        need(row)
        return opened(row, row.write(request.getfixturevalue("test_data")))
    return written(row, tmp_path_factory.mktemp(row.name))


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def row(request):
    need(request.param)
    return request.param


def need(row):
    if row.needs and importlib.util.find_spec(row.needs) is None:
        pytest.skip(f"{row.name} needs the package {row.needs}")


def opened(row, text):
    source = open_source(text)
    return Example(row, text, source, source.load(source.names()[0]))


def written(row, folder):
    need(row)
    return opened(row, row.write(folder / "data"))


# -- what there is


def test_a_log_has_what_its_row_declares_and_nothing_else(example):
    log = example.log
    holds = {
        "poses": not getattr(example.source, "lacking", ""),
        "boxes": len(log.tracks) > 0 and log.tracks.valid.any(),
        "map": log.road_map is not None,
        "lights": len(log.lights) > 0,
        "photographs": len(log.photos) > 0,
        "LiDAR": len(log.sweeps) > 0,
    }
    assert {name for name in HOLDINGS if holds[name]} == example.row.has
    assert bool(log.cameras) == example.row.cameras


def test_what_logs_lack_is_known_without_reading_them(example):
    """Of every source of ours, but for 123D's maps; and nothing that is there."""
    lacking = HOLDINGS_OF_JOBS - example.row.has
    if example.row.kind == "waymo" and "photographs" in example.row.has:
        lacking -= {"map"}  # frames of other segments have one
    if example.row.kind in ("town", "wod_e2e"):  # towns' photographs are rendered; WOD-E2E's logs lack more
        assert not isinstance(example.source, PartialSource)
        return
    assert example.source.absent(example.source.names()) == lacking


def test_names_are_unique_and_of_the_log(example):
    names = example.source.names()
    assert len(set(names)) == len(names)
    assert (example.log.name, example.log.source, example.source.kind) == (names[0], example.row.kind, example.row.kind)
    with pytest.raises(SwerveError):
        example.source.load("no log has this name")


def test_a_source_without_poses_says_so(example):
    if "poses" in example.row.has:
        require_scenes(example.source)
    else:
        with pytest.raises(SwerveError, match="Use swerve info"):
            require_scenes(example.source)


def test_the_table_in_the_documentation_is_of_these_rows():
    page = (ROOT / "docs" / "sources.md").read_text()
    assert sources_table() in page, f"docs/sources.md needs this table:\n{sources_table()}"


# -- time


def test_times_are_microseconds_in_order(example):
    steps = np.diff(example.log.times_us)
    assert example.log.times_us.dtype == np.int64
    if len(steps):
        assert steps.min() > 0
        assert np.median(steps) == pytest.approx(1e6 / example.row.hertz, rel=0.05)


def test_photos_and_sweeps_are_of_the_logs_time(example):
    log = example.log
    first, last = log.times_us[0] - 1_000_000, log.times_us[-1] + 1_000_000
    for item in (*log.photos, *log.sweeps):
        assert first <= item.time_us <= last
    assert [sweep.time_us for sweep in log.sweeps] == sorted(sweep.time_us for sweep in log.sweeps)


def test_photos_and_sweeps_are_taken_from_near_the_path(example):
    """A pose of another time would be off by the way driven meanwhile; here 10 ms and 1 m are allowed."""
    log = example.log
    for item in (*log.photos, *log.sweeps):
        step = int(np.argmin(np.abs(log.times_us - item.time_us)))
        seconds = abs(item.time_us - log.times_us[step]) * 1e-6 + 0.01
        gap = np.linalg.norm(item.world_from_ego[:3, 3] - log.ego.positions[step])
        assert gap <= 1.0 + 1.5 * seconds * np.linalg.norm(log.ego.velocity[step])


# -- frames and units


def test_the_ego_is_upright_and_near_the_origin(example):
    poses = example.log.ego.world_from_ego
    assert np.linalg.det(poses[:, :3, :3]) == pytest.approx(1.0, abs=1e-4)
    assert poses[:, 2, 2].min() > 0.95
    if example.row.kind != "neutral":  # whose world is the source's own
        assert np.abs(poses[0, :3, 3]).max() < 1000.0


def test_the_ego_drives_where_it_looks_at_its_velocity(example):
    log = example.log
    if len(log.times_us) < 3:
        pytest.skip("a log of one step has no velocity")
    seconds = np.diff(log.times_us)[:, None] * 1e-6
    world = np.diff(log.ego.positions[:, :2], axis=0) / seconds
    ahead = np.stack([np.cos(log.ego.headings), np.sin(log.ego.headings)], axis=1)[1:]
    left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    forward, sideways = (world * ahead).sum(axis=1), (world * left).sum(axis=1)
    assert np.abs(forward).max() < 60.0
    assert np.median(np.abs(forward - log.ego.velocity[1:, 0])) < 0.5
    moving = forward > 2.0
    assert moving.any() or np.abs(forward).max() < 2.0
    if moving.any():
        assert (np.abs(sideways[moving]) < 0.25 * forward[moving]).mean() > 0.9


def test_the_ego_drives_on_the_road(example):
    road_map, positions = example.log.road_map, example.log.ego.positions
    if road_map is None:
        assert "map" not in example.row.has
        return
    lines = shapely.MultiLineString([lane.centerline[:, :2] for lane in road_map.lanes])
    gaps = shapely.distance(lines, shapely.points(positions[:, :2]))
    assert np.median(gaps) < 6.0
    assert np.median(np.abs(positions[:, 2] - road_map.ground.at(positions[:, :2]))) < 0.5


def test_cameras_are_upright_above_the_road(example):
    for camera in example.log.cameras:
        mount = camera.ego_from_camera
        assert -mount[2, 1] > 0.7, f"the image of {camera.name} is not upright: its y axis does not point down"
        assert 0.3 < mount[2, 3] < 4.0
        assert np.abs(mount[:2, 3]).max() < 5.0
        assert 0.1 * camera.width < camera.cx < 0.9 * camera.width
        assert 0.1 * camera.width < camera.fx < 4.0 * camera.width


def test_boxes_have_the_sizes_of_their_classes(example):
    tracks = example.log.tracks
    for kind, low, high in ((ObjectClass.VEHICLE, 3.0, 8.0), (ObjectClass.PEDESTRIAN, 0.2, 1.5)):
        lengths = tracks.sizes[tracks.classes == kind, :, 0][tracks.valid[tracks.classes == kind]]
        assert not len(lengths) or low < np.median(lengths) < high
    heights = tracks.sizes[..., 2][tracks.valid]
    assert not len(heights) or 0.5 < np.median(heights) < 3.0


def test_boxes_stand_on_the_egos_ground(example):
    """Within 30 m, by the ego's own plane; hills are allowed."""
    log, off = example.log, []
    for step in range(0, len(log.times_us), 5):
        rows = np.flatnonzero(log.tracks.valid[:, step])
        centres = transform_points(inverse(log.ego.world_from_ego[step]), log.tracks.positions[rows, step])
        near = np.linalg.norm(centres[:, :2], axis=1) < 30.0
        off.append(centres[near, 2] - log.tracks.sizes[rows, step][near, 2] / 2)
    heights = np.concatenate(off)
    if "boxes" in example.row.has and len(heights):
        assert abs(np.median(heights)) < 1.0


# -- tracks


def test_tracks_are_continuous(example):
    """Between two steps no track moves faster than 60 m/s, nor turns about, and its velocity is of its motion."""
    log, tracks = example.log, example.log.tracks
    both = tracks.valid[:, 1:] & tracks.valid[:, :-1]
    if not both.any():
        assert "boxes" not in example.row.has or len(log.times_us) < 2
        return
    seconds = np.diff(log.times_us)[None, :, None] * 1e-6
    moved = (np.diff(tracks.positions[..., :2], axis=1) / seconds)[both]
    assert np.linalg.norm(moved, axis=1).max() < 60.0
    turned = np.abs(wrap_angle(np.diff(tracks.headings, axis=1)[both]))
    assert (turned < 1.0).mean() > 0.98
    told = tracks.velocities[:, 1:][both]
    assert np.median(np.linalg.norm(told - moved, axis=1)) < 1.0


def test_vehicles_move_the_way_they_head(example):
    """Four fifths do, for annotated boxes jitter; of headings reversed or mirrored fewer than half would."""
    tracks = example.log.tracks
    speeds = np.linalg.norm(tracks.velocities, axis=2)
    moving = tracks.valid & (speeds > 3.0) & (tracks.classes == ObjectClass.VEHICLE)[:, None]
    if not moving.any():
        return
    course = np.arctan2(tracks.velocities[..., 1], tracks.velocities[..., 0])
    off = np.abs(wrap_angle((course - tracks.headings)[moving]))
    assert (off < 0.5).mean() > 0.8


# -- boxes in photos and point clouds


def test_boxes_project_into_photos_at_their_size(example):
    """Every box that is seen whole is as large, upright and where its distance and bearing say."""
    log, cameras = example.log, {camera.name: camera for camera in example.log.cameras}
    seen = 0
    for photo in log.photos[:60]:
        camera, step = cameras[photo.camera], int(np.argmin(np.abs(log.times_us - photo.time_us)))
        for row in np.flatnonzero(log.tracks.valid[:, step]):
            corners = _corners(log, row, step)
            pixels, depths, inside = camera.project_world(corners, photo.world_from_ego)
            if not inside.all() or depths.mean() > 2 * _NEAR:
                continue
            seen += 1
            top, bottom = _ends(pixels)
            height = log.tracks.sizes[row, step, 2] * camera.fy / depths.mean()
            assert 0.5 * height < bottom - top < 1.6 * height
    if {"photographs", "boxes"} <= example.row.has:
        assert seen, "no box is seen whole in any photo"


def _ends(pixels):
    """Return the mean heights in the image of a box's upper and lower corners: z of `_CORNERS` alternates."""
    return pixels[1::2, 1].mean(), pixels[::2, 1].mean()


def _corners(log, row, step):
    heading, size = log.tracks.headings[row, step], log.tracks.sizes[row, step]
    turn = np.array([[np.cos(heading), -np.sin(heading), 0], [np.sin(heading), np.cos(heading), 0], [0, 0, 1]])
    return (_CORNERS * size) @ turn.T + log.tracks.positions[row, step]


def test_points_lie_in_boxes_and_not_in_their_mirror_images(example):
    """Near boxes contain points; reflected left to right, or back to front if they are on the ego's path, far fewer."""
    log, inside, mirrored = example.log, 0, 0
    for sweep in log.sweeps[:4]:
        step = int(np.argmin(np.abs(log.times_us - sweep.time_us)))
        points = sweep.read().astype(float)
        assert np.isfinite(points).all()
        for row in np.flatnonzero(log.tracks.valid[:, step]):
            ego_from_box, size = inverse(sweep.world_from_ego) @ _pose(log, row, step), log.tracks.sizes[row, step]
            if np.linalg.norm(ego_from_box[:2, 3]) < _NEAR:
                beside = abs(ego_from_box[1, 3]) > size[0] / 2 + 0.5
                inside += _count(points, ego_from_box, size)
                mirrored += _count(points * ([1, -1, 1] if beside else [-1, 1, 1]), ego_from_box, size)
    assert mirrored <= 0.75 * inside
    assert bool(inside) == ({"LiDAR", "boxes"} <= example.row.has)


def _pose(log, row, step):
    pose = np.eye(4)
    heading = log.tracks.headings[row, step]
    pose[:2, :2] = [[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]]
    pose[:3, 3] = log.tracks.positions[row, step]
    return pose


def _count(points, ego_from_box, size):
    own = transform_points(inverse(ego_from_box), points)
    return int((np.abs(own) < size / 2 + 0.05).all(axis=1).sum())


def test_photos_are_of_the_cameras_size(example):
    cameras = {camera.name: camera for camera in example.log.cameras}
    for photo in example.log.photos[:3]:
        with Image.open(BytesIO(photo.read())) as image:
            assert image.size == (cameras[photo.camera].width, cameras[photo.camera].height)


# -- the source as a handle


def test_the_source_is_a_small_picklable_handle(example):
    packed = pickle.dumps(example.source)
    assert len(packed) < 2000
    again = pickle.loads(packed)
    assert again == example.source
    assert again.names() == example.source.names()


def test_the_files_of_a_log_are_there(example):
    """Jobs record their state, to notice logs that changed."""
    if not isinstance(example.source, FileSource):
        assert example.row.name in ("town", "wod_e2e", "nuscenes")
        return
    files = example.source.files_of(example.log.name)
    assert files
    assert [path for path in files if not path.exists()] == []
    assert file_state(example.source, example.log.name)


def test_the_log_can_be_sent_to_another_process(example):
    again = pickle.loads(pickle.dumps(example.log))
    assert again.name == example.log.name
    np.testing.assert_array_equal(again.ego.world_from_ego, example.log.ego.world_from_ego)
    if again.sweeps:
        np.testing.assert_array_equal(again.sweeps[0].read(), example.log.sweeps[0].read())


def test_the_rig_is_read_without_the_rest(example):
    assert isinstance(example.source, RigSource) == example.row.rigs
    if not example.row.rigs:
        return
    rig = example.source.rigs([example.log.name])[example.log.name]
    assert [camera.name for camera in rig] == [camera.name for camera in example.log.cameras]
    assert [camera.fx for camera in rig] == [camera.fx for camera in example.log.cameras]


def test_a_log_is_the_same_each_time(example):
    again = example.source.load(example.log.name)
    np.testing.assert_array_equal(again.times_us, example.log.times_us)
    np.testing.assert_array_equal(again.ego.world_from_ego, example.log.ego.world_from_ego)
    assert again.tracks.ids == example.log.tracks.ids


# -- files


def test_the_split_is_that_of_the_folders_or_the_rows(row, tmp_path):
    expected = {"folder": {"val": "val", "other": None}, "none": {"val": None}}
    for folder, split in expected.get(row.split, {"val": row.split}).items():
        assert opened(row, row.write(tmp_path / folder)).log.split == split


def test_photos_and_sweeps_are_not_read_until_asked_for(row, tmp_path):
    """Cut to their first 63 bytes, which hold an image's size, they do not hinder loading."""
    if not {"photographs", "LiDAR"} & row.has:
        return  # and the row's example has none: see the first test
    made = opened(row, row.write(tmp_path / "data"))
    items = (*made.log.photos, *made.log.sweeps)
    own = {item.file for item in items if getattr(item, "num_bytes", None) is None}
    for file in own:
        content = file.read_bytes()
        file.write_bytes(_without_blobs(content) if file.suffix == ".arrow" else content[:63])
    again = made.source.load(made.log.name)
    assert (len(again.photos), len(again.sweeps)) == (len(made.log.photos), len(made.log.sweeps))
    for sweep in again.sweeps:
        with pytest.raises(LogError):
            sweep.read()


def _without_blobs(content):
    """Return an Arrow file in which the points are zeros: the table itself must stay whole."""
    table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    (name,) = (name for name in table.column_names if name.endswith(".data"))
    for blob in table[name].to_pylist():
        content = content.replace(blob, bytes(len(blob)))
    return content


def test_a_truncated_file_gives_one_clear_error(row, tmp_path):
    """Cut in its middle, each of these files ends reading with an error that names it."""
    if not row.damaged:
        assert row.kind == "town", "a source of files names those to damage"
        return
    for number, pattern in enumerate(row.damaged):
        text = row.write(tmp_path / str(number))
        path = sorted((tmp_path / str(number)).glob(pattern))[0]
        path.write_bytes(path.read_bytes()[: int(0.45 * path.stat().st_size)])
        with pytest.raises(SwerveError) as caught:
            read_all(text)
        assert path.name in str(caught.value) or str(path.parent) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def read_all(text):
    """Read everything that a source has; photos as `swerve fit` reads them."""
    source = open_source(text)
    for name in source.names():
        log = source.load(name)
        cameras = {camera.name: camera for camera in log.cameras}
        for photo in log.photos:
            camera = cameras[photo.camera]
            read_photo(photo, camera, (camera.width, camera.height))
        for sweep in log.sweeps:
            sweep.read()


def test_a_folder_without_a_log_gives_one_error(row, tmp_path):
    if row.kind == "town":
        return
    with pytest.raises(SwerveError, match=str(tmp_path)):
        open_source(f"{row.kind}:{tmp_path}").names()


@pytest.mark.parametrize("path", [Path("nowhere")])
def test_a_missing_path_gives_one_error(row, path):
    with pytest.raises(SwerveError, match="nowhere"):
        open_source(f"{row.kind}:{path}").names()
