"""Viewpoints: the logged one, and those that deviate from the log."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.scenes.viewpoints.bounds import KinematicLimits
    from swerve.scenes.viewpoints.command import driving_command
    from swerve.scenes.viewpoints.cross_agent_options import CrossAgentOptions
    from swerve.scenes.viewpoints.log_geometry import LogGeometry, build_log_geometry
    from swerve.scenes.viewpoints.recovery_options import RecoveryOptions
    from swerve.scenes.viewpoints.scene_viewpoints import build_viewpoints, logged
    from swerve.scenes.viewpoints.viewpoint import Command, Rejection, Viewpoint, ViewpointKind
    from swerve.scenes.viewpoints.viewpoint_options import ViewpointOptions

__all__ = [
    "Command",
    "CrossAgentOptions",
    "KinematicLimits",
    "LogGeometry",
    "RecoveryOptions",
    "Rejection",
    "Viewpoint",
    "ViewpointKind",
    "ViewpointOptions",
    "build_log_geometry",
    "build_viewpoints",
    "driving_command",
    "logged",
]

make_lazy(__name__)
