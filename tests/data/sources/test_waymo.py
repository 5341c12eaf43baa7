"""The Waymo readers on real records, against values found on another way, and on made-up and bad ones."""

import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.support.waymo_log import crc32c, frame, scenario, write_records

pytest.importorskip("waymo_open_dataset", reason="needs Waymo's protobuf classes: see data/waymo_records.py")

from swerve.data.sources.waymo import crc_kernels
from swerve.data.sources.waymo.tfrecords import count_records, parse_frame, read_record, read_records
from swerve.data.sources.waymo.waymo_source import WaymoSource
from swerve.scenes import LaneMarking, LensModel, LightState, LogError, MissingExtraError, ObjectClass

_NAMES = ("", "front", "front_left", "front_right", "side_left", "side_right")
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


@pytest.fixture(scope="module")
def motion(test_data):
    return WaymoSource(test_data / "waymo").load("womd_scenario_input-00000")


@pytest.fixture(scope="module")
def perception(test_data):
    return WaymoSource(test_data / "waymo").load("pvps_data_one_frame")


@pytest.fixture(scope="module")
def raw_frame(test_data):
    return parse_frame(read_record(test_data / "waymo" / "pvps_data_one_frame.tfrecord", 0))


def test_the_names_tell_scenarios_from_segments(test_data):
    assert WaymoSource(test_data / "waymo").names() == ("pvps_data_one_frame", "womd_scenario_input-00000")


def test_the_real_scenario_is_whole(motion):
    assert (len(motion.times_us), len(motion.tracks)) == (91, 256)
    assert np.bincount(motion.tracks.classes).tolist() == [0, 188, 68]
    road_map = motion.road_map
    assert (len(road_map.lanes), len(road_map.road_lines), len(road_map.road_edges)) == (114, 12, 75)
    assert (len(road_map.crosswalks), len(road_map.speed_bumps)) == (4, 6)
    assert len(road_map.stop_lines) == 4
    assert motion.cameras == ()
    assert len(motion.route) >= 3


def test_the_recording_vehicle_is_where_its_box_is(test_data, motion):
    """The box's centre, rebuilt from the rear axle, is the record's; speeds agree with the record's own."""
    from waymo_open_dataset.protos import scenario_pb2

    record = read_record(test_data / "waymo" / "womd_scenario_input.tfrecord", 0)
    states = scenario_pb2.Scenario.FromString(record.data).tracks[256].states
    ahead = np.stack([np.cos(motion.ego.headings), np.sin(motion.ego.headings)], axis=1)
    middle = motion.ego.positions[:, :2] + motion.vehicle.rear_axle_to_center * ahead + motion.origin[:2]
    np.testing.assert_allclose(middle, [[state.center_x, state.center_y] for state in states], atol=1e-6)
    recorded = np.array([np.hypot(state.velocity_x, state.velocity_y) for state in states])
    np.testing.assert_allclose(motion.ego.velocity[:, 0], recorded, atol=0.35)


def test_the_ego_and_the_cars_stand_on_the_derived_ground(motion):
    ego, tracks, ground = motion.ego.positions, motion.tracks, motion.road_map.ground
    assert np.abs(ego[:, 2] - ground.at(ego[:, :2])).max() < 0.05
    bottoms = tracks.positions[..., 2] - tracks.sizes[..., 2] / 2 - ground.at(tracks.positions[..., :2])
    assert np.median(np.abs(bottoms[tracks.valid & (tracks.classes == 1)[:, None]])) < 0.1


def test_the_real_frame_is_whole(perception):
    assert (len(perception.times_us), len(perception.tracks), len(perception.cameras)) == (1, 75, 5)
    assert np.bincount(perception.tracks.classes, minlength=7).tolist() == [0, 37, 12, 1, 0, 0, 25]
    assert perception.road_map is None
    for photo in perception.photos:
        camera = next(camera for camera in perception.cameras if camera.name == photo.camera)
        assert Image.open(BytesIO(photo.read())).size == (camera.width, camera.height)
        assert abs(photo.time_us - perception.times_us[0]) < 100_000


