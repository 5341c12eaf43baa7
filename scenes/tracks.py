"""Dynamic state of a log: the ego, the tracked agents, and the traffic lights."""

from dataclasses import dataclass, fields, replace
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from swerve.scenes.causal_motion import planar_motion
from swerve.scenes.transforms import rotation_about_z, yaw_of

Times = slice | Int[np.ndarray, "q"]
# Poses over this long fill the window of `causal_motion`.
_WHOLE_US = 250_000


class ObjectClass(IntEnum):
    """Class of a track: nuPlan's seven classes (motorcycles and other ridden two-wheelers are BICYCLE)."""

    GENERIC = 0
    VEHICLE = 1
    PEDESTRIAN = 2
    BICYCLE = 3
    TRAFFIC_CONE = 4
    BARRIER = 5
    SIGN = 6


class LightState(IntEnum):
    """State of a traffic light."""

    UNKNOWN = 0
    RED = 1
    YELLOW = 2
    GREEN = 3


@dataclass(frozen=True)
class Ego:
    """States of the recording vehicle over time.

    Attributes:
        world_from_ego: poses; the ego frame's origin is the rear axle on the ground, x forward, y left, z up.
        velocity: of the rear axle in m/s, (forward, left) in the ego's own frame.
        acceleration: of the rear axle in m/s2, (forward, left) in the ego's own frame.
        yaw_rate: rad/s, counter-clockwise.
        measured: whether velocity and acceleration are the source's own, and not derived from the poses.
    """

    world_from_ego: Float[np.ndarray, "t 4 4"]
    velocity: Float[np.ndarray, "t 2"]
    acceleration: Float[np.ndarray, "t 2"]
    yaw_rate: Float[np.ndarray, "t"]
    measured: bool = False

    def __len__(self) -> int:
        return len(self.world_from_ego)

    @property
    def positions(self) -> Float[np.ndarray, "t 3"]:
        """Rear axle on the ground, world frame."""
        return self.world_from_ego[:, :3, 3]

    @property
    def headings(self) -> Float[np.ndarray, "t"]:
        """Headings in the world frame, radians."""
        return yaw_of(self.world_from_ego)

    def at(self, times: Times) -> "Ego":
        """Select the given steps."""
        motion = self.velocity[times], self.acceleration[times], self.yaw_rate[times]
        return Ego(self.world_from_ego[times], *motion, self.measured)

    @classmethod
    def from_poses(cls, world_from_ego: Float[np.ndarray, "t 4 4"], times_us: Int[np.ndarray, "t"]) -> "Ego":
        """Estimate motion at each pose from the poses up to it, see `causal_motion`.

        The first pose, which has none before it, takes the velocity and yaw rate of the second; of a single pose both
        are zero. Nothing else depends on what comes later, and no scene begins at a log's first step.
        """
        planar = np.column_stack([world_from_ego[:, :2, 3], yaw_of(world_from_ego)])
        velocity, acceleration, yaw_rate = planar_motion(planar, times_us)
        second = min(1, len(planar) - 1)
        velocity[0], yaw_rate[0] = velocity[second], yaw_rate[second]
        return cls(world_from_ego, velocity, acceleration, yaw_rate)

    def by_own_poses(self, times_us: Int[np.ndarray, "t"]) -> "Ego":
        """Return the same poses with the motion estimated from them alone, see `causal_motion`.

        States in the first 0.3 s extrapolate the parabola of the first whole window backwards. Where the poses span
        less than that, the states are left as they are.

        Args:
            times_us: times of the poses.
        """
        full = np.flatnonzero(times_us - times_us[0] >= _WHOLE_US)
        if not len(full):
            return self
        first, told = int(full[0]), Ego.from_poses(self.world_from_ego, times_us)
        seconds = (times_us[:first] - times_us[first]) * 1e-6
        world = rotation_about_z(self.headings)[:, :2, :2]
        velocity, acceleration = (world[first] @ one[first] for one in (told.velocity, told.acceleration))
        own = np.swapaxes(world[:first], 1, 2)
        told.velocity[:first] = (own @ (velocity + seconds[:, None] * acceleration)[..., None])[..., 0]
        told.acceleration[:first] = own @ acceleration
        told.yaw_rate[:first] = told.yaw_rate[first]
        return told


