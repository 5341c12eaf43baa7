"""Scene graph of Gaussians: static background, rigid nodes, and sky."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int32, Int64

from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.harmonics import SIZES, rgb_to_sh
from swerve.scenes.primitives.primitives import NO_INSTANCE
from swerve.scenes.transforms import interpolate_poses


@dataclass(frozen=True, eq=False)
class Sky:
    """Background at infinity: colour by direction.

    Attributes:
        sh_coefficients: as those of `Gaussians`, in world axes.
    """

    sh_coefficients: Float32[np.ndarray, "k 3"]

    def __post_init__(self) -> None:
        if self.sh_coefficients.shape not in [(size, 3) for size in SIZES]:
            raise ValueError(f"the sky's sh_coefficients must be (1, 4, 9 or 16, 3), got {self.sh_coefficients.shape}")

    @classmethod
    def constant(cls, color: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> "Sky":
        """Return a sky of one colour, 0 to 1."""
        return cls(rgb_to_sh(np.array([color])).astype(np.float32))


@dataclass(frozen=True, eq=False)
class RigidNode:
    """Gaussians that move as a rigid body.

    Attributes:
        name: id of the track.
        instance: instance id in images; a track's row + 1, as in primitives.
        gaussians: in the frame of the track's box: origin at its centre, x forward, y left, z up.
        times_us: times of the poses, increasing.
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
        """Interpolate the pose: linear position, slerp rotation; None before the first and after the last."""
        if not self.times_us[0] <= time_us <= self.times_us[-1]:
            return None
        if len(self.times_us) == 1:
            fixed: Float[np.ndarray, "4 4"] = self.world_from_node[0]
            return fixed
        pose: Float[np.ndarray, "4 4"] = interpolate_poses(self.times_us, self.world_from_node, np.array([time_us]))[0]
        return pose


@dataclass(frozen=True, eq=False)
class PoseCorrections:
    """Refined poses: correction of the log's poses by a fit, per photo time.

    Attributes:
        times_us: times of the photos, increasing.
        scene_from_log: transform from the log's world frame to the scene's, at those times.
    """

    times_us: Int64[np.ndarray, "t"]
    scene_from_log: Float[np.ndarray, "t 4 4"]

    def at(self, time_us: int) -> Float[np.ndarray, "4 4"]:
        """Interpolate linearly between two times; constant before the first and after the last."""
        if len(self.times_us) == 1:
            fixed: Float[np.ndarray, "4 4"] = self.scene_from_log[0]
            return fixed
        time = np.clip(time_us, self.times_us[0], self.times_us[-1])
        pose: Float[np.ndarray, "4 4"] = interpolate_poses(self.times_us, self.scene_from_log, np.array([time]))[0]
        return pose


@dataclass(frozen=True, eq=False)
class SplatSnapshot:
    """Gaussians of a scene at one timestamp, ready to render.

    Attributes:
        gaussians: world axes, metres from `origin`.
        instances: instance id of each Gaussian; 0 is static.
        origin: world coordinates of the local origin; near the Gaussians, so that float32 resolves millimetres.
        sky: background.
    """

    gaussians: Gaussians
    instances: Int32[np.ndarray, "n"]
    origin: Float[np.ndarray, "3"]
    sky: Sky

    @classmethod
    def of(cls, gaussians: Gaussians, sky: Sky | None = None) -> "SplatSnapshot":
        """Build from Gaussians in world coordinates without instances; on black if no sky is given."""
        return cls(gaussians, np.full(len(gaussians), NO_INSTANCE, np.int32), np.zeros(3), sky or Sky.constant())


@dataclass(frozen=True, eq=False)
class SplatScene:
    """Scene graph: static background, moving nodes and sky.

    Attributes:
        background: static Gaussians: world axes, metres from `origin`.
        nodes: moving objects.
        origin: world coordinates of the local origin.
        sky: background at infinity.
        corrections: corrections of the vehicle's poses, if they were refined.
    """

    background: Gaussians
    nodes: tuple[RigidNode, ...]
    origin: Float[np.ndarray, "3"]
    sky: Sky
    corrections: PoseCorrections | None = None

    def scene_from_log(self, time_us: int) -> Float[np.ndarray, "4 4"]:
        """Return the transform from the log's world frame to the scene's at a time."""
        return np.eye(4) if self.corrections is None else self.corrections.at(time_us)

    def at(self, time_us: int) -> SplatSnapshot:
        """Compose the scene at a time; first the background, then the nodes in their order."""
        parts, owners = [self.background], [NO_INSTANCE]
        for node in self.nodes:
            pose = node.pose_at(time_us)
            if pose is not None:
                local = pose.copy()
                local[:3, 3] -= self.origin
                parts.append(node.gaussians.transform(local))
                owners.append(node.instance)
        instances = np.repeat(np.array(owners, np.int32), [len(part) for part in parts])
        return SplatSnapshot(parts[0].concatenate(*parts[1:]), instances, self.origin, self.sky)
