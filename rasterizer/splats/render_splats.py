"""Main entry point of splat rendering: Gaussians, cameras and poses in, views out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Float32

from swerve.rasterizer.backends import SplatBackend, SplatChosen, resolve_splat_backend
from swerve.rasterizer.optics import lens_table
from swerve.rasterizer.render import View
from swerve.rasterizer.render_checks import check_outputs, check_poses
from swerve.rasterizer.splats import harmonics_kernels
from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.pipeline import GaussianArrays, RenderedSums, blend, camera_arrays, project_and_tile
from swerve.rasterizer.splats.splat_scene import Sky, SplatSnapshot
from swerve.scenes import Camera, LensModel, SwerveError
from swerve.scenes.primitives.primitives import NO_INSTANCE
from swerve.scenes.transforms import inverse

# Type and channels of each output.
PIXELS: dict[str, tuple[type, tuple[int, ...]]] = {
    "rgb": (np.uint8, (3,)),
    "depth": (np.float32, ()),
    "alpha": (np.float32, ()),
    "instance": (np.int32, ()),
    "color": (np.float32, (3,)),
}
_SumsOf = Callable[[Camera, Float[np.ndarray, "4 4"]], RenderedSums]


@dataclass(frozen=True, eq=False)
class SplatView(View):
    """Image outputs of one camera, of Gaussians; outputs that were not requested are None.

    Attributes:
        rgb: `color`, clipped to 0 and 1, times 255, rounded.
        depth: weighted mean of the depths along the camera's z axis; infinity for background.
        instance: instance id of the largest weight in the pixel; 0 for the static background.
        alpha: accumulated opacity, 0 to 1.
        color: sum of Gaussians and sky, neither clipped nor rounded.
    """

    alpha: Float32[np.ndarray, "h w"] | None = None
    color: Float32[np.ndarray, "h w 3"] | None = None


def render_splats(
    frame: SplatSnapshot,
    cameras: Sequence[Camera],
    world_from_ego: Float[np.ndarray, "p 4 4"],
    outputs: tuple[str, ...] = ("rgb",),
    out: list[list[SplatView]] | None = None,
    backend: SplatBackend = "numba",
    threads: int = 1,
) -> list[list[SplatView]]:
    """Render every camera's view of Gaussians from every pose.

    As 3D Gaussian Splatting, with the constants of gsplat 1.5: ellipses widened by 0.3 square pixels, rendered where
    their alpha is 1/255 or more, at most 0.999 each, sorted by the depth of their centres, until the transmittance
    falls below 1/10000. Lens distortion is linearised at each Gaussian's centre, which is off by some pixels for one
    that spans a large part of a wide image. Centres nearer than 5 cm, or farther off the axis than the lens's model
    holds, are left out.

    Args:
        frame: Gaussians to render.
        cameras: the rig.
        world_from_ego: poses of the vehicle.
        outputs: any of rgb, depth, alpha, instance, color.
        out: views of an earlier call with as many poses, the same image sizes and the same outputs; their arrays are
            overwritten.
        backend: "numba" renders on the CPU, "gsplat" on an NVIDIA GPU, "auto" with gsplat if it can be used and
            numba if not; "gsplat-ut" evaluates Gaussians along each pixel's ray instead, which looks different
            (docs/backends.md).
        threads: number of CPU threads that share an image.

    Returns:
        views by pose, then camera.

    Raises:
        SwerveError: unknown outputs, Gaussians or poses that cannot be rendered, an unsuitable `out`, no such back
            end on this machine, or a lens that it does not support.
    """
    check_outputs(outputs, PIXELS)
    check_poses(world_from_ego)
    frame.gaussians.check("splats cannot be rendered")
    if out is not None:
        _check_out(out, cameras, len(world_from_ego), outputs)
    sums_of = _sums_of(frame.gaussians, resolve_splat_backend(backend), threads, "instance" in outputs)
    views = []
    for p, pose in enumerate(world_from_ego):
        images = [_drawn(frame, sums_of, camera, pose, outputs) for camera in cameras]
        if out is not None:
            images = [_written_over(view, image) for view, image in zip(out[p], images, strict=True)]
        views.append([SplatView(camera, pose, **image) for camera, image in zip(cameras, images, strict=True)])
    return views


def cloud_of(gaussians: Gaussians) -> GaussianArrays:
    """Convert Gaussians to kernel arrays."""
    return GaussianArrays(
        *(np.require(getattr(gaussians, field.name), requirements=["C", "W"]) for field in fields(gaussians))
    )


def _sums_of(gaussians: Gaussians, backend: SplatChosen, threads: int, wants_owner: bool) -> _SumsOf:
    """Return a function from a camera and its pose to accumulated sums, with rows of Gaussians as owners."""
    if backend != "numba":
        from swerve.rasterizer.splats.gsplat import load_library, sums_on_device

        return sums_on_device(gaussians, load_library(), backend == "gsplat-ut", wants_owner)
    cloud = cloud_of(gaussians)

    def sums(camera: Camera, camera_from_local: Float[np.ndarray, "4 4"]) -> RenderedSums:
        view = camera_arrays(camera, camera_from_local)
        layout = project_and_tile(cloud, view, threads)
        drawn = blend(layout, view, threads, wants_owner)
        return drawn._replace(owner=np.append(layout.rows, np.int32(-1))[drawn.owner])

    return sums


def _drawn(
    frame: SplatSnapshot,
    sums_of: _SumsOf,
    camera: Camera,
    world_from_ego: Float[np.ndarray, "4 4"],
    outputs: tuple[str, ...],
) -> dict[str, np.ndarray]:
    """Render the images of one view, by output."""
    local_from_camera = world_from_ego @ camera.ego_from_camera
    local_from_camera[:3, 3] -= frame.origin
    sums = sums_of(camera, inverse(local_from_camera))
    blind = _hide_blind_pixels(camera, sums)
    images: dict[str, np.ndarray] = {"alpha": sums.alpha}
    if "depth" in outputs:
        with np.errstate(divide="ignore", invalid="ignore"):
            images["depth"] = np.where(sums.alpha > 0, sums.depth / sums.alpha, np.float32(np.inf))
    if "instance" in outputs:
        images["instance"] = np.append(frame.instances, np.int32(NO_INSTANCE))[sums.owner]
    if "rgb" in outputs or "color" in outputs:
        color = images["color"] = sums.color
        color += (1 - sums.alpha[..., None]) * sky_colors(frame.sky, camera, local_from_camera)
        color[blind] = 0.0
    if "rgb" in outputs:
        levels = np.clip(sums.color, 0, 1)
        levels *= 255
        levels += 0.5
        images["rgb"] = levels.astype(np.uint8)
    return {name: images[name] for name in outputs}


def _check_out(out: list[list[SplatView]], cameras: Sequence[Camera], poses: int, outputs: tuple[str, ...]) -> None:
    """Check whether images fit into the arrays of earlier views."""
    wanted = [[(PIXELS[name][0], (c.height, c.width, *PIXELS[name][1])) for name in outputs] for c in cameras]
    found = [[[_fitting(getattr(view, name)) for name in outputs] for view in row] for row in out]
    if found != [wanted] * poses:
        raise SwerveError("out: must be the views of a call with as many poses, the same image sizes and outputs")


def _fitting(image: np.ndarray | None) -> tuple[type, tuple[int, ...]] | None:
    """Return type and shape of an image that can be overwritten; None if it cannot."""
    return None if image is None or not image.flags.writeable else (image.dtype.type, image.shape)


def _written_over(view: SplatView, images: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Copy the images into the arrays of an earlier view."""
    arrays = {name: getattr(view, name) for name in images}
    for name, array in arrays.items():
        array[...] = images[name]
    return arrays


