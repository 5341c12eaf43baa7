"""Options of `swerve record`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import WRITES_FILE, Config, Shown
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class Record:
    """Record a log, a training set, a benchmark, an evaluation or a rollout for Rerun or Foxglove.

    Records what swerve view shows of the same SOURCE: 3D boxes, map, ego, cameras with images and depth, LiDAR,
    trajectories, viewpoints, and scores and speeds as time series. The file's ending chooses the format: .rrd for Rerun
    (extra rerun; it opens with its panels arranged: rerun OUT.rrd), .mcap for Foxglove and others (extra mcap).

    Example: swerve record town:1 out/town.rrd

    Example: swerve record results out/worst.mcap --planner idm

    Attributes:
        source: What to record.
        out: The file.
        shown: What of it.
        seconds: From and to, in seconds of the view; None: all.
        config: Options to start from.
    """

    source: Annotated[
        Positional[str],
        arg(metavar="SOURCE|FOLDER", help="Logs or an output, as in swerve view."),
    ]
    out: Annotated[Positional[Path], arg(metavar="OUT.rrd|OUT.mcap", help="The file to write."), WRITES_FILE]
    shown: Annotated[Shown, FLAT] = field(default_factory=Shown)
    seconds: Annotated[tuple[float, float] | None, arg(metavar="FROM TO")] = None
    config: Config = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0.0 <= self.seconds[0] <= self.seconds[1]:
            raise SwerveError(f"seconds: {self.seconds[0]:g} {self.seconds[1]:g} must rise, from 0 on")