def test_boxes_project_onto_waymos_own_projections(perception, raw_frame):
    """Waymo ships the 2D outline of each 3D box per camera: ours lies on it within a pixel."""
    wanted = {
        (_NAMES[labels.name], label.id): label.box
        for labels in raw_frame.projected_lidar_labels
        for label in labels.labels
    }
    off = []
    for photo in perception.photos:
        camera = next(camera for camera in perception.cameras if camera.name == photo.camera)
        for track, label in enumerate(perception.tracks.ids):
            found = [box for (name, key), box in wanted.items() if name == camera.name and key.startswith(label)]
            pixels, _, visible = camera.project_world(_corners(perception, track), photo.world_from_ego)
            if found and visible.all():
                box = found[0]
                middle, size = np.array([box.center_x, box.center_y]), np.array([box.length, box.width])
                off.append([(pixels.min(axis=0) + pixels.max(axis=0)) / 2 - middle, np.ptp(pixels, axis=0) - size])
    off = np.array(off)
    assert len(off) >= 40
    assert np.abs(np.median(off[:, 0], axis=0)).max() < 0.25
    assert np.median(np.abs(off), axis=0).max() < 1.5


def _corners(log, track):
    heading = log.tracks.headings[track, 0]
    turn = np.array([[np.cos(heading), -np.sin(heading), 0], [np.sin(heading), np.cos(heading), 0], [0, 0, 1]])
    return (CORNERS * log.tracks.sizes[track, 0]) @ turn.T + log.tracks.positions[track, 0]


def test_velocities_point_where_their_vehicles_head(perception):
    """Waymo's label velocities are in the global frame, its headings in the vehicle's."""
    moving = np.linalg.norm(perception.tracks.velocities[:, 0], axis=1) > 1.5
    velocity, heading = perception.tracks.velocities[moving, 0], perception.tracks.headings[moving, 0]
    assert moving.sum() >= 5
    assert np.abs(np.sin(np.arctan2(velocity[:, 1], velocity[:, 0]) - heading)).max() < 0.1


# Made-up records


def source_of(tmp_path, *messages, name="training.tfrecord-00000-of-00001"):
    return WaymoSource(write_records(tmp_path / name, *(message.SerializeToString() for message in messages)))


def test_a_made_up_scenario_comes_out_as_it_was_made(tmp_path):
    source = source_of(tmp_path, scenario(), scenario())
    assert source.names() == ("training-00000-of-00001-00000", "training-00000-of-00001-00001")
    log = source.load("training-00000-of-00001-00001")
    assert (log.split, log.origin, log.name) == ("train", (500.0, 300.0, 3.0), "training-00000-of-00001-00001")
    assert log.times_us.tolist() == [0, 100_000, 200_000]
    np.testing.assert_allclose(log.ego.positions[:, 0], np.array([0, 1, 2]) - log.vehicle.rear_axle_to_center)
    np.testing.assert_allclose(log.ego.positions[:, 2], -1.0)
    assert (log.tracks.ids, log.tracks.valid.tolist()) == (("7",), [[True, True, False]])
    assert log.tracks.classes[0] == ObjectClass.BICYCLE


def test_the_made_up_map_is_derived_right(tmp_path):
    road_map = source_of(tmp_path, scenario()).load("training-00000-of-00001-00000").road_map
    first, second, third = road_map.lanes
    np.testing.assert_allclose(first.left_boundary[:, 1], 1.6, atol=1e-6)  # to the road line
    np.testing.assert_allclose(first.right_boundary[:, 1], -1.7, atol=1e-6)  # half way to the neighbour
    np.testing.assert_allclose(
        second.right_boundary[:, 1], -5.4, atol=1e-6
    )  # to the road edge, and as wide beyond its end
    np.testing.assert_allclose(third.left_boundary[:, 1], 1.8, atol=1e-6)  # nothing is known
    assert (first.left_marking, first.right_marking, second.right_marking) == (
        LaneMarking.DOUBLE_SOLID_YELLOW,
        LaneMarking.NONE,
        LaneMarking.NONE,
    )
    assert first.speed_limit == pytest.approx(13.41, abs=0.01)
    assert third.is_connector
    assert [group.lane_ids for group in road_map.lane_groups] == [("1", "2"), ("3",)]
    (stop,) = road_map.stop_lines
    assert stop.lane_ids == ("2",)
    np.testing.assert_allclose(stop.points[:, :2], [[38.0, -1.7], [38.0, -5.4]], atol=1e-6)
    assert len(road_map.crosswalks) == len(road_map.drivable_areas) == len(road_map.intersections) == 1


