"""Options of `swerve show`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import Config, Log


@dataclass(frozen=True)
class Show:
    """Render a contact sheet of a scene, a training set or a benchmark.

    Of a scene: all cameras, depth, classes, recovery and cross-agent viewpoints. Of a set of swerve augment or a
    benchmark of swerve build: what is in it, by kind of viewpoint, source, camera and scene, and some of its images.

    Prints one line, and writes OUT/sheet.png and OUT/index.html.

    Example: swerve show town:1 out/show --at 9

    Example: swerve show sets/town out/show-set

    Example: swerve show dgp:~/ddad_train_val/000000 out/ddad --photos

    Attributes:
        source: Logs, a training set, or a benchmark.
        out: Output folder.
        log: Name of the log.
        at: Time of the scene from the start of the log, in seconds; None: that of the first photo with 2 s before and
            5 s after it, or else the middle of the log.
        seed: Seed of the recovery viewpoints.
        photos: Of a source, also write OUT/photos/CAMERA-MILLISECONDS.jpg: every photo of the log with its boxes, and
            below with the raster of map, boxes and lights, at the photo's own time and pose; times are from the first.
        video: Of a source, also write OUT/scene.mp4, a film of the scene; needs the extra video.
        config: Options to start from.
    """

    source: Annotated[
        Positional[str],
        arg(
            metavar="SOURCE|SET|BENCHMARK",
            help="Logs, as in swerve info (town:COUNT, av2:PATH, ...); or a folder of swerve augment or swerve build.",
        ),
    ]
    out: Annotated[Positional[Path], arg(metavar="OUT", help="Folder for sheet.png and index.html.")]
    log: Log = None
    at: Annotated[float | None, arg(metavar="SECONDS")] = None
    seed: int = 0
    photos: bool = False
    video: bool = False
    config: Config = None
