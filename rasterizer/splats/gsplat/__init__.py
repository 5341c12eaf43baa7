"""Gaussian rendering with gsplat on CUDA. Imported on demand."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.rasterizer.splats.gsplat.accumulated_images import sums_on_device
    from swerve.rasterizer.splats.gsplat.gsplat_library import GsplatLibrary, load_library
    from swerve.rasterizer.splats.gsplat.gsplat_renderer import dominant_gaussians, draw
    from swerve.rasterizer.splats.gsplat.projection import GsplatScene
    from swerve.rasterizer.splats.gsplat.unscented import dominant_gaussians_unscented, render_unscented

__all__ = [
    "GsplatLibrary",
    "GsplatScene",
    "dominant_gaussians",
    "dominant_gaussians_unscented",
    "draw",
    "load_library",
    "render_unscented",
    "sums_on_device",
]

make_lazy(__name__)
