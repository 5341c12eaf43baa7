"""WOD-E2E frames: the index, the reader against records written field by field, and damage."""

import os
import pickle
import struct
import sys
from contextlib import suppress

import numpy as np
import pytest

from swerve.data import open_source
from swerve.data.sources.waymo.waymo_source import WaymoSource
from swerve.data.sources.wod_e2e import frame_index
from swerve.data.sources.wod_e2e.frame import read_image
from swerve.data.sources.wod_e2e.frame_index import FILE_NAME, build_index
from swerve.data.sources.wod_e2e.motion import headings
from swerve.data.sources.wod_e2e.protobuf_fields import fields
from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from swerve.eval.rater_feedback.frame_planning import history_of
from swerve.scenes import LogError, SwerveError
from swerve.scenes.viewpoints import Command
from tests.support.command import invoke
from tests.support.e2e_records import (
    CAMERAS,
    PAST,
    SEQUENCES,
    MadeFrame,
    bytes_field,
    circle,
    encode_frame,
    jpeg,
    key,
    rated_frame,
    varint,
    write_test_split,
    write_validation,
)
from tests.support.waymo_log import frame as perception_frame
from tests.support.waymo_log import masked, write_records

NAME = f"{SEQUENCES[0]}-007"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    return write_validation(tmp_path_factory.mktemp("val"))


def only(tmp_path, *records):
    """The source of a shard, and its frames."""
    write_records(tmp_path / "val.tfrecord-00000-of-00001", *records)
    source = WodE2eSource(tmp_path)
    return source, [source.frame(entry) for entry in source.index().entries]


def official():
    module = pytest.importorskip("waymo_open_dataset.protos.end_to_end_driving_data_pb2")
    return module.E2EDFrame


# --- The index


def test_scattered_frames_are_sorted(validation):
    source = open_source(f"wod_e2e:{validation}")
    assert source.names() == tuple(f"{sequence}-{step:03d}" for sequence in SEQUENCES for step in range(4))
    assert source.index().sequences == dict.fromkeys(SEQUENCES, 4)
    assert [entry.name for entry in source.index().rated] == [f"{sequence}-003" for sequence in SEQUENCES]
    assert {entry.future for entry in source.index().entries} == {20}
    assert len({entry.file for entry in source.index().entries}) == 2


def test_kind_is_recognised(validation, tmp_path):
    assert isinstance(open_source(str(validation)), WodE2eSource)
    assert isinstance(open_source(str(next(validation.glob("*.tfrecord*")))), WodE2eSource)
    other = write_records(tmp_path / "segment.tfrecord", perception_frame().SerializeToString())
    assert isinstance(open_source(str(other)), WaymoSource)


def test_splits_are_those_of_the_shards_names(tmp_path):
    write_validation(tmp_path / "val")
    write_test_split(tmp_path / "testing")
    # The names of frames are the same here: a folder at a time.
    assert {open_source(str(tmp_path / "val")).load(f"{SEQUENCES[0]}-000").split} == {"val"}
    held = WodE2eSource(tmp_path / "testing")
    assert held.load(f"{SEQUENCES[0]}-000").split == "test"
    assert len(held.entries_of("test")) == 18
    with pytest.raises(SwerveError, match="no frame of split val"):
        held.entries_of("val")


def test_index_is_kept_and_renewed_where_files_change(tmp_path, monkeypatch):
    folder = write_validation(tmp_path / "data")
    first, second = sorted(folder.glob("*.tfrecord*"))
    read = []
    scan = frame_index.scan_shard
    monkeypatch.setattr(frame_index, "scan_shard", lambda file: read.append(file.name) or scan(file))
    whole = build_index(folder)
    assert read == [first.name, second.name]
    assert (folder / FILE_NAME).is_file()
    assert build_index(folder) == whole
    assert len(read) == 2
    # A changed file alone is read again; a vanished one is forgotten.
    os.utime(second, ns=(1, 1))
    assert build_index(folder) == whole
    assert read[2:] == [second.name]
    second.unlink()
    assert len(build_index(folder).entries) == 12
    # One file of the folder has the same index.
    assert len(build_index(first).entries) == 12
    assert len(read) == 3


def test_files_before_a_damaged_one_are_kept(tmp_path, monkeypatch):
    folder = write_validation(tmp_path / "data")
    _, second = sorted(folder.glob("*.tfrecord*"))
    content = second.read_bytes()
    second.write_bytes(content[:-5])
    with pytest.raises(LogError, match="is truncated"):
        build_index(folder)
    second.write_bytes(content)
    read = []
    scan = frame_index.scan_shard
    monkeypatch.setattr(frame_index, "scan_shard", lambda file: read.append(file.name) or scan(file))
    assert len(build_index(folder).entries) == 24
    assert read == [second.name]


