"""Stages of rendering one image, for inference and training: project, sort into tiles, blend."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int32, Int64

from swerve.rasterizer.optics import NEAR, CameraParameters, lens_table
from swerve.rasterizer.splats import (
    blend_gradient_kernels,
    blend_kernels,
    project_gradient_kernels,
    project_kernels,
    tile_kernels,
)
from swerve.scenes import Camera, LensModel
from swerve.scenes.transforms import inverse

# Variance added to every ellipse along both axes, square pixels: as in 3D Gaussian Splatting, gsplat's `eps2d`.
BLUR = 0.3


class GaussianArrays(NamedTuple):
    """Gaussian arrays for the kernels; see `Gaussians`."""

    means: Float32[np.ndarray, "n 3"]
    quaternions: Float32[np.ndarray, "n 4"]
    log_scales: Float32[np.ndarray, "n 3"]
    opacity_logits: Float32[np.ndarray, "n"]
    sh_coefficients: Float32[np.ndarray, "n k 3"]


class CameraArrays(NamedTuple):
    """Camera at a pose as arrays for the kernels.

    `bounds` is the ideal image's extent, `limit` the ideal radius up to which Gaussians are rendered, `eye` the camera
    centre.
    """

    camera_from_local: Float[np.ndarray, "3 4"]
    eye: Float[np.ndarray, "3"]
    optics: CameraParameters
    bounds: tuple[float, float, float, float]
    near: float
    limit: float
    blur: float


class TileLayout(NamedTuple):
    """Visible content of an image: ellipses, nearest first; the Gaussians they are of; each tile's ellipses."""

    ellipses: Float32[np.ndarray, "m c"]
    rows: Int32[np.ndarray, "m"]
    starts: Int64[np.ndarray, "tiles1"]
    members: Int32[np.ndarray, "l"]


class RenderedSums(NamedTuple):
    """Per-pixel sums of weight x colour, weight x depth and weight; the row of the largest weight or -1."""

    color: Float32[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    alpha: Float32[np.ndarray, "h w"]
    owner: Int32[np.ndarray, "h w"]


def camera_arrays(camera: Camera, camera_from_local: Float[np.ndarray, "4 4"], blur: float = BLUR) -> CameraArrays:
    """Build the kernel arrays of a camera at a pose; its own mounting is not used."""
    table, pinhole = lens_table(camera), camera.lens.model == LensModel.PINHOLE
    left, top = -camera.cx / camera.fx, -camera.cy / camera.fy
    straight = (left, left + camera.width / camera.fx, top, top + camera.height / camera.fy)
    return CameraArrays(
        np.ascontiguousarray(camera_from_local[:3]),
        np.ascontiguousarray(inverse(camera_from_local)[:3, 3]),
        table.optics,
        straight if pinhole else table.bounds,
        NEAR,
        np.inf if pinhole else camera.lens.limit,
        blur,
    )


def project_and_tile(cloud: GaussianArrays, view: CameraArrays, threads: int) -> TileLayout:
    """Project Gaussians and sort them into tiles."""
    ellipses = np.empty((len(cloud.means), project_kernels.COLUMNS), np.float32)
    edges = np.linspace(0, len(ellipses), threads + 1).astype(int)

    def project(part: int) -> None:
        project_kernels.project(cloud, view, edges[part], edges[part + 1], ellipses)

    run_parallel(project, threads)
    rows = tile_kernels.sort_by_depth(ellipses)
    seen = ellipses[rows]
    across, down = tile_count(view.optics.width), tile_count(view.optics.height)
    return TileLayout(seen, rows, *tile_kernels.assign_tiles(seen, across, down))


def blend(layout: TileLayout, view: CameraArrays, threads: int, wants_owner: bool) -> RenderedSums:
    """Blend the layout into images; without `wants_owner` the owners are an image without rows."""
    height, width = view.optics.height, view.optics.width
    sums = RenderedSums(
        np.empty((height, width, 3), np.float32),
        np.empty((height, width), np.float32),
        np.empty((height, width), np.float32),
        np.empty((height if wants_owner else 0, width), np.int32),
    )
    bands = np.arange(tile_count(height))

    def draw(part: int) -> None:
        blend_kernels.blend(layout.ellipses, layout.starts, layout.members, bands[part::threads], wants_owner, *sums)

    run_parallel(draw, threads)
    return sums


def gradients(
    cloud: GaussianArrays,
    view: CameraArrays,
    layout: TileLayout,
    sums: RenderedSums,
    slopes: RenderedSums,
    threads: int,
) -> tuple[GaussianArrays, Float32[np.ndarray, "n 2"], Float[np.ndarray, "3 4"]]:
    """Compute the gradients of a loss by Gaussians and camera pose.

    Args:
        cloud: the rendered Gaussians.
        view: the camera.
        layout: layout of the forward pass.
        sums: images of the forward pass.
        slopes: derivatives of the loss by the sums; owners are ignored.
        threads: number of CPU threads.

    Returns:
        derivatives by the Gaussians' numbers, by the pixels (u, v) of their centres, and by the numbers of
        camera_from_local.
    """
    by_ellipse = np.zeros((threads, *layout.ellipses.shape), np.float32)
    bands = np.arange(tile_count(view.optics.height))

    def trace(part: int) -> None:
        blend_gradient_kernels.blend_gradients(
            layout.ellipses, layout.starts, layout.members, bands[part::threads], sums, slopes, by_ellipse[part]
        )

    run_parallel(trace, threads)
    total = by_ellipse.sum(axis=0) if threads > 1 else by_ellipse[0]
    out = GaussianArrays(*(np.zeros_like(array) for array in cloud))
    by_pose = np.zeros((threads, 3, 4))
    places = np.full(len(cloud.means), -1, np.int32)
    places[layout.rows] = np.arange(len(layout.rows), dtype=np.int32)
    edges = np.linspace(0, len(places), threads + 1).astype(int)

    def carry(part: int) -> None:
        project_gradient_kernels.project_gradients(
            cloud, view, places, layout.ellipses, total, edges[part], edges[part + 1], out, by_pose[part]
        )

    run_parallel(carry, threads)
    by_center = np.zeros((len(cloud.means), 2), np.float32)
    by_center[layout.rows] = total[:, [project_kernels.U, project_kernels.V]]
    return out, by_center, by_pose.sum(axis=0)


def tile_count(pixels: int) -> int:
    """Return the number of tiles that cover so many pixels."""
    return -(-pixels // tile_kernels.TILE)


def run_parallel(work: Callable[[int], None], threads: int) -> None:
    """Run the parts 0 to threads - 1 of a task in parallel threads."""
    if threads == 1:
        work(0)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
