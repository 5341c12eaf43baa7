"""Reading of NAVSIM's synthetic second-stage scenes: pickles that hold objects of nuPlan, read into plain data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from swerve.data.sources.navsim.frames import OBJECT_NAMES, GlobalBoxes, LightStatus, NavsimScene, OpenSceneFrame
from swerve.data.sources.navsim.read_frames import (
    boxes_of,
    cameras_of,
    command_of,
    inside,
    integer_of,
    lights_of,
    malformed,
    numbers,
    text_of,
    texts_of,
)
from swerve.data.storage.restricted_pickle import PickledRecord, read_pickle
from swerve.scenes import LogError
from swerve.scenes.transforms import pose_from_yaw


class PickledNumber(PickledRecord):
    """Stands for a member of one of nuPlan's enumerations, which a pickle makes from its number."""

    __slots__ = ("number",)

    def __init__(self, number: object = None) -> None:
        super().__init__()
        if type(number) is not int or number < 0:
            raise ValueError(f"has a member of {type(self).__name__} without a number")
        self.number = number


_STATES: Final = "nuplan.common.actor_state"
_CLASSES: Final = (
    ("nuplan.common.maps.maps_datatypes", ("TrafficLightStatuses", "TrafficLightStatusData")),
    ("nuplan.planning.simulation.observation.observation_type", ("DetectionsTracks",)),
    (f"{_STATES}.state_representation", ("TimePoint", "StateSE2", "StateVector2D", "Point2D", "TemporalStateSE2")),
    (f"{_STATES}.tracked_objects", ("TrackedObjects",)),
    (f"{_STATES}.agent", ("Agent",)),
    (f"{_STATES}.agent_temporal_state", ("AgentTemporalState",)),
    (f"{_STATES}.static_object", ("StaticObject",)),
    (f"{_STATES}.scene_object", ("SceneObject", "SceneObjectMetadata")),
    (f"{_STATES}.oriented_box", ("OrientedBox", "Dimension")),
)
_ENUMERATIONS: Final = (
    (f"{_STATES}.tracked_objects_types", "TrackedObjectType"),
    ("nuplan.common.maps.maps_datatypes", "TrafficLightStatusType"),
)
NUPLAN_NAMES: Final = {
    **{
        (module, name): type(name, (PickledRecord,), {"__slots__": (), "__doc__": f"Stands for nuPlan's {name}."})
        for module, names in _CLASSES
        for name in names
    },
    **{
        (module, name): type(name, (PickledNumber,), {"__slots__": (), "__doc__": f"Stands for nuPlan's {name}."})
        for module, name in _ENUMERATIONS
    },
}
# Moments after a scene's last frame.
_MOST_MOMENTS: Final = 1000
# By their numbers in nuPlan.
_STATUSES: Final = ("GREEN", "YELLOW", "RED", "UNKNOWN")


def read_synthetic_scene(path: Path) -> NavsimScene:
    """Read a synthetic scene.

    Raises:
        LogError: the file is missing, truncated, damaged, names a program, lacks a field, or is named otherwise than
            its scene.
    """
    record = read_pickle(path, NUPLAN_NAMES)
    if not isinstance(record, dict) or "scene_metadata" not in record:
        raise LogError(path, "file", "is not a synthetic scene", "They are the files of synthetic_scene_pickles")
    with malformed(path, "scene"):
        scene = _scene(record)
    if scene.token != path.stem:
        raise LogError(path, "scene_metadata, initial_token", f"is {scene.token}, the file is named {path.stem}")
    return scene


