"""Options that several commands take, each stated once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from swerve.data.jobs.execution import ProgressKind
from swerve.scenes.errors import SwerveError

# On an OUT that is a file: that of other commands is a folder.
WRITES_FILE = "writes a file"


def unset(meaning: str) -> Callable[[str], str]:
    """Return how help states a default: by its meaning where it is None or empty, else by its text."""
    return lambda label: f"({meaning})" if label in ("", "None") else f"(default: {label})"


REQUIRED = unset("required")
NONE_BY_DEFAULT = unset("default: none")


Sources = Annotated[
    Positional[tuple[str, ...]],
    arg(
        metavar="SOURCE...",
        help="Logs: town:COUNT or town:FIRST-LAST (generated towns), av2:PATH, nuplan:PATH, nuscenes:ROOT, waymo:PATH, "
        "kitti:PATH, dgp:PATH (DDAD), 123d:ROOT, navsim:ROOT, neutral:PATH, or a path whose kind is recognised; any "
        "number.",
        help_behavior_hint=REQUIRED,
    ),
]
Source = Annotated[
    Positional[str],
    arg(
        metavar="SOURCE",
        help="Logs: town:COUNT or town:FIRST-LAST (generated towns), av2:PATH, nuplan:PATH, nuscenes:ROOT, waymo:PATH, "
        "kitti:PATH, dgp:PATH (DDAD), 123d:ROOT, navsim:ROOT, neutral:PATH, or a path whose kind is recognised.",
    ),
]
Benchmark = Annotated[Positional[Path], arg(metavar="BENCHMARK", help="Folder or URL that swerve build made.")]
EvaluatedBenchmark = Annotated[
    Positional[str],
    arg(
        metavar="BENCHMARK",
        help="Folder that swerve build made; navsim:ROOT with --split: NAVSIM's own data; or wod_e2e:PATH: Waymo's "
        "end-to-end data.",
    ),
]
NavsimSplit = Annotated[str | None, arg(metavar="FILE.yaml|NAME")]
Dataset = Annotated[
    Positional[Path], arg(metavar="SET", help="Finished training set of swerve augment: folder or URL.")
]
OutFolder = Annotated[
    Positional[Path],
    arg(
        metavar="OUT",
        help="Output folder, or URL of one in a store (s3://BUCKET/PATH; extra `cloud`): new, empty, or of this "
        "same job, which is then resumed.",
    ),
]
JobFolder = Annotated[Positional[Path], arg(metavar="OUT", help="Output folder of a job.")]
Planners = Annotated[
    tuple[str, ...],
    arg(
        metavar="PLANNER...",
        help="Planners: a name (stationary, constant-velocity, constant-acceleration, human, idm, pdm-closed), "
        "module:Class of your own, navsim:module.Class or navsim:FILE.yaml (NAVSIM agents), a trained "
        "FILE.safetensors, or grpc://HOST:PORT (a driver of AlpaSim); then ,key=value... and ,label=NAME.",
        aliases=("--planner",),
    ),
]
PlannerOption = Annotated[
    UseAppendAction[tuple[str, ...]],
    arg(
        metavar="KEY=VALUE",
        help="Argument of every planner named, as ,key=value after its name; may be given several times.",
    ),
]
Logs = Annotated[
    tuple[str, ...], arg(metavar="LOG...", help="Names of the logs.", help_behavior_hint=unset("default: all"))
]
Log = Annotated[
    str | None,
    arg(metavar="LOG", help="Name of the log.", help_behavior_hint=unset("default: the first of the source")),
]
Splats = Annotated[
    Path | None,
    arg(
        metavar="FOLDER",
        help="Folder that swerve fit made, to render splat views that are not stored.",
        help_behavior_hint=NONE_BY_DEFAULT,
    ),
]
Workers = Annotated[
    int | None, arg(metavar="COUNT", help="Worker processes.", help_behavior_hint=unset("default: one per core"))
]
PlanWorkers = Annotated[
    int | None,
    arg(
        metavar="COUNT",
        help="Worker processes, each with a planner of its own.",
        help_behavior_hint=unset("default: one per core"),
    ),
]
Part = Annotated[
    str | None,
    arg(
        metavar="K/N|finish",
        help="Make the K-th of N shares of the job, as one of N runs that start at any time on any machines that see "
        "OUT (of a SLURM array, say); finish: complete what they made, as swerve finish OUT does.",
        help_behavior_hint=unset("default: the whole job"),
    ),
]
On = Annotated[
    str,
    arg(
        metavar="local|ray|ray://HOST",
        help="Where the workers are: processes of this machine; or actors of a Ray cluster that sees OUT: that of "
        "RAY_ADDRESS, else a new one on this machine. Needs the extra `ray`.",
    ),
]
ProgressForm = Annotated[ProgressKind, arg(help="Progress on stderr: a bar, or a line of JSON every two seconds.")]
Config = Annotated[
    Path | None,
    arg(
        metavar="FILE.yaml",
        help="Options to start from, as in the config.yaml of an output; options on the command line take precedence.",
        help_behavior_hint=NONE_BY_DEFAULT,
    ),
]


@dataclass(frozen=True)
class Shown:
    """Choice of a scene, of things that have several.

    Attributes:
        log: Name of the log: of a source, a training set, a benchmark or an output of swerve fit.
        at: Time from the start of the log, in seconds; of a source and of a rollout. None: where there is most to see.
        scene: Of a benchmark the scene group, counted from 0; of an evaluation its place by score, the worst first; of
            an output of swerve drive the rollout, the worst first.
        planner: Of an evaluation or an output of swerve drive: label of the planner whose scenes and weights are shown.
            Of a benchmark: a FILE.safetensors of swerve train, whose proposals are drawn by predicted and by exact
            score.
        splats: Of a source: folder that swerve fit made, whose splats are drawn into the scene.
        seed: Seed of the recovery viewpoints.
    """

    log: Log = None
    at: Annotated[float | None, arg(metavar="SECONDS")] = None
    scene: int = 0
    planner: Annotated[str | None, arg(metavar="LABEL|FILE")] = None
    splats: Annotated[Path | None, arg(metavar="FOLDER")] = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scene < 0:
            raise SwerveError(f"scene: {self.scene} must be 0 or more")
