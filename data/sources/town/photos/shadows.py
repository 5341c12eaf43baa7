"""Shadow maps: depths seen from a distant camera in the sun's direction, by the rasterizer."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from swerve.rasterizer import Style, render
from swerve.scenes import Camera
from swerve.scenes.primitives import Primitives
from swerve.scenes.transforms import inverse, rigid_transform

# Distance of the sun's camera, metres: its rays differ by 2 degrees over a town.
_AWAY = 20_000.0
_MOST_PIXELS = 3400


class ShadowMap(NamedTuple):
    """Shadow map: depths from the sun.

    Attributes:
        depths: metres from the sun's camera; infinity for background.
        pixel_from_world: matrix that takes (x, y, z, 1) to (u z, v z, z).
        pixel_size: pixel size, metres.
    """

    depths: Float32[np.ndarray, "h w"]
    pixel_from_world: Float[np.ndarray, "3 4"]
    pixel_size: float


def shadow_map(
    casters: Primitives,
    toward: Float[np.ndarray, "3"],
    low: Float[np.ndarray, "3"],
    high: Float[np.ndarray, "3"],
    grain: float,
) -> ShadowMap:
    """Compute the shadow map of a box.

    Args:
        casters: geometry that casts shadows.
        toward: unit vector to the sun.
        low: least corner of the box, metres.
        high: greatest corner.
        grain: pixel size in metres, increased where the box is too large.
    """
    rotation, span = sun_frame(toward, low, high)
    forward, middle = rotation[:, 2], (low + high) / 2
    grain = max(grain, float(span.max()) / _MOST_PIXELS)
    width, height = (int(np.ceil(side / grain)) for side in span)
    focal = _AWAY / grain
    camera = Camera("sun", width, height, focal, focal, width / 2, height / 2, np.eye(4))
    pose = rigid_transform(rotation, middle - _AWAY * forward)
    view = render(casters, [camera], pose[None], Style.rap(2 * _AWAY), ("depth",))[0][0]
    assert view.depth is not None
    return ShadowMap(view.depth, camera.matrix @ inverse(pose)[:3], grain)


def sun_frame(
    toward: Float[np.ndarray, "3"], low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "2"]]:
    """Return the rotation of the sun's camera (columns: right, down, forward), and the box's extent in it, metres."""
    forward = -toward
    right = np.cross(forward, [0.0, 0.0, 1.0] if abs(forward[2]) < 0.99 else [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    return rotation, 2.06 * np.abs((corners - (low + high) / 2) @ rotation[:, :2]).max(axis=0)
