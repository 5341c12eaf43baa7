"""Made-up WOD-E2E data, written field by field: records of E2EDFrames, and the two JSON files beside them.

The encoder is of its own, without protobuf, so that the official classes can be compared with it.
"""

import json
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import simplejpeg

from tests.support.waymo_log import write_records

SEQUENCES = tuple(f"{index:032x}" for index in range(10, 16))
CLUSTERS = ("Construction", "Intersections", "Cyclists")
# By CameraName: width, height; the data set's shapes at a tenth.
CAMERAS = {1: (97, 108), 2: (97, 108), 3: (97, 108), 4: (97, 108), 5: (97, 108), 6: (97, 59), 7: (97, 55), 8: (97, 59)}
YAWS = {1: 0.0, 2: 0.8, 3: -0.8, 4: 1.6, 5: -1.6, 6: 2.4, 7: np.pi, 8: -2.4}
PAST, FUTURE = np.arange(-15, 1) * 0.25, np.arange(1, 21) * 0.25


@dataclass(frozen=True)
class MadeFrame:
    """Content of a record: a drive on a circle, at constant acceleration until standstill."""

    name: str
    speed: float = 8.0
    curvature: float = 0.01
    acceleration: float = 0.0
    intent: int = 1
    rated: tuple = ()
    scores: tuple = ()
    with_future: bool = True
    images: dict = field(default_factory=dict)

    @property
    def past(self):
        return circle(self.speed, self.curvature, PAST, self.acceleration)

    @property
    def future(self):
        return circle(self.speed, self.curvature, FUTURE, self.acceleration) if self.with_future else None


def circle(speed, curvature, seconds, acceleration=0.0):
    """Positions (t, 2) on a circle through the origin, facing x."""
    driven, _ = distances(speed, acceleration, seconds)
    half = curvature * driven / 2
    return (driven * np.sinc(half / np.pi))[:, None] * np.stack([np.cos(half), np.sin(half)], axis=1)


def distances(speed, acceleration, seconds):
    """Distance from now and speed, which is never below zero."""
    ends = -speed / acceleration if acceleration else np.inf
    moving = np.minimum(seconds, ends) if acceleration < 0 else np.maximum(seconds, -abs(ends))
    return speed * moving + acceleration * moving**2 / 2, np.maximum(speed + acceleration * seconds, 0.0)


def motion(speed, curvature, seconds, acceleration=0.0):
    """Velocities and accelerations (t, 2) on it, in the frame of now."""
    driven, speeds = distances(speed, acceleration, seconds)
    turn = curvature * driven
    forward = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    left = np.stack([-np.sin(turn), np.cos(turn)], axis=1)
    along = np.where(speeds > 0, acceleration, 0.0)[:, None] * forward
    return speeds[:, None] * forward, along + (curvature * speeds**2)[:, None] * left


def jpeg(camera, shade=0):
    """A picture whose colour tells the camera and the shade."""
    width, height = CAMERAS[camera]
    pixels = np.full((height, width, 3), (20 * camera, 100, shade), np.uint8)
    return simplejpeg.encode_jpeg(pixels, quality=95, colorspace="RGB", colorsubsampling="444")


def encode_frame(frame: MadeFrame, cameras=tuple(CAMERAS)) -> bytes:
    """The bytes of an E2EDFrame."""
    context = text(1, frame.name) + b"".join(bytes_field(2, calibration(camera)) for camera in cameras)
    images = b"".join(
        bytes_field(4, varint_field(1, camera) + bytes_field(2, frame.images.get(camera, jpeg(camera))))
        for camera in cameras
    )
    velocity, acceleration = motion(frame.speed, frame.curvature, PAST, frame.acceleration)
    past = trajectory(frame.past, velocity=velocity, acceleration=acceleration)
    made = bytes_field(1, bytes_field(1, context) + images)
    made += b"" if frame.future is None else bytes_field(5, trajectory(frame.future, heights=np.zeros(20)))
    made += bytes_field(6, past) + varint_field(7, frame.intent)
    rated = [trajectory(points, score=score) for points, score in zip(frame.rated, frame.scores, strict=True)]
    return made + b"".join(bytes_field(8, one) for one in rated)


