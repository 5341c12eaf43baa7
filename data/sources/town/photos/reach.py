"""Which things can change a picture: those that a camera may see, and those whose shadows fall about the ego."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.sources.town.photos.shadows import sun_frame
from swerve.rasterizer.optics import frustum, lens_table
from swerve.scenes import Camera
from swerve.scenes.transforms import inverse


class Reach(NamedTuple):
    """Where things matter: pictures without the others are the same to the last bit.

    Attributes:
        frustums: inward planes (normal, offset) of what each camera sees, world frame.
        low: least corner of the box about the ego in which shadows fall, metres.
        high: greatest corner.
        toward: unit vector to the sun.
    """

    frustums: Float[np.ndarray, "c 6 4"]
    low: Float[np.ndarray, "3"]
    high: Float[np.ndarray, "3"]
    toward: Float[np.ndarray, "3"]

    def holds(self, centers: Float[np.ndarray, "n 3"], radii: Float[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """Which spheres may be seen, stand in the box seen from above, or come between it and the sun."""
        apart = np.einsum("ckd,nd->nck", self.frustums[..., :3], centers) + self.frustums[..., 3]
        seen = (apart >= -radii[:, None, None]).all(axis=2).any(axis=1)
        middle = (self.low + self.high) / 2
        above = (np.abs(centers - middle) - radii[:, None] <= (self.high - self.low) / 2)[:, :2].all(axis=1)
        rotation, span = sun_frame(self.toward, self.low, self.high)
        offsets = np.abs((centers - middle) @ rotation[:, :2])
        # The sun's rays are not quite parallel, and a map ends with a whole pixel.
        shading = (offsets - radii[:, None] <= 0.52 * span).all(axis=1)
        return seen | above | shading


def reach_of(
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "4 4"],
    sight: float,
    box: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]],
    toward: Float[np.ndarray, "3"],
) -> Reach:
    """The reach of a rig's pictures from a pose.

    Args:
        cameras: the rig.
        world_from_ego: pose of the vehicle.
        sight: metres that cameras see.
        box: least and greatest corner of what shadows of moving things are drawn for.
        toward: unit vector to the sun.
    """
    planes = [
        frustum(lens_table(camera).bounds, sight) @ inverse(world_from_ego @ camera.ego_from_camera)
        for camera in cameras
    ]
    return Reach(np.array(planes).reshape(-1, 6, 4), *box, toward)
