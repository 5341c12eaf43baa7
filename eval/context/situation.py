"""What is known of a moment by someone who sees perfectly: the input of rule-based planners."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.eval.scoring.sub_scores import ScoringMap
from swerve.eval.traffic.traffic_world import RedLights, Traffic


@dataclass(frozen=True)
class Situation:
    """A moment, in the log's world coordinates.

    Attributes:
        ego: state now, columns as in simulate.State.
        stage: the map around the ego, and the centreline of the route.
        traffic: tracks now; only the first step may be looked at.
        lights: red lights of the route now; only the first step may be looked at.
        speed_limit: of the ego's lane, m/s; None where unknown.
        human: where the logged driver was after 0.5, 1, ..., 4 s: poses relative to the ego's now; None where unknown.
    """

    ego: Float[np.ndarray, "11"]
    stage: ScoringMap
    traffic: Traffic
    lights: RedLights
    speed_limit: float | None
    human: Float[np.ndarray, "8 3"] | None = None
