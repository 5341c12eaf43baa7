"""Reading of OpenScene's log files: a pickled list with a dict for every frame."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.navsim.frames import OBJECT_NAMES, OpenSceneBoxes, OpenSceneCamera, OpenSceneFrame
from swerve.data.storage.restricted_pickle import read_pickle
from swerve.scenes import LogError
from swerve.scenes.printable import name_problem
from swerve.scenes.transforms import rigid_transform, rotation_from_quaternion

# Microseconds of a time: about the year 2100, and the numbers of lanes.
_LATEST_US: Final = 2**52
_MOST_FRAMES: Final = 100_000
_MOST_COEFFICIENTS: Final = 14
# Of a quaternion's length from one; of a velocity or an acceleration, in m/s or m/s2. Motion is checked again in logs.
_NOT_UNIT: Final = 1e-3
_FASTEST: Final = 1e6
# Quaternions whose squares differ less than this from one are not normalized, as in pyquaternion: it changes the last
# digit.
_UNIT: Final = 1e-14


def read_log_frames(path: Path) -> tuple[OpenSceneFrame, ...]:
    """Read the frames of a log file, in its order.

    Raises:
        LogError: the file is missing, truncated, damaged, names a program, or lacks a field.
    """
    records = read_pickle(path)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise LogError(path, "file", "is not a list of frames", "Logs are the files of navsim_logs/SPLIT")
    if not 0 < len(records) <= _MOST_FRAMES:
        raise LogError(path, "file", f"has {len(records)} frames" if records else "has no frames")
    frames = []
    for index, record in enumerate(records):
        with malformed(path, f"frame {index}"):
            frames.append(_frame(record))
    return tuple(frames)


@contextmanager
def malformed(path: Path, where: str) -> Iterator[None]:
    """Convert errors about missing or mistyped values inside the block to one that names the field.

    Raises:
        LogError: replaces the exceptions of accessing dicts and lists.
    """
    try:
        yield
    except LogError:
        raise
    except KeyError as error:
        raise LogError(path, f"{where}, {error.args[0]!s:.80}", "is missing") from error
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError, MemoryError, RecursionError) as error:
        raise LogError(path, where, f"is malformed ({str(error)[:300]})") from error


def _frame(record: Mapping[str, Any]) -> OpenSceneFrame:
    position = numbers(record["ego2global_translation"], (3,), "ego2global_translation")
    quaternion = numbers(record["ego2global_rotation"], (4,), "ego2global_rotation")
    if abs(np.linalg.norm(quaternion) - 1.0) > _NOT_UNIT:
        raise ValueError("ego2global_rotation is no unit quaternion")
    state = numbers(record["ego_dynamic_state"], (4,), "ego_dynamic_state")
    if np.abs(state).max() > _FASTEST:
        raise ValueError(f"ego_dynamic_state has the value {state[np.abs(state).argmax()]:.3g}")
    state = state.astype(np.float32)
    annotations = record.get("anns")
    return OpenSceneFrame(
        token=text_of(record["token"], "token"),
        timestamp_us=integer_of(record["timestamp"], "timestamp"),
        log_name=text_of(record["log_name"], "log_name"),
        scene_token=text_of(record["scene_token"], "scene_token"),
        map_location="None" if record["map_location"] is None else text_of(record["map_location"], "map_location"),
        roadblock_ids=texts_of(record["roadblock_ids"], "roadblock_ids"),
        traffic_lights=lights_of(record["traffic_lights"]),
        boxes=None if annotations is None else boxes_of(annotations, "gt_boxes", "gt_names", "gt_velocity_3d"),
        ego_pose=np.array([*position[:2], heading_of(quaternion)]),
        world_from_ego=rigid_transform(rotation_from_quaternion(quaternion), position),
        ego_velocity=state[:2],
        ego_acceleration=state[2:],
        driving_command=command_of(record["driving_command"]),
        lidar_path=None if record.get("lidar_path") is None else inside(record["lidar_path"]),
        cameras=cameras_of(record["cams"]),
    )


def text_of(value: object, field: str) -> str:
    """Return a name, which may be a number.

    Raises:
        ValueError: it is something else: whatever a pickle holds, written out, may be of any length.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and abs(int(value)) < 2**63:
        return str(int(value))
    if problem := name_problem(value):
        raise ValueError(f"{field} {problem}")
    return str(value)


def texts_of(values: object, field: str) -> tuple[str, ...]:
    """Return a list of names, see `text_of`.

    Raises:
        ValueError: it is no list.
    """
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise ValueError(f"{field} is a {type(values).__name__}, not a list")
    return tuple(text_of(value, field) for value in values)


