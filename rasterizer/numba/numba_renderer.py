"""CPU rendering: scan conversion into spans, then shading, image by image in threads."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from swerve.rasterizer.mesh import PIXELS, Mesh
from swerve.rasterizer.numba import scan_kernels, shading_kernels
from swerve.rasterizer.optics import LensTable, frustum, lens_table
from swerve.rasterizer.style import Style
from swerve.scenes import Camera
from swerve.scenes.transforms import inverse

_Task = tuple[Camera, Float[np.ndarray, "4 4"], dict[str, np.ndarray]]
_FIRST_SPANS = 1 << 18


def render_all(mesh: Mesh, tasks: Sequence[_Task], style: Style, colored: bool, threads: int) -> None:
    """Render every task; of several threads each takes every n-th, with its own work memory."""

    def draw(own: Sequence[_Task]) -> None:
        samples = style.supersampling if colored else 1
        cameras = [_finer(camera, samples) for camera, _, _ in own]
        workspace = _Workspace.of(cameras, len(mesh.triangles), samples)
        for camera, pose, image in own:
            workspace = _draw_smoothly(mesh, camera, pose, style, image, workspace)

    shares = [tasks[first::threads] for first in range(min(threads, len(tasks)))]
    if len(shares) < 2:
        draw(tasks)
        return
    with ThreadPoolExecutor(len(shares)) as pool:
        list(pool.map(draw, shares))


class _Drawing(NamedTuple):
    """Polygons and their spans: first span of each row, spans, inverse depth planes and triangles of the polygons."""

    heads: Int32[np.ndarray, "h"]
    spans: Int32[np.ndarray, "s 4"]
    planes: Float[np.ndarray, "f 3"]
    sources: Int32[np.ndarray, "f"]


class _Scratch(NamedTuple):
    polygon: Float[np.ndarray, "9 5"]
    spare: Float[np.ndarray, "9 4"]
    crossings: Int32[np.ndarray, "64 h"]
    counts: Int32[np.ndarray, "h"]


class _Look(NamedTuple):
    """Style arrays for the kernels; `background` is one image row, `farthest` the reciprocal of the depth limit."""

    palette: UInt8[np.ndarray, "semantics faces 3"]
    background: UInt8[np.ndarray, "3w"]
    farthest: np.float32


class _Images(NamedTuple):
    """Output images; arrays without rows are not requested."""

    rgb: UInt8[np.ndarray, "h 3w"]
    depth: Float32[np.ndarray, "h w"]
    semantic: UInt8[np.ndarray, "h w"]
    instance: Int32[np.ndarray, "h w"]


class _Workspace(NamedTuple):
    """Work memory reused between the images of one `render` call; `fine` holds supersampled images."""

    drawing: _Drawing
    scratch: _Scratch
    nearness: Float32[np.ndarray, "w"]
    owners: Int32[np.ndarray, "w"]
    runs: Int32[np.ndarray, "w1 2"]
    fine: UInt8[np.ndarray, "n"]

    @classmethod
    def of(cls, cameras: Sequence[Camera], triangles: int, samples: int) -> "_Workspace":
        height = max((camera.height for camera in cameras), default=0)
        width = max((camera.width for camera in cameras), default=0)
        corners, crossings = scan_kernels.MOST_CORNERS, scan_kernels.MOST_CROSSINGS
        drawing = _Drawing(
            np.empty(height, np.int32),
            np.empty((_FIRST_SPANS, 4), np.int32),
            np.empty((triangles, 3)),
            np.empty(triangles, np.int32),
        )
        scratch = _Scratch(
            np.empty((corners, 5)),
            np.empty((corners, 4)),
            np.empty((crossings, height), np.int32),
            np.zeros(height, np.int32),
        )
        runs = np.empty((width + 1, 2), np.int32)
        fine = np.empty(3 * width * height if samples > 1 else 0, np.uint8)
        return cls(drawing, scratch, np.empty(width, np.float32), np.empty(width, np.int32), runs, fine)


def _finer(camera: Camera, samples: int) -> Camera:
    """Return the camera of the same image with `samples` times as many rows and columns."""
    return camera if samples == 1 else camera.resized(samples * camera.width, samples * camera.height)


def _draw_smoothly(
    mesh: Mesh,
    camera: Camera,
    world_from_ego: Float[np.ndarray, "4 4"],
    style: Style,
    image: dict[str, np.ndarray],
    workspace: _Workspace,
) -> _Workspace:
    """Render one image; with supersampling, colours are rendered at a higher resolution and averaged."""
    if style.supersampling == 1 or "rgb" not in image:
        return _draw(mesh, camera, world_from_ego, style, image, workspace)
    finer = _finer(camera, style.supersampling)
    fine = workspace.fine[: 3 * finer.height * finer.width].reshape(finer.height, finer.width, 3)
    workspace = _draw(mesh, finer, world_from_ego, style, {"rgb": fine}, workspace)
    shading_kernels.average(fine, style.supersampling, image["rgb"])
    others = {name: array for name, array in image.items() if name != "rgb"}
    return _draw(mesh, camera, world_from_ego, style, others, workspace) if others else workspace


def _draw(
    mesh: Mesh,
    camera: Camera,
    world_from_ego: Float[np.ndarray, "4 4"],
    style: Style,
    image: dict[str, np.ndarray],
    workspace: _Workspace,
) -> _Workspace:
    """Render one image; return the workspace, which may have grown."""
    table = lens_table(camera)
    workspace = _scan(mesh, camera, world_from_ego, style, table, workspace)
    background = np.tile(np.array(style.background, np.uint8), camera.width)
    look = _Look(style.palette, background, np.float32(1.0 / style.depth_limit))
    shading_kernels.shade(
        mesh,
        workspace.drawing,
        table.optics,
        table.rays_x,
        table.rays_y,
        look,
        _Images(*(_flat(image.get(name), dtype) for name, (dtype, _) in PIXELS.items())),
        workspace.nearness,
        workspace.owners,
        workspace.runs,
    )
    return workspace


def _flat(image: np.ndarray | None, dtype: type) -> np.ndarray:
    """Return the rows of an image as the kernels take them."""
    return np.empty((0, 0), dtype) if image is None else image.reshape(len(image), -1)


def _scan(
    mesh: Mesh,
    camera: Camera,
    world_from_ego: Float[np.ndarray, "4 4"],
    style: Style,
    table: LensTable,
    workspace: _Workspace,
) -> _Workspace:
    """Fill the workspace's spans; where they do not fit, grow the buffer and start again."""
    camera_from_world = np.ascontiguousarray(inverse(world_from_ego @ camera.ego_from_camera)[:3])
    planes = frustum(table.bounds, style.depth_limit)
    drawing = workspace.drawing
    _, spans = scan_kernels.scan(mesh, camera_from_world, planes, table.optics, drawing, workspace.scratch)
    if spans > len(drawing.spans):
        drawing = drawing._replace(spans=np.empty((spans + spans // 4, 4), np.int32))
        scan_kernels.scan(mesh, camera_from_world, planes, table.optics, drawing, workspace.scratch)
    return workspace._replace(drawing=drawing)
