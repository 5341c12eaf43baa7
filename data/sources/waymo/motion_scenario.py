"""Waymo Open Motion Dataset (WOMD): one Scenario is one log."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.data.sources.checks import check_log, check_motion, microseconds
from swerve.data.sources.waymo.tfrecords import parse_scenario, read_record
from swerve.data.sources.waymo.waymo_map import read_map
from swerve.scenes import Ego, LightState, Log, LogError, ObjectClass, RoadMap, Split, Tracks, TrafficLights, Vehicle
from swerve.scenes.lane_graph import derive_lane_groups, match_route
from swerve.scenes.polyline import heading_at, to_frenet
from swerve.scenes.transforms import pose_from_yaw, wrap_angle

# By Track.ObjectType: unset, vehicle, pedestrian, cyclist, other.
_CLASSES = (
    ObjectClass.GENERIC,
    ObjectClass.VEHICLE,
    ObjectClass.PEDESTRIAN,
    ObjectClass.BICYCLE,
    ObjectClass.GENERIC,
)
# By TrafficSignalLaneState.State: unknown; arrow red, yellow, green; round red, yellow, green; flashing red, yellow.
_LIGHTS = (
    LightState.UNKNOWN,
    LightState.RED,
    LightState.YELLOW,
    LightState.GREEN,
    LightState.RED,
    LightState.YELLOW,
    LightState.GREEN,
    LightState.RED,
    LightState.YELLOW,
)
# WOMD has no signal heads: they are placed this high above the stop points, metres.
_HEAD_HEIGHT = 5.0
_STATE = ("center_x", "center_y", "center_z", "length", "width", "height", "heading", "velocity_x", "velocity_y")


def read_scenario(file: Path, number: int, name: str, split: Split | None) -> Log:
    """Read the log of one Scenario record.

    The ego stands upright under the sdc track's box, at its bottom; its rear axle follows from the box
    (`Vehicle.from_box`). Arrow lights are treated as round ones, flashing red as red and flashing yellow as yellow;
    lights of lanes that the map lacks are left out. There are no cameras.

    Raises:
        LogError: the record is not a Scenario, the sdc is not valid throughout, or numbers are not finite.
    """
    scenario = parse_scenario(read_record(file, number))
    seconds = np.array(scenario.timestamps_seconds)
    times_us = microseconds(seconds, file, f"record {number}: timestamps_seconds")
    sdc = scenario.sdc_track_index
    if not 0 <= sdc < len(scenario.tracks):
        raise LogError(file, "sdc_track_index", f"record {number} has no track {sdc}")
    tracks = _tracks(scenario, file)
    if not tracks.valid[sdc].all():
        raise LogError(file, f"tracks[{sdc}].states", f"record {number}: the recording vehicle is not valid throughout")
    origin = np.round(tracks.positions[sdc, 0])
    tracks.positions[:] -= origin
    length, width, height = (float(size) for size in np.median(tracks.sizes[sdc], axis=0))
    if min(length, width, height) <= 0:
        raise LogError(file, f"tracks[{sdc}].states", f"record {number}: the recording vehicle's box has no size")
    vehicle = Vehicle.from_box(length, width, height, "womd_sdc")
    world_from_ego = _rear_axle(tracks, sdc, vehicle)
    check_motion(times_us, world_from_ego, file)
    ego = Ego.from_poses(world_from_ego, times_us)
    signalled = {str(light.lane) for step in scenario.dynamic_map_states for light in step.lane_states}
    road_map = read_map(scenario.map_features, origin, file, signalled)
    road_map = derive_lane_groups(road_map) if road_map else None
    log = Log(
        name=name,
        source="waymo",
        times_us=times_us,
        ego=ego,
        vehicle=vehicle,
        tracks=tracks.select_tracks(np.delete(np.arange(len(tracks)), sdc)),
        lights=_lights(scenario, road_map, origin, len(times_us)),
        road_map=road_map,
        cameras=(),
        route=match_route(road_map, ego) if road_map else (),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        split=split,
    )
    return check_log(log, file)


def _tracks(scenario: Any, file: Path) -> Tracks:  # noqa: ANN401
    """Build all tracks, including the recording vehicle, in the source's coordinates."""
    steps = len(scenario.timestamps_seconds)
    for track in scenario.tracks:
        if len(track.states) != steps:
            raise LogError(file, f"track {track.id}", f"has {len(track.states)} states, there are {steps} timestamps")
    states = np.array(
        [[[getattr(state, name) for name in _STATE] for state in track.states] for track in scenario.tracks]
    )
    valid = np.array([[state.valid for state in track.states] for track in scenario.tracks], bool)
    states[~valid] = 0.0
    if not np.isfinite(states).all():
        row, step, column = np.argwhere(~np.isfinite(states))[0]
        raise LogError(file, f"track {scenario.tracks[row].id}: {_STATE[column]}", f"is not finite at step {step}")
    return Tracks(
        ids=tuple(str(track.id) for track in scenario.tracks),
        classes=np.array([_CLASSES[track.object_type] for track in scenario.tracks], np.uint8),
        positions=states[..., :3].copy(),
        headings=states[..., 6].copy(),
        sizes=states[..., 3:6].copy(),
        velocities=states[..., 7:9].copy(),
        valid=valid,
    )


def _rear_axle(tracks: Tracks, sdc: int, vehicle: Vehicle) -> Float[np.ndarray, "t 4 4"]:
    heading = tracks.headings[sdc]
    position = tracks.positions[sdc].copy()
    position[:, 0] -= np.cos(heading) * vehicle.rear_axle_to_center
    position[:, 1] -= np.sin(heading) * vehicle.rear_axle_to_center
    position[:, 2] -= tracks.sizes[sdc, :, 2] / 2
    return pose_from_yaw(position, heading)


def _lights(scenario: Any, road_map: RoadMap | None, origin: np.ndarray, steps: int) -> TrafficLights:  # noqa: ANN401
    """Build one head per lane that ever has a signal; UNKNOWN at steps without a state."""
    lanes = road_map.lane_by_id if road_map else {}
    rows: dict[str, int] = {}
    stops, states = [], []
    for step, dynamic in enumerate(scenario.dynamic_map_states[:steps]):
        for light in dynamic.lane_states:
            lane = str(light.lane)
            if lane not in lanes:
                continue
            if lane not in rows:
                rows[lane] = len(rows)
                stops.append(np.array([light.stop_point.x, light.stop_point.y, light.stop_point.z]) - origin)
                states.append(np.zeros(steps, np.uint8))
            states[rows[lane]][step] = _LIGHTS[light.state]
    if not rows:
        return TrafficLights.empty(steps)
    headings = [_facing(lanes[lane].centerline, stop) for lane, stop in zip(rows, stops, strict=True)]
    positions = np.array(stops) + np.array([0.0, 0.0, _HEAD_HEIGHT])
    return TrafficLights(tuple(rows), positions, np.array(headings), np.array(states))


def _facing(centerline: Float[np.ndarray, "n 3"], stop: Float[np.ndarray, "3"]) -> float:
    """Return the heading against the lane's direction at the stop point."""
    along, _ = to_frenet(centerline, stop[None, :2])
    return float(wrap_angle(heading_at(centerline, along) + np.pi)[0])
