"""NAVSIM's scenes as Swerve's: a log of the scene's own frames at 2 Hz, as the official scores see them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.sources.navsim.frames import GlobalBoxes, LightStatus, NavsimScene, OpenSceneBoxes, OpenSceneFrame
from swerve.data.sources.nuplan_classes import CLASSES
from swerve.scenes import (
    Ego,
    LightState,
    Log,
    ObjectClass,
    RoadMap,
    Scene,
    SwerveError,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.causal_motion import planar_motion
from swerve.scenes.transforms import pose_from_yaw, wrap_angle

FRAME_US: Final = 500_000
# Metres above the road at which a light is drawn; nuPlan's maps do not say.
LIGHT_HEIGHT: Final = 5.0
_STATIC: Final = (ObjectClass.TRAFFIC_CONE, ObjectClass.BARRIER, ObjectClass.SIGN, ObjectClass.GENERIC)


def scene_of(scene: NavsimScene, road_map: RoadMap, origin: Float[np.ndarray, "3"]) -> Scene:
    """Return a scene in a log of its frames, whose steps are 0.5 s apart.

    Boxes go from the ego to the map by NAVSIM's planar rotation. In a synthetic scene the ego stays where it is after
    the last frame, and tracks and lights are the stored later ones.

    Args:
        scene: NAVSIM's scene.
        road_map: map around it, minus `origin`.
        origin: global coordinates of the log's zero, whole metres.

    Raises:
        SwerveError: a frame has no annotations. A synthetic scene without any after its last frame has no future.
    """
    moments = [_moment(frame, origin) for frame in scene.frames]
    moments += [_later(boxes, origin) for boxes in scene.future_boxes or ()]
    times_us = _times(scene, len(moments))
    tracks = _tracks(moments, scene.now)
    log = Log(
        name=scene.log_name,
        source="navsim",
        times_us=times_us,
        ego=_ego(scene, times_us, origin),
        vehicle=Vehicle.pacifica(),
        tracks=tracks,
        lights=_lights(scene, road_map, len(moments)),
        road_map=road_map,
        cameras=(),
        route=scene.current.roadblock_ids,
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        track_order=tracks.ids,
    )
    return Scene(log, scene.now, scene.now, len(times_us) - 1 - scene.now)


Moment = dict[str, tuple[ObjectClass, Float[np.ndarray, "8"]]]


def _moment(frame: OpenSceneFrame, origin: Float[np.ndarray, "3"]) -> Moment:
    """Return the objects of a frame by track: class; x, y, heading, length, width, height, velocity; global.

    Raises:
        SwerveError: the frame has no annotations.
    """
    if frame.boxes is None:
        raise SwerveError(f"frame {frame.token} of log {frame.log_name}: has no annotations, so it cannot be scored")
    rows = global_boxes(frame.boxes, frame.ego_pose, origin)
    return _by_track(frame.boxes.track_tokens, frame.boxes.names, rows)


def global_boxes(
    boxes: OpenSceneBoxes, pose: Float[np.ndarray, "3"], origin: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "n 8"]:
    """Return x, y, heading, length, width, height and velocity of boxes in the map, by NAVSIM's planar rotation.

    Velocities of static classes are zero.
    """
    own, speeds = boxes.boxes.astype(np.float64), boxes.velocities.astype(np.float64)
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    rows = np.empty((len(boxes), 8))
    rows[:, 0] = own[:, 0] * cos - own[:, 1] * sin + (pose[0] - origin[0])
    rows[:, 1] = own[:, 0] * sin + own[:, 1] * cos + (pose[1] - origin[1])
    rows[:, 2] = wrap_angle(own[:, 6] + pose[2])
    rows[:, 3:6] = own[:, 3:6]
    rows[:, 6] = speeds[:, 0] * cos - speeds[:, 1] * sin
    rows[:, 7] = speeds[:, 0] * sin + speeds[:, 1] * cos
    rows[[CLASSES[name] in _STATIC for name in boxes.names], 6:] = 0.0
    return rows


def _later(boxes: GlobalBoxes, origin: Float[np.ndarray, "3"]) -> Moment:
    rows = np.column_stack([boxes.boxes, boxes.velocities])
    rows[:, :2] -= origin[:2]
    return _by_track(boxes.track_tokens, boxes.names, rows)


def _by_track(tokens: Sequence[str], names: Sequence[str], rows: Float[np.ndarray, "n 8"]) -> Moment:
    return {token: (CLASSES[name], row) for token, name, row in zip(tokens, names, rows, strict=True)}


def _times(scene: NavsimScene, steps: int) -> Int[np.ndarray, "t"]:
    """Return the times of the frames, and of the moments after them every 0.5 s."""
    known = [frame.timestamp_us for frame in scene.frames]
    later = [known[-1] + FRAME_US * (step + 1) for step in range(steps - len(known))]
    return np.array([*known, *later], np.int64)


def _ego(scene: NavsimScene, times_us: Int[np.ndarray, "t"], origin: Float[np.ndarray, "3"]) -> Ego:
    """Return the ego's states; after the last frame it stays where it is."""
    steps = [min(step, len(scene.frames) - 1) for step in range(len(times_us))]
    planar = np.array([scene.frames[step].ego_pose for step in steps])
    planar[:, :2] -= origin[:2]
    poses = pose_from_yaw(np.column_stack([planar[:, :2], np.zeros(len(steps))]), planar[:, 2])
    velocity, acceleration = (
        np.array([getattr(scene.frames[step], name) for step in steps], np.float64)
        for name in ("ego_velocity", "ego_acceleration")
    )
    return Ego(poses, velocity, acceleration, planar_motion(planar, times_us)[2], measured=True)


