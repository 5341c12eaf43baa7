"""One log of 123D as a Log: steps of its sync table, ego, boxes, lights, cameras, LiDAR and map."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.types as arrow_types
from jaxtyping import Float, Int

from swerve.data.sources.checks import check_log, check_motion
from swerve.data.sources.py123d.arrow_file import ArrowFile, read_arrow
from swerve.data.sources.py123d.labels import EGO, classes_of
from swerve.data.sources.py123d.py123d_ego import EgoFrame, read_ego_frame
from swerve.data.sources.py123d.py123d_map import read_map
from swerve.data.sources.py123d.py123d_sensors import read_cameras, read_photos, read_sweeps
from swerve.data.sources.velocities import causal_velocities
from swerve.scenes import Camera, LightState, Log, LogError, RoadMap, Split, Tracks, TrafficLights
from swerve.scenes.lane_graph import derive_lane_groups, match_route
from swerve.scenes.transforms import rigid_transform, rotation_from_quaternion, yaw_of

BOXES: Final = "box_detections_se3"
LIGHTS: Final = "traffic_light_detections"
EGO_STATES: Final = "ego_state_se3"
_SPLITS: Final[dict[str, Split]] = {"train": "train", "val": "val", "test": "test"}
# `TrafficLightStatus`: green, yellow, red, off, unknown.
STATUSES: Final = (LightState.GREEN, LightState.YELLOW, LightState.RED, LightState.UNKNOWN, LightState.UNKNOWN)
# Height of a lamp above the start of its lane.
_LAMP_HEIGHT: Final = 5.0


def read_123d_log(folder: Path, split: Split | None = None) -> Log:
    """Read one log, with a step at each row of its sync table.

    A step is at the time of its boxes if it has any. Boxes are those of the step's row, as they stand in the world;
    their velocities, and the ego's, are the file's if any is given, else of their positions. The ego frame lies below
    the rear axle on the map's ground (its median height along the path), or else at the lower end of the vehicle's
    box. The log's split is that of its description, else that of the folders' names.

    Raises:
        LogError: a file is missing or malformed.
    """
    folder = folder.absolute()
    sync = read_arrow(folder / "sync.arrow")
    boxes = read_arrow(folder / f"{BOXES}.arrow") if (folder / f"{BOXES}.arrow").is_file() else None
    rows = _rows(sync, BOXES, boxes)
    times_us = _times(sync, boxes, rows)
    file = read_arrow(folder / f"{EGO_STATES}.arrow")
    frame = read_ego_frame(file)
    check_motion(times_us, frame.world_from_axle(times_us), file.path)
    road_map = _map(folder, sync, frame)
    frame = frame.on_ground(times_us, road_map)
    ego = frame.ego(times_us)
    cameras = read_cameras(folder, frame)
    log = Log(
        name=folder.name,
        source="123d",
        times_us=times_us,
        ego=ego,
        vehicle=frame.vehicle,
        tracks=_tracks(boxes, rows, times_us, frame.origin) if boxes else Tracks.empty(len(times_us)),
        lights=_lights(folder, sync, road_map),
        road_map=road_map,
        cameras=cameras,
        route=match_route(road_map, ego) if road_map and road_map.lanes else (),
        origin=(float(frame.origin[0]), float(frame.origin[1]), float(frame.origin[2])),
        split=_SPLITS.get(str(sync.metadata.get("split")).rpartition("_")[2]) or split,
        photos=read_photos(folder, cameras, frame, str(sync.metadata.get("dataset"))),
        sweeps=read_sweeps(folder, frame, str(sync.metadata.get("dataset"))),
    )
    return check_log(log, folder)


def read_123d_rig(folder: Path) -> tuple[Camera, ...]:
    """Read the cameras of a log, mounted in an ego frame at the height of its box.

    Raises:
        LogError: a file is missing or malformed.
    """
    return read_cameras(folder, read_ego_frame(read_arrow(folder / f"{EGO_STATES}.arrow")))


def _rows(sync: ArrowFile, key: str, file: ArrowFile | None) -> Int[np.ndarray, "t"]:
    """Return the row of a modality's table at each step; -1 where it has none."""
    if file is None or key not in sync.table.column_names:
        return np.full(len(sync.table), -1)
    column = sync.table[key]
    if not (arrow_types.is_integer(column.type) or arrow_types.is_null(column.type)):
        raise LogError(sync.path, key, f"holds {column.type}, not numbers of rows")
    rows = np.array([-1 if row is None else row for row in column.to_pylist()], np.int64)
    if len(rows) and not (rows.min() >= -1 and rows.max() < len(file.table)):
        raise LogError(sync.path, key, f"names row {rows.max()}; {file.path.name} has {len(file.table)}")
    return rows


def _times(sync: ArrowFile, boxes: ArrowFile | None, rows: Int[np.ndarray, "t"]) -> Int[np.ndarray, "t"]:
    times = sync.times_us().copy()
    if not len(times):
        raise LogError(sync.path, "sync.timestamp_us", "there are no steps")
    if boxes is not None:
        times[rows >= 0] = boxes.times_us()[rows[rows >= 0]]
    return times