def test_index_goes_to_the_cache_where_the_folder_cannot_be_written(tmp_path):
    folder = write_validation(tmp_path / "data")
    (folder / FILE_NAME).mkdir()  # as good as a folder that is not writable, also for root
    whole = build_index(folder)
    (kept,) = (tmp_path / "cache" / "swerve" / "wod_e2e").glob("*.parquet")
    assert build_index(folder) == whole
    assert not list(folder.glob("*.part"))
    kept.unlink()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all" * 10])
def test_damaged_index_is_built_again(tmp_path, content):
    folder = write_validation(tmp_path / "data")
    whole = build_index(folder)
    (folder / FILE_NAME).write_bytes(content)
    assert build_index(folder) == whole


def test_stale_index_entry_is_noticed_when_the_frame_is_read(tmp_path):
    source, _ = only(tmp_path, encode_frame(MadeFrame(NAME)))
    (entry,) = source.index().entries
    write_records(entry.file, encode_frame(MadeFrame(f"{SEQUENCES[1]}-007")))
    with pytest.raises(LogError, match="the index says"):
        source.frame(entry)


def test_progress_is_reported_per_file(tmp_path):
    folder, told = write_validation(tmp_path / "data"), []
    build_index(folder, lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_source_is_light_and_names_read_no_images(validation, monkeypatch):
    source = WodE2eSource(validation)
    source.names()
    assert len(pickle.dumps(source)) < 500
    assert pickle.loads(pickle.dumps(source)) == source


# --- The content


def test_reads_what_was_written(tmp_path):
    made = rated_frame(MadeFrame(NAME, speed=9.0, curvature=-0.02, intent=3))
    _, (frame,) = only(tmp_path, encode_frame(made))
    assert (frame.sequence, frame.index, frame.command, frame.split) == (SEQUENCES[0], 7, Command.RIGHT, "val")
    np.testing.assert_allclose(frame.past, made.past, atol=1e-5)
    np.testing.assert_allclose(frame.future[:, :2], made.future, atol=1e-5)
    np.testing.assert_allclose(np.hypot(*frame.velocity.T), 9.0, rtol=1e-6)
    np.testing.assert_allclose(frame.acceleration[-1], [0.0, -0.02 * 81], atol=1e-6)
    assert frame.rated.scores.tolist() == [9.0, 6.0, 3.0]
    assert [points.shape for points in frame.rated.trajectories] == [(21, 2)] * 3
    assert len(frame.cameras) == len(frame.photos) == 8
    side = frame.cameras[3]
    assert (side.name, side.width, side.height) == ("side_left", 97, 108)
    for camera, number in zip(frame.cameras, CAMERAS, strict=True):
        assert np.abs(read_image(frame, camera).astype(int) - [20 * number, 100, 0]).max() <= 3


def test_intents_are_commands(tmp_path):
    records = [encode_frame(MadeFrame(f"{SEQUENCES[0]}-00{intent}", intent=intent)) for intent in range(4)]
    _, frames = only(tmp_path, *records)
    assert [frame.command.name for frame in frames] == ["UNKNOWN", "STRAIGHT", "LEFT", "RIGHT"]


def test_log_has_four_steps_a_second_and_the_photos_of_now(validation):
    log = WodE2eSource(validation).load(f"{SEQUENCES[0]}-002")
    assert len(log.times_us) == 36
    assert set(np.diff(log.times_us)) == {250_000}
    assert {photo.time_us for photo in log.photos} == {log.times_us[15]} == {200_000 + 3_750_000}
    # The left camera looks to the left, 0.4 m left of the middle.
    side = next(camera for camera in log.cameras if camera.name == "side_left")
    np.testing.assert_allclose(side.ego_from_camera[:3, 3], [1.5, 0.4, 2.0])
    np.testing.assert_allclose(side.ego_from_camera[:3, 2], [np.cos(1.6), np.sin(1.6), 0.0], atol=1e-9)
    # On the circle, headings are those of the drive, and velocity is forward.
    np.testing.assert_allclose(log.ego.headings[:16], -0.02 * 4.0 * PAST, atol=1e-5)
    np.testing.assert_allclose(log.ego.velocity[:16], [[4.0, 0.0]] * 16, atol=1e-5)


def test_hidden_future_leaves_sixteen_steps(tmp_path):
    log = WodE2eSource(write_test_split(tmp_path)).load(f"{SEQUENCES[0]}-001")
    assert len(log.times_us) == 16


def test_unrated_frames_have_a_score_of_minus_one_or_none(tmp_path):
    unrated = rated_frame(MadeFrame(NAME), scores=(-1.0, -1.0, -1.0))
    source, (frame,) = only(tmp_path, encode_frame(unrated))
    assert source.index().rated == ()
    assert len(frame.rated.scores) == 0


def test_history_follows_the_circle_at_ten_hertz(tmp_path):
    _, (frame,) = only(tmp_path, encode_frame(MadeFrame(NAME, speed=9.0, curvature=0.03)))
    history = history_of(frame)
    np.testing.assert_allclose(history.seconds, -0.1 * np.arange(16)[::-1], atol=1e-12)
    np.testing.assert_allclose(history.poses[:, :2], circle(9.0, 0.03, history.seconds), atol=2e-4)
    np.testing.assert_allclose(history.poses[:, 2], 0.27 * history.seconds, atol=1e-5)
    np.testing.assert_allclose(history.velocity, [[9.0, 0.0]] * 16, atol=0.02)
    np.testing.assert_allclose(history.acceleration, [[0.0, 2.43]] * 16, atol=0.02)
    np.testing.assert_allclose(history.yaw_rate, 0.27, atol=1e-5)


def test_headings_of_a_car_that_stands():
    # It drove to the left, stopped, stands now: the heading is that of now throughout the stop.
    velocity = np.array([[2.0, 1.0], [2.0, 0.5], [0.0, 0.1], [0.0, 0.0], [0.0, 0.0], [0.1, 0.3], [2.0, 2.0]])
    found = headings(velocity, 4)
    np.testing.assert_allclose(found, [np.arctan2(1, 2), np.arctan2(0.5, 2), 0, 0, 0, 0, np.pi / 4])


def test_headings_of_a_turn_by_more_than_half_a_circle():
    angles = np.linspace(-4.0, 0.0, 16)
    found = headings(5.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1), 15)
    np.testing.assert_allclose(found, angles, atol=1e-12)


