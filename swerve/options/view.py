"""Options of `swerve view`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import Config, Log
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class Shown:
    """Choice of a scene, of things that have several.

    Attributes:
        log: Name of the log: of a source, a training set, a benchmark or an output of swerve fit.
        at: Time from the start of the log, in seconds; of a source and of a roll-out. None: where there is most to see.
        scene: Of a benchmark the scene group, counted from 0; of an evaluation its place by score, the worst first; of
            an output of swerve drive the roll-out, the worst first.
        planner: Of an evaluation or an output of swerve drive: label of the planner whose scenes and weights are shown.
            Of a benchmark: a FILE.safetensors of swerve train rap, whose proposals are drawn by predicted and by exact
            score.
        splats: Of a source: folder that swerve fit made, whose splats are drawn into the scene.
        seed: Seed of the recovery viewpoints.
    """

    log: Log = None
    at: float | None = None
    scene: int = 0
    planner: Annotated[str | None, arg(metavar="LABEL|FILE")] = None
    splats: Annotated[Path | None, arg(metavar="FOLDER")] = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scene < 0:
            raise SwerveError(f"scene: {self.scene} must be 0 or more")


@dataclass(frozen=True)
class View:
    """Show a log, a training set, a benchmark, an evaluation, a roll-out or a splat scene in 3D, in the browser.

    SOURCE names logs as in swerve info, or an output: of augment (a sample per step), build (a scene group with its
    follow-up scenes by weight), evaluate (all planners' plans by score), drive (its worst roll-outs) or fit (splats).
    The page has the map with heights, boxes and their paths, the ego, its cameras with their images, LiDAR, splats,
    viewpoints, a time slider with play; a click on an object tells its numbers.

    Needs the extra view (pip install 'swerve[view]'). With --once OUT.png it writes one picture of the same instead,
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
    size: Annotated[tuple[int, int], arg(metavar="WIDTH HEIGHT")] = (1280, 720)
    host: str = "127.0.0.1"
    port: int = 8080
    config: Config = None

    def __post_init__(self) -> None:
        if not (160 <= self.size[0] <= 4096 and 120 <= self.size[1] <= 4096):
            raise SwerveError(f"size: {self.size[0]} {self.size[1]} must be 160 x 120 pixels or more, 4096 at most")
        if not 1 <= self.port <= 65535:
            raise SwerveError(f"port: {self.port} must lie in 1..65535")
