"""Scenes as annotated triangles."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.scenes.primitives.build import FIRST_MAP_INSTANCE, build_dynamic, build_static
    from swerve.scenes.primitives.cuboids import FIRST_SIGNAL_INSTANCE, agent_cuboids, cuboids, signal_cuboids
    from swerve.scenes.primitives.primitives import NO_INSTANCE, Face, Primitives, Semantic

__all__ = [
    "FIRST_MAP_INSTANCE",
    "FIRST_SIGNAL_INSTANCE",
    "NO_INSTANCE",
    "Face",
    "Primitives",
    "Semantic",
    "agent_cuboids",
    "build_dynamic",
    "build_static",
    "cuboids",
    "signal_cuboids",
]

make_lazy(__name__)
