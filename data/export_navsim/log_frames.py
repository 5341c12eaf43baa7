"""Logs as OpenScene's: a list of frames, two a second."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import scipy
from jaxtyping import Float, Int

from swerve.data.export_navsim.rig import AXLE_HEIGHT, camera_records
from swerve.data.export_navsim.tokens import logged_token
from swerve.data.sources.navsim.read_frames import heading_of
from swerve.data.sources.nuplan_classes import NAMES
from swerve.scenes import LightState, Log, ObjectClass, SwerveError
from swerve.scenes.transforms import rigid_transform, rotation_about_z, wrap_angle, yaw_of
from swerve.scenes.viewpoints import Command

# Steps of 0.1 s between frames.
STRIDE: Final = 5
_ATTEMPTS, _SMALLEST_TURN = 50, 4e-16


@dataclass(frozen=True)
class ExportedLog:
    """A log's place in the exported data set.

    Attributes:
        name: of the exported log.
        log: the log.
        location: name of the exported map.
        offset: added to the log's coordinates to get the map's, metres.
        route: ids of the route's roadblocks in the map.
        lights: rows of `log.lights` that the map has, with the ids of their lane connectors.
    """

    name: str
    log: Log
    location: str
    offset: Float[np.ndarray, "3"]
    route: tuple[int, ...]
    lights: tuple[tuple[int, int], ...]

    @property
    def roadblock_ids(self) -> list[str]:
        """The route as frames have it."""
        return [str(id_) for id_ in self.route]

    def token(self, step: int) -> str:
        """Return the token of the frame at a step of the log."""
        return logged_token(self.log.name, "frame", int(self.log.times_us[step]))


@dataclass(frozen=True)
class Objects:
    """Agents at one step, in the map's coordinates.

    Attributes:
        tokens: names of the tracks.
        names: NAVSIM's classes.
        centers: x, y, z of the boxes' centres.
        headings: radians.
        sizes: length, width, height.
        velocities: x, y, m/s.
    """

    tokens: tuple[str, ...]
    names: tuple[str, ...]
    centers: Float[np.ndarray, "n 3"]
    headings: Float[np.ndarray, "n"]
    sizes: Float[np.ndarray, "n 3"]
    velocities: Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class FrameInputs:
    """Command and cameras of a frame, which its log does not have.

    Attributes:
        command: driving command.
        cameras: OpenScene's records of the cameras with an image, by NAVSIM's name.
    """

    command: Command
    cameras: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def log_frames(
    exported: ExportedLog, steps: Sequence[int], inputs: Callable[[int], FrameInputs]
) -> list[dict[str, Any]]:
    """Return the frames at steps of a log as OpenScene has them.

    Scores of NAVSIM go from the ego to the map by the heading alone. Here the same rotation leads from the map to x, y
    and heading of boxes, so that they come back to where they were; heights follow roll and pitch.

    Args:
        exported: the log.
        steps: of the frames, in order.
        inputs: commands and images by step.
    """
    tokens = [exported.token(step) for step in steps]
    neighbors = zip([None, *tokens[:-1]], [*tokens[1:], None], strict=True)
    return [
        {
            "token": token,
            "frame_idx": index,
            "sample_prev": before,
            "sample_next": after,
            **_frame(exported, step, inputs(step)),
        }
        for index, (token, step, (before, after)) in enumerate(zip(tokens, steps, neighbors, strict=True))
    ]


def _frame(exported: ExportedLog, step: int, given: FrameInputs) -> dict[str, Any]:
    log = exported.log
    pose = axle_pose(log.ego.world_from_ego[step], exported.offset)
    quaternion = _wxyz(pose[:3, :3])
    velocity, acceleration = log.ego.velocity[step].tolist(), log.ego.acceleration[step].tolist()
    motion = [*acceleration, 0.0, *velocity, 0.0, 0.0, 0.0, float(log.ego.yaw_rate[step])]
    return {
        "timestamp": int(log.times_us[step]),
        "log_name": exported.name,
        "log_token": logged_token(exported.name, "log"),
        "scene_name": "log-0001-scene-0001",
        "scene_token": logged_token(exported.name, "scene"),
        "map_location": exported.location,
        "roadblock_ids": exported.roadblock_ids,
        "vehicle_name": log.vehicle.name,
        "can_bus": np.array([*pose[:3, 3], *quaternion, *motion, 0.0, 0.0]),
        # NAVSIM's loader needs a path, and opens the file for agents that use point clouds only.
        "lidar_path": f"{exported.name}/MergedPointCloud/{exported.token(step)}.pcd",
        "lidar2ego_translation": np.zeros(3),
        "lidar2ego_rotation": [1.0, 0.0, 0.0, 0.0],
        "ego2global_translation": pose[:3, 3].copy(),
        "ego2global_rotation": quaternion,
        "ego_dynamic_state": [*velocity, *acceleration],
        "traffic_lights": red_lights(exported, step),
        "driving_command": one_hot(given.command),
        "cams": camera_records(given.cameras, upper=True),
        "ego2global": pose,
        "lidar2ego": np.eye(4),
        "lidar2global": pose.copy(),
        "anns": annotations(exported, step, pose, ("gt_boxes", "gt_names", "gt_velocity_3d")),
    }


def axle_pose(world_from_ego: Float[np.ndarray, "4 4"], offset: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4 4"]:
    """Return OpenScene's pose of the ego: in the map, raised straight up to the axle.

    It is turned about the vertical, by a part of a milliradian where the ego rolls and pitches, such that its heading
    in NAVSIM's sense is the ego's.
    """
    heading = float(yaw_of(world_from_ego))
    level, turn = rotation_about_z(-heading) @ world_from_ego[:3, :3], heading
    for _ in range(_ATTEMPTS):
        missing = float(wrap_angle(heading - heading_of(_wxyz(rotation_about_z(turn) @ level))))
        if abs(missing) <= _SMALLEST_TURN:
            break
        turn += missing
    raised = np.array([0.0, 0.0, AXLE_HEIGHT])
    pose: Float[np.ndarray, "4 4"] = rigid_transform(
        rotation_about_z(turn) @ level, world_from_ego[:3, 3] + offset + raised
    )
    return pose


def _wxyz(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4"]:
    x, y, z, w = scipy.spatial.transform.Rotation.from_matrix(rotation).as_quat().tolist()
    return np.array([w, x, y, z])


def one_hot(command: Command) -> Int[np.ndarray, "4"]:
    """Return a driving command as NAVSIM has it: left, straight, right, unknown."""
    chosen = np.zeros(len(Command), np.int64)
    chosen[command] = 1
    return chosen


def red_lights(exported: ExportedLog, step: int) -> list[tuple[int, bool]]:
    """Return lane connectors with a light, and whether it is red."""
    states = exported.log.lights.states
    return [(connector, bool(states[row, step] == LightState.RED)) for row, connector in exported.lights]


def objects_at(exported: ExportedLog, step: int) -> Objects:
    """Return the agents at a step, in the order in which NAVSIM's reactive traffic moves them."""
    tracks, log = exported.log.tracks, exported.log
    place = {token: row for row, token in enumerate(log.track_order)}
    order = sorted(
        np.flatnonzero(tracks.valid[:, step]), key=lambda row: (place.get(tracks.ids[row], len(place)), tracks.ids[row])
    )
    rows = np.array(order, dtype=np.int64)
    return Objects(
        tuple(tracks.ids[row] for row in rows),
        tuple(NAMES[ObjectClass(tracks.classes[row])] for row in rows),
        tracks.positions[rows, step] + exported.offset,
        tracks.headings[rows, step],
        tracks.sizes[rows, step],
        tracks.velocities[rows, step],
    )


