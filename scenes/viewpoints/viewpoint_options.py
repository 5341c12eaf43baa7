"""Options of all viewpoints of a scene."""

from dataclasses import dataclass, field

from swerve.scenes.viewpoints.cross_agent_options import CrossAgentOptions
from swerve.scenes.viewpoints.recovery_options import RecoveryOptions


@dataclass(frozen=True)
class ViewpointOptions:
    """Options of viewpoints, by kind."""

    recovery: RecoveryOptions = field(default_factory=RecoveryOptions)
    cross_agent: CrossAgentOptions = field(default_factory=CrossAgentOptions)
