"""Options of `swerve info`."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from swerve.options.shared import Sources, unset


@dataclass(frozen=True)
class Info:
    """Print the version, cores, rasterizer back ends and installed packages of this machine; or what logs hold.

    Example: swerve info nuplan:~/nuplan/dataset --logs 3

    Example: swerve info wod_e2e:~/wod_e2e/val --logs 1

    Attributes:
        sources: Logs to describe instead of the machine.
        logs: Number of logs of each source that are read.
    """

    sources: Annotated[Sources, arg(help_behavior_hint=unset("default: this machine"))] = ()
    logs: int = 5

    def __post_init__(self) -> None:
        if self.logs < 1:
            raise ValueError(f"logs must be 1 or more, not {self.logs}")