def _map(folder: Path, sync: ArrowFile, frame: EgoFrame) -> RoadMap | None:
    """Read the log's own map, or that of its location; None if the log has none."""
    about = sync.metadata.get("map_metadata")
    if not isinstance(about, dict):
        return None
    dataset, location = str(about.get("dataset")), str(about.get("location"))
    if {"/", "\\", "\0"} & {*dataset, *location} or dataset.startswith("."):
        raise LogError(sync.path, "map_metadata", f"{dataset!r}, {location!r} are no names of a data set's map")
    shared = Path("maps") / dataset / f"{dataset}_{location}.arrow"
    places = [folder / "map.arrow", *(parent / shared for parent in folder.parents)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise LogError(folder, "map", f"there is neither map.arrow nor {shared} above", "Copy the map beside the logs")
    road_map = read_map(path, frame.origin, frame.height_of_box())
    return road_map if road_map.lane_groups or not road_map.lanes else derive_lane_groups(road_map)


def _tracks(
    file: ArrowFile, rows: Int[np.ndarray, "t"], times_us: Int[np.ndarray, "t"], origin: Float[np.ndarray, "3"]
) -> Tracks:
    """Convert the boxes of the steps' rows to arrays over tracks and steps; the ego's own is left out."""
    box, step, ids, classes, speeds = _flat_boxes(file, rows)
    names = tuple(dict.fromkeys(ids))
    number = {name: row for row, name in enumerate(names)}
    track = np.array([number[name] for name in ids], np.int64)
    shape = (len(names), len(times_us))
    valid = np.zeros(shape, bool)
    valid[track, step] = True
    if valid.sum() < len(track):
        raise LogError(file.path, f"{file.key}.track_token", "a track has two boxes at one time")
    positions, sizes, headings = np.zeros((*shape, 3)), np.zeros((*shape, 3)), np.zeros(shape)
    kinds, told = np.zeros(len(names), np.uint8), np.zeros((*shape, 2))
    positions[track, step] = box[:, :3] - origin
    headings[track, step] = yaw_of(_poses(file, box[:, :7]))
    sizes[track, step] = box[:, 7:]
    kinds[track] = classes
    told[track, step] = speeds
    derived = not told.any()
    return Tracks(
        names,
        kinds,
        positions,
        headings,
        sizes,
        causal_velocities(positions, valid, times_us) if derived else told,
        valid,
    )


def _flat_boxes(file: ArrowFile, rows: Int[np.ndarray, "t"]) -> tuple[Any, Any, list[str], Any, Any]:
    """Return box, step, track, class and velocity of every box that belongs to a step and is not the ego's."""
    counts, boxes = file.nested("bounding_box_se3", 10)
    columns = {"track_token": file.nested("track_token"), "label": file.nested_numbers("label")}
    speeds = file.nested("velocity_3d", 3) if file.has("velocity_3d") else (counts, np.zeros((len(boxes), 3)))
    for name, (own, _) in (*columns.items(), ("velocity_3d", speeds)):
        if not np.array_equal(own, counts):
            raise LogError(file.path, f"{file.key}.{name}", "has not as many items as there are boxes")
    known = classes_of(file.metadata.get("box_detection_label_class"), file.path)
    labels = columns["label"][1]
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(known)):
        raise LogError(file.path, f"{file.key}.label", f"is {labels.max()}, not one of 0 to {len(known) - 1}")
    step_of_row = np.full(len(counts), -1)
    step_of_row[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    step = np.repeat(step_of_row, counts)
    default = str(file.metadata.get("box_detection_label_class")).endswith("DefaultBoxDetectionLabel")
    kept = np.flatnonzero((step >= 0) & ~(default & (labels == EGO)))
    tokens = columns["track_token"][1]
    classes = np.array([known[label] for label in labels[kept]], np.uint8)
    return boxes[kept], step[kept], [str(tokens[row]) for row in kept], classes, np.nan_to_num(speeds[1][kept, :2])


def _poses(file: ArrowFile, poses: Float[np.ndarray, "n 7"]) -> Float[np.ndarray, "n 4 4"]:
    lengths = np.linalg.norm(poses[:, 3:], axis=1)
    bad = np.flatnonzero(~(np.abs(lengths - 1.0) < 1e-3))
    if len(bad):
        raise LogError(file.path, f"{file.key}.bounding_box_se3", f"item {bad[0]} has no rotation of length 1")
    return rigid_transform(rotation_from_quaternion(poses[:, 3:]), poses[:, :3])


def _lights(folder: Path, sync: ArrowFile, road_map: RoadMap | None) -> TrafficLights:
    """Return one head per lane of the map that has a light, 5 m above its start; red wins where one is named twice."""
    path = folder / f"{LIGHTS}.arrow"
    if not path.is_file() or road_map is None:
        return TrafficLights.empty(len(sync.table))
    file = read_arrow(path)
    rows = _rows(sync, LIGHTS, file)
    counts, lanes = file.nested("lane_id")
    own, statuses = file.nested_numbers("status")
    if not np.array_equal(counts, own):
        raise LogError(path, f"{LIGHTS}.status", "has not as many items as there are lanes")
    ends = np.cumsum(counts)
    ids = tuple(dict.fromkeys(str(lane) for lane in lanes if str(lane) in road_map.lane_by_id))
    if not ids:
        return TrafficLights.empty(len(rows))
    number = {lane: row for row, lane in enumerate(ids)}
    states = np.zeros((len(ids), len(rows)), np.uint8)
    for step, row in enumerate(rows):
        for item in range(ends[row] - counts[row], ends[row]) if row >= 0 else ():
            place = number.get(str(lanes[item])), step
            if place[0] is not None and states[place] != LightState.RED:
                states[place] = _status(int(statuses[item]), path)
    starts = [road_map.lane_by_id[lane] for lane in ids]
    above = np.array([lane.centerline[0] for lane in starts]) + np.array([0.0, 0.0, _LAMP_HEIGHT])
    return TrafficLights(ids, above, np.array([lane.headings[0] + np.pi for lane in starts]), states)


def _status(status: int, path: Path) -> LightState:
    if not 0 <= status < len(STATUSES):
        raise LogError(path, f"{LIGHTS}.status", f"is {status}, not one of 0 to {len(STATUSES) - 1}")
    return STATUSES[status]
