"""Back end that renders with NVIDIA's nvdiffrast. Imported on demand."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.rasterizer.nvdiffrast.differentiable_render import differentiable_render
    from swerve.rasterizer.nvdiffrast.nvdiffrast_library import NvdiffrastLibrary, load_library
    from swerve.rasterizer.nvdiffrast.nvdiffrast_renderer import NvdiffrastView, render_views

__all__ = ["NvdiffrastLibrary", "NvdiffrastView", "differentiable_render", "load_library", "render_views"]

make_lazy(__name__)
