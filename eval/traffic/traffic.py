"""Other agents and red lights at 10 Hz, as used by the scores."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from swerve.eval.context.map_polygons import Polygons, outlines_of
from swerve.eval.scoring.score_kernels import track_bounds
from swerve.eval.scoring.thresholds import FRAMES, STEPS, STEPS_PER_FRAME, STOPPED_SPEED
from swerve.eval.traffic.track_kernels import interpolate_tracks, touching
from swerve.scenes import LightState, ObjectClass, RoadMap, Scene
from swerve.scenes.transforms import wrap_angle

ROAD_USERS = (ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE)
_IS_ROAD_USER = np.isin(np.arange(256), ROAD_USERS)


@dataclass(frozen=True)
class Traffic:
    """Tracks over the steps of an evaluation. Where `present` is False the other values are undefined.

    Attributes:
        ids: names of the tracks.
        classes: `ObjectClass` of each.
        poses: (x, y, heading) of the boxes' centres, world frame.
        velocities: world frame; zero for static classes.
        sizes: (length, width).
        present: whether the track is present at that step.
    """

    ids: tuple[str, ...]
    classes: UInt8[np.ndarray, "m"]
    poses: Float[np.ndarray, "t m 3"]
    velocities: Float[np.ndarray, "t m 2"]
    sizes: Float[np.ndarray, "m 2"]
    present: Bool[np.ndarray, "t m"]

    @property
    def road_users(self) -> Bool[np.ndarray, "m"]:
        """Return which tracks are vehicles, pedestrians or bicycles; collisions with these score 0."""
        users: Bool[np.ndarray, "m"] = _IS_ROAD_USER[self.classes]
        return users

    @property
    def boxes(self) -> Float[np.ndarray, "t m 6"]:
        """Return the tracks' boxes, see planar_geometry_kernels."""
        heading = self.poses[..., 2]
        halves = np.broadcast_to(self.sizes / 2, (*heading.shape, 2))
        return np.concatenate(
            [self.poses[..., :2], np.cos(heading)[..., None], np.sin(heading)[..., None], halves], axis=-1
        )

    @property
    def stopped(self) -> Bool[np.ndarray, "m"]:
        """Return which tracks are static, or slow when first observed: NAVSIM does not check the speed again."""
        first = self.present.argmax(axis=0)
        velocity = self.velocities[first, np.arange(len(self.ids))]
        stopped: Bool[np.ndarray, "m"] = ~self.road_users | (np.hypot(velocity[:, 0], velocity[:, 1]) <= STOPPED_SPEED)
        return stopped

    @property
    def standing(self) -> Bool[np.ndarray, "t m"]:
        """Return which tracks are static, or slow at each step."""
        standing: Bool[np.ndarray, "t m"] = ~self.road_users | (
            np.hypot(self.velocities[..., 0], self.velocities[..., 1]) <= STOPPED_SPEED
        )
        return standing

    def until(self, steps: int) -> "Traffic":
        """Return the first steps."""
        return replace(self, poses=self.poses[:steps], velocities=self.velocities[:steps], present=self.present[:steps])

    def at(self, step: int) -> "Traffic":
        """Return one step."""
        now = slice(step, step + 1)
        return replace(self, poses=self.poses[now], velocities=self.velocities[now], present=self.present[now])

    def of(self, rows: Int[np.ndarray, "k"]) -> "Traffic":
        """Select the given tracks."""
        return Traffic(
            tuple(self.ids[row] for row in rows),
            self.classes[rows],
            self.poses[:, rows],
            self.velocities[:, rows],
            self.sizes[rows],
            self.present[:, rows],
        )


@dataclass(frozen=True)
class RedLights:
    """Connectors on the route whose light is red at some step.

    Attributes:
        lane_ids: the connectors.
        polygons: their outlines.
        active: whether the light is red at that step.
    """

    lane_ids: tuple[str, ...]
    polygons: Polygons
    active: Bool[np.ndarray, "t l"]


