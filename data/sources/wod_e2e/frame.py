"""A WOD-E2E frame: what the car saw and how it drove, 4 s back and 5 s ahead.

Waymo's ego frame is Swerve's: x forward, y left, z up, origin on the rear axle. Positions, velocities and accelerations
of all times are in the ego frame of now, at 4 Hz. There are no poses, boxes or map.
"""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from swerve.data.sources.source import split_of
from swerve.data.sources.waymo.perception import CAMERAS, read_camera
from swerve.data.sources.waymo.tfrecords import TFRecord, parse_e2e_frame, read_record_at
from swerve.data.sources.wod_e2e.frame_index import FrameEntry
from swerve.data.stream.image_decoding import decode_rgb
from swerve.scenes import Camera, LogError, Photo, Split
from swerve.scenes.viewpoints import Command

PAST_POINTS: Final = 16
FUTURE_POINTS: Final = 20
PERIOD: Final = 0.25
# Frames of a sequence are this far apart.
FRAME_PERIOD: Final = 0.1
# By EgoIntent.Intent: unknown, straight, left, right.
_COMMANDS: Final = (Command.UNKNOWN, Command.STRAIGHT, Command.LEFT, Command.RIGHT)
_UNRATED: Final = -1.0
_HIGHEST: Final = 10.0
# Metres, m/s and m/s2 beyond which a number is taken for damage.
_FARTHEST: Final = 10_000.0


@dataclass(frozen=True)
class RatedTrajectories:
    """Trajectories that people have rated; empty where nobody has.

    Attributes:
        trajectories: positions after 0.25, 0.5, ... s; as many as the data have, 21 in most.
        scores: 0 to 10; -1 of one without a score.
    """

    trajectories: tuple[Float[np.ndarray, "_ 2"], ...]
    scores: Float[np.ndarray, "p"]


@dataclass(frozen=True)
class E2EFrame:
    """Content of a frame.

    Attributes:
        name: SEQUENCE-FRAME.
        sequence: name of the sequence.
        index: of the frame in it; frames are 0.1 s apart.
        command: the driver's intent.
        past: positions at -3.75, -3.5, ..., 0 s.
        velocity: at the same times.
        acceleration: at the same times.
        future: logged positions (x, y, z) after 0.25, ..., 5 s; empty where they are hidden. z is 0 if not given.
        rated: the rated trajectories.
        cameras: the rig.
        photos: one of each camera, now.
        split: "train", "val" or "test", by the shard's name.
    """

    name: str
    sequence: str
    index: int
    command: Command
    past: Float[np.ndarray, "16 2"]
    velocity: Float[np.ndarray, "16 2"]
    acceleration: Float[np.ndarray, "16 2"]
    future: Float[np.ndarray, "f 3"]
    rated: RatedTrajectories
    cameras: tuple[Camera, ...]
    photos: tuple[Photo, ...]
    split: Split | None

    @property
    def time_us(self) -> int:
        """Time of the frame; the first point of the past of a sequence's first frame is at zero."""
        return round((self.index * FRAME_PERIOD + (PAST_POINTS - 1) * PERIOD) * 1e6)


def read_frame(entry: FrameEntry, root: Path) -> E2EFrame:
    """Read a frame; checks the record's checksums, and that it is the one that was indexed.

    Args:
        entry: place of the frame.
        root: the source's path, for the split.

    Raises:
        LogError: the record is damaged, another one, or has values that a frame cannot have.
    """
    record = read_record_at(entry.file, entry.number, entry.start)
    message = parse_e2e_frame(record)
    if message.frame.context.name != entry.name:
        problem = f"holds frame {message.frame.context.name[:120]!r}, the index says {entry.name}"
        raise LogError(entry.file, record.name, problem, "Was the file replaced meanwhile? Run the command again")
    past = message.past_states
    photos = tuple(_photo(image, record) for image in message.frame.images)
    _check_unique([photo.camera for photo in photos], record, "images")
    calibrations = message.frame.context.camera_calibrations
    _check_unique([CAMERAS[one.name] for one in calibrations], record, "camera_calibrations")
    return E2EFrame(
        name=entry.name,
        sequence=entry.sequence,
        index=entry.frame,
        command=_COMMANDS[message.intent],
        past=_columns(past, ("pos_x", "pos_y"), record, "past_states", PAST_POINTS),
        velocity=_columns(past, ("vel_x", "vel_y"), record, "past_states", PAST_POINTS),
        acceleration=_columns(past, ("accel_x", "accel_y"), record, "past_states", PAST_POINTS),
        future=_future(message.future_states, record),
        rated=_rated(message.preference_trajectories, record),
        cameras=tuple(read_camera(one, entry.file) for one in calibrations),
        photos=photos,
        split=split_of(entry.file, root),
    )


