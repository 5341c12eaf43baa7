"""Options of `swerve export 123d`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import Config, Logs, Source


@dataclass(frozen=True)
class Export123d:
    """Write logs as 123D's Arrow files, to use them with py123d and what builds on it.

    Each log becomes a folder ROOT/logs/SPLIT/LOG with its map, images and LiDAR in it: set PY123D_DATA_ROOT=ROOT for
    py123d, or open 123d:ROOT with Swerve. Logs that are there already are not written again. docs/sources.md says what
    stays equal.

    Exit code: 0; 2 if a log cannot be read or expressed in 123D.

    Example: swerve export 123d av2:~/av2/val exported

    Example: swerve export 123d town:3 exported --logs town-000001

    Attributes:
        source: Source.
        out: Output folder.
        logs: Logs.
        config: Options to start from.
    """

    source: Source
    out: Annotated[
        Positional[Path], arg(metavar="ROOT", help="Output folder, 123D's PY123D_DATA_ROOT; logs are added to it.")
    ]
    logs: Logs = ()
    config: Config = None