def test_connectors_are_derived_where_no_lane_is_flagged(tmp_path):
    """As in the records that are released: lane 3 then forks off from 1, beside a fourth that turns to the left."""
    made = scenario()
    for feature in made.map_features:
        if feature.WhichOneof("feature_data") == "lane":
            feature.lane.interpolating = False
    del made.dynamic_map_states[:]
    turn = made.map_features.add(id=4).lane
    for x, y in ((540, 300), (548, 303), (550, 312)):
        turn.polyline.add(x=x, y=y, z=2.0)
    turn.entry_lanes.append(1)
    made.map_features[0].lane.exit_lanes.append(4)
    road_map = source_of(tmp_path, made).load("training-00000-of-00001-00000").road_map
    assert [lane.id for lane in road_map.lanes if lane.is_connector] == ["3", "4"]
    assert len(road_map.intersections) == 1


def test_the_real_map_has_intersections(motion):
    """The record flags no lane; its junctions are there all the same."""
    assert sum(lane.is_connector for lane in motion.road_map.lanes) == 73
    assert len(motion.road_map.intersections) == 3


def test_m4_lights_keep_their_four_states_and_face_their_lane(tmp_path):
    """The original kept one flag, `is_red`: yellow and unknown lights were drawn green."""
    lights = source_of(tmp_path, scenario()).load("training-00000-of-00001-00000").lights
    assert lights.lane_ids == ("1", "2")
    red, yellow, green, unknown = LightState.RED, LightState.YELLOW, LightState.GREEN, LightState.UNKNOWN
    assert lights.states.tolist() == [[red, green, green], [red, yellow, unknown]]
    np.testing.assert_allclose(np.abs(lights.headings), np.pi)
    np.testing.assert_allclose(lights.positions[0], [40.0, 0.0, 4.0])


def test_a_scenario_without_a_map_keeps_the_rest(tmp_path):
    log = source_of(tmp_path, scenario(with_map=False)).load("training-00000-of-00001-00000")
    assert log.road_map is None
    assert len(log.tracks) == 1