# --- The official classes, where they are installed


def test_official_classes_read_the_made_records():
    made = encode_frame(rated_frame(MadeFrame(NAME)))
    message = official().FromString(made)
    assert message.SerializeToString(deterministic=True) == made
    assert message.frame.context.name == NAME
    assert len(message.preference_trajectories[1].pos_y) == 21
    assert message.frame.images[7].image == jpeg(8)


def test_reads_what_the_official_classes_write(tmp_path):
    message = official()(intent=2)
    message.frame.context.name = NAME
    calibration = message.frame.context.camera_calibrations.add(name=1, width=97, height=108)
    calibration.intrinsic.extend([50, 50, 48, 54, 0, 0, 0, 0, 0])
    calibration.extrinsic.transform.extend(np.eye(4).ravel().tolist())
    message.frame.images.add(name=1, image=jpeg(1))
    rng = np.random.default_rng(0)
    values = rng.normal(0, 10, (6, 16)).astype(np.float32)
    for name, column in zip(("pos_x", "pos_y", "vel_x", "vel_y", "accel_x", "accel_y"), values, strict=True):
        getattr(message.past_states, name).extend(column.tolist())
    rated = message.preference_trajectories.add(preference_score=7.5)
    rated.pos_x.extend([1.0, 2.0])
    rated.pos_y.extend([0.5, 0.25])
    source, (frame,) = only(tmp_path, message.SerializeToString())
    np.testing.assert_array_equal(frame.past, values[:2].T)
    np.testing.assert_array_equal(frame.velocity, values[2:4].T)
    np.testing.assert_array_equal(frame.acceleration, values[4:].T)
    assert frame.rated.scores.tolist() == [7.5]
    np.testing.assert_array_equal(frame.rated.trajectories[0], [[1.0, 0.5], [2.0, 0.25]])
    assert (len(frame.future), frame.command, source.index().entries[0].ratings) == (0, Command.LEFT, 1)


def test_missing_classes_are_named_with_what_to_install(validation, monkeypatch):
    monkeypatch.setitem(sys.modules, "waymo_open_dataset.protos.end_to_end_driving_data_pb2", None)
    source = WodE2eSource(validation)
    assert len(source.names()) == 24  # the index needs none
    with pytest.raises(SwerveError, match=r"Waymo's protobuf classes\) is not installed. Install it with: pip install"):
        source.load(source.names()[0])


