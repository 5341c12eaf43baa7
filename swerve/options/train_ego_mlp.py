"""Options of `swerve train ego-mlp`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import WRITES_FILE, Config, Sources
from swerve.planners.baselines.train_options import TrainOptions
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT
from swerve.scenes.split import Split


@dataclass(frozen=True)
class TrainEgoMlp:
    """Train the ego-status MLP: a small network whose inputs are the ego's motion and the command alone.

    Trains on logs of split train, and prints displacement errors on split val. Needs the extra `torch`.

    Example: swerve train ego-mlp town:40 ego.safetensors

    Attributes:
        sources: Logs.
        out: Output file.
        options: The training.
        scene_interval: Time between the scenes of a log, in seconds.
        split: Split of logs whose source has none.
        config: Options to start from.
    """

    sources: Sources
    out: Annotated[
        Positional[Path], arg(metavar="OUT", help="The planner: a .safetensors file, for --planners."), WRITES_FILE
    ]
    options: Annotated[TrainOptions, FLAT] = field(default_factory=TrainOptions)
    scene_interval: float = 0.1
    split: Split = "train"
    config: Config = None

    def __post_init__(self) -> None:
        if not 0.0 < self.scene_interval <= 3600.0:
            raise SwerveError(f"scene_interval: {self.scene_interval:g} must be above 0 s, and 3600 s at most")
