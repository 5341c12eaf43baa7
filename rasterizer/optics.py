"""Camera tables for rendering, computed once per lens and image size."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float, Float32

from swerve.scenes import Camera, Lens, LensModel, SwerveError

NEAR = 0.05
# Largest deviation of a chord from the true curve, pixels.
_CHORD_TOLERANCE = 1 / 16
_CACHED_CAMERAS = 16
# Rays are computed at this many columns and rows, interpolated, and verified at every n-th pixel.
_NODES, _PROBE_EVERY = 241, 16
# Tolerance of interpolated rays at depth one: 1/500 pixel of a camera with a focal length of 2000 pixels.
_RAY_TOLERANCE = 1e-6


class CameraParameters(NamedTuple):
    """Camera parameters for the kernels.

    `segments_per_unit` is the number of straight pieces an edge is cut into, per unit of its length in the ideal image.
    """

    model: int
    coefficients: tuple[float, ...]
    limit: float
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    segments_per_unit: float


class LensTable(NamedTuple):
    """Tables that depend on lens and image size only.

    Attributes:
        optics: parameters for the kernels.
        rays_x: x / z of the ray through each pixel's centre, NaN outside the lens model; empty for a pinhole.
        rays_y: y / z of the ray through each pixel's centre.
        bounds: lowest x / z, highest x / z, lowest y / z, highest y / z that can be in the image.
    """

    optics: CameraParameters
    rays_x: Float32[np.ndarray, "h w"]
    rays_y: Float32[np.ndarray, "h w"]
    bounds: tuple[float, float, float, float]


def lens_table(camera: Camera) -> LensTable:
    """Return the tables of a camera; the last sixteen are cached (8 bytes per pixel with distortion)."""
    return _lens_table(
        camera.width,
        camera.height,
        camera.fx,
        camera.fy,
        camera.cx,
        camera.cy,
        camera.lens.model,
        camera.lens.coefficients,
    )


def frustum(bounds: tuple[float, float, float, float], depth_limit: float) -> Float[np.ndarray, "6 4"]:
    """Return unit planes (normal, offset) that face inwards: near, far, left, right, top, bottom."""
    left, right, top, bottom = bounds
    planes = np.array(
        [
            [0, 0, 1, -NEAR],
            [0, 0, -1, depth_limit],
            [1, 0, -left, 0],
            [-1, 0, right, 0],
            [0, 1, -top, 0],
            [0, -1, bottom, 0],
        ]
    )
    unit: Float[np.ndarray, "6 4"] = planes / np.linalg.norm(planes[:, :3], axis=1)[:, None]
    return unit


@lru_cache(maxsize=_CACHED_CAMERAS)
def _lens_table(
    width: int,
    height: int,
    fx: float,
    fy: float,
    cx: float,
    cy: float,
    model: LensModel,
    coefficients: tuple[float, ...],
) -> LensTable:
    camera = Camera("", width, height, fx, fy, cx, cy, np.eye(4), Lens(model, coefficients))
    bounds = _bounds(camera)
    optics = CameraParameters(
        int(model),
        tuple(camera.lens.padded.tolist()),
        camera.lens.limit,
        fx,
        fy,
        cx,
        cy,
        width,
        height,
        _chords(camera, bounds),
    )
    if model == LensModel.PINHOLE:
        empty = np.zeros((0, 0), np.float32)
        return LensTable(optics, empty, empty, bounds)
    return LensTable(optics, *_rays(camera), bounds)


def _rays(camera: Camera) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Compute the rays through the pixels' centres, as x / z and y / z.

    Exact rays on a grid, interpolated by bicubic splines: ten times faster than exact rays for all pixels, which remain
    for lens models that do not cover the image or that bend too sharply.
    """
    u, v = np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5
    grid_u, grid_v = np.linspace(0, camera.width, _NODES), np.linspace(0, camera.height, _NODES)
    grid = _unproject_grid(camera, grid_u, grid_v)
    if not np.isnan(grid).any():
        rays = np.stack([scipy.interpolate.RectBivariateSpline(grid_v, grid_u, values)(v, u) for values in grid])
        probe = _unproject_grid(camera, u[::_PROBE_EVERY], v[::_PROBE_EVERY])
        if np.abs(rays[:, ::_PROBE_EVERY, ::_PROBE_EVERY] - probe).max() < _RAY_TOLERANCE:
            return rays[0].astype(np.float32), rays[1].astype(np.float32)
    x, y = _unproject_grid(camera, u, v)
    return x.astype(np.float32), y.astype(np.float32)


def _unproject_grid(camera: Camera, u: Float[np.ndarray, "w"], v: Float[np.ndarray, "h"]) -> Float[np.ndarray, "2 h w"]:
    columns, rows = np.meshgrid(u, v)
    rays = camera.unproject(np.stack([columns.ravel(), rows.ravel()], axis=1))
    return rays[:, :2].T.reshape(2, len(v), len(u))


def _bounds(camera: Camera) -> tuple[float, float, float, float]:
    """Compute the ideal image's extent: that of the rays through the border, or the lens's limit beyond the model."""
    u, v = np.arange(camera.width + 1.0), np.arange(camera.height + 1.0)
    border = np.concatenate(
        [np.stack([u, np.full_like(u, edge)], axis=1) for edge in (0, camera.height)]
        + [np.stack([np.full_like(v, edge), v], axis=1) for edge in (0, camera.width)]
    )
    rays = camera.unproject(border)[:, :2]
    if np.isnan(rays).any():
        rays = np.array([[-1, -1], [1, 1]]) * camera.lens.limit
    low, high = rays.min(axis=0), rays.max(axis=0)
    slack = 0.001 * (high - low)
    (left, top), (right, bottom) = low - slack, high + slack
    return float(left), float(right), float(top), float(bottom)


def _chords(camera: Camera, bounds: tuple[float, float, float, float]) -> float:
    """Compute the chords per unit length: a chord of length s deviates by at most c s^2 / 8, c the second derivative.

    The largest second derivative over the image is found by differences on a grid, and enlarged by a tenth.
    """
    if camera.lens.model == LensModel.PINHOLE:
        return 0.0
    left, right, top, bottom = bounds
    x, y = np.meshgrid(np.linspace(left, right, 33), np.linspace(top, bottom, 33))
    here = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
    step = 1e-3 * (right - left)
    here = here[np.linalg.norm(here[:, :2], axis=1) < camera.lens.limit - step]
    if not len(here):
        raise SwerveError(f"camera with {camera.lens}: the lens model covers no part of the image")
    largest = 0.0
    for angle in np.linspace(0, np.pi, 8, endpoint=False):
        offset = step * np.array([np.cos(angle), np.sin(angle), 0.0])
        before, middle, after = (camera.project(points)[0] for points in (here - offset, here, here + offset))
        largest = max(largest, float(np.linalg.norm(before - 2 * middle + after, axis=1).max()) / step**2)
    return float(np.sqrt(1.1 * largest / 8 / _CHORD_TOLERANCE))
