"""Options of `swerve probe`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.data.dataset.augment_options import StyleName
from swerve.options.shared import REQUIRED, WRITES_FILE, Config, unset
from swerve.scenes.split import Split


@dataclass(frozen=True)
class Probe:
    """Measure raster-to-real alignment: how similar a planner's features of photos and of rasters are.

    The distance is between features of the same patch in both images: 0 is none, 1 is that of unrelated patches; next
    to it is the distance to rasters of other images. The accuracies are those of linear classifiers of
    photos and rasters, on held-out images: 0.5 is chance. docs/alignment.md defines them. Needs the extra `torch`.

    Example: swerve probe with.safetensors without.safetensors probe.json --on sets/town waymo:frame.tfrecord

    Attributes:
        planners: Trained planners.
        out: Output file.
        on: Images to measure on: finished training sets with photos, or sources whose logs have photos.
        split: Split of the samples, for training sets.
        most: Samples of a training set, or photos of each camera of a log, at most.
        cameras: Names of the cameras; with none: the planner's for training sets, all for logs.
        style: Colours of the rasters that are rendered for a log's photos.
        untrained: Also measure the initial weights of the planners.
        config: Options to start from.
    """

    planners: Annotated[
        Positional[tuple[str, ...]],
        arg(
            metavar="PLANNER...",
            help="Trained planners: FILE.safetensors of swerve train, or NAME=FILE.",
            help_behavior_hint=REQUIRED,
        ),
    ]
    out: Annotated[Positional[Path], arg(metavar="OUT", help="JSON file for all numbers."), WRITES_FILE]
    on: Annotated[tuple[str, ...], arg(metavar="SET|SOURCE...")]
    split: Split = "test"
    most: int = 100
    cameras: Annotated[tuple[str, ...], arg(help_behavior_hint=unset("default: as above"))] = ()
    style: StyleName = "rap"
    untrained: bool = True
    config: Config = None