def read_image(frame: E2EFrame, camera: Camera) -> UInt8[np.ndarray, "_ _ 3"]:
    """Decode the image of a camera, RGB.

    Raises:
        LogError: there is none, it is damaged, or of another size than the calibration says.
    """
    photo = next((photo for photo in frame.photos if photo.camera == camera.name), None)
    if photo is None:
        file = frame.photos[0].file if frame.photos else frame.name
        raise LogError(file, f"frame {frame.name}", f"has no image of camera {camera.name}")
    where = f"frame {frame.name}: image of {camera.name}"
    encoded = photo.read()
    try:
        size = _image_size(encoded)
        if size != (camera.width, camera.height):
            problem = f"has {size[0]}x{size[1]} pixels, its calibration {camera.width}x{camera.height}"
            raise LogError(photo.file, where, problem)
        return decode_rgb(encoded, (float(camera.width), float(camera.height)))
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise LogError(photo.file, where, f"cannot be decoded ({error})") from error


def _image_size(encoded: bytes) -> tuple[int, int]:
    """Return width and height by the header, before any pixel is decoded."""
    with Image.open(io.BytesIO(encoded)) as image:
        return image.size


def _photo(image: Any, record: TFRecord) -> Photo:  # noqa: ANN401 - protobuf builds the class at run time
    """Locate the encoded image in the file: protobuf stores bytes unchanged."""
    start = record.data.find(image.image)
    if not image.image or start < 0:
        raise LogError(record.file, f"{record.name}: images", f"camera {CAMERAS[image.name]} has no image")
    return Photo(CAMERAS[image.name], 0, np.eye(4), record.file, record.start + start, len(image.image))


def _check_unique(names: list[str], record: TFRecord, field: str) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise LogError(record.file, f"{record.name}: {field}", f"camera {twice[0]} occurs twice")


def _columns(states: Any, names: tuple[str, ...], record: TFRecord, field: str, points: int) -> np.ndarray:  # noqa: ANN401
    """Return (points, columns) of the given fields.

    Raises:
        LogError: one has another number of values, or a value that is not finite or beyond all bounds.
    """
    columns = [np.array(getattr(states, name), np.float64) for name in names]
    for name, values in zip(names, columns, strict=True):
        where = f"{record.name}: {field}.{name}"
        if len(values) != points:
            raise LogError(record.file, where, f"has {len(values)} values, must have {points}")
        if not (np.abs(values) < _FARTHEST).all():
            bad = int(np.flatnonzero(~(np.abs(values) < _FARTHEST))[0])
            raise LogError(record.file, where, f"is {values[bad]} at point {bad}")
    return np.stack(columns, axis=1)


def _future(states: Any, record: TFRecord) -> Float[np.ndarray, "f 3"]:  # noqa: ANN401
    if not states.pos_x and not states.pos_y:
        return np.zeros((0, 3))
    planar = _columns(states, ("pos_x", "pos_y"), record, "future_states", FUTURE_POINTS)
    names = ("pos_z",) if states.pos_z else ()
    heights = _columns(states, names, record, "future_states", FUTURE_POINTS) if names else np.zeros((FUTURE_POINTS, 1))
    return np.concatenate([planar, heights], axis=1)


def _rated(entries: Any, record: TFRecord) -> RatedTrajectories:  # noqa: ANN401
    """Return the rated trajectories; as in Waymo's tutorial, a first score of -1 says that there are none.

    Raises:
        LogError: a score is not from 0 to 10, or a trajectory has no points.
    """
    scores = [one.preference_score if one.HasField("preference_score") else _UNRATED for one in entries]
    if not scores or scores[0] == _UNRATED:
        return RatedTrajectories((), np.zeros(0))
    for row, (one, score) in enumerate(zip(entries, scores, strict=True)):
        where = f"{record.name}: preference_trajectories[{row}]"
        if not (0 <= score <= _HIGHEST or score == _UNRATED):
            raise LogError(record.file, where, f"has score {score}, scores are 0 to 10")
        if not one.pos_x:
            raise LogError(record.file, where, "has no points")
    points = tuple(
        _columns(one, ("pos_x", "pos_y"), record, f"preference_trajectories[{row}]", len(one.pos_x))
        for row, one in enumerate(entries)
    )
    return RatedTrajectories(points, np.array(scores, np.float64))
