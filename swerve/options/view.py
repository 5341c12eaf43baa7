"""Options of `swerve view`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import Config, Shown
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT, PictureSize


@dataclass(frozen=True)
class View:
    """Show a log, a training set, a benchmark, an evaluation, a rollout or a splat scene in 3D, in the browser.

    SOURCE names logs as in swerve info, or an output: of augment (a sample per step), build (a scene group with its
    follow-up scenes by weight), evaluate (all planners' plans by score), drive (its worst rollouts) or fit (splats).
    The page has the map with heights, boxes and their paths, the ego, its cameras with their images, LiDAR, splats,
    viewpoints, a time slider with play; a click on an object tells its numbers.

    Needs the extra view (pip install 'PATH[view]'). With --once OUT.png it writes one picture of the same instead,
    without a browser, a display or a GPU.

    The viewer listens on this machine alone. To see it from another one, forward the port and open
    http://localhost:8080 there: ssh -L 8080:localhost:8080 HOST. On a cluster, forward to the node that runs it:
    ssh -L 8080:NODE:8080 LOGIN-HOST, and add --host 0.0.0.0, with which everybody who reaches the node can look.

    Example: swerve view town:1

    Example: swerve view results --planner idm --scene 2

    Example: swerve view av2:~/av2 --splats splats --once out/view.png

    Attributes:
        source: What to show.
        shown: What of it.
        once: Write one picture to this file, and end.
        size: Width and height of the 3D part of this picture, in pixels.
        host: Address that the viewer listens on.
        port: Port that the viewer listens on; if it is taken, the next free one.
        config: Options to start from.
    """

    source: Annotated[
        Positional[str],
        arg(
            metavar="SOURCE|FOLDER",
            help="Logs, as in swerve info (town:COUNT, av2:PATH, ...); or a folder of swerve augment, build, evaluate, "
            "drive or fit; or one of the files in the rollouts of swerve drive.",
        ),
    ]
    shown: Annotated[Shown, FLAT] = field(default_factory=Shown)
    once: Annotated[Path | None, arg(metavar="OUT.png")] = None
    size: PictureSize = (1280, 720)
    host: str = "127.0.0.1"
    port: int = 8080
    config: Config = None

    def __post_init__(self) -> None:
        if not (160 <= self.size[0] <= 4096 and 120 <= self.size[1] <= 4096):
            raise SwerveError(f"size: {self.size[0]} {self.size[1]} must be 160 x 120 pixels or more, 4096 at most")
        if not 1 <= self.port <= 65535:
            raise SwerveError(f"port: {self.port} must lie in 1..65535")
