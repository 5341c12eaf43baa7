"""Primitives and cameras in, images out."""

from swerve.rasterizer.backdrop import Backdrop
from swerve.rasterizer.backends import Backend
from swerve.rasterizer.render import View, render
from swerve.rasterizer.style import Style

__all__ = ["Backdrop", "Backend", "Style", "View", "render"]
