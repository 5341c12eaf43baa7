"""Options of `swerve plan augment`."""

import re
from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import arg

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.eval.training_viewpoints.training_viewpoint_options import TrainingViewpointOptions
from swerve.options.shared import Config, Sources
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class PlanAugment:
    """Estimate samples, bytes, core hours, time and store requests of an augmentation, from a pilot of it.

    Some parts of the job are made on one core of this machine and thrown away; the rest is computed from them. The
    cores of the nodes are taken to be as fast as this one. Nothing is written.

    Exit code: 0; 1 if samples of the pilot failed; 2 if a part of it cannot be made.

    Example: swerve plan augment av2:~/av2/train --viewpoints logged recovery --nodes 32x64

    Attributes:
        sources: Logs.
        options: The training set.
        training: Follow-up and visited viewpoints, and pseudo-expert targets.
        nodes: Machines and workers of each, as MACHINESxWORKERS.
        pilot: Parts that are made to measure them.
        scenes: Scenes of the whole job; None: as many for each log as the pilot's logs have.
        logs: Logs of the whole job; None: those of the sources.
        config: Options to start from.
    """

    sources: Sources
    options: Annotated[AugmentOptions, FLAT] = field(default_factory=AugmentOptions)
    training: Annotated[TrainingViewpointOptions, FLAT] = field(default_factory=TrainingViewpointOptions)
    nodes: Annotated[str, arg(metavar="MxN")] = "1x1"
    pilot: Annotated[int, arg(metavar="PARTS")] = 4
    scenes: Annotated[int | None, arg(metavar="COUNT")] = None
    logs: Annotated[int | None, arg(metavar="COUNT")] = None
    config: Config = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[1-9]\d{0,5}x[1-9]\d{0,5}", self.nodes):
            raise SwerveError(f"--nodes {self.nodes}: give MACHINESxWORKERS, such as 32x64")
        for name in ("pilot", "scenes", "logs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SwerveError(f"--{name}: {value} must be 1 or more")