def annotations(
    exported: ExportedLog, step: int, pose: Float[np.ndarray, "4 4"], fields: Sequence[str]
) -> dict[str, Any]:
    """Return the annotations of a frame.

    Args:
        exported: the log.
        step: of the frame.
        pose: of the ego, of `axle_pose`.
        fields: names of boxes, classes and velocities; those of logs and synthetic scenes differ.
    """
    found, heading = objects_at(exported, step), heading_of(_wxyz(pose[:3, :3]))
    apart, turned = found.centers - pose[:3, 3], rotation_about_z(-heading)[:2, :2].T
    heights = apart @ pose[:3, 2]
    boxes = np.column_stack([apart[:, :2] @ turned, heights, found.sizes, found.headings - heading])
    velocities = np.column_stack([found.velocities @ turned, np.zeros(len(found.tokens))])
    if len(found.tokens) != len(set(found.tokens)):
        raise SwerveError(f"log {exported.log.name}: two tracks have the same name at step {step}")
    return {
        fields[0]: boxes,
        fields[1]: np.array(found.names, dtype=f"<U{max(map(len, NAMES.values()))}"),
        fields[2]: velocities,
        "instance_tokens": [logged_token(exported.name, step, token) for token in found.tokens],
        "track_tokens": list(found.tokens),
    }
