"""Options of `swerve proposals`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.eval.benchmark.build_options import ViewKind
from swerve.options.shared import WRITES_FILE, Benchmark, Config, Splats
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import or_default


@dataclass(frozen=True)
class Proposals:
    """Write a page of a RAP planner's proposals, coloured by predicted and by true scores.

    Over all scenes: calibration, rank correlation, and the regret of choosing by predicted scores. For
    some scenes: all proposals on the map and in the front camera. Needs the extra `torch`.

    Example: swerve proposals runs/rap/planner.safetensors bench proposals.html

    Attributes:
        planner: Trained planner.
        benchmark: Benchmark with the planner's cameras.
        out: Output file.
        views: Views.
        splats: Splat scenes.
        groups: Scene groups, at most, evenly spaced over the benchmark.
        shown: Scenes that are shown.
        follow_ups: Also take the follow-up scenes.
        config: Options to start from.
    """

    planner: Annotated[Positional[Path], arg(metavar="PLANNER", help="FILE.safetensors of swerve train.")]
    benchmark: Benchmark
    out: Annotated[Positional[Path], arg(metavar="OUT", help="HTML file."), WRITES_FILE]
    views: Annotated[
        ViewKind | None,
        or_default(ViewKind),
        arg(help="Kind of images: raster, photo, splat; default: those that are stored, or raster if several are."),
    ] = None
    splats: Splats = None
    groups: int = 100
    shown: int = 6
    follow_ups: bool = False
    config: Config = None

    def __post_init__(self) -> None:
        if self.groups < 1:
            raise SwerveError(f"groups: {self.groups} must be 1 or more")
        if self.shown < 0:
            raise SwerveError(f"shown: {self.shown} must be 0 or more")
