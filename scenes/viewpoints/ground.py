"""Placement of vehicles on the ground: height and tilt."""

import numpy as np
from jaxtyping import Float

from swerve.scenes.road_map import GroundHeight
from swerve.scenes.transforms import rigid_transform
from swerve.scenes.vehicle import Vehicle


def poses_from_normals(
    positions: Float[np.ndarray, "*b 3"], headings: Float[np.ndarray, "*b"], up: Float[np.ndarray, "*b 3"]
) -> Float[np.ndarray, "*b 4 4"]:
    """Return poses with the given positions, headings seen from above, and z axes along `up` (not horizontal).

    `up` has any length: normals interpolated between two points are shorter than one.
    """
    up = up / np.linalg.norm(up, axis=-1, keepdims=True)
    cos, sin = np.cos(headings), np.sin(headings)
    climb = -(up[..., 0] * cos + up[..., 1] * sin) / up[..., 2]
    forward = np.stack([cos, sin, climb], axis=-1)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    return rigid_transform(np.stack([forward, np.cross(up, forward), up], axis=-1), positions)


def place_on_ground(
    ground: GroundHeight,
    positions: Float[np.ndarray, "*b 2"],
    headings: Float[np.ndarray, "*b"],
    vehicle: Vehicle,
) -> Float[np.ndarray, "*b 4 4"]:
    """Return rear-axle poses on the plane fitted to the ground under the vehicle's body (3x3 points)."""
    along, across = np.meshgrid(
        np.linspace(-vehicle.rear_overhang, vehicle.length - vehicle.rear_overhang, 3),
        np.linspace(-vehicle.width / 2, vehicle.width / 2, 3),
        indexing="ij",
    )
    spots = np.stack([along.ravel(), across.ravel()], axis=-1)
    cos, sin = np.cos(headings), np.sin(headings)
    ahead, left = np.stack([cos, sin], axis=-1), np.stack([-sin, cos], axis=-1)
    world = positions[..., None, :] + spots[:, :1] * ahead[..., None, :] + spots[:, 1:] * left[..., None, :]
    fit = np.linalg.pinv(np.concatenate([np.ones((9, 1)), spots], axis=1))
    height, climb, bank = np.moveaxis(ground.at(world) @ fit.T, -1, 0)
    up = np.concatenate([-climb[..., None] * ahead - bank[..., None] * left, np.ones((*headings.shape, 1))], axis=-1)
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    return poses_from_normals(np.concatenate([positions, height[..., None]], axis=-1), headings, up)