def _tracks(moments: Sequence[Moment], now: int) -> Tracks:
    """Return the tracks: first those of the current frame in its order, which NAVSIM's reactive traffic keeps.

    A track's class is that of its first frame from now on.
    """
    later = [*moments[now:], *moments[now - 1 :: -1]] if now else list(moments)
    first = {token: found for moment in reversed(later) for token, found in moment.items()}
    ids = tuple(dict.fromkeys(token for moment in later for token in moment))
    row_of = {token: row for row, token in enumerate(ids)}
    values, valid = np.zeros((len(ids), len(moments), 8)), np.zeros((len(ids), len(moments)), bool)
    for step, moment in enumerate(moments):
        for token, (_, row) in moment.items():
            values[row_of[token], step], valid[row_of[token], step] = row, True
    return Tracks(
        ids=ids,
        classes=np.array([first[token][0] for token in ids], np.uint8),
        positions=np.concatenate([values[..., :2], values[..., 5:6] / 2], axis=-1),
        headings=values[..., 2],
        sizes=values[..., 3:6],
        velocities=values[..., 6:8],
        valid=valid,
    )


def _lights(scene: NavsimScene, road_map: RoadMap, steps: int) -> TrafficLights:
    red = [red_by_lane(frame.traffic_lights) for frame in scene.frames]
    red += [red_by_lane(_is_red(lights)) for lights in scene.future_lights or ()]
    return lights_of(red[:steps] + [{}] * (steps - len(red)), road_map)


def _is_red(lights: Sequence[LightStatus]) -> list[tuple[int, bool]]:
    return [(light.lane_connector_id, light.status == "RED") for light in lights]


def red_by_lane(lights: Iterable[tuple[int, bool]]) -> dict[str, bool]:
    """Return whether the light of a lane is red; where a lane is named twice, red wins."""
    found: dict[str, bool] = {}
    for lane, red in lights:
        found[str(lane)] = red or found.get(str(lane), False)
    return found


def lights_of(steps: Sequence[Mapping[str, bool]], road_map: RoadMap) -> TrafficLights:
    """Return a head at the start of each connector that has a light; those of connectors beyond the map are left out.

    Args:
        steps: at each step, whether the light of a connector is red; else it is green or yellow, drawn green.
        road_map: with the connectors.
    """
    lanes = road_map.lane_by_id
    ids = tuple(lane for lane in dict.fromkeys(lane for step in steps for lane in step) if lane in lanes)
    states = np.full((len(ids), len(steps)), LightState.UNKNOWN, np.uint8)
    for step, lights in enumerate(steps):
        for row, lane in enumerate(ids):
            if lane in lights:
                states[row, step] = LightState.RED if lights[lane] else LightState.GREEN
    positions = np.array([lanes[lane].centerline[0] for lane in ids]).reshape(-1, 3)
    positions = positions + np.array([0.0, 0.0, LIGHT_HEIGHT])
    facing = np.array([lanes[lane].headings[0] + np.pi for lane in ids])
    return TrafficLights(ids, positions, facing, states)
