"""Options of `swerve compare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import REQUIRED, Config
from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class Compare:
    """Compare evaluations of the same scenes: which planner is better, by how much, and is the difference real.

    Takes finished outputs of swerve evaluate on the same benchmark, with equal traffic and weighting; of one alone, its
    planners are compared. Scores are paired scene by scene, and the 95 % intervals draw logs whole, since scenes of one
    log resemble each other: with fewer than three logs nothing is known, with fewer than five little.

    Prints the scores and the differences, and writes OUT/index.html with scenes won and lost and both planners side by
    side in the scenes that differ most, comparison.json and scenes.csv.

    Example: swerve compare results/rap-1 results/rap-2 out/compare

    Example: swerve compare results/rap-1 results/idm out/compare --scenes 8

    Attributes:
        evaluations: Folders of swerve evaluate.
        out: Output folder.
        scenes: Scenes shown of each pair of planners; 0 for none.
        benchmark: Benchmark of the evaluations, for the images, if it was moved; None: as the evaluations name it.
        config: Options to start from.
    """

    evaluations: Annotated[
        Positional[tuple[Path, ...]],
        arg(
            metavar="EVALUATION...",
            help="Folders that swerve evaluate wrote; one or more.",
            help_behavior_hint=REQUIRED,
        ),
    ]
    out: Annotated[Positional[Path], arg(metavar="OUT", help="Folder for index.html, comparison.json and scenes.csv.")]
    scenes: int = 4
    benchmark: Annotated[Path | None, arg(metavar="BENCHMARK")] = None
    config: Config = None

    def __post_init__(self) -> None:
        if not 0 <= self.scenes <= 50:
            raise SwerveError(f"scenes: {self.scenes} must lie in 0..50")
