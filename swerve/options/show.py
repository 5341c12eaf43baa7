"""Options of `swerve show`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import Config, Log, Source


@dataclass(frozen=True)
class Show:
    """Render a contact sheet of a scene: all cameras, depth, classes, recovery and cross-agent viewpoints.

    Writes OUT/sheet.png and OUT/index.html.

    Example: swerve show town:1 out/show --at 9

    Attributes:
        source: Logs.
        out: Output folder.
        log: Name of the log.
        at: Time of the scene from the start of the log, in seconds; None: the first photo, or else the
            middle of the log.
        seed: Seed of the recovery viewpoints.
        config: Options to start from.
    """

    source: Source
    out: Annotated[Positional[Path], arg(metavar="OUT", help="Folder for sheet.png and index.html.")]
    log: Log = None
    at: float | None = None
    seed: int = 0
    config: Config = None
