"""PDMS, the score of NAVSIM v1.1: NC * DAC * (5 EP + 5 TTC + 2 C) / 12.

It differs from EPDMS in more than its formula: time to collision is evaluated at all 41 steps, which needs 0.9 s more
of the log; comfort is evaluated without history, on the rear axle's accelerations; progress is compared after
multiplying. Written from reference/navsim.md, section (e); there are no golden values to compare with.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.comfort import comfort_bounds_kept_v1
from swerve.eval.scoring.score import simulate_all
from swerve.eval.scoring.sub_scores import Metric, SubScores, compute_sub_scores
from swerve.eval.scoring.thresholds import PROGRESS_FLOOR, PROGRESS_WEIGHT, TTC_WEIGHT, V1_COMFORT_WEIGHT
from swerve.eval.traffic.traffic import ScoringTraffic, without_contacts


@dataclass(frozen=True)
class PdmsScores:
    """PDMS of n trajectories, and its sub-scores.

    Attributes:
        no_at_fault_collisions: 0, 0.5 or 1.
        drivable_area_compliance: 0 or 1.
        ego_progress: 0 to 1.
        time_to_collision_within_bound: 0 or 1.
        comfort: 0 or 1.
        sub_scores: the causes; its progress, TTC and comfort metrics are those of the log's longer replay.
    """

    no_at_fault_collisions: Float[np.ndarray, "n"]
    drivable_area_compliance: Float[np.ndarray, "n"]
    ego_progress: Float[np.ndarray, "n"]
    time_to_collision_within_bound: Float[np.ndarray, "n"]
    comfort: Float[np.ndarray, "n"]
    sub_scores: SubScores

    @property
    def score(self) -> Float[np.ndarray, "n"]:
        """Return the PDMS."""
        weighted = PROGRESS_WEIGHT * self.ego_progress + TTC_WEIGHT * self.time_to_collision_within_bound
        weighted = weighted + V1_COMFORT_WEIGHT * self.comfort
        total = PROGRESS_WEIGHT + TTC_WEIGHT + V1_COMFORT_WEIGHT
        score: Float[np.ndarray, "n"] = self.no_at_fault_collisions * self.drivable_area_compliance * weighted / total
        return score


def pdms(context: Context, trajectories: Float[np.ndarray, "n k 3"]) -> PdmsScores:
    """Compute the PDMS of each trajectory, with PDM-Closed as progress reference; the log is replayed.

    Args:
        context: the scene.
        trajectories: rear-axle poses (x, y, heading) relative to now, every 0.5 s to 4 s.

    Raises:
        SwerveError: see `score`.
    """
    reference, states = simulate_all(context, trajectories)
    scoring_traffic = ScoringTraffic.of(without_contacts(context.long_traffic, context.ego_box), context.lights)
    sub_scores = compute_sub_scores(np.concatenate([reference, states]), context.scoring_map, scoring_traffic, None)
    product = (
        sub_scores.metrics[:, Metric.NO_AT_FAULT_COLLISIONS] * sub_scores.metrics[:, Metric.DRIVABLE_AREA_COMPLIANCE]
    )
    made = sub_scores.progress * product
    best = np.maximum(made[0], made[1:])
    share = np.where(best > PROGRESS_FLOOR, made[1:] / np.maximum(best, PROGRESS_FLOOR), product[1:] > 0)
    own = sub_scores.of(np.arange(1, len(states) + 1))
    return PdmsScores(
        own.metrics[:, Metric.NO_AT_FAULT_COLLISIONS],
        own.metrics[:, Metric.DRIVABLE_AREA_COMPLIANCE],
        share.astype(float),
        own.metrics[:, Metric.TIME_TO_COLLISION_WITHIN_BOUND],
        comfort_bounds_kept_v1(states).all(axis=1).astype(float),
        own,
    )
