"""Triangles of boxes, frusta and lines, with a colour each."""

import numpy as np
from jaxtyping import Float, Int32, UInt8

from swerve.scenes.camera import Camera
from swerve.scenes.transforms import rotation_about_z

# Corners of a box: x, then y, then z from low to high; faces counter-clockwise seen from outside.
_QUADS = np.array([[4, 6, 7, 5], [2, 0, 1, 3], [6, 2, 3, 7], [0, 4, 5, 1], [1, 5, 7, 3], [0, 2, 6, 4]])
_SIGNS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
# Brightness of the faces front, back, left, right, top, bottom: the front is bright, so that headings are seen.
_BRIGHTNESS = np.array([1.25, 0.6, 0.75, 0.75, 1.0, 0.4])

Corners = Float[np.ndarray, "f 3 3"]


def box_triangles() -> Int32[np.ndarray, "12 3"]:
    """Return the triangles of a box whose corners are those of `box_corners`; two of each face."""
    halves = np.concatenate([_QUADS[:, [0, 1, 2]], _QUADS[:, [0, 2, 3]]], axis=1)
    triangles: Int32[np.ndarray, "12 3"] = halves.reshape(12, 3).astype(np.int32)
    return triangles


def box_corners(
    centers: Float[np.ndarray, "n 3"], headings: Float[np.ndarray, "n"], sizes: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 8 3"]:
    """Return the corners of boxes."""
    turned = np.einsum("nij,nkj->nki", rotation_about_z(headings), _SIGNS[None] * sizes[:, None])
    corners: Float[np.ndarray, "n 8 3"] = turned + centers[:, None]
    return corners


def boxes(
    centers: Float[np.ndarray, "n 3"],
    headings: Float[np.ndarray, "n"],
    sizes: Float[np.ndarray, "n 3"],
    colors: UInt8[np.ndarray, "n 3"],
) -> tuple[Corners, UInt8[np.ndarray, "f 3"]]:
    """Return the triangles of boxes and their colours; the front is brighter than the other sides."""
    corners = box_corners(centers, headings, sizes)[:, box_triangles()]
    shaded = np.clip(colors[:, None] * np.repeat(_BRIGHTNESS, 2)[None, :, None], 0, 255)
    return corners.reshape(-1, 3, 3), shaded.reshape(-1, 3).astype(np.uint8)


def outline(center: Float[np.ndarray, "3"], heading: float, size: Float[np.ndarray, "3"]) -> Float[np.ndarray, "9 3"]:
    """Return the footprint of a vehicle as one line, with a notch that shows its front."""
    length, width, _ = size
    front, nose, half = length / 2, length / 2 - width / 2, width / 2
    corners = [(nose, 0), (front, half), (-front, half), (-front, -half), (front, -half), (nose, 0)]
    corners += [(front, -half), (front, half), (nose, 0)]
    flat = np.column_stack([np.array(corners, float), np.zeros(len(corners))])
    placed: Float[np.ndarray, "9 3"] = flat @ rotation_about_z(heading).T + center
    return placed


def ribbon_to(
    points: Float[np.ndarray, "k 3"], width: float, eye: Float[np.ndarray, "3"], least: float = 0.0
) -> Corners:
    """Return the triangles of a line that faces an eye.

    Args:
        points: of the line.
        width: metres.
        eye: the position that it faces.
        least: least width as a share of the distance, so that far lines remain visible.
    """
    first, second = points[:-1], points[1:]
    across = np.cross(second - first, eye - first)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    known = length[:, 0] > 1e-9
    first, second, across = first[known], second[known], across[known] / length[known]
    halves = [
        0.5 * np.maximum(width, least * np.linalg.norm(eye - ends, axis=1, keepdims=True)) * across
        for ends in (first, second)
    ]
    a, b, c, d = first - halves[0], first + halves[0], second + halves[1], second - halves[1]
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def frustum_edges(camera: Camera, world_from_ego: Float[np.ndarray, "4 4"], depth: float) -> Float[np.ndarray, "8 2 3"]:
    """Return the edges of a camera's pyramid, from its centre to the rectangle `depth` metres before it."""
    rays = camera.undistorted().unproject(
        np.array([[0.0, 0.0], [camera.width, 0.0], [camera.width, camera.height], [0.0, camera.height]])
    )
    world_from_camera = world_from_ego @ camera.ego_from_camera
    tips = rays * depth @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
    center = np.broadcast_to(world_from_camera[:3, 3], tips.shape)
    return np.concatenate([np.stack([center, tips], axis=1), np.stack([tips, np.roll(tips, -1, axis=0)], axis=1)])
