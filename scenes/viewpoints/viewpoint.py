"""Viewpoint: an ego from which a scene is observed and driven."""

from dataclasses import dataclass
from enum import Enum, IntEnum

import numpy as np
from jaxtyping import Float

from swerve.scenes.camera import Camera
from swerve.scenes.log import Scene
from swerve.scenes.tracks import Ego, Tracks
from swerve.scenes.vehicle import Vehicle


class ViewpointKind(Enum):
    """Kind of a viewpoint, by the origin of its ego."""

    LOGGED = "logged"
    RECOVERY = "recovery"
    CROSS_AGENT = "cross_agent"
    FOLLOW_UP = "follow_up"
    VISITED = "visited"


class Command(IntEnum):
    """Driving command, in NAVSIM's order."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Viewpoint:
    """Ego in a scene. All steps are the scene's: `scene.history` before now, now, `scene.future` after.

    Attributes:
        scene: scene with lights and map, in the world frame.
        kind: kind of the viewpoint.
        index: index of the viewpoint among those of its kind in the scene.
        ego: states at the steps up to and including now (history + 1 of them); the last is the ego's state now. Those
            of recovery and cross-agent viewpoints follow the smoothed log: planners are given `causal_ego`.
        target: world_from_ego at the steps after now: the target trajectory of a planner. Of follow-ups and visited
            states without a way back it is not known: an empty array.
        human: world_from_ego of the logged human driver of this vehicle, at the same steps.
        vehicle: dimensions of the ego.
        cameras: camera rig of the ego.
        tracks: all other agents over the whole window.
        command: driving command.
        parameters: provenance of the viewpoint, in SI units.
        coverage: share of the ego's surroundings that the recording vehicle's sensors can annotate, 0 to 1.
        human_now: world_from_ego of that driver now, where the scene is in a log of the viewpoint's own, whose ego is
            another one; None where it is the log's ego.
    """

    scene: Scene
    kind: ViewpointKind
    index: int
    ego: Ego
    target: Float[np.ndarray, "g 4 4"]
    human: Float[np.ndarray, "f 4 4"]
    vehicle: Vehicle
    cameras: tuple[Camera, ...]
    tracks: Tracks
    command: Command
    parameters: dict[str, float]
    coverage: float = 1.0
    human_now: Float[np.ndarray, "4 4"] | None = None

    @property
    def world_from_ego(self) -> Float[np.ndarray, "4 4"]:
        """Current pose of the ego."""
        pose: Float[np.ndarray, "4 4"] = self.ego.world_from_ego[-1]
        return pose

    @property
    def causal_ego(self) -> Ego:
        """Return the ego as planners are given it: motion estimated from poses up to now alone, or as measured.

        Recovery and cross-agent viewpoints follow the smoothed log, which depends on the future. The motion given of
        them is estimated from their own poses up to now alone.
        """
        if self.kind not in (ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT):
            return self.ego
        scene = self.scene
        return self.ego.by_own_poses(scene.times_us[: scene.history + 1])


@dataclass(frozen=True)
class Rejection:
    """Viewpoint that was tried and not used.

    Attributes:
        kind: kind of the viewpoint.
        index: index of the viewpoint.
        reason: short name that is counted, such as "collision_at_start".
    """

    kind: ViewpointKind
    index: int
    reason: str
