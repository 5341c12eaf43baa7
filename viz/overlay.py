"""Boxes and lines drawn over a camera image."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from swerve.rasterizer.style import Style
from swerve.scenes.camera import Camera
from swerve.scenes.primitives import Face, Primitives, agent_cuboids
from swerve.scenes.tracks import Tracks

Color = tuple[int, int, int]
# Corners of `agent_cuboids`' boxes (x, then y, then z from low to high) that are joined by edges.
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b) in (1, 2, 4)]
_FRONT_EDGES = [(4, 7), (5, 6)]
# Straight edges are curved by the lens: number of points per edge.
_POINTS = 24


def draw_boxes(
    image: UInt8[np.ndarray, "h w 3"],
    camera: Camera,
    world_from_ego: Float[np.ndarray, "4 4"],
    tracks: Tracks,
    step: int,
    style: Style,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the edges of all boxes up to the depth at which rasters end over the image; a cross marks each front."""
    boxes = agent_cuboids(tracks, step)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    width = max(round(camera.width / 700), 1)
    shares = np.linspace(0.0, 1.0, _POINTS)[:, None]
    for box in range(len(boxes.chunk_radii)):
        color = _color(boxes, box, style)
        corners = boxes.vertices[8 * box : 8 * box + 8]
        for a, b in _EDGES + _FRONT_EDGES:
            pixels, depths, visible = camera.project_world(
                corners[a] + shares * (corners[b] - corners[a]), world_from_ego
            )
            shown = visible & (depths < style.depth_limit)
            for i in np.flatnonzero(shown[:-1] & shown[1:]):
                draw.line([*pixels[i], *pixels[i + 1]], fill=color, width=width)
    return np.asarray(picture)


def draw_path(
    image: UInt8[np.ndarray, "h w 3"],
    camera: Camera,
    points: Float[np.ndarray, "n 3"],
    color: Color,
    spacing: float = 0.25,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a line over the image, where it lies before the camera.

    Args:
        image: of the camera.
        camera: mounted in the frame of the points.
        points: the line's, metres.
        color: of the line.
        spacing: metres between the points that are projected, since straight lines are curved by the lens.
    """
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.arange(0.0, reached[-1], spacing)
    dense = np.stack([np.interp(at, reached, points[:, axis]) for axis in range(3)], axis=1)
    pixels, _, visible = camera.project_world(dense, np.eye(4))
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for i in np.flatnonzero(visible[:-1] & visible[1:]):
        draw.line([*pixels[i], *pixels[i + 1]], fill=color, width=max(round(camera.width / 200), 2))
    return np.asarray(picture)


def blend(
    photo: UInt8[np.ndarray, "h w 3"], raster: UInt8[np.ndarray, "h w 3"], share: float = 0.6
) -> UInt8[np.ndarray, "h w 3"]:
    """Blend the raster over a photo where it is not black."""
    drawn = raster.any(axis=2, keepdims=True)
    mixed = (1 - share) * photo + share * raster
    return np.where(drawn, mixed, photo).round().astype(np.uint8)


def _color(boxes: Primitives, box: int, style: Style) -> Color:
    red, green, blue = style.palette[boxes.semantics[12 * box], Face.FRONT].tolist()
    return red, green, blue