# --- Damage


def damaged(tmp_path, content, match):
    file = tmp_path / "val.tfrecord"
    file.write_bytes(content)
    with pytest.raises(LogError, match=match) as caught:
        WodE2eSource(tmp_path).names()
    assert "val.tfrecord" in str(caught.value)
    assert "record " in str(caught.value)


def whole(tmp_path, *records):
    file = write_records(tmp_path / "made.tmp", *records)
    content = file.read_bytes()
    file.unlink()
    return content


@pytest.mark.parametrize("keep", [5, 11, 12, 100, -1])
def test_truncated_file(tmp_path, keep):
    content = whole(tmp_path, encode_frame(MadeFrame(NAME)))
    damaged(tmp_path, content[:keep], r"record 0: is truncated")


@pytest.mark.parametrize("length", [1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_length_is_compared_with_the_file_before_it_is_believed(tmp_path, length):
    good, head = whole(tmp_path, encode_frame(MadeFrame(NAME))), struct.pack("<Q", length)
    damaged(tmp_path, good + head + masked(head) + b"data", r"record 1: is truncated: \d+ bytes are due")


def test_bad_checksum_of_a_length(tmp_path):
    content = whole(tmp_path, encode_frame(MadeFrame(NAME)))
    damaged(tmp_path, content[:8] + b"abcd" + content[12:], r"record 0: bad checksum of the length")


def test_bad_checksum_of_data_is_found_when_the_frame_is_read(tmp_path):
    content = bytearray(whole(tmp_path, encode_frame(MadeFrame(NAME))))
    content[len(content) // 2] ^= 1  # in an image
    (tmp_path / "val.tfrecord").write_bytes(content)
    with pytest.raises(LogError, match=r"val.tfrecord: record 0: bad checksum of the data"):
        WodE2eSource(tmp_path).load(NAME)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xff" * 40,
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a field of 2^64 - 1 bytes
        b"\x0b\x0b\x0b\x0b",  # groups in groups
        bytes_field(1, bytes_field(1, bytes_field(1, b"\xff\xfe-001"))),
        bytes_field(1, bytes_field(1, bytes_field(1, b"../../etc/passwd"))),
        bytes_field(1, bytes_field(1, bytes_field(1, NAME.encode()))),  # no past
        key(1, 0) + varint(5),
        np.random.default_rng(1).bytes(500),
    ],
)
def test_other_messages_are_refused(tmp_path, record):
    damaged(tmp_path, whole(tmp_path, record), "record 0: is not a Waymo end-to-end E2EDFrame")


def test_perception_frames_are_refused(tmp_path):
    record = perception_frame().SerializeToString()
    damaged(tmp_path, whole(tmp_path, encode_frame(MadeFrame(NAME)), record), "record 1: is not a Waymo end-to-end")


def test_e2e_frames_given_as_waymo_are_refused(tmp_path):
    write_records(tmp_path / "val.tfrecord", encode_frame(MadeFrame(NAME)))
    source = open_source(f"waymo:{tmp_path}")
    with pytest.raises(LogError, match="wod_e2e:PATH"):
        source.load(source.names()[0])


def test_mutations_of_a_record_raise_log_errors_only(tmp_path):
    rng, record = np.random.default_rng(3), encode_frame(rated_frame(MadeFrame(NAME)), cameras=(1,))
    for trial in range(150):
        content = bytearray(record)
        for _ in range(int(rng.integers(1, 6))):
            content[int(rng.integers(len(content)))] = int(rng.integers(256))
        file = tmp_path / f"{trial}" / "val.tfrecord"
        source = WodE2eSource(write_records(file, bytes(content[: int(rng.integers(1, len(content) + 1))])))
        with suppress(LogError):
            for name in source.names():
                log, frame = source.load(name), source.frame(source.index().by_name[name])
                assert log.name == frame.name == name
                for camera in frame.cameras:
                    read_image(frame, camera)


def test_two_records_of_one_name(tmp_path):
    write_records(tmp_path / "a.tfrecord", encode_frame(MadeFrame(NAME)))
    write_records(tmp_path / "b.tfrecord", encode_frame(MadeFrame(NAME)))
    with pytest.raises(LogError, match=rf"b.tfrecord: record 0: frame {NAME} is also record 0 of .*a.tfrecord"):
        WodE2eSource(tmp_path).names()


def test_empty_and_missing_files(tmp_path):
    with pytest.raises(LogError, match=r"no \.tfrecord file"):
        WodE2eSource(tmp_path).names()
    (tmp_path / "val.tfrecord").touch()
    with pytest.raises(LogError, match="the file is empty"):
        WodE2eSource(tmp_path).names()


def changed(change):
    """A record that the official classes have changed."""
    message = official().FromString(encode_frame(rated_frame(MadeFrame(NAME))))
    change(message)
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda one: one.past_states.pos_x.pop(), "past_states.pos_x: has 15 values, must have 16"),
        (lambda one: one.past_states.vel_y.append(0.0), "past_states.vel_y: has 17 values"),
        (lambda one: one.past_states.ClearField("accel_x"), "past_states.accel_x: has 0 values"),
        (lambda one: one.past_states.vel_x.__setitem__(3, np.nan), "past_states.vel_x: is nan at point 3"),
        (lambda one: one.past_states.pos_y.__setitem__(0, 1e30), "past_states.pos_y: is 1.00"),
        (lambda one: one.future_states.pos_y.pop(), "future_states.pos_y: has 19 values, must have 20"),
        (lambda one: one.future_states.pos_z.pop(), "future_states.pos_z: has 19 values"),
        (lambda one: one.preference_trajectories[1].pos_y.pop(), r"preference_trajectories\[1\].pos_y: has 20 values"),
        (
            lambda one: one.preference_trajectories[2].ClearField("pos_x"),
            r"preference_trajectories\[2\]: has no points",
        ),
        (lambda one: setattr(one.preference_trajectories[0], "preference_score", 11.0), "has score 11.0"),
        (lambda one: setattr(one.preference_trajectories[1], "preference_score", np.nan), "has score nan"),
        (lambda one: one.frame.images[1].ClearField("image"), "camera front_left has no image"),
        (lambda one: setattr(one.frame.images[1], "name", 1), "images: camera front occurs twice"),
        (
            lambda one: setattr(one.frame.context.camera_calibrations[1], "name", 1),
            "camera_calibrations: camera front occurs twice",
        ),
        (lambda one: one.frame.context.camera_calibrations[0].intrinsic.pop(), "needs 9 finite intrinsics"),
    ],
)
def test_wrong_values_are_named(tmp_path, change, match):
    with pytest.raises(LogError, match=match) as caught:
        only(tmp_path, changed(change))
    assert "val.tfrecord-00000-of-00001" in str(caught.value)


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (b"no picture", "image of front: cannot be decoded"),
        (jpeg(1)[:200], "image of front: cannot be decoded"),
        (jpeg(7), "has 97x55 pixels, its calibration 97x108"),
    ],
)
def test_damaged_images(tmp_path, image, match):
    _, (frame,) = only(tmp_path, encode_frame(MadeFrame(NAME, images={1: image})))
    with pytest.raises(LogError, match=match):
        read_image(frame, frame.cameras[0])


