"""Culling region of synthetic photos: objects in view, and objects whose shadows fall near the ego."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.sources.town.photos.shadows import sun_frame
from swerve.rasterizer.optics import frustum, lens_table
from swerve.scenes import Camera
from swerve.scenes.transforms import inverse


class CullingRegion(NamedTuple):
    """Region of relevant objects: images without the others are bit-identical.

    Attributes:
        frustums: inward planes (normal, offset) of each camera's frustum, world frame.
        low: least corner of the shadow box around the ego, metres.
        high: greatest corner of the shadow box, metres.
        toward: unit vector to the sun.
    """

    frustums: Float[np.ndarray, "c 6 4"]
    low: Float[np.ndarray, "3"]
    high: Float[np.ndarray, "3"]
    toward: Float[np.ndarray, "3"]

    def holds(self, centers: Float[np.ndarray, "n 3"], radii: Float[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """Test which spheres are in view, in the box seen from above, or between it and the sun."""
        apart = np.einsum("ckd,nd->nck", self.frustums[..., :3], centers) + self.frustums[..., 3]
        seen = (apart >= -radii[:, None, None]).all(axis=2).any(axis=1)
        middle = (self.low + self.high) / 2
        above = (np.abs(centers - middle) - radii[:, None] <= (self.high - self.low) / 2)[:, :2].all(axis=1)
        rotation, span = sun_frame(self.toward, self.low, self.high)
        offsets = np.abs((centers - middle) @ rotation[:, :2])
        # Margins: the sun's rays are not quite parallel, and the map ends with a whole pixel.
        shading = (offsets - radii[:, None] <= 0.52 * span).all(axis=1)
        held: Bool[np.ndarray, "n"] = seen | above | shading
        return held


def culling_region(
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "4 4"],
    sight: float,
    box: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]],
    toward: Float[np.ndarray, "3"],
) -> CullingRegion:
    """Compute the region for a rig's images from a pose.

    Args:
        cameras: the rig.
        world_from_ego: pose of the vehicle.
        sight: far clipping distance, metres.
        box: least and greatest corner of the box for dynamic shadows.
        toward: unit vector to the sun.
    """
    planes = [
        frustum(lens_table(camera).bounds, sight) @ inverse(world_from_ego @ camera.ego_from_camera)
        for camera in cameras
    ]
    return CullingRegion(np.array(planes).reshape(-1, 6, 4), *box, toward)
