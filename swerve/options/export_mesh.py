"""Options of `swerve export mesh`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.options.shared import WRITES_FILE, Config, Log, Source


@dataclass(frozen=True)
class ExportMesh:
    """Write a scene's primitives as a mesh, for Blender, MeshLab, Open3D or a web page.

    The mesh has the map with its heights, the boxes of agents, the ego and traffic lights at one time, in colours. The
    file's ending chooses the format: .glb (binary glTF; y up, as it asks, with a node each for map, agents, lights and
    ego) or .ply (z up, the log's world frame). Lengths are metres.

    Example: swerve export mesh town:1 out/town.glb --at 9

    Attributes:
        source: Logs.
        out: The file.
        log: Name of the log.
        at: Time from the start of the log, in seconds; None: the middle.
        config: Options to start from.
    """

    source: Source
    out: Annotated[Positional[Path], arg(metavar="OUT.glb|OUT.ply", help="The file to write."), WRITES_FILE]
    log: Log = None
    at: Annotated[float | None, arg(metavar="SECONDS")] = None
    config: Config = None
