"""Options of `swerve score`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.eval.scoring.weighting import Weighting
from swerve.eval.traffic.policy import Policy
from swerve.options.shared import WRITES_FILE, Config, Log, Source


@dataclass(frozen=True)
class Score:
    """Score trajectories of a file as NAVSIM does: EPDMS in one stage, or in two stages with a benchmark file.

    Tokens are those of the neutral log file; for other sources, the timestamp of the scene in microseconds.

    Example: swerve score neutral:log.json trajectories.json scores.csv

    Attributes:
        source: Logs.
        trajectories: Trajectories.
        out: Output file.
        log: Name of the log.
        name: Name of the trajectory, where the file has several per token.
        benchmark: Two-stage benchmark file; the source has its logs.
        traffic: How annotated agents move.
        weighting: Weights of follow-up scenes.
        config: Options to start from.
    """

    source: Source
    trajectories: Annotated[
        Positional[Path],
        arg(metavar="TRAJECTORIES", help="JSON file: token to poses [x, y, heading] every 0.5 s in the ego frame."),
    ]
    out: Annotated[Positional[Path], arg(metavar="OUT", help="Table of scores, .csv or .parquet."), WRITES_FILE]
    log: Log = None
    name: Annotated[str | None, arg(metavar="NAME")] = None
    benchmark: Annotated[Path | None, arg(metavar="FILE")] = None
    traffic: Policy = "log-replay"
    weighting: Weighting = "navsim-exact"
    config: Config = None
