"""Rasterization of primitives: cameras and poses in, images out."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.rasterizer.backends import Backend
    from swerve.rasterizer.render import View, render
    from swerve.rasterizer.static_layer import StaticLayer
    from swerve.rasterizer.style import Style

__all__ = ["Backend", "StaticLayer", "Style", "View", "render"]

make_lazy(__name__)
