"""Options of `swerve augment`."""

from dataclasses import dataclass, field
from typing import Annotated

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.eval.training_viewpoints.training_viewpoint_options import TrainingViewpointOptions
from swerve.options.shared import Config, NavsimSplit, On, OutFolder, Part, ProgressForm, Sources, Workers
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class Augment:
    """Render logs from logged, perturbed and other viewpoints into a training set.

    Writes WebDataset shards (OUT/train, OUT/val, OUT/test), manifest.parquet and summary.json; docs/formats.md
    describes them. A job that was stopped or killed is resumed by the same command.

    Exit code: 0; 1 if a log or a sample failed; 2 if the job could not run.

    Example: swerve augment av2:~/av2/train ~/sets/av2 --viewpoints logged recovery --size 960x560

    Example: swerve augment navsim:~/openscene ~/sets/navtrain --navsim-split navtrain --history 1.5

    Attributes:
        sources: Logs.
        out: Output folder.
        options: The training set.
        navsim_split: Take the scenes of this NAVSIM split alone, as it lists them and not at intervals: a YAML file, or
            the name of one in a NAVSIM checkout. Sources are navsim:ROOT.
        training: Follow-up and visited viewpoints, and pseudo-expert targets.
        workers: Worker processes.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    sources: Sources
    out: OutFolder
    options: Annotated[AugmentOptions, FLAT] = field(default_factory=AugmentOptions)
    navsim_split: NavsimSplit = None
    training: Annotated[TrainingViewpointOptions, FLAT] = field(default_factory=TrainingViewpointOptions)
    workers: Workers = None
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = None