def integer_of(value: object, field: str, most: int = _LATEST_US) -> int:
    """Return a whole number from 0 to a bound.

    Raises:
        ValueError: it is something else.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole and not (isinstance(value, (float, np.floating)) and float(value).is_integer()):
        raise ValueError(f"{field} is not a whole number")
    number = int(value)  # type: ignore[call-overload]  # one of the above
    if not 0 <= number <= most:
        raise ValueError(f"{field} is beyond 0 to {most}")
    return int(number)


def heading_of(quaternion: Float[np.ndarray, "4"]) -> float:
    """Return NAVSIM's heading of a quaternion (scalar first): pyquaternion's yaw, which is the first of three angles.

    With roll and pitch it differs from the direction of the x axis, by 0.001 rad on a cambered road.
    """
    squares = float(quaternion @ quaternion)
    unit = abs(1.0 - squares) < _UNIT
    w, x, y, z = (float(part) for part in (quaternion if unit else quaternion / np.sqrt(squares)))
    return math.atan2(2 * (w * z - x * y), 1 - 2 * (y**2 + z**2))


def numbers(value: object, shape: tuple[int, ...], field: str) -> Float[np.ndarray, "..."]:
    """Return numbers of a shape as float64.

    Raises:
        ValueError: they have another shape, or one is not finite.
    """
    array = number_array(value, field).astype(np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{field} has the shape {array.shape} instead of {shape}, or is not finite")
    return array


def number_array(value: object, field: str) -> np.ndarray:
    """Return an array, or nested lists, of numbers.

    Raises:
        ValueError: something in it is no number: a text that looks like one, a boolean, or an object.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{field} is not made of numbers")
    return array


def command_of(value: object) -> np.ndarray:
    """Return the driving command: four integers.

    Raises:
        ValueError: there are not four.
    """
    command = number_array(value, "driving_command")
    if command.shape != (4,):
        raise ValueError(f"driving_command has the shape {command.shape} instead of (4,)")
    whole: np.ndarray = command.astype(np.int64) if np.isfinite(command).all() else np.full(4, -1)
    if not np.isin(whole, (0, 1)).all() or (whole != command).any():
        raise ValueError("driving_command is not made of zeros and ones")
    return whole


def inside(value: object) -> str:
    """Return the path of a sensor file, which must lie in the folder of sensor data.

    Raises:
        ValueError: it leads out of the folder.
    """
    path = PurePosixPath(text_of(value, "path"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{str(path)!r} leads out of the folder of sensor data")
    return str(path)


def lights_of(value: Any) -> tuple[tuple[int, bool], ...]:  # noqa: ANN401 a list of pairs
    """Return lane connectors and whether their light is red."""
    return tuple((integer_of(lane, "traffic_lights", 2**62), bool(red)) for lane, red in value)


def boxes_of(record: Mapping[str, Any], boxes: str, names: str, velocities: str) -> OpenSceneBoxes:
    """Return the annotations of a frame, whose fields have these names.

    Raises:
        ValueError: the fields are not of one number of objects, or a name is not NAVSIM's.
    """
    classes = texts_of(record[names], names)
    count = len(classes)
    tokens = tuple(texts_of(record[field], field) for field in ("instance_tokens", "track_tokens"))
    unknown = set(classes) - set(OBJECT_NAMES)
    if unknown:
        raise ValueError(f"{names} has {sorted(unknown)[:5]}, which are not NAVSIM's classes")
    if len(tokens[0]) != count or len(tokens[1]) != count or len(set(tokens[1])) != count:
        raise ValueError(f"{names} has {count} objects, with other numbers of tokens, or a track twice")
    arrays = [_rows(record[field], count, width, field) for field, width in ((boxes, 7), (velocities, 3))]
    return OpenSceneBoxes(arrays[0], classes, arrays[1], *tokens)


def _rows(value: object, count: int, width: int, field: str) -> Float[np.ndarray, "n w"]:
    array = number_array(value, field) if np.size(value) else np.zeros((0, width))  # type: ignore[arg-type]
    array = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    array = array.reshape(0, width) if not array.size and not count else array
    if array.shape != (count, width) or not np.isfinite(array).all():
        raise ValueError(f"{field} has the shape {array.shape} instead of {(count, width)}, or is not finite")
    return array


def cameras_of(records: Mapping[str, Any]) -> dict[str, OpenSceneCamera]:
    """Return the cameras of a frame by lower-case name, without those that the file leaves empty."""
    return {text_of(name, "cams").lower(): _camera(record) for name, record in records.items() if record}


def _camera(record: Mapping[str, Any]) -> OpenSceneCamera:
    return OpenSceneCamera(
        path=inside(record["data_path"]),
        sensor2lidar_rotation=numbers(record["sensor2lidar_rotation"], (3, 3), "sensor2lidar_rotation"),
        sensor2lidar_translation=numbers(record["sensor2lidar_translation"], (3,), "sensor2lidar_translation"),
        intrinsics=numbers(record["cam_intrinsic"], (3, 3), "cam_intrinsic"),
        distortion=_distortion(record["distortion"]),
    )


def _distortion(value: object) -> Float[np.ndarray, "k"]:
    found = number_array(value, "distortion").astype(np.float64).reshape(-1) if np.size(value) else np.zeros(0)  # type: ignore[arg-type]
    if len(found) > _MOST_COEFFICIENTS or not np.isfinite(found).all():
        raise ValueError(f"distortion has {len(found)} coefficients, or one that is not finite")
    return found
