"""Options of `swerve contexts`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from swerve.options.shared import Config, Dataset, NavsimSplit, On, OutFolder, Part, ProgressForm, Sources, Workers


@dataclass(frozen=True)
class Contexts:
    """Prepare a training set for scoring in the training loop: the scoring context of every sample.

    Recovery and cross-agent samples have contexts from their own viewpoints; docs/stream.md describes them. A job that
    was stopped or killed is resumed by the same command.

    Exit code: 0; 1 if a log failed; 2 if the job could not run.

    Example: swerve contexts av2:~/av2/train ~/sets/av2 ~/sets/av2-contexts

    Attributes:
        sources: Logs of the set.
        dataset: Training set.
        out: Output folder.
        navsim_split: NAVSIM split that the set was made of, if any.
        visited: Folder of swerve drive --record that the set was made with, if it has visited viewpoints.
        workers: Worker processes.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    sources: Sources
    dataset: Dataset
    out: OutFolder
    navsim_split: NavsimSplit = None
    visited: Annotated[Path | None, arg(metavar="FOLDER")] = None
    workers: Workers = None
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = None