def test_fields_are_bounded():
    good = memoryview(encode_frame(MadeFrame(NAME)))
    assert [one.number for one in fields(good, 0, len(good))] == [1, 5, 6, 7]
    with pytest.raises(ValueError, match="without an end"):
        list(fields(memoryview(b"\x80" * 20), 0, 20))
    with pytest.raises(ValueError, match="bytes, where"):
        list(fields(good, 0, len(good) - 30))


# --- Commands


@pytest.mark.parametrize(
    "arguments",
    [
        ("augment", "{}", "{out}"),
        ("build", "{}", "{out}"),
        ("fit", "{}", "{out}"),
        ("show", "{}", "{out}"),
        ("drive", "{}", "{out}", "--planners", "constant-velocity"),
    ],
)
def test_commands_that_need_a_map_or_boxes_say_so(validation, tmp_path, arguments):
    done = invoke(*(one.format(f"wod_e2e:{validation}", out=tmp_path / "out") for one in arguments))
    assert isinstance(done.exception, SwerveError), done.output
    assert "WOD-E2E has no map, no boxes" in str(done.exception)
    assert "\n" not in str(done.exception)


def test_info_describes_frames(validation):
    done = invoke("info", f"wod_e2e:{validation}", "--logs", 1)
    assert done.exit_code == 0, done.exception
    assert "24 logs, the first 1" in done.output
    assert "24 frames of 6 sequences in 2 files; 6 rated, 0 with hidden future" in done.output
    assert "8.8 s, 36 steps, no map, 0 tracks" in done.output
    assert "8 cameras, 8 photos" in done.output
