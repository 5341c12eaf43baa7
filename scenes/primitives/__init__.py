"""The scene as annotated triangles."""

from swerve.scenes.primitives.primitives import NO_INSTANCE, Face, Primitives, Semantic

__all__ = ["NO_INSTANCE", "Face", "Primitives", "Semantic"]
