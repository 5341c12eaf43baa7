"""A scene of Gaussians: what stands still, what moves as a whole, and the sky."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int32, Int64

from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.harmonics import SIZES, constant_harmonics
from swerve.scenes.primitives.primitives import NO_INSTANCE
from swerve.scenes.transforms import interpolate_poses


@dataclass(frozen=True, eq=False)
class Sky:
    """What is seen where no Gaussian hides it: a colour by direction, infinitely far away.

    Attributes:
        harmonics: as those of `Gaussians`, in world axes.
    """

    harmonics: Float32[np.ndarray, "k 3"]

    def __post_init__(self) -> None:
        if self.harmonics.shape not in [(size, 3) for size in SIZES]:
            raise ValueError(f"the sky's harmonics must be (1, 4, 9 or 16, 3), got {self.harmonics.shape}")

    @classmethod
    def constant(cls, color: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> "Sky":
        """One colour, 0 to 1, everywhere."""
        return cls(constant_harmonics(np.array([color])).astype(np.float32))


@dataclass(frozen=True, eq=False)
class RigidNode:
    """Gaussians that move as one body.

    Attributes:
        name: id of the track.
        instance: its number in images; a track's row + 1, as in primitives.
        gaussians: in the frame of the track's box: origin at its centre, x forward, y left, z up.
        times_us: of the poses, rising.
        world_from_node: poses of the box.
    """

    name: str
    instance: int
    gaussians: Gaussians
    times_us: Int64[np.ndarray, "t"]
    world_from_node: Float[np.ndarray, "t 4 4"]

    def __post_init__(self) -> None:
        if not len(self.times_us) or (np.diff(self.times_us) <= 0).any():
            raise ValueError(f"node {self.name!r}: needs one time or more, and they must rise")

    def pose_at(self, time_us: int) -> Float[np.ndarray, "4 4"] | None:
        """Between two poses the way is straight and the turn even; None before the first and after the last."""
        if not self.times_us[0] <= time_us <= self.times_us[-1]:
            return None
        if len(self.times_us) == 1:
            return self.world_from_node[0]
        return interpolate_poses(self.times_us, self.world_from_node, np.array([time_us]))[0]


@dataclass(frozen=True, eq=False)
class PoseCorrections:
    """How a fit that refined poses has moved the vehicle, and with it all that was seen from there.

    Attributes:
        times_us: when the photographs were taken, rising.
        scene_from_log: what takes a place of the log to where it lies in the scene, at those times.
    """

    times_us: Int64[np.ndarray, "t"]
    scene_from_log: Float[np.ndarray, "t 4 4"]

    def at(self, time_us: int) -> Float[np.ndarray, "4 4"]:
        """Linearly between two times; before the first and after the last as there."""
        if len(self.times_us) == 1:
            return self.scene_from_log[0]
        time = np.clip(time_us, self.times_us[0], self.times_us[-1])
        return interpolate_poses(self.times_us, self.scene_from_log, np.array([time]))[0]


@dataclass(frozen=True, eq=False)
class SplatFrame:
    """A scene at one moment: what is drawn.

    Attributes:
        gaussians: world axes, metres from `origin`.
        instances: number of the thing each Gaussian belongs to; 0 is what stands still.
        origin: in the world; near the Gaussians, so that float32 tells millimetres.
        sky: behind them.
    """

    gaussians: Gaussians
    instances: Int32[np.ndarray, "n"]
    origin: Float[np.ndarray, "3"]
    sky: Sky

    @classmethod
    def of(cls, gaussians: Gaussians, sky: Sky | None = None) -> "SplatFrame":
        """Gaussians in world coordinates that belong to nothing; before black if no sky is given."""
        return cls(gaussians, np.full(len(gaussians), NO_INSTANCE, np.int32), np.zeros(3), sky or Sky.constant())


@dataclass(frozen=True, eq=False)
class SplatScene:
    """The graph of a scene.

    Attributes:
        background: what stands still: world axes, metres from `origin`.
        nodes: what moves.
        origin: in the world.
        sky: behind all.
        corrections: if poses of the vehicle were refined.
    """

    background: Gaussians
    nodes: tuple[RigidNode, ...]
    origin: Float[np.ndarray, "3"]
    sky: Sky
    corrections: PoseCorrections | None = None

    def scene_from_log(self, time_us: int) -> Float[np.ndarray, "4 4"]:
        """What takes poses that the log has at a moment to where they are in the scene."""
        return np.eye(4) if self.corrections is None else self.corrections.at(time_us)

    def at(self, time_us: int) -> SplatFrame:
        """Everything that is there at a moment, in its place; first the background, then the nodes in their order."""
        parts, owners = [self.background], [NO_INSTANCE]
        for node in self.nodes:
            pose = node.pose_at(time_us)
            if pose is not None:
                local = pose.copy()
                local[:3, 3] -= self.origin
                parts.append(node.gaussians.moved(local))
                owners.append(node.instance)
        instances = np.repeat(np.array(owners, np.int32), [len(part) for part in parts])
        return SplatFrame(parts[0].joined(*parts[1:]), instances, self.origin, self.sky)