def _hide_blind_pixels(camera: Camera, sums: RenderedSums) -> Bool[np.ndarray, "h w"]:
    """Clear the pixels outside the lens model; return their mask."""
    blind = np.zeros(sums.alpha.shape, bool)
    if camera.lens.model != LensModel.PINHOLE:
        blind = np.isnan(lens_table(camera).rays_x)
        for image, nothing in zip(sums, (0, 0, 0, -1), strict=True):
            if len(image):
                image[blind] = nothing
    return blind


def sky_colors(sky: Sky, camera: Camera, world_from_camera: Float[np.ndarray, "4 4"]) -> Float32[np.ndarray, "h w 3"]:
    """Compute the sky's colour in every pixel."""
    shape = (camera.height, camera.width, 3)
    colors = np.empty(shape, np.float32)
    if len(sky.sh_coefficients) == 1:
        harmonics_kernels.colors_at(
            np.array([[0.0, 0.0, 1.0]]), sky.sh_coefficients, first := np.empty((1, 3), np.float32)
        )
        colors[:] = first[0]
        return colors
    table = lens_table(camera)
    rays = np.ones(shape)
    if camera.lens.model == LensModel.PINHOLE:
        rays[..., 0] = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
        rays[..., 1] = (np.arange(camera.height)[:, None] + 0.5 - camera.cy) / camera.fy
    else:
        rays[..., 0], rays[..., 1] = np.nan_to_num(table.rays_x), np.nan_to_num(table.rays_y)
    directions = rays.reshape(-1, 3) @ world_from_camera[:3, :3].T
    harmonics_kernels.colors_at(directions, sky.sh_coefficients, colors.reshape(-1, 3))
    return colors