def test_made_up_frames_come_out_as_they_were_made(tmp_path):
    source = source_of(tmp_path, frame(0), frame(1), name="segment-1_2_3.tfrecord")
    assert source.names() == ("segment-1_2_3",)
    log = source.load("segment-1_2_3")
    assert log.origin == (1000.0, 2000.0, 50.0)
    np.testing.assert_allclose(log.ego.positions, [[0, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(log.ego.velocity, [[10, 0], [10, 0]], atol=1e-12)
    np.testing.assert_allclose(log.tracks.positions[0], [[0, 10, 0.8], [0, 11, 0.8]], atol=1e-12)
    np.testing.assert_allclose(np.abs(log.tracks.headings), np.pi)
    np.testing.assert_allclose(log.tracks.velocities[0, 0], [-3, 0])
    assert [photo.read() for photo in log.photos] == [b"\xff\xd8 picture 0", b"\xff\xd8 picture 1"]
    assert log.photos[1].time_us == 1_120_000
    camera = log.cameras[0]
    assert camera.lens.model == LensModel.BROWN
    pixels, depth, _ = camera.project_world(np.array([[0.0, 21.5, 2.0]]), log.ego.world_from_ego[0])
    np.testing.assert_allclose([*pixels[0], depth[0]], [960, 640, 20], atol=1e-9)


def test_a_single_frame_has_the_velocity_of_its_image(tmp_path):
    log = source_of(tmp_path, frame(), name="one.tfrecord").load("one")
    np.testing.assert_allclose(log.ego.velocity, [[5.0, 0.0]])


def test_a_frame_without_cameras_keeps_the_rest(tmp_path):
    bare = frame()
    del bare.images[:]
    del bare.context.camera_calibrations[:]
    log = source_of(tmp_path, bare, name="one.tfrecord").load("one")
    assert log.cameras == log.photos == ()
    assert len(log.tracks) == 1


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1001])
def test_the_checksum_is_crc32c(size):
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    assert int(crc_kernels.crc32c(np.frombuffer(data, np.uint8))) == crc32c(data)
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the standard


def spoiled(tmp_path, change):
    path = write_records(tmp_path / "a.tfrecord", frame(0).SerializeToString(), frame(1).SerializeToString())
    path.write_bytes(bytes(change(bytearray(path.read_bytes()))))
    return path


def flipped(at):
    def change(data):
        data[at] ^= 1
        return data

    return change


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (lambda data: data[:-3], "record 1", "truncated"),
        (lambda data: data[: len(data) // 2 + 30], "record 1", "truncated"),
        (lambda data: data[: len(data) // 2 + 5], "record 1", "truncated"),
        (flipped(0), "record 0", "checksum of the length at byte 0"),
        (flipped(100), "record 0", "checksum of the data at byte 12"),
        (flipped(-30), "record 1", "checksum of the data"),
        (lambda data: b"", "records", "empty"),
        (lambda data: b"not a record file at all", "record 0", "checksum of the length"),
    ],
)
def test_a_damaged_file_gives_one_error_with_record_and_byte(tmp_path, change, field, problem):
    path = spoiled(tmp_path, change)
    with pytest.raises(LogError, match=problem) as caught:
        list(read_records(path))
    assert (caught.value.path, caught.value.field) == (str(path), field)


def test_counting_notices_a_truncated_end(tmp_path):
    assert count_records(spoiled(tmp_path, lambda data: data)) == 2
    with pytest.raises(LogError, match="truncated"):
        count_records(spoiled(tmp_path, lambda data: data[:-3]))


def without(message, field):
    message.ClearField(field)
    return message


def changed(message, change):
    change(message)
    return message


def _camera_of(made):
    return made.context.camera_calibrations[0]


NAN = float("nan")
SCENARIOS = {
    "sdc index": (lambda: changed(scenario(), lambda s: setattr(s, "sdc_track_index", 9)), "sdc_track_index"),
    "sdc not there": (
        lambda: changed(scenario(), lambda s: setattr(s.tracks[1].states[1], "valid", False)), "tracks[1].states",
    ),
    "state missing": (lambda: changed(scenario(), lambda s: s.tracks[0].states.pop()), "track 7"),
    "NaN track": (
        lambda: changed(scenario(), lambda s: setattr(s.tracks[0].states[0], "center_x", NAN)), "track 7: center_x",
    ),
    "NaN sdc": (
        lambda: changed(scenario(), lambda s: setattr(s.tracks[1].states[1], "heading", NAN)), "track 8: heading",
    ),
    "times fall": (lambda: changed(scenario(), lambda s: s.timestamps_seconds.__setitem__(2, 0.05)), "times_us"),
    "times equal": (lambda: changed(scenario(), lambda s: s.timestamps_seconds.__setitem__(2, 0.1)), "times_us"),
    "NaN time": (lambda: changed(scenario(), lambda s: s.timestamps_seconds.__setitem__(2, NAN)), "timestamps_seconds"),
    "huge time": (
        lambda: changed(scenario(), lambda s: s.timestamps_seconds.__setitem__(2, 1e300)), "timestamps_seconds",
    ),
    "sdc jumps": (
        lambda: changed(scenario(), lambda s: setattr(s.tracks[1].states[1], "center_x", 1e9)), "ego.world_from_ego",
    ),
    "far point in the map": (
        lambda: changed(scenario(), lambda s: setattr(s.map_features[3].road_line.polyline[3], "y", 1e9)),
        "map_features[id=10]",
    ),
    "far stop sign": (
        lambda: changed(scenario(), lambda s: setattr(s.map_features[5].stop_sign.position, "x", 1e9)),
        "map_features[id=12]",
    ),
    "no size": (lambda: changed(scenario(), lambda s: setattr(s.tracks[0].states[0], "width", 0)), "tracks.sizes"),
    "id twice": (
        lambda: changed(scenario(), lambda s: s.tracks.add().CopyFrom(s.tracks[0])), "tracks.ids",
    ),
    "map without lanes": (
        lambda: changed(scenario(), lambda s: [s.map_features.pop(0) for _ in range(3)]), "map_features",
    ),
    "NaN in the map": (
        lambda: changed(scenario(), lambda s: setattr(s.map_features[0].lane.polyline[3], "z", NAN)),
        "map_features[id=1]",
    ),
}  # fmt: skip
FRAMES = {
    "NaN pose": (lambda: [changed(frame(), lambda f: f.pose.transform.__setitem__(3, NAN))], "pose"),
    "no pose": (lambda: [without(frame(), "pose")], "pose"),
    "times fall": (lambda: [frame(1), frame(0)], "times_us"),
    "two segments": (lambda: [frame(0), frame(1, name="other")], "context.name"),
    "no image": (lambda: [changed(frame(), lambda f: f.images[0].ClearField("image"))], "images"),
    "camera without lens": (
        lambda: [changed(frame(), lambda f: f.context.camera_calibrations[0].intrinsic.pop())],
        "camera_calibrations[front]",
    ),
    "times equal": (lambda: [frame(1), frame(1)], "times_us"),
    "pose in perspective": (
        lambda: [changed(frame(), lambda f: f.images[0].pose.transform.__setitem__(5, 2.0))],
        "photos.world_from_ego",
    ),
    "mount scaled": (
        lambda: [changed(frame(), lambda f: _camera_of(f).extrinsic.transform.__setitem__(0, 2.0))],
        "cameras.ego_from_camera",
    ),
    "no focal length": (
        lambda: [changed(frame(), lambda f: _camera_of(f).intrinsic.__setitem__(0, 0.0))],
        "camera_calibrations[front]",
    ),
    "no width": (
        lambda: [changed(frame(), lambda f: setattr(_camera_of(f), "width", 0))],
        "camera_calibrations[front]",
    ),
    "NaN photo time": (
        lambda: [changed(frame(), lambda f: setattr(f.images[0], "pose_timestamp", NAN))],
        "images.pose_timestamp",
    ),
    "huge photo time": (
        lambda: [changed(frame(), lambda f: setattr(f.images[0], "pose_timestamp", 1e300))],
        "images.pose_timestamp",
    ),
    "ego jumps": (
        lambda: [frame(0), changed(frame(1), lambda f: f.pose.transform.__setitem__(3, 9e3))],
        "ego.world_from_ego",
    ),
    "photo of no camera": (lambda: [changed(frame(), lambda f: setattr(f.images[0], "name", 4))], "photos.camera"),
    "label twice": (lambda: [changed(frame(), lambda f: f.laser_labels.add().CopyFrom(f.laser_labels[0]))], "label"),
    "a scenario among frames": (lambda: [frame(), scenario()], "record 1"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", SCENARIOS)
def test_a_bad_scenario_gives_one_error_with_file_and_field(tmp_path, case):
    make, field = SCENARIOS[case]
    source = source_of(tmp_path, make())
    with pytest.raises(LogError) as caught:
        source.load("training-00000-of-00001-00000")
    assert caught.value.path == str(source.path)
    assert field in caught.value.field


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", FRAMES)
def test_a_bad_frame_gives_one_error_with_file_and_field(tmp_path, case):
    make, field = FRAMES[case]
    source = source_of(tmp_path, *make(), name="a.tfrecord")
    with pytest.raises(LogError) as caught:
        source.load("a")
    assert caught.value.path == str(source.path)
    assert field in caught.value.field


def test_a_record_of_something_else_is_refused(tmp_path):
    path = write_records(tmp_path / "a.tfrecord", b"\x0a\x03abc")
    with pytest.raises(LogError, match="neither a Waymo motion Scenario nor a perception Frame"):
        WaymoSource(path).load("a")
    with pytest.raises(LogError, match="no Waymo log of that name"):
        WaymoSource(path).load("b")
    with pytest.raises(LogError, match="not a Waymo motion Scenario"):
        WaymoSource(path).load("a-00000")


def test_one_damaged_file_does_not_stop_the_others(tmp_path):
    """It is named like a log, and loading that log says what is wrong with the file."""
    whole = write_records(tmp_path / "a.tfrecord", scenario().SerializeToString(), scenario().SerializeToString())
    (tmp_path / "b.tfrecord").write_bytes(b"not a record file at all")
    (tmp_path / "c.tfrecord").touch()
    (tmp_path / "d.tfrecord").write_bytes(whole.read_bytes()[:-7])
    write_records(tmp_path / "e.tfrecord", frame().SerializeToString())
    source = WaymoSource(tmp_path)
    assert source.names() == ("a-00000", "a-00001", "b", "c", "d", "e")
    for name, problem in (("b", "checksum of the length"), ("c", "the file is empty"), ("d", "record 1: is truncated")):
        with pytest.raises(LogError, match=problem) as caught:
            source.load(name)
        assert caught.value.path == str(tmp_path / f"{name}.tfrecord")
    assert len(source.load("a-00001").times_us) == 3
    assert len(source.load("e").times_us) == 1


def test_the_recording_vehicle_alone_is_a_log(tmp_path):
    alone = changed(scenario(), lambda s: (s.tracks.pop(0), setattr(s, "sdc_track_index", 0)))
    assert len(source_of(tmp_path, alone).load("training-00000-of-00001-00000").tracks) == 0
    empty = [without(frame(step), "laser_labels") for step in range(2)]
    log = source_of(tmp_path, *empty, name="b.tfrecord").load("b")
    assert (len(log.tracks), len(log.times_us)) == (0, 2)


def test_map_features_without_points_are_left_out(tmp_path):
    made = scenario()
    for number, kind in enumerate(("lane", "road_line", "road_edge", "crosswalk", "speed_bump", "driveway"), 50):
        getattr(made.map_features.add(id=number), kind).SetInParent()
    made.map_features[0].lane.exit_lanes.append(50)
    plain = source_of(tmp_path, scenario(), name="a.tfrecord").load("a-00000").road_map
    road_map = source_of(tmp_path, made, name="b.tfrecord").load("b-00000").road_map
    for name in ("lanes", "road_lines", "road_edges", "crosswalks", "speed_bumps", "drivable_areas"):
        assert len(getattr(road_map, name)) == len(getattr(plain, name))
    assert road_map.lanes[0].successors == ("3",)


def test_two_files_of_one_name_are_refused(tmp_path):
    for folder in ("training", "validation"):
        write_records(tmp_path / folder / "a.tfrecord", frame().SerializeToString())
    with pytest.raises(LogError, match="two files"):
        WaymoSource(tmp_path).names()
    assert WaymoSource(tmp_path / "validation").load("a").split == "val"


def test_without_the_protobuf_classes_the_error_says_how_to_install_them(tmp_path, monkeypatch):
    path = write_records(tmp_path / "a.tfrecord", frame().SerializeToString())
    for name in [name for name in sys.modules if name.startswith("waymo_open_dataset")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "waymo_open_dataset", None)
    with pytest.raises(MissingExtraError, match=r"pip install --no-deps waymo-open-dataset-tf-2-12-0==1\.6\.7"):
        WaymoSource(path).names()