def calibration(camera):
    """A CameraCalibration, looking to its side."""
    width, height = CAMERAS[camera]
    yaw = YAWS[camera]
    cos, sin = np.cos(yaw), np.sin(yaw)
    extrinsic = [cos, -sin, 0, 1.5, sin, cos, 0, 0.1 * camera, 0, 0, 1, 2.0, 0, 0, 0, 1]
    intrinsic = [80.0, 80.0, width / 2, height / 2, 0.01, -0.02, 0, 0, 0]
    transform = bytes_field(3, doubles(1, extrinsic))
    return (
        varint_field(1, camera) + doubles(2, intrinsic) + transform + varint_field(4, width) + varint_field(5, height)
    )


def trajectory(points, heights=None, velocity=None, acceleration=None, score=None):
    """An EgoTrajectoryStates."""
    columns = {1: points[:, 0], 2: points[:, 1]}
    if heights is not None:
        columns[3] = heights
    if velocity is not None:
        columns |= {4: velocity[:, 0], 5: velocity[:, 1], 6: acceleration[:, 0], 7: acceleration[:, 1]}
    made = b"".join(floats(number, values) for number, values in columns.items())
    return made + (b"" if score is None else key(8, 5) + struct.pack("<f", score))


def floats(number, values):
    return bytes_field(number, np.asarray(values, "<f4").tobytes())


def doubles(number, values):
    """Repeated doubles, which the calibration has unpacked."""
    return b"".join(key(number, 1) + struct.pack("<d", value) for value in values)


def bytes_field(number, content):
    return key(number, 2) + varint(len(content)) + content


def text(number, content):
    return bytes_field(number, content.encode())


def varint_field(number, value):
    return key(number, 0) + varint(value)


def key(number, kind):
    return varint(number << 3 | kind)


def varint(value):
    made = b""
    while value > 0x7F:
        made += bytes([value & 0x7F | 0x80])
        value >>= 7
    return made + bytes([value])


def rated_frame(frame: MadeFrame, scores=(9.0, 6.0, 3.0)) -> MadeFrame:
    """The frame with three rated trajectories of 21 points: as logged, at half speed, and to the left."""
    seconds = np.append(FUTURE, 5.25)
    own = circle(frame.speed, frame.curvature, seconds, frame.acceleration)
    slow = circle(frame.speed / 2, frame.curvature, seconds)
    left = own + np.stack([0 * seconds, 0.1 * seconds**2], axis=1)
    return replace(frame, rated=(own, slow, left), scores=scores)


def write_validation(folder: Path, frames=4) -> Path:
    """Write two shards with the frames of all sequences in a mixed order; the last of each is rated."""
    records = []
    for row, sequence in enumerate(SEQUENCES):
        for step in range(frames):
            frame = MadeFrame(f"{sequence}-{step:03d}", 4.0 + 2 * row, 0.02 * (row % 3 - 1), intent=(row + 2) % 3 + 1)
            records.append(encode_frame(rated_frame(frame) if step == frames - 1 else replace(frame, scores=())))
    order = np.random.default_rng(0).permutation(len(records))
    half = len(order) // 2
    for part, rows in enumerate((order[:half], order[half:])):
        write_records(folder / f"val_made_up.tfrecord-{part:05d}-of-00002", *(records[row] for row in rows))
    clusters = {name: {"scenario_cluster": CLUSTERS[row % 3]} for row, name in enumerate(SEQUENCES)}
    (folder / "val_sequence_name_to_scenario_cluster.json").write_text(json.dumps(clusters))
    return folder


def write_test_split(folder: Path, frames=3) -> Path:
    """Write a shard of test frames, without futures, and the list of frames to submit: the last of each sequence."""
    names = [f"{sequence}-{step:03d}" for step in range(frames) for sequence in SEQUENCES]
    records = [encode_frame(MadeFrame(name, 4.0 + 2 * row, with_future=False)) for row, name in enumerate(names)]
    write_records(folder / "test_made_up.tfrecord-00000-of-00001", *records)
    wanted = dict.fromkeys(SEQUENCES, frames - 1)
    (folder / "test_sequence_frames_for_submission.json").write_text(json.dumps(wanted))
    return folder
