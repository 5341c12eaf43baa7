"""Images on the host for `render_splats`."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import torch
from jaxtyping import Float

from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.gsplat.gsplat_library import GsplatLibrary
from swerve.rasterizer.splats.gsplat.gsplat_renderer import dominant_gaussians, draw
from swerve.rasterizer.splats.gsplat.projection import GsplatScene
from swerve.rasterizer.splats.gsplat.unscented import dominant_gaussians_unscented, render_unscented
from swerve.rasterizer.splats.pipeline import RenderedSums
from swerve.scenes import Camera


def sums_on_device(
    gaussians: Gaussians, using: GsplatLibrary, unscented: bool, wants_owner: bool
) -> Callable[[Camera, Float[np.ndarray, "4 4"]], RenderedSums]:
    """Upload Gaussians once; return a function from a camera and its pose to accumulated sums.

    Args:
        gaussians: Gaussians to render.
        using: library handle.
        unscented: whether to evaluate along rays, see `unscented`.
        wants_owner: whether owners are computed; else they are an image without rows.
    """
    scene = GsplatScene(*(using.upload(getattr(gaussians, field.name)) for field in fields(gaussians)))
    draw_one, own_one = (render_unscented, dominant_gaussians_unscented) if unscented else (draw, dominant_gaussians)

    def sums(camera: Camera, camera_from_local: Float[np.ndarray, "4 4"]) -> RenderedSums:
        pose = using.upload(camera_from_local)
        with torch.no_grad():
            color, depth, alpha = (image.cpu().contiguous().numpy() for image in draw_one(scene, camera, pose, using))
            if wants_owner:
                owner = own_one(scene, camera, pose, using).int().cpu().numpy()
            else:
                owner = np.empty((0, camera.width), np.int32)
        return RenderedSums(color, depth, alpha, owner)

    return sums
