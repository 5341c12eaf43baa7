"""Options of `swerve serve driver`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from swerve.eval.alpasim.driver_options import DriverOptions
from swerve.eval.planner_process.planner_limits import PlannerLimits
from swerve.options.shared import Config, PlannerOption
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class ServeDriver:
    """Serve a planner as a driver of AlpaSim (gRPC, egodriver.EgodriverService).

    AlpaSim, its challenge, and swerve drive --planners grpc://HOST:PORT connect to it. Each rollout is a session; any
    number run side by side, and the planner is called with one scene after the other, or with batches if it has
    plan_batch. Of the cameras that a session has, those are used that the planner declares, by name or else by role
    (front, front_left, ...); the driving command is that of the route. docs/alpasim.md has frames, and the container.

    Prints a line for each session that begins and ends, with its calls, late plans and failures, and a summary at the
    end (Ctrl-C or SIGTERM).

    Needs the extra alpasim (pip install 'PATH[alpasim]'). Connections are not encrypted.

    Example: swerve serve driver --planner runs/rap/planner.safetensors --port 6789

    Example: swerve serve driver --planner constant-velocity --host 0.0.0.0 --on-failure last-plan

    Attributes:
        planner: Planner.
        planner_option: Arguments of the planner.
        host: Address to listen on; 0.0.0.0 for all of this machine's.
        port: Port to listen on; 0 for any that is free.
        report: Also write a line of JSON for each session that ends to this file.
        options: Of sessions and drive calls.
        limits: Limits of planners that are not Swerve's own.
        config: Options to start from.
    """

    planner: Annotated[
        str,
        arg(
            metavar="PLANNER",
            help="NAME or module:Class or navsim:AGENT or FILE.safetensors, then ,key=value for arguments. Planners "
            "that are told of traffic and map (idm, pdm-closed) cannot be served; human drives as recorded.",
        ),
    ]
    planner_option: PlannerOption = ()
    host: str = "127.0.0.1"
    port: int = 6789
    report: Annotated[Path | None, arg(metavar="FILE.jsonl")] = None
    options: Annotated[DriverOptions, FLAT] = field(default_factory=DriverOptions)
    limits: Annotated[PlannerLimits, FLAT] = field(default_factory=PlannerLimits)
    config: Config = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SwerveError(f"port: {self.port} must lie in 0..65535")
