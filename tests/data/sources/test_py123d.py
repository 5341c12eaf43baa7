"""123D's logs: what an export keeps, what is told of a log, and what is wrong with one."""

import shutil

import numpy as np
import pyarrow as pa
import pytest

from swerve.cli import run
from swerve.data.export_py123d.write_log import write_123d_log
from swerve.data.sources.registry import open_source
from swerve.data.storage.msgpack import pack, unpack
from swerve.scenes import LogError, SwerveError
from swerve.scenes.transforms import transform_points
from tests.support.dgp_scene import write_dgp
from tests.support.source_rows import ROWS
from tests.support.town_logs import town


def exported(folder, text):
    """Return a source's first log, and what is read of its export."""
    source = open_source(text)
    log = source.load(source.names()[0])
    path = write_123d_log(folder, log)
    return log, open_source(f"123d:{folder}").load(path.name)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A log that has everything, and its export."""
    folder = tmp_path_factory.mktemp("nuplan")
    (row,) = (row for row in ROWS if row.kind == "nuplan")
    return exported(folder / "out", row.write(folder / "in"))


@pytest.fixture
def folder(tmp_path):
    """The folder of an exported log."""
    source = open_source(f"dgp:{write_dgp(tmp_path / 'in')}")
    return write_123d_log(tmp_path / "out", source.load("in"))


def load(folder):
    return open_source(f"123d:{folder}").load(folder.name)


def test_ego_and_tracks_are_kept(pair):
    log, again = pair
    np.testing.assert_array_equal(again.times_us, log.times_us)
    shift = np.array(again.origin) - log.origin
    np.testing.assert_allclose(again.ego.positions + shift, log.ego.positions, atol=1e-8)
    np.testing.assert_allclose(again.ego.world_from_ego[:, :3, :3], log.ego.world_from_ego[:, :3, :3], atol=1e-12)
    for name in ("velocity", "acceleration", "yaw_rate"):
        np.testing.assert_allclose(getattr(again.ego, name), getattr(log.ego, name), atol=1e-12)
    assert (again.vehicle, again.split) == (log.vehicle, log.split)
    assert again.tracks.ids == log.tracks.ids
    np.testing.assert_array_equal(again.tracks.classes, log.tracks.classes)
    np.testing.assert_array_equal(again.tracks.valid, log.tracks.valid)
    valid = log.tracks.valid
    np.testing.assert_allclose((again.tracks.positions + shift)[valid], log.tracks.positions[valid], atol=1e-8)
    for name in ("headings", "sizes", "velocities"):
        np.testing.assert_allclose(getattr(again.tracks, name)[valid], getattr(log.tracks, name)[valid], atol=1e-12)


def test_the_map_the_route_and_the_lights_are_kept(pair):
    log, again = pair
    shift = np.array(again.origin) - log.origin
    lanes = again.road_map.lane_by_id
    assert set(lanes) == set(log.road_map.lane_by_id)
    for lane in log.road_map.lanes:
        own = lanes[lane.id]
        for name in ("centerline", "left_boundary", "right_boundary", "polygon"):
            np.testing.assert_allclose(getattr(own, name) + shift, getattr(lane, name), atol=1e-8)
        for name in ("kind", "is_connector", "group_id", "predecessors", "successors", "speed_limit"):
            assert getattr(own, name) == getattr(lane, name)
    assert [group.lane_ids for group in again.road_map.lane_groups] == [
        group.lane_ids for group in log.road_map.lane_groups
    ]
    assert again.route == log.route
    assert len(again.road_map.stop_lines) == len(log.road_map.stop_lines)
    for own, line in zip(again.road_map.stop_lines, log.road_map.stop_lines, strict=True):
        ends = own.points[:, :2] + shift[:2]
        assert min(np.abs(ends - line.points[:, :2]).max(), np.abs(ends[::-1] - line.points[:, :2]).max()) < 1e-6
    assert again.lights.lane_ids == log.lights.lane_ids
    np.testing.assert_array_equal(again.lights.states, log.lights.states)
    np.testing.assert_allclose(again.lights.positions[:, :2] + shift[:2], log.lights.positions[:, :2], atol=1e-6)


def test_cameras_photos_and_points_are_kept(pair):
    log, again = pair
    for own, camera in zip(again.cameras, log.cameras, strict=True):
        assert (own.name, own.width, own.height, own.fx, own.cx) == (
            *(camera.name, camera.width, camera.height, camera.fx, camera.cx),
        )
        assert own.lens.coefficients == camera.lens.coefficients[:5] or not any(camera.lens.coefficients)
        np.testing.assert_allclose(own.ego_from_camera, camera.ego_from_camera, atol=1e-12)
    shift = np.array(again.origin) - log.origin
    assert len(again.photos) == len(log.photos)
    for own, photo in zip(again.photos, log.photos, strict=True):
        assert (own.time_us, own.camera, own.read()) == (photo.time_us, photo.camera, photo.read())
        np.testing.assert_allclose(own.world_from_ego[:3, 3] + shift, photo.world_from_ego[:3, 3], atol=1e-6)
    for own, sweep in zip(again.sweeps, log.sweeps, strict=True):
        places = [transform_points(one.world_from_ego, one.read().astype(float)) for one in (own, sweep)]
        np.testing.assert_allclose(places[0] + shift, places[1], atol=1e-3)


def test_ids_that_are_no_numbers_are_numbered(tmp_path):
    """A town's lanes are named; the map's shape and topology stay."""
    log = town(0)
    again = load(write_123d_log(tmp_path, log))
    assert [lane.id for lane in again.road_map.lanes] == [str(row) for row in range(len(log.road_map.lanes))]
    name_of = {str(row): lane.id for row, lane in enumerate(log.road_map.lanes)}
    for own, lane in zip(again.road_map.lanes, log.road_map.lanes, strict=True):
        assert tuple(name_of[other] for other in own.successors) == lane.successors
        assert own.is_connector == lane.is_connector
    assert tuple(name_of[lane] for lane in again.lights.lane_ids) == tuple(dict.fromkeys(log.lights.lane_ids))
    assert len(again.road_map.road_lines) == len(log.road_map.road_lines)
    assert [line.paint for line in again.road_map.road_lines] == [line.paint for line in log.road_map.road_lines]


def test_the_command_writes_logs_and_leaves_those_that_are_there(tmp_path, capsys):
    write_dgp(tmp_path / "in" / "one")
    write_dgp(tmp_path / "in" / "two")
    text, out = f"dgp:{tmp_path / 'in'}", str(tmp_path / "out")
    assert run(["export", "123d", text, out, "--logs", "two"]) == 0
    assert run(["export", "123d", text, out]) == 0
    assert "two is there already" in capsys.readouterr().out
    assert open_source(tmp_path / "out").names() == ("one", "two")
    with pytest.raises(SwerveError, match="no log 'three'"):
        run(["export", "123d", text, out, "--logs", "three"])
    own = next((tmp_path / "out" / "logs").glob("dgp_*/one"))
    other = tmp_path / "out" / "logs" / "kitti_train" / "one"
    shutil.copytree(own, other)
    with pytest.raises(LogError, match="two logs have this name"):
        open_source(f"123d:{tmp_path / 'out'}").names()
    shutil.rmtree(own)
    with pytest.raises(SwerveError, match="is a log of this name of another data set"):
        run(["export", "123d", text, out, "--logs", "one"])


def test_a_photo_that_is_missing_leaves_no_half_of_a_file(tmp_path):
    source = open_source(f"dgp:{write_dgp(tmp_path / 'in')}")
    log = source.load("in")
    log.photos[-1].file.unlink()
    with pytest.raises(SwerveError):
        write_123d_log(tmp_path / "out", log)
    assert {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()} == {".arrow"}


def test_a_source_without_poses_is_not_exported(tmp_path):
    (row,) = (row for row in ROWS if row.kind == "wod_e2e")
    with pytest.raises(SwerveError, match="WOD-E2E has no map"):
        run(["export", "123d", row.write(tmp_path / "in"), str(tmp_path / "out")])


def change(path, metadata=None, column=None, value=None):
    """Rewrite a table: entries of its description, or the first row of a column (None removes the column)."""
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    about = unpack(table.schema.metadata[b"metadata"]) | (metadata or {})
    if column and value is None:
        table = table.drop_columns([column])
    elif column:
        index = table.column_names.index(column)
        values = [value, *table[column].to_pylist()[1:]]
        table = table.set_column(index, column, pa.array(values, table[column].type))
    table = table.replace_schema_metadata({b"metadata": pack(about)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


EGO, BOXES = "ego_state_se3", "box_detections_se3"


@pytest.mark.parametrize(
    ("key", "metadata", "column", "value", "message"),
    [
        (EGO, None, "imu_se3", None, "ego_state_se3.imu_se3: no such column"),
        (EGO, None, "imu_se3", [0.0, 0, 0, 2, 0, 0, 0], "row 0 has no rotation"),
        (EGO, None, "timestamp_us", 2**60, "times decrease"),
        (EGO, {"wheel_base": 9.0}, None, None, "not dimensions of a vehicle"),
        (EGO, {"rear_axle_to_imu_se3": [1, 2]}, None, None, "rear_axle_to_imu_se3: is not x, y, z"),
        (BOXES, {"box_detection_label_class": "py123d.x.NewLabel"}, None, None, "NewLabel is unknown. Known are"),
        (BOXES, None, "label", [99], "label: is 99, not one of 0 to 11"),
        (BOXES, None, "track_token", [], "track_token: has not as many items"),
        (BOXES, None, "bounding_box_se3", [[0.0] * 10], "item 0 has no rotation"),
        ("camera.pcam_f0", {"intrinsics": None}, None, None, "is no calibration of a camera"),
        ("sync", None, BOXES, 77, "names row 77; box_detections_se3.arrow has 4"),
        (
            "sync",
            {"map_metadata": {"dataset": "x", "location": "y"}},
            None,
            None,
            "neither map.arrow nor maps/x/x_y.arrow",
        ),
        (
            "sync",
            {"map_metadata": {"dataset": "x", "location": "y/../../../secret"}},
            None,
            None,
            "are no names of a data set's map",
        ),
        (BOXES, None, "label", [None], "label: has an item that is not a whole number"),
    ],
)
def test_what_is_wrong_with_a_log_gives_one_error(folder, key, metadata, column, value, message):
    name = None if column is None else column if key == "sync" else f"{key}.{column}"
    change(folder / f"{key}.arrow", metadata, name, value)
    with pytest.raises(LogError, match=message):
        load(folder)


def test_a_file_without_a_description_gives_one_error(folder):
    path = folder / "sync.arrow"
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all().replace_schema_metadata({})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(LogError, match="metadata: the schema has none"):
        load(folder)


def test_a_column_s_name_that_is_no_text_gives_one_error(folder):
    path = folder / "box_detections_se3.arrow"
    content = path.read_bytes()
    assert content.count(b"box_detections_se3.track_token") >= 1
    path.write_bytes(content.replace(b"box_detections_se3.track_token", b"\xffox_detections_se3.track_token"))
    with pytest.raises(LogError, match="is not a complete Arrow file"):
        load(folder)


def test_images_in_compressed_tables_give_one_error(folder):
    path = folder / "camera.pcam_f0.arrow"
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    with pytest.raises(LogError, match="is compressed"):
        load(folder)


def test_cameras_of_other_models_are_named(folder, caplog):
    change(folder / "camera.pcam_f0.arrow", {"camera_model": "fisheye_mei"})
    log = load(folder)
    assert [camera.name for camera in log.cameras] == ["CAMERA_05"]
    assert {photo.camera for photo in log.photos} == {"CAMERA_05"}
    assert "cameras of a lens model that is not read: CAMERA_01 (fisheye_mei)" in caplog.text


def test_points_in_another_form_are_refused_when_they_are_read(folder):
    change(folder / "lidar.lidar_merged.arrow", column="lidar.lidar_merged.data", value=b"LASF")
    sweeps = load(folder).sweeps
    with pytest.raises(LogError, match="row 0: is not an Arrow stream"):
        sweeps[0].read()
    assert len(sweeps[1].read()) == 20


def test_images_by_path_are_looked_for_in_the_data_sets_folder(folder, tmp_path, monkeypatch, caplog):
    """As py123d writes them by default: relative to the folder that AV2_DATA_ROOT names."""
    path = folder / "camera.pcam_f0.arrow"
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    key = "camera.pcam_f0.data"
    names = [f"train/one/{row}.jpg" for row in range(len(table))]
    table = table.set_column(table.column_names.index(key), key, pa.array(names))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    change(folder / "sync.arrow", {"dataset": "av2-sensor"})
    monkeypatch.delenv("AV2_DATA_ROOT", raising=False)
    assert {photo.camera for photo in load(folder).photos} == {"CAMERA_05"}
    assert "4 of 4 images are not on disk" in caplog.text
    image = tmp_path / "av2" / "sensor" / "train" / "one" / "2.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"image")
    monkeypatch.setenv("AV2_DATA_ROOT", str(tmp_path / "av2"))
    assert [photo.read() for photo in load(folder).photos if photo.camera == "CAMERA_01"] == [b"image"]
    change(path, column=key, value="../../secret.jpg")
    with pytest.raises(LogError, match="leads out of the data set's folder"):
        load(folder)


def test_all_batches_of_a_sweep_are_read_and_lengths_are_not_believed(folder):
    """A stream may state more points than it has: Arrow itself would read beyond its end."""
    path, key = folder / "lidar.lidar_merged.arrow", "lidar.lidar_merged.data"
    change(path, column=key, value=stream([np.zeros(3), np.ones(2)]))
    assert load(folder).sweeps[0].read()[:, 0].tolist() == [0, 0, 0, 1, 1]
    whole, length = stream([np.arange(7.0)]), (7).to_bytes(8, "little")
    assert whole.count(length) == 4  # of the batch, and of each column
    change(path, column=key, value=whole.replace(length, (1000).to_bytes(8, "little")))
    with pytest.raises(LogError, match="data, row 0: is damaged"):
        load(folder).sweeps[0].read()


def stream(pieces):
    """Return an Arrow stream of points, a batch for each piece."""
    batches = [pa.RecordBatch.from_pydict(dict.fromkeys("xyz", piece.astype(np.float32))) for piece in pieces]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def test_sweeps_in_files_of_a_kind_that_is_not_read_are_told(folder, tmp_path, monkeypatch, caplog):
    path, key = folder / "lidar.lidar_merged.arrow", "lidar.lidar_merged.data"
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    table = table.set_column(table.column_names.index(key), key, pa.array(["one.bin"] * len(table)))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    change(folder / "sync.arrow", {"dataset": "nuscenes"})
    (tmp_path / "one.bin").write_bytes(b"")
    monkeypatch.setenv("NUSCENES_DATA_ROOT", str(tmp_path))
    assert load(folder).sweeps == ()
    assert "LiDAR files that are not read: *.bin" in caplog.text
