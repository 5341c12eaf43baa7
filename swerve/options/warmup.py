"""Options of `swerve warmup`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from swerve.options.shared import Workers, unset
from swerve.scenes.errors import SwerveError

WarmupPart = Literal["towns", "sets", "benchmarks", "closed-loop"]


@dataclass(frozen=True)
class Warmup:
    """Compile the kernels ahead, in parallel; without it, commands compile what they need when they first run.

    Compiled kernels are kept in the user's cache, and used by all environments with the same version of Swerve. What is
    compiled already takes a few seconds. Photos, splats and formats of data sets compile when they are used.

    Example: swerve warmup towns sets

    Attributes:
        parts: Parts.
        workers: Worker processes.
    """

    parts: Annotated[
        Positional[tuple[WarmupPart, ...]],
        arg(
            metavar="PART...",
            help="towns: generated towns; sets: swerve augment; benchmarks: swerve build, evaluate and score; "
            "closed-loop: swerve drive.",
            help_behavior_hint=unset("default: all"),
        ),
    ] = ()
    workers: Workers = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise SwerveError(f"workers: {self.workers} must be 1 or more")
