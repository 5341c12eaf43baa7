"""Ground-truth input of privileged, rule-based planners."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.eval.scoring.sub_scores import ScoringMap
from swerve.eval.traffic.traffic import RedLights, Traffic


@dataclass(frozen=True)
class PrivilegedInput:
    """The ground truth of a scene now, in the log's world coordinates.

    Attributes:
        ego: current ego state, columns as in simulate.State.
        scoring_map: the map around the ego, and the centreline of the route.
        traffic: current tracks; only the first step may be used.
        lights: current red lights of the route; only the first step may be used.
        speed_limit: of the ego's lane, m/s; None where unknown.
        human: the human's poses after 0.5, 1, ..., 4 s, relative to the current ego pose; None if unknown.
    """

    ego: Float[np.ndarray, "11"]
    scoring_map: ScoringMap
    traffic: Traffic
    lights: RedLights
    speed_limit: float | None
    human: Float[np.ndarray, "8 3"] | None = None
