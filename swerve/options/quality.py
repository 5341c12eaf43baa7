"""Options of `swerve quality`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.options.shared import Config, Logs, Sources
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class Quality:
    """Measure splat views against photos and rasters, on the logged path and off it.

    Renders all held-out photos, and poses up to 2 m beside them, 5 m ahead and turned by 10 degrees. Depth, vehicles
    and holes are compared with the raster of the same pose, colours with the photos, which generated towns have for
    every pose. Vehicles' boxes and lane lines are compared with those that the annotations project (after NTA-IoU and
    NTL-IoU): by labels and brightness, or by a detector of your own. The gate tells which views are fit for use.
    docs/splat_quality.md defines the measures.

    Example: swerve quality town:3 splats splats/quality

    Example: swerve quality av2:~/av2 splats splats/quality --detector my_detector:Yolo,weights=yolo11n.onnx

    Attributes:
        sources: The sources that the scenes were fitted to.
        splats: Splat scenes.
        out: Output folder.
        logs: Names of the logs.
        scene_interval: Time between the poses off the path, in seconds.
        gate: Thresholds of the gate.
        lpips: Also measure LPIPS, if the extra `lpips` is installed.
        detector: Your own class with one or more of the methods vehicles(image), lines(image) and features(image);
            docs/splat_quality.md has an example. None: labels and brightness tell vehicles and lines.
        config: Options to start from.
    """

    sources: Sources
    splats: Annotated[Positional[Path], arg(metavar="SPLATS", help="Folder that swerve fit made.")]
    out: Annotated[Positional[Path], arg(metavar="OUT", help="Folder for a page and the numbers of each log.")]
    logs: Logs = ()
    scene_interval: float = 2.0
    gate: Annotated[GateOptions, FLAT] = field(default_factory=GateOptions)
    lpips: bool = True
    detector: Annotated[str | None, arg(metavar="MODULE:CLASS[,KEY=TEXT...]")] = None
    config: Config = None

    def __post_init__(self) -> None:
        if not 0.0 < self.scene_interval <= 3600.0:
            raise SwerveError(f"scene_interval: {self.scene_interval:g} must be above 0 s, and 3600 s at most")
