"""The one call: primitives, cameras and poses in, views out."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from operator import methodcaller
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from swerve.rasterizer.backends import Backend, resolved
from swerve.rasterizer.numba import scan_kernels, shading_kernels
from swerve.rasterizer.optics import LensTable, frustum, lens_table
from swerve.rasterizer.style import Style
from swerve.scenes import Camera, SwerveError
from swerve.scenes.primitives import Face, Primitives, Semantic
from swerve.scenes.transforms import inverse

PIXELS: dict[str, tuple[type, tuple[int, ...]]] = {
    "rgb": (np.uint8, (3,)),
    "depth": (np.float32, ()),
    "semantic": (np.uint8, ()),
    "instance": (np.int32, ()),
}
_RAP = Style.rap()
_Task = tuple[Camera, Float[np.ndarray, "4 4"], dict[str, np.ndarray]]
_FIRST_SPANS = 1 << 18


@dataclass(frozen=True, eq=False)
class View:
    """One image of one camera; what was not asked for is None.

    Attributes:
        camera: what it was drawn with.
        world_from_ego: pose of the vehicle that carries the camera.
        rgb: colours.
        depth: metres along the camera's z axis; infinity where nothing is seen.
        semantic: `Semantic` of each pixel.
        instance: instance number of each pixel; 0 where nothing is seen.
    """

    camera: Camera
    world_from_ego: Float[np.ndarray, "4 4"]
    rgb: UInt8[np.ndarray, "h w 3"] | None = None
    depth: Float32[np.ndarray, "h w"] | None = None
    semantic: UInt8[np.ndarray, "h w"] | None = None
    instance: Int32[np.ndarray, "h w"] | None = None


def render(
    primitives: Primitives,
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    style: Style = _RAP,
    outputs: tuple[str, ...] = ("rgb",),
    out: list[list[View]] | None = None,
    backend: Backend = "numba",
    threads: int = 1,
) -> list[list[View]]:
    """Draws what every camera sees from every pose.

    A pixel shows the nearest triangle that contains its centre, between 5 cm and the style's depth limit, and from
    its front; with `style.samples` above 1 its colour is the mean over several points. Triangles are clipped exactly.
    Straight edges are bent by the lens to within 1/16 pixel. The GIL is released, so threads may call it side by side.

    Args:
        primitives: what there is, world frame.
        cameras: the rig.
        world_from_ego: poses of the vehicle.
        style: the look, and how far one sees.
        outputs: any of rgb, depth, semantic, instance.
        out: views of an earlier call with as many poses, the same image sizes and the same outputs; their arrays are
            written over, which saves the time to get fresh memory.
        backend: "numba" draws on the CPU, "cuda" and "nvdiffrast" on an NVIDIA GPU, "auto" with cuda if there is one
            and numba if not (docs/backends.md). Images agree but for pixels on edges and the last digit of depth.
        threads: of the CPU that share the images; more than 1 is for who draws many in one process.

    Returns:
        views by pose, then camera.

    Raises:
        SwerveError: unknown outputs, primitives or poses that cannot be drawn, an `out` that does not fit, or no such
            back end on this machine.
    """
    _check_outputs(outputs)
    _check_poses(world_from_ego)
    if (chosen := resolved(backend)) == "cuda":
        from swerve.rasterizer.cuda import DeviceMesh

        uploaded = DeviceMesh()
        return render_on_gpu(uploaded, (uploaded.add(primitives),), cameras, world_from_ego, style, outputs, out)
    if chosen == "nvdiffrast":
        return _render_with_nvdiffrast(checked_mesh(primitives), cameras, world_from_ego, style, outputs, out)
    images = _images(cameras, len(world_from_ego), outputs, out)
    tasks = [
        (camera, pose, image)
        for pose, row in zip(world_from_ego, images, strict=True)
        for camera, image in zip(cameras, row, strict=True)
    ]
    _draw_all(checked_mesh(primitives), tasks, style, "rgb" in outputs, threads)
    return [
        [View(camera, pose, **image) for camera, image in zip(cameras, row, strict=True)]
        for pose, row in zip(world_from_ego, images, strict=True)
    ]


def _draw_all(mesh: "Mesh", tasks: Sequence[_Task], style: Style, colored: bool, threads: int) -> None:
    """Draws every task; of several threads each takes every n-th, with memory of its own."""

    def draw(own: Sequence[_Task]) -> None:
        samples = style.samples if colored else 1
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


def render_on_gpu(
    mesh: Any,  # noqa: ANN401 a `DeviceMesh`, which is imported only where there is a GPU
    parts: tuple[int, ...],
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    style: Style,
    outputs: tuple[str, ...],
    out: list[list[View]] | None = None,
) -> list[list[View]]:
    """As `render`, of one or two parts of a mesh that is on the device already."""
    passes = passes_on_gpu(mesh, parts, cameras, world_from_ego, style, outputs)
    # By a map, which lets go of the images of a pass before it asks for the next.
    copied = list(chain.from_iterable(map(methodcaller("to_host"), passes)))
    return _as_views(copied, cameras, world_from_ego, outputs, out)


def passes_on_gpu(
    mesh: Any,  # noqa: ANN401 as above
    parts: tuple[int, ...],
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    style: Style,
    outputs: tuple[str, ...],
) -> Iterator[Any]:
    """As `render_on_gpu`, left on the device: `DeviceImages` that follow each other by pose, then camera."""
    from swerve.rasterizer.cuda import Request
    from swerve.rasterizer.cuda.passes import draw_passes

    _check_outputs(outputs)
    _check_poses(world_from_ego)
    requests = [Request(camera, pose, parts) for pose in world_from_ego for camera in cameras]
    return draw_passes(mesh, requests, style, outputs)


def _render_with_nvdiffrast(
    mesh: "Mesh",
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    style: Style,
    outputs: tuple[str, ...],
    out: list[list[View]] | None,
) -> list[list[View]]:
    """As `render`, of a mesh that has been checked."""
    from swerve.rasterizer.nvdiffrast import NvdiffrastView, draw

    drawn = draw(mesh, [NvdiffrastView(camera, pose) for pose in world_from_ego for camera in cameras], style, outputs)
    copied = [{name: tensor.cpu().numpy() for name, tensor in image.items()} for image in drawn]
    return _as_views(copied, cameras, world_from_ego, outputs, out)


def _as_views(
    drawn: list[dict[str, np.ndarray]],
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    outputs: tuple[str, ...],
    out: list[list[View]] | None,
) -> list[list[View]]:
    """Images in the order of poses, then cameras, as views; copied into `out` if there is one."""
    if out is not None:
        images = list(chain.from_iterable(_images(cameras, len(world_from_ego), outputs, out)))
        for old, new in zip(images, drawn, strict=True):
            for name in outputs:
                old[name][...] = new[name]
        drawn = images
    rest = iter(drawn)
    return [[View(camera, pose, **next(rest)) for camera in cameras] for pose in world_from_ego]


class Mesh(NamedTuple):
    """The primitives as the kernels take them."""

    vertices: Float[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "f 3"]
    semantics: UInt8[np.ndarray, "f"]
    faces: UInt8[np.ndarray, "f"]
    instances: Int32[np.ndarray, "f"]
    chunk_starts: Int32[np.ndarray, "c1"]
    chunk_centers: Float[np.ndarray, "c 3"]
    chunk_radii: Float[np.ndarray, "c"]


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
    """The style as the kernels take it; `background` is a row of it, `farthest` one over the depth limit."""

    palette: UInt8[np.ndarray, "semantics faces 3"]
    background: UInt8[np.ndarray, "3w"]
    farthest: np.float32


class _Images(NamedTuple):
    """Images of no rows are not wanted."""

    rgb: UInt8[np.ndarray, "h 3w"]
    depth: Float32[np.ndarray, "h w"]
    semantic: UInt8[np.ndarray, "h w"]
    instance: Int32[np.ndarray, "h w"]


class _Workspace(NamedTuple):
    """Memory that one call of `render` uses again and again; `fine` is for images of several points a pixel."""

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
    """The camera of the same image with more pixels."""
    return camera if samples == 1 else camera.resized(samples * camera.width, samples * camera.height)


def _draw_smoothly(
    mesh: Mesh,
    camera: Camera,
    world_from_ego: Float[np.ndarray, "4 4"],
    style: Style,
    image: dict[str, np.ndarray],
    workspace: _Workspace,
) -> _Workspace:
    """Draws one image; where the style wants several points a pixel, its colours are drawn finer and averaged."""
    if style.samples == 1 or "rgb" not in image:
        return _draw(mesh, camera, world_from_ego, style, image, workspace)
    finer = _finer(camera, style.samples)
    fine = workspace.fine[: 3 * finer.height * finer.width].reshape(finer.height, finer.width, 3)
    workspace = _draw(mesh, finer, world_from_ego, style, {"rgb": fine}, workspace)
    shading_kernels.average(fine, style.samples, image["rgb"])
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
    """Draws one image; returns the workspace, which may have grown."""
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
    """Rows of an image as the kernels take them."""
    return np.empty((0, 0), dtype) if image is None else image.reshape(len(image), -1)


def _scan(
    mesh: Mesh,
    camera: Camera,
    world_from_ego: Float[np.ndarray, "4 4"],
    style: Style,
    table: LensTable,
    workspace: _Workspace,
) -> _Workspace:
    """Fills the workspace's drawing; where the spans do not fit, makes room and starts again."""
    camera_from_world = np.ascontiguousarray(inverse(world_from_ego @ camera.ego_from_camera)[:3])
    planes = frustum(table.bounds, style.depth_limit)
    drawing = workspace.drawing
    _, spans = scan_kernels.scan(mesh, camera_from_world, planes, table.optics, drawing, workspace.scratch)
    if spans > len(drawing.spans):
        drawing = drawing._replace(spans=np.empty((spans + spans // 4, 4), np.int32))
        scan_kernels.scan(mesh, camera_from_world, planes, table.optics, drawing, workspace.scratch)
    return workspace._replace(drawing=drawing)


def checked_mesh(primitives: Primitives) -> Mesh:
    """Checks what the kernels rely on: they read memory without looking."""
    mesh = Mesh(*(np.require(getattr(primitives, name), requirements=["C", "W"]) for name in Mesh._fields))
    count, starts = len(mesh.triangles), mesh.chunk_starts
    problem = ""
    if not (np.isfinite(mesh.vertices).all() and np.isfinite(mesh.chunk_centers).all()):
        problem = "a vertex or the centre of a chunk is not finite"
    elif count and (mesh.triangles.min() < 0 or mesh.triangles.max() >= len(mesh.vertices)):
        problem = f"a triangle names a vertex outside 0..{len(mesh.vertices) - 1}"
    elif {len(mesh.semantics), len(mesh.faces), len(mesh.instances)} != {count}:
        problem = "semantics, faces and instances must be as many as triangles"
    elif count and (mesh.semantics.max() >= len(Semantic) or mesh.faces.max() >= len(Face)):
        problem = "a semantic or a face is unknown"
    elif starts[0] != 0 or starts[-1] != count or (np.diff(starts) < 0).any():
        problem = f"chunk_starts must rise from 0 to the number of triangles, {count}"
    elif not len(mesh.chunk_centers) == len(mesh.chunk_radii) == len(starts) - 1:
        problem = "chunk_centers and chunk_radii must be one per chunk"
    if problem:
        raise SwerveError(f"primitives cannot be drawn: {problem}")
    return mesh


def _check_outputs(outputs: tuple[str, ...]) -> None:
    unknown = sorted(set(outputs) - set(PIXELS))
    if unknown or not outputs:
        raise SwerveError(f"outputs {tuple(outputs)}: choose one or more of {', '.join(PIXELS)}")


def _check_poses(world_from_ego: Float[np.ndarray, "p 4 4"]) -> None:
    wrong = np.flatnonzero(~np.isfinite(world_from_ego).all(axis=(1, 2)))
    if len(wrong):
        raise SwerveError(f"world_from_ego: pose {wrong[0]} is not finite")


def _images(
    cameras: Sequence[Camera], poses: int, outputs: tuple[str, ...], out: list[list[View]] | None
) -> list[list[dict[str, np.ndarray]]]:
    """Arrays to draw into, by pose, then camera, then output: new ones, or those of `out`."""
    shapes = [{name: (camera.height, camera.width, *PIXELS[name][1]) for name in outputs} for camera in cameras]
    if out is None:
        return [
            [{name: np.empty(shape, PIXELS[name][0]) for name, shape in row.items()} for row in shapes]
            for _ in range(poses)
        ]
    images = [[{name: getattr(view, name) for name in outputs} for view in row] for row in out]
    found = [[{name: _fitting_shape(image, name) for name, image in view.items()} for view in row] for row in images]
    if found != [shapes] * poses:
        raise SwerveError("out: must be the views of a call with as many poses, the same image sizes and outputs")
    return images


def _fitting_shape(image: np.ndarray | None, name: str) -> tuple[int, ...] | None:
    """The shape of an image that can be drawn into; None if it cannot."""
    if image is None or image.dtype != PIXELS[name][0] or not (image.flags.c_contiguous and image.flags.writeable):
        return None
    return image.shape
