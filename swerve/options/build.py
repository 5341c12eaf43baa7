"""Options of `swerve build`."""

from dataclasses import dataclass, field
from typing import Annotated

from swerve.eval.benchmark.build_options import BuildOptions
from swerve.options.shared import Config, NavsimSplit, On, OutFolder, Part, ProgressForm, Sources, Splats, Workers
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class Build:
    """Build a two-stage benchmark from logs, to evaluate planners on.

    A scene group has an initial scene of a log, and follow-up scenes that begin 4 s later at start points around the
    human's position, each with a history that ends there, in traffic that was simulated for 4 s. Follow-up scenes
    are weighted by their distance from the end of the planned trajectory, as in pseudo-simulation. Start points in
    collision or off the drivable area are rejected and counted. docs/benchmark.md describes the output.

    A build that was stopped or killed is resumed by the same command.

    Exit code: 0; 1 if a log or a scene group failed; 2 if the build could not run.

    Example: swerve build av2:~/av2/val ~/benchmarks/av2 --scene-interval 4

    Example: swerve build navsim:~/openscene ~/benchmarks/navtest --navsim-split navtest

    Attributes:
        sources: Logs.
        out: Output folder.
        options: The benchmark.
        navsim_split: Take the scenes of this NAVSIM split alone as initial scenes, as it lists them and not at
            intervals: a YAML file, or the name of one in a NAVSIM checkout. Sources are navsim:ROOT.
        splats: Splat scenes.
        workers: Worker processes.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    sources: Sources
    out: OutFolder
    options: Annotated[BuildOptions, FLAT] = field(default_factory=BuildOptions)
    navsim_split: NavsimSplit = None
    splats: Splats = None
    workers: Workers = None
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = None
