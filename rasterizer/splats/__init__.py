"""3D Gaussian splats, rendered under the same contract as primitives."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.rasterizer.splats.gaussians import Gaussians
    from swerve.rasterizer.splats.ply import encode_ply, read_ply
    from swerve.rasterizer.splats.render_splats import SplatView, render_splats
    from swerve.rasterizer.splats.splat_scene import PoseCorrections, RigidNode, Sky, SplatScene, SplatSnapshot

__all__ = [
    "Gaussians",
    "PoseCorrections",
    "RigidNode",
    "Sky",
    "SplatScene",
    "SplatSnapshot",
    "SplatView",
    "encode_ply",
    "read_ply",
    "render_splats",
]

make_lazy(__name__)
