"""Follow-up scenes as NAVSIM's synthetic scenes of the second stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from swerve.data.export_navsim.log_frames import (
    STRIDE,
    ExportedLog,
    Objects,
    annotations,
    axle_pose,
    objects_at,
    one_hot,
    red_lights,
)
from swerve.data.export_navsim.rig import camera_records
from swerve.data.export_navsim.tokens import logged_token, synthetic_token
from swerve.data.sources.navsim.frames import OBJECT_NAMES
from swerve.data.storage.write_pickle import PickledEnum, PickledInstance
from swerve.scenes import LightState
from swerve.scenes.viewpoints import Command

HISTORY_FRAMES: Final = 4
# Frames after the current one whose traffic is stored: 4 s.
FUTURE_FRAMES: Final = 8
_STATES: Final = "nuplan.common.actor_state"
_MAPS: Final = "nuplan.common.maps.maps_datatypes"
_STATE: Final = f"{_STATES}.state_representation"
_AGENTS: Final = ("vehicle", "pedestrian", "bicycle")
# nuPlan's numbers.
_LIGHTS: Final = {LightState.GREEN: 0, LightState.YELLOW: 1, LightState.RED: 2, LightState.UNKNOWN: 3}
_FRAME_US: Final = 500_000


@dataclass(frozen=True)
class FollowUpScene:
    """A follow-up scene to write.

    Attributes:
        token: of 17 digits.
        exported: the follow-up's own log, at ten steps a second, with the name and the map of the logged one.
        now: its current step.
        original: token of the logged frame at the same time.
        command: driving command now.
        cameras: OpenScene's records of the cameras with an image, by NAVSIM's name.
    """

    token: str
    exported: ExportedLog
    now: int
    original: str
    command: Command
    cameras: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def synthetic_scene(scene: FollowUpScene) -> dict[str, Any]:
    """Return the content of a synthetic scene's pickle, as NAVSIM's `Scene.save_to_disk` writes it.

    Boxes are float64, so that positions come back as they were; NAVSIM's own files have float32.
    """
    steps = [scene.now - STRIDE * back for back in reversed(range(HISTORY_FRAMES))]
    later = [scene.now + STRIDE * (ahead + 1) for ahead in range(FUTURE_FRAMES)]
    times = [int(scene.exported.log.times_us[scene.now]) + _FRAME_US * (ahead + 1) for ahead in range(FUTURE_FRAMES)]
    return {
        "scene_metadata": {
            "log_name": scene.exported.name,
            "scene_token": scene.token,
            "map_name": scene.exported.location,
            "initial_token": scene.token,
            "num_history_frames": HISTORY_FRAMES,
            "num_future_frames": 0,
            "corresponding_original_scene": scene.original,
            "corresponding_original_initial_token": scene.original,
        },
        "frames": [_frame(scene, step) for step in steps],
        "extended_traffic_light_data": [
            _lights(scene.exported, step, time) for step, time in zip(later, times, strict=True)
        ],
        "extended_detections_tracks": [
            _detections(objects_at(scene.exported, step), time, scene.token)
            for step, time in zip(later, times, strict=True)
        ],
    }


def _frame(scene: FollowUpScene, step: int) -> dict[str, Any]:
    exported, log, current = scene.exported, scene.exported.log, step == scene.now
    pose = axle_pose(log.ego.world_from_ego[step], exported.offset)
    heading = float(log.ego.headings[step])
    return {
        "token": scene.token if current else synthetic_token(scene.token, step),
        "timestamp": int(log.times_us[step]),
        "roadblock_ids": exported.roadblock_ids,
        "traffic_lights": red_lights(exported, step),
        "annotations": {
            **(told := annotations(exported, step, pose, ("boxes", "names", "velocity_3d"))),
            "names": told["names"].tolist(),
        },
        "ego_status": {
            "ego_pose": np.array([*pose[:2, 3], heading]),
            "ego_velocity": log.ego.velocity[step].astype(np.float32),
            "ego_acceleration": log.ego.acceleration[step].astype(np.float32),
            "driving_command": one_hot(scene.command),
            "in_global_frame": True,
        },
        "lidar_path": None,
        "camera_dict": camera_records(scene.cameras if current else {}, upper=False),
    }


def _lights(exported: ExportedLog, step: int, time_us: int) -> PickledInstance:
    states = exported.log.lights.states
    found = [
        PickledInstance(
            _MAPS,
            "TrafficLightStatusData",
            {
                "status": PickledEnum(_MAPS, "TrafficLightStatusType", _LIGHTS[LightState(states[row, step])]),
                "lane_connector_id": connector,
                "timestamp": _time(time_us),
            },
        )
        for row, connector in exported.lights
    ]
    return PickledInstance(_MAPS, "TrafficLightStatuses", {"traffic_lights": found})


def _detections(found: Objects, time_us: int, scene: str) -> PickledInstance:
    objects = [_object(found, row, time_us, scene) for row in range(len(found.tokens))]
    tracked = PickledInstance(f"{_STATES}.tracked_objects", "TrackedObjects", {"tracked_objects": objects})
    observation = "nuplan.planning.simulation.observation.observation_type"
    return PickledInstance(observation, "DetectionsTracks", {"tracked_objects": tracked})


def _object(found: Objects, row: int, time_us: int, scene: str) -> PickledInstance:
    """Return an agent, or a static object, with the attributes that nuPlan's constructors give it."""
    velocity, name = _vector(found.velocities[row].tolist()), found.names[row]
    common = {
        "_metadata": PickledInstance(
            f"{_STATES}.scene_object",
            "SceneObjectMetadata",
            {
                "timestamp_us": time_us,
                "token": logged_token(scene, time_us, found.tokens[row]),
                "track_id": None,
                "track_token": found.tokens[row],
                "category_name": None,
            },
        ),
        "instance_token": None,
        "_tracked_object_type": PickledEnum(
            f"{_STATES}.tracked_objects_types", "TrackedObjectType", OBJECT_NAMES.index(name)
        ),
        "_box": _box(found, row),
    }
    if name not in _AGENTS:
        static = {"predictions": None, "past_trajectory": None, "velocity": velocity}
        return PickledInstance(f"{_STATES}.static_object", "StaticObject", {**common, **static})
    first = {"_initial_time_stamp": _time(time_us), "_predictions": [], "_past_trajectory": None}
    last = {"_velocity": velocity, "_angular_velocity": None}
    return PickledInstance(f"{_STATES}.agent", "Agent", {**first, **common, **last})


def _box(found: Objects, row: int) -> PickledInstance:
    x, y, _ = found.centers[row].tolist()
    center = PickledInstance(_STATE, "StateSE2", {"heading": float(found.headings[row]), "x": x, "y": y}, slots=True)
    names: Sequence[str] = ("_length", "_width", "_height")
    sizes = dict(zip(names, found.sizes[row].tolist(), strict=True))
    return PickledInstance(f"{_STATES}.oriented_box", "OrientedBox", {"_center": center, **sizes})


def _time(time_us: int) -> PickledInstance:
    return PickledInstance(_STATE, "TimePoint", {"time_us": time_us}, slots=True)


def _vector(values: Sequence[float]) -> PickledInstance:
    x, y = values
    return PickledInstance(_STATE, "StateVector2D", {"_x": x, "_y": y, "_array": np.array([x, y])}, slots=True)
