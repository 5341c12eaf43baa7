"""Conversion of simulated motion to a log: the ego's poses, and the tracks around it."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.data.sources.town.bodies import ParkedObjects
from swerve.data.sources.town.simulation import Movements
from swerve.data.sources.town.town_options import STEP
from swerve.data.sources.town.traffic_kernels import PADDING
from swerve.data.sources.velocities import causal_velocities
from swerve.scenes import Ego, GroundHeight, ObjectClass, Tracks, Vehicle
from swerve.scenes.transforms import rigid_transform, wrap_angle

# Radius around the ego within which agents are annotated, metres.
ANNOTATED_RANGE = 150.0
_LOGGED = slice(PADDING, -PADDING)
_PEDESTRIAN_SIZES = (0.5, 0.75), (0.45, 0.65), (1.5, 1.95)


def ego_from_simulation(
    movement: Float[np.ndarray, "p 3"], vehicle: Vehicle, ground: GroundHeight, times_us: Int[np.ndarray, "t"]
) -> Ego:
    """Compute the ego's states from (x, y, heading) of its box's centre; pitch and roll follow the ground.

    The movement has `PADDING` additional steps at either end.
    """
    heading = movement[:, 2]
    forward, left = _directions(heading)
    rear = movement[:, :2] - vehicle.rear_axle_to_center * forward
    half = vehicle.width * 0.4
    rise = ground.at(rear + vehicle.wheelbase * forward) - ground.at(rear)
    middle = rear + vehicle.wheelbase / 2 * forward
    tilt = ground.at(middle + half * left) - ground.at(middle - half * left)
    x = _unit(np.concatenate([forward, (rise / vehicle.wheelbase)[:, None]], axis=1))
    z = _unit(np.cross(x, np.concatenate([left, (tilt / (2 * half))[:, None]], axis=1)))
    rotation = np.stack([x, np.cross(z, x), z], axis=2)
    positions = np.concatenate([rear, ground.at(rear)[:, None]], axis=1)
    padded = times_us[0] + np.round(np.arange(-PADDING, len(times_us) + PADDING) * STEP * 1e6).astype(np.int64)
    return Ego.from_poses(rigid_transform(rotation, positions), padded).at(_LOGGED)


def tracks_from_simulation(
    movements: Movements,
    standing: list[ParkedObjects],
    stopped: list[ParkedObjects],
    ground: GroundHeight,
    generator: np.random.Generator,
) -> Tracks:
    """Build the tracks of agents that come within `ANNOTATED_RANGE` of the ego; valid on the map and in range.

    Args:
        movements: of traffic and pedestrians.
        standing: what stands beside the lanes.
        stopped: what stands on lanes.
        ground: height of the ground.
        generator: decides the pedestrians' sizes.
    """
    steps = movements.vehicles.shape[1]
    poses = np.concatenate([movements.vehicles[1:], movements.walkers, _still([*standing, *stopped], steps)])
    people = len(movements.walkers)
    present = np.concatenate([movements.present[1:], np.ones((people + len(standing) + len(stopped), steps), bool)])
    bodies = [driver.body for driver in movements.drivers[1:]]
    still = [*standing, *stopped]
    kinds = [body.kind for body in bodies] + [ObjectClass.PEDESTRIAN] * people + [thing.kind for thing in still]
    low, high = np.array(_PEDESTRIAN_SIZES).T
    sizes = np.concatenate(
        [
            np.array([body.vehicle.size for body in bodies]).reshape(-1, 3),
            generator.uniform(low, high, (people, 3)),
            np.array([thing.size for thing in still]).reshape(-1, 3),
        ]
    )
    counts = ("road-user", len(bodies)), ("pedestrian", people), ("standing", len(standing)), ("stopped", len(stopped))
    names = [f"{kind}-{row}" for kind, count in counts for row in range(count)]
    seen = present & _in_range(poses, movements.vehicles[0])
    kept = np.flatnonzero(seen[:, _LOGGED].any(axis=1))
    chosen = [names[row] for row in kept], [kinds[row] for row in kept]
    tracks = _tracks(*chosen, poses[kept], sizes[kept], present[kept], ground)
    return replace(tracks, valid=seen[kept]).at(_LOGGED)


def _in_range(poses: Float[np.ndarray, "n t 3"], ego: Float[np.ndarray, "t 3"]) -> Bool[np.ndarray, "n t"]:
    """Test whether each agent is near the ego at each step."""
    near: Bool[np.ndarray, "n t"] = np.linalg.norm(poses[..., :2] - ego[:, :2], axis=2) < ANNOTATED_RANGE
    return near


def _tracks(
    names: list[str],
    kinds: list[ObjectClass],
    poses: Float[np.ndarray, "n t 3"],
    sizes: Float[np.ndarray, "n 3"],
    present: Bool[np.ndarray, "n t"],
    ground: GroundHeight,
) -> Tracks:
    """Build the tracks: boxes stand upright on the ground, velocities follow from positions up to each step."""
    heights = ground.at(poses[..., :2]) + sizes[:, None, 2] / 2
    positions = np.concatenate([poses[..., :2], heights[..., None]], axis=2)
    times_us = np.round(np.arange(poses.shape[1]) * STEP * 1e6).astype(np.int64)
    moves = np.flatnonzero((poses[..., :2] != poses[:, :1, :2]).any(axis=(1, 2)))
    velocities = np.zeros((*present.shape, 2))
    velocities[moves] = causal_velocities(positions[moves], present[moves], times_us)
    return Tracks(
        ids=tuple(names),
        classes=np.array(kinds, np.uint8),
        positions=positions,
        headings=wrap_angle(poses[..., 2]),
        sizes=np.repeat(sizes[:, None], poses.shape[1], axis=1),
        velocities=velocities,
        valid=present,
    )


def _still(standing: list[ParkedObjects], steps: int) -> Float[np.ndarray, "s t 3"]:
    """Return (x, y, heading) of static objects at every step."""
    poses = np.array([[*thing.center, thing.heading] for thing in standing]).reshape(-1, 3)
    return np.repeat(poses[:, None], steps, axis=1)


def _directions(heading: Float[np.ndarray, "t"]) -> tuple[Float[np.ndarray, "t 2"], Float[np.ndarray, "t 2"]]:
    """Return unit vectors forward and to the left."""
    cos, sin = np.cos(heading), np.sin(heading)
    return np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)


def _unit(vectors: Float[np.ndarray, "t 3"]) -> Float[np.ndarray, "t 3"]:
    """Normalize vectors to unit length."""
    unit: Float[np.ndarray, "t 3"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