@dataclass(frozen=True)
class Tracks:
    """Agents over time, world frame. Where `valid` is False the other values are undefined.

    Attributes:
        ids: unique name of each track.
        classes: `ObjectClass` of each.
        positions: centres of the boxes, metres.
        headings: radians.
        sizes: (length, width, height), metres.
        velocities: (x, y) in m/s in world axes.
        valid: whether the agent is annotated at the step.
    """

    ids: tuple[str, ...]
    classes: UInt8[np.ndarray, "n"]
    positions: Float[np.ndarray, "n t 3"]
    headings: Float[np.ndarray, "n t"]
    sizes: Float[np.ndarray, "n t 3"]
    velocities: Float[np.ndarray, "n t 2"]
    valid: Bool[np.ndarray, "n t"]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, steps: int) -> "Tracks":
        """Return an empty set of tracks over `steps` steps."""
        return cls(
            (),
            np.zeros(0, np.uint8),
            np.zeros((0, steps, 3)),
            np.zeros((0, steps)),
            np.zeros((0, steps, 3)),
            np.zeros((0, steps, 2)),
            np.zeros((0, steps), bool),
        )

    def at(self, times: Times) -> "Tracks":
        """Select the given steps."""
        return replace(
            self,
            positions=self.positions[:, times],
            headings=self.headings[:, times],
            sizes=self.sizes[:, times],
            velocities=self.velocities[:, times],
            valid=self.valid[:, times],
        )

    def select_tracks(self, rows: Int[np.ndarray, "m"]) -> "Tracks":
        """Select the given tracks."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "ids"}
        return replace(self, ids=tuple(self.ids[row] for row in rows), **arrays)

    def concatenate(self, other: "Tracks") -> "Tracks":
        """Concatenate two sets of tracks over the same steps."""
        names = [f.name for f in fields(self) if f.name != "ids"]
        arrays = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return replace(self, ids=self.ids + other.ids, **arrays)

    def footprints(self) -> Float[np.ndarray, "n t 4 2"]:
        """Return the corners of the boxes in the xy plane, counter-clockwise from the front left."""
        return box_footprints(self.positions[..., :2], self.headings, self.sizes[..., :2])


def box_footprints(
    centers: Float[np.ndarray, "*b 2"], headings: Float[np.ndarray, "*b"], sizes: Float[np.ndarray, "*b 2"]
) -> Float[np.ndarray, "*b 4 2"]:
    """Compute the corners of oriented rectangles of (length, width), counter-clockwise from the front left."""
    signs = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    local = signs * sizes[..., None, :] / 2
    rotation = rotation_about_z(headings)[..., :2, :2]
    corners: Float[np.ndarray, "*b 4 2"] = local @ np.swapaxes(rotation, -1, -2) + centers[..., None, :]
    return corners


@dataclass(frozen=True)
class TrafficLights:
    """Traffic signal heads and their states over time.

    Attributes:
        lane_ids: id of the lane (most often a connector) that each head controls.
        positions: centres of the heads, world frame.
        headings: direction that each head faces, radians: against the traffic it controls.
        states: `LightState` of each head at each step.
    """

    lane_ids: tuple[str, ...]
    positions: Float[np.ndarray, "m 3"]
    headings: Float[np.ndarray, "m"]
    states: UInt8[np.ndarray, "m t"]

    def __len__(self) -> int:
        return len(self.lane_ids)

    @classmethod
    def empty(cls, steps: int) -> "TrafficLights":
        """Return an empty set of signals over `steps` steps."""
        return cls((), np.zeros((0, 3)), np.zeros(0), np.zeros((0, steps), np.uint8))

    def at(self, times: Times) -> "TrafficLights":
        """Select the given steps."""
        return replace(self, states=self.states[:, times])
