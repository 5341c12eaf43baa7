"""Differentiable rendering of Gaussians. Imported on demand: it needs torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from swerve.rasterizer.backends import SplatBackend, resolve_splat_backend
from swerve.rasterizer.splats.pipeline import (
    GaussianArrays,
    RenderedSums,
    blend,
    camera_arrays,
    gradients,
    project_and_tile,
)
from swerve.scenes import Camera, MissingExtraError, SwerveError

try:
    import torch
except ImportError as error:
    raise MissingExtraError("torch", "pip install 'PATH[torch]', where PATH is Swerve's folder") from error

# Modules that need torch import it from here, so that they report its absence in the same words.
__all__ = ["differentiable_splats", "torch"]


def differentiable_splats(
    means: Float32[torch.Tensor, "n 3"],
    quaternions: Float32[torch.Tensor, "n 4"],
    log_scales: Float32[torch.Tensor, "n 3"],
    opacity_logits: Float32[torch.Tensor, "n"],
    sh_coefficients: Float32[torch.Tensor, "n k 3"],
    camera: Camera,
    camera_from_local: Float[torch.Tensor, "4 4"],
    centers: Float32[torch.Tensor, "n 2"] | None = None,
    threads: int = 1,
    backend: SplatBackend = "auto",
) -> tuple[Float32[torch.Tensor, "h w 3"], Float32[torch.Tensor, "h w"], Float32[torch.Tensor, "h w"]]:
    """Render one image as `render_splats` does, differentiably, on black and without the sky.

    Gradients are those of the rendering as it is: cut-offs of Gaussians and early stops of pixels are steps without a
    gradient.

    Args:
        means: as in `Gaussians`, like the next four; all on one device.
        quaternions: as in `Gaussians`.
        log_scales: as in `Gaussians`.
        opacity_logits: as in `Gaussians`.
        sh_coefficients: as in `Gaussians`; k = 1, 4, 9 or 16.
        camera: its mounting is not used.
        camera_from_local: its pose in the Gaussians' frame, a rigid transform. Its gradient is taken per matrix entry,
            with the camera centre at -R^T t.
        centers: receives, as its gradient, the loss's derivatives by the pixels of the Gaussians' centres, as needed
            for densification; its values are ignored.
        threads: number of CPU threads.
        backend: "auto" follows the tensors' device: numba on the CPU, gsplat on CUDA. "gsplat-ut" renders differently:
            see docs/backends.md, and `gsplat.render_unscented` for its gradients.

    Returns:
        sums over the Gaussians of weight x colour, of weight x depth (metres), and of weight.

    Raises:
        SwerveError: the back end cannot be used here, or does not render on the Gaussians' device.
    """
    chosen = ("numba" if means.device.type == "cpu" else "gsplat") if backend == "auto" else backend
    gaussians = (means, quaternions, log_scales, opacity_logits, sh_coefficients)
    if resolve_splat_backend(chosen) != "numba":
        from swerve.rasterizer.splats import gsplat

        using = gsplat.load_library()
        using.check_device(means)
        draw = gsplat.render_unscented if chosen == "gsplat-ut" else gsplat.draw
        return draw(gsplat.GsplatScene(*gaussians), camera, camera_from_local, using, centers)
    if means.device.type != "cpu":
        raise SwerveError(f'backend "numba" needs tensors on the CPU, got tensors on {means.device}: use "gsplat"')
    if centers is None:
        centers = means.new_zeros((len(means), 2))
    images: tuple[Float32[torch.Tensor, "h w 3"], Float32[torch.Tensor, "h w"], Float32[torch.Tensor, "h w"]] = (
        _Splats.apply(camera, threads, *gaussians, centers, camera_from_local)  # type: ignore[no-untyped-call]  # no types
    )
    return images


class _Splats(torch.autograd.Function):
    """Kernels as a torch autograd function."""

    @staticmethod
    def forward(ctx: Any, camera: Camera, threads: int, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:  # noqa: ANN401
        """Render, and save the tensors for the backward pass."""
        view = camera_arrays(camera, tensors[6].detach().double().numpy())
        layout = project_and_tile(_cloud(tensors[:5]), view, threads)
        sums = blend(layout, view, threads, wants_owner=False)
        images = tuple(torch.from_numpy(image) for image in (sums.color, sums.depth, sums.alpha))
        ctx.save_for_backward(*tensors[:5], *images)
        ctx.laid_out, ctx.threads, ctx.pose_like = (view, layout), threads, tensors[6]
        return images

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        """Return derivatives by the tensors, in their order."""
        cloud, sums, (view, layout) = _cloud(ctx.saved_tensors[:5]), _sums(ctx.saved_tensors[5:]), ctx.laid_out
        by_cloud, by_center, by_pose = gradients(cloud, view, layout, sums, _sums(slopes), ctx.threads)
        pose = torch.zeros_like(ctx.pose_like)
        pose[:3] = torch.from_numpy(by_pose)
        return (None, None, *(torch.from_numpy(array) for array in (*by_cloud, by_center)), pose)


def _cloud(tensors: Sequence[torch.Tensor]) -> GaussianArrays:
    return GaussianArrays(*(np.ascontiguousarray(tensor.detach().numpy()) for tensor in tensors))


def _sums(images: Sequence[torch.Tensor]) -> RenderedSums:
    color, depth, alpha = (np.ascontiguousarray(image.numpy(), np.float32) for image in images)
    return RenderedSums(color, depth, alpha, np.empty((0, alpha.shape[1]), np.int32))