def _scene(record: Mapping[str, Any]) -> NavsimScene:
    metadata = record["scene_metadata"]
    frames = tuple(_frame(frame, metadata) for frame in record["frames"])
    history = integer_of(metadata["num_history_frames"], "num_history_frames")
    if not 0 < history <= len(frames):
        raise ValueError(f"num_history_frames is {history}, of {len(frames)} frames")
    lights, boxes = record.get("extended_traffic_light_data"), record.get("extended_detections_tracks")
    return NavsimScene(
        token=text_of(metadata["initial_token"], "initial_token"),
        log_name=text_of(metadata["log_name"], "log_name"),
        scene_token=text_of(metadata["scene_token"], "scene_token"),
        map_name=text_of(metadata["map_name"], "map_name"),
        num_history_frames=history,
        num_future_frames=integer_of(metadata["num_future_frames"], "num_future_frames", _MOST_MOMENTS),
        frames=frames,
        synthetic=True,
        original_scene=_optional_text(metadata, "corresponding_original_scene"),
        original_initial_token=_optional_text(metadata, "corresponding_original_initial_token"),
        future_lights=None if lights is None else tuple(_lights(one) for one in lights),
        future_boxes=None if boxes is None else tuple(_boxes(one) for one in boxes),
    )


def _frame(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> OpenSceneFrame:
    ego, annotations = record["ego_status"], record.get("annotations")
    if not ego["in_global_frame"]:
        raise ValueError("ego_status is not in the global frame")
    pose = numbers(ego["ego_pose"], (3,), "ego_pose")
    return OpenSceneFrame(
        token=text_of(record["token"], "token"),
        timestamp_us=integer_of(record["timestamp"], "timestamp"),
        log_name=text_of(metadata["log_name"], "log_name"),
        scene_token=text_of(metadata["scene_token"], "scene_token"),
        map_location=text_of(metadata["map_name"], "map_name"),
        roadblock_ids=texts_of(record["roadblock_ids"], "roadblock_ids"),
        traffic_lights=lights_of(record["traffic_lights"]),
        boxes=None if annotations is None else boxes_of(annotations, "boxes", "names", "velocity_3d"),
        ego_pose=pose,
        world_from_ego=pose_from_yaw(np.array([pose[0], pose[1], 0.0]), pose[2]),
        ego_velocity=numbers(ego["ego_velocity"], (2,), "ego_velocity").astype(np.float32),
        ego_acceleration=numbers(ego["ego_acceleration"], (2,), "ego_acceleration").astype(np.float32),
        driving_command=command_of(ego["driving_command"]),
        lidar_path=None if record.get("lidar_path") is None else inside(record["lidar_path"]),
        cameras=cameras_of(record["camera_dict"]),
    )


def _optional_text(metadata: Mapping[str, Any], field: str) -> str | None:
    return None if metadata[field] is None else text_of(metadata[field], field)


def _lights(statuses: PickledRecord) -> tuple[LightStatus, ...]:
    return tuple(
        LightStatus(
            integer_of(one.values["lane_connector_id"], "lane_connector_id", 2**62),
            _STATUSES[one.values["status"].number],
            integer_of(one.values["timestamp"].values["time_us"], "time_us"),
        )
        for one in statuses.values["traffic_lights"]
    )


def _boxes(moment: PickledRecord) -> GlobalBoxes:
    objects = [one.values for one in moment.values["tracked_objects"].values["tracked_objects"]]
    boxes = [_box(one["_box"].values) for one in objects]
    velocities = [_velocity(one) for one in objects]
    tracks = tuple(text_of(one["_metadata"].values["track_token"], "track_token") for one in objects)
    if len(set(tracks)) < len(tracks):
        raise ValueError("a later moment has a track twice")
    return GlobalBoxes(
        track_tokens=tracks,
        names=tuple(OBJECT_NAMES[one["_tracked_object_type"].number] for one in objects),
        boxes=numbers(boxes, (len(objects), 6), "_box") if objects else np.zeros((0, 6)),
        velocities=numbers(velocities, (len(objects), 2), "_velocity") if objects else np.zeros((0, 2)),
    )


def _box(box: Mapping[str, Any]) -> list[float]:
    center = box["_center"].values
    return [center["x"], center["y"], center["heading"], box["_length"], box["_width"], box["_height"]]


def _velocity(one: Mapping[str, Any]) -> list[float]:
    """Return an object's velocity; static objects have none of their own in nuPlan, but a field for it."""
    velocity = (one["_velocity"] if "_velocity" in one else one["velocity"]).values
    return [velocity["_x"], velocity["_y"]]
