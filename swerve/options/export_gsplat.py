"""Options of `swerve export gsplat`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.data.export_gsplat.gsplat_options import GsplatOptions
from swerve.options.shared import WRITES_FILE, Config, Log, Source
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class ExportGsplat:
    """Write a log's photos, poses and LiDAR points as the NPZ file that gsplat's trainer for driving scenes reads.

    Then, in gsplat's folder: python examples/av_trainer.py --scene OUT.npz. Images are pinhole images of one size;
    points get the brightness of the photos that show them, from which the trainer's Gaussians start. Towns have
    synthetic photos, and no LiDAR. docs/fit.md has the arrays.

    Example: swerve export gsplat dgp:~/ddad_train_val/000000 ddad.npz --image-scale 0.25

    Attributes:
        source: Logs.
        out: The file.
        log: Name of the log.
        options: The scene.
        config: Options to start from.
    """

    source: Source
    out: Annotated[Positional[Path], arg(metavar="OUT.npz", help="The file to write."), WRITES_FILE]
    log: Log = None
    options: Annotated[GsplatOptions, FLAT] = field(default_factory=GsplatOptions)
    config: Config = None