@dataclass(frozen=True)
class ScoringTraffic:
    """Agents and red lights as used by the kernels, computed once per traffic.

    Attributes:
        ids: names of the tracks.
        classes: `ObjectClass` of each.
        boxes: see planar_geometry_kernels.
        present: whether the track is present at that step.
        stopped: static, or slow (NAVSIM: when first seen).
        road_user: vehicle, pedestrian or bicycle.
        ignored: tracks that are ignored.
        bounds: circle around all of the track's boxes.
        lights: red lights.
    """

    ids: tuple[str, ...]
    classes: UInt8[np.ndarray, "m"]
    boxes: Float[np.ndarray, "t m 6"]
    present: Bool[np.ndarray, "t m"]
    stopped: Bool[np.ndarray, "t m"]
    road_user: Bool[np.ndarray, "m"]
    ignored: Bool[np.ndarray, "m"]
    bounds: Float[np.ndarray, "m 3"]
    lights: RedLights

    @classmethod
    def of(
        cls,
        traffic: Traffic,
        lights: RedLights,
        ignored: Bool[np.ndarray, "m"] | None = None,
        stopped: Bool[np.ndarray, "t m"] | None = None,
    ) -> "ScoringTraffic":
        """Create the agents of `traffic`; `stopped` is NAVSIM's if None."""
        boxes = traffic.boxes
        if stopped is None:
            stopped = np.repeat(traffic.stopped[None], len(boxes), axis=0)
        return cls(
            traffic.ids,
            traffic.classes,
            boxes,
            traffic.present,
            stopped,
            traffic.road_users,
            np.zeros(len(traffic.ids), bool) if ignored is None else ignored,
            track_bounds(boxes, traffic.present),
            lights,
        )


def logged_traffic(scene: Scene, frames: Int[np.ndarray, "f"], steps: int = STEPS) -> Traffic:
    """Interpolate the log's tracks to 10 Hz between frames of 0.5 s as NAVSIM does.

    A track exists from its first frame to its last, gaps between are bridged; a track observed in only one of the
    frames is at rest at all steps. Frames count as exactly 0.5 s apart, whatever their timestamps.

    Args:
        scene: the scene.
        frames: the log's steps that are 0, 0.5, ... s from now.
        steps: number of steps of 0.1 s.
    """
    tracks = scene.log.tracks.at(frames)
    seen = np.flatnonzero(tracks.valid.any(axis=1))
    valid = tracks.valid[seen]
    values = np.concatenate(
        [tracks.positions[seen, :, :2], tracks.headings[seen, :, None], tracks.velocities[seen]], axis=-1
    )
    smooth, present = interpolate_tracks(values, valid, steps, STEPS_PER_FRAME)
    first = valid.argmax(axis=1)
    static = ~np.isin(tracks.classes[seen], ROAD_USERS)
    smooth[:, static, 3:] = 0.0
    poses = smooth[..., :3]
    poses[..., 2] = wrap_angle(poses[..., 2])
    return Traffic(
        tuple(tracks.ids[row] for row in seen),
        tracks.classes[seen],
        poses,
        smooth[..., 3:],
        tracks.sizes[seen, first, :2],
        present,
    )


def red_lights(scene: Scene, frames: Int[np.ndarray, "f"], lanes: tuple[str, ...], steps: int = STEPS) -> RedLights:
    """Return the lights of `lanes` that are red at some of the steps; each frame's state holds until the next."""
    lights = scene.log.lights.at(frames)
    wanted = set(lanes)
    red = lights.states == LightState.RED
    rows = [row for row, lane in enumerate(lights.lane_ids) if lane in wanted and red[row].any()]
    ids = tuple(lights.lane_ids[row] for row in rows)
    held = np.repeat(red[rows], STEPS_PER_FRAME, axis=1)[:, :steps]
    return RedLights(ids, lane_polygons(scene.log.road_map, ids), np.ascontiguousarray(held.T))


def lane_polygons(road_map: RoadMap | None, ids: tuple[str, ...]) -> Polygons:
    """Return the outlines of lanes."""
    lanes = road_map.lane_by_id if road_map else {}
    return outlines_of([lanes[lane] for lane in ids])


def without_contacts(traffic: Traffic, ego_box: Float[np.ndarray, "6"]) -> Traffic:
    """Remove the tracks that touch the ego now, for log replay."""
    if not len(traffic.ids):
        return traffic
    hit = touching(ego_box, traffic.at(0).boxes[0], traffic.present[0])
    return traffic.of(np.flatnonzero(~hit)) if hit.any() else traffic


def constant_velocity(traffic: Traffic, step: float) -> Traffic:
    """Move the current vehicles at constant velocity; remove vehicles that appear later."""
    vehicle = traffic.classes == ObjectClass.VEHICLE
    poses, velocities, present = traffic.poses.copy(), traffic.velocities.copy(), traffic.present.copy()
    times = np.arange(len(poses))[:, None, None] * step
    poses[:, vehicle, :2] = poses[:1, vehicle, :2] + times * velocities[:1, vehicle]
    poses[:, vehicle, 2] = poses[:1, vehicle, 2]
    velocities[:, vehicle] = velocities[:1, vehicle]
    present[:, vehicle] = present[:1, vehicle]
    return replace(traffic, poses=poses, velocities=velocities, present=present)


def frames_of(scene: Scene, count: int = FRAMES, first: int = 0) -> Int[np.ndarray, "k"]:
    """Return the log's steps every 0.5 s from now on (from `first` frames on, which may be negative)."""
    stride = max(round(0.5 / scene.log.step), 1)
    return scene.now + stride * np.arange(first, count)
