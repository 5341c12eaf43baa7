"""Main entry point of the rasterizer: primitives, cameras and poses in, views out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import methodcaller

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from swerve.rasterizer.backends import Backend, resolve_backend
from swerve.rasterizer.mesh import PIXELS, Mesh, validate_mesh
from swerve.rasterizer.numba.numba_renderer import render_all
from swerve.rasterizer.on_device import ImagesOnDevice, MeshOnDevice
from swerve.rasterizer.render_checks import check_outputs, check_poses
from swerve.rasterizer.style import Style
from swerve.rasterizer.view_html import images_html
from swerve.scenes import Camera, SwerveError
from swerve.scenes.primitives import Primitives

_RAP = Style.rap()


@dataclass(frozen=True, eq=False)
class View:
    """Image outputs of one camera; outputs that were not requested are None.

    Attributes:
        camera: camera of the view.
        world_from_ego: pose of the vehicle that carries the camera.
        rgb: RGB colours.
        depth: metres along the camera's z axis; infinity for background.
        semantic: `Semantic` of each pixel.
        instance: instance id of each pixel; 0 for background.
    """

    camera: Camera
    world_from_ego: Float[np.ndarray, "4 4"]
    rgb: UInt8[np.ndarray, "h w 3"] | None = None
    depth: Float32[np.ndarray, "h w"] | None = None
    semantic: UInt8[np.ndarray, "h w"] | None = None
    instance: Int32[np.ndarray, "h w"] | None = None

    def _repr_html_(self) -> str:
        """Return the images, for notebooks."""
        return images_html(self.camera.name, self.rgb, self.depth, self.semantic, self.instance)


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
    """Render every camera's view from every pose.

    A pixel shows the nearest front-facing triangle that contains its centre, between 5 cm and the style's depth limit;
    with `style.supersampling` above 1 its colour is the mean over several points. Triangles are clipped exactly.
    Straight edges are distorted by the lens to within 1/16 pixel. The GIL is released: threads may render in parallel.

    Args:
        primitives: scene geometry, world frame.
        cameras: the rig.
        world_from_ego: poses of the vehicle.
        style: colours and depth limit.
        outputs: any of rgb, depth, semantic, instance.
        out: views of an earlier call with as many poses, the same image sizes and the same outputs; their arrays are
            overwritten, which saves memory allocation.
        backend: "numba" renders on the CPU, "cuda" and "nvdiffrast" on an NVIDIA GPU, "auto" with cuda if there is one
            and numba if not (docs/backends.md). Images agree but for pixels on edges and the last digit of depth.
        threads: number of CPU threads that share the images.

    Returns:
        views by pose, then camera.

    Raises:
        SwerveError: unknown outputs, primitives or poses that cannot be rendered, an unsuitable `out`, or no such
            back end on this machine.
    """
    if isinstance(cameras, Camera):
        raise SwerveError("cameras: one camera is given, not a list, as in [camera]")
    check_outputs(outputs, PIXELS)
    check_poses(world_from_ego)
    if (chosen := resolve_backend(backend)) == "cuda":
        from swerve.rasterizer.cuda.passes import DrawableMesh

        uploaded = DrawableMesh()
        return render_on_gpu(uploaded, (uploaded.add(primitives),), cameras, world_from_ego, style, outputs, out)
    if chosen == "nvdiffrast":
        return _render_with_nvdiffrast(validate_mesh(primitives), cameras, world_from_ego, style, outputs, out)
    images = _images(cameras, len(world_from_ego), outputs, out)
    tasks = [
        (camera, pose, image)
        for pose, row in zip(world_from_ego, images, strict=True)
        for camera, image in zip(cameras, row, strict=True)
    ]
    render_all(validate_mesh(primitives), tasks, style, "rgb" in outputs, threads)
    return [
        [View(camera, pose, **image) for camera, image in zip(cameras, row, strict=True)]
        for pose, row in zip(world_from_ego, images, strict=True)
    ]


def render_on_gpu(
    mesh: MeshOnDevice,
    parts: tuple[int, ...],
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    style: Style,
    outputs: tuple[str, ...],
    out: list[list[View]] | None = None,
) -> list[list[View]]:
    """Render one or two parts of a mesh that is already on the device (see `render`)."""
    passes = passes_on_gpu(mesh, parts, cameras, world_from_ego, style, outputs)
    # `map` is lazy: it releases the images of a pass before it requests the next.
    copied = list(chain.from_iterable(map(methodcaller("to_host"), passes)))
    return _as_views(copied, cameras, world_from_ego, outputs, out)


def passes_on_gpu(
    mesh: MeshOnDevice,
    parts: tuple[int, ...],
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    style: Style,
    outputs: tuple[str, ...],
) -> Iterator[ImagesOnDevice]:
    """Yield images, left on the device, by pose, then camera (see `render_on_gpu`)."""
    check_outputs(outputs, PIXELS)
    check_poses(world_from_ego)
    return mesh.passes(parts, cameras, world_from_ego, style, outputs)


def _render_with_nvdiffrast(
    mesh: "Mesh",
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    style: Style,
    outputs: tuple[str, ...],
    out: list[list[View]] | None,
) -> list[list[View]]:
    """Render a validated mesh with nvdiffrast (see `render`)."""
    from swerve.rasterizer.nvdiffrast import NvdiffrastView, render_views

    drawn = render_views(
        mesh, [NvdiffrastView(camera, pose) for pose in world_from_ego for camera in cameras], style, outputs
    )
    copied = [{name: tensor.cpu().numpy() for name, tensor in image.items()} for image in drawn]
    return _as_views(copied, cameras, world_from_ego, outputs, out)


def _as_views(
    drawn: list[dict[str, np.ndarray]],
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    outputs: tuple[str, ...],
    out: list[list[View]] | None,
) -> list[list[View]]:
    """Convert images in the order of poses, then cameras, to views; copied into `out` if given."""
    if out is not None:
        images = list(chain.from_iterable(_images(cameras, len(world_from_ego), outputs, out)))
        for old, new in zip(images, drawn, strict=True):
            for name in outputs:
                old[name][...] = new[name]
        drawn = images
    rest = iter(drawn)
    return [[View(camera, pose, **next(rest)) for camera in cameras] for pose in world_from_ego]


def _images(
    cameras: Sequence[Camera], poses: int, outputs: tuple[str, ...], out: list[list[View]] | None
) -> list[list[dict[str, np.ndarray]]]:
    """Return arrays to render into, by pose, then camera, then output: new ones, or those of `out`."""
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
    """Return the shape of an image that can be rendered into; None if it cannot."""
    if image is None or image.dtype != PIXELS[name][0] or not (image.flags.c_contiguous and image.flags.writeable):
        return None
    return image.shape
