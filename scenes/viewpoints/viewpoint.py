"""A viewpoint: an ego from which a scene is looked at and driven."""

from dataclasses import dataclass
from enum import Enum, IntEnum

import numpy as np
from jaxtyping import Float

from swerve.scenes.camera import Camera
from swerve.scenes.log import Scene
from swerve.scenes.tracks import Ego, Tracks
from swerve.scenes.vehicle import Vehicle


class ViewpointKind(Enum):
    """How the ego came to be where it is."""

    LOGGED = "logged"
    RECOVERY = "recovery"
    CROSS_AGENT = "cross_agent"
    FOLLOW_UP = "follow_up"


class Command(IntEnum):
    """Driving command, in NAVSIM's order."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Viewpoint:
    """An ego in a scene. All steps are the scene's: `scene.history` before now, now, `scene.future` after.

    Attributes:
        scene: where and when; lights and map are looked up there, in the world frame.
        kind: how the ego came to be where it is.
        index: number of the viewpoint among those of its kind in the scene.
        ego: states at the steps up to and including now (history + 1 of them); the last is the ego's state now. Those
            of recovery and cross-agent viewpoints are of the smoothed drive: planners are told `told_ego`.
        target: world_from_ego at the steps after now: what a planner should do.
        human: what the logged driver of this seat did, at the same steps.
        vehicle: the ego's body.
        cameras: the ego's rig.
        tracks: everybody else over the whole window.
        command: where the route leads from here.
        parameters: numbers that made the viewpoint, in SI units, for the record.
        coverage: share of the ego's surroundings that the recording vehicle's sensors could annotate, 0 to 1.
    """

    scene: Scene
    kind: ViewpointKind
    index: int
    ego: Ego
    target: Float[np.ndarray, "f 4 4"]
    human: Float[np.ndarray, "f 4 4"]
    vehicle: Vehicle
    cameras: tuple[Camera, ...]
    tracks: Tracks
    command: Command
    parameters: dict[str, float]
    coverage: float = 1.0

    @property
    def world_from_ego(self) -> Float[np.ndarray, "4 4"]:
        """The ego's pose now."""
        return self.ego.world_from_ego[-1]

    @property
    def told_ego(self) -> Ego:
        """The ego as a planner is told of it: the same poses, and motion by those up to now, or as it was measured.

        The drives of recovery and cross-agent viewpoints come from the smoothed log, in which the future has a part.
        What is told of their motion stands on their own poses up to now alone.
        """
        if self.kind in (ViewpointKind.LOGGED, ViewpointKind.FOLLOW_UP):
            return self.ego
        scene = self.scene
        return self.ego.by_own_poses(scene.times_us[: scene.history + 1])


@dataclass(frozen=True)
class Rejection:
    """A viewpoint that was tried and not used.

    Attributes:
        kind: what it would have been.
        index: its number.
        reason: a short name that is counted, such as "collision_at_start".
    """

    kind: ViewpointKind
    index: int
    reason: str
