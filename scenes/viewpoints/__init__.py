"""Viewpoints: the logged one, and those that deviate from the log."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.scenes.viewpoints.bounds import Bounds
    from swerve.scenes.viewpoints.command import command_of
    from swerve.scenes.viewpoints.cross_agent_options import CrossAgentOptions
    from swerve.scenes.viewpoints.log_geometry import LogGeometry, prepare
    from swerve.scenes.viewpoints.recovery_options import RecoveryOptions
    from swerve.scenes.viewpoints.scene_viewpoints import logged, viewpoints
    from swerve.scenes.viewpoints.viewpoint import Command, Rejection, Viewpoint, ViewpointKind
    from swerve.scenes.viewpoints.viewpoint_options import ViewpointOptions

__all__ = [
    "Bounds",
    "Command",
    "CrossAgentOptions",
    "LogGeometry",
    "RecoveryOptions",
    "Rejection",
    "Viewpoint",
    "ViewpointKind",
    "ViewpointOptions",
    "command_of",
    "logged",
    "prepare",
    "viewpoints",
]

make_lazy(__name__)
