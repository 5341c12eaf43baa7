"""Options of `swerve serve renderer`."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from swerve.eval.benchmark.build_options import ViewKind
from swerve.options.shared import Config, Source, Splats
from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class ServeRenderer:
    """Serve logs as a renderer of AlpaSim (gRPC, nre.grpc.protos.sensorsim.SensorsimService).

    Scenes are the logs of SOURCE, by their names; a scene's local frame is its log's world frame. Images show the map,
    the objects that a request names, where it has them, and those that never move. docs/alpasim.md says what else of
    AlpaSim is needed.

    Needs the extra alpasim (pip install 'PATH[alpasim]'). Connections are not encrypted. Ctrl-C ends it.

    Example: swerve serve renderer town:4 --port 6790

    Example: swerve serve renderer av2:~/av2 --views splat --splats splats

    Attributes:
        source: Logs.
        views: Images to render: raster, photo (generated towns only: synthetic photos) or splat.
        splats: Splat scenes.
        seed: Seed of the weather in synthetic photos.
        host: Address to listen on; 0.0.0.0 for all of this machine's.
        port: Port to listen on; 0 for any that is free.
        threads: Most requests that are answered at once.
        config: Options to start from.
    """

    source: Source
    views: ViewKind = "raster"
    splats: Splats = None
    seed: int = 0
    host: str = "127.0.0.1"
    port: int = 6790
    threads: Annotated[int, arg(metavar="COUNT")] = 16
    config: Config = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SwerveError(f"port: {self.port} must lie in 0..65535")
        if not 1 <= self.threads <= 1000:
            raise SwerveError(f"threads: {self.threads} must lie in 1..1000")
