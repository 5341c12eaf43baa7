"""Explanations of sub-scores below 1, in words."""

from dataclasses import dataclass

import numpy as np

from swerve.eval.scoring.comfort import QUANTITIES
from swerve.eval.scoring.score import Scores
from swerve.eval.scoring.sub_scores import METRIC_NAMES, Metric
from swerve.eval.scoring.thresholds import STEP
from swerve.scenes import ObjectClass

KINDS = ("while stopped", "a stopped track", "from behind", "with its front", "with its side")
CORNERS = ("front left", "rear left", "rear right", "front right")


@dataclass(frozen=True)
class Reason:
    """Cause of a sub-score below 1.

    Attributes:
        metric: name of the sub-score.
        value: the unfiltered sub-score.
        human_filtered: whether the human filter set it to 1.
        seconds: time of the event; None if it concerns the whole plan.
        text: description of the event.
    """

    metric: str
    value: float
    human_filtered: bool
    seconds: float | None
    text: str

    def __str__(self) -> str:
        """Return the reason as a phrase: "no_at_fault_collisions 0: at 2.1 s hits vehicle 7: from behind"."""
        when = "" if self.seconds is None else f"at {self.seconds:g} s "
        forgiven = " (counts as 1: the human does so too)" if self.human_filtered else ""
        return f"{self.metric} {self.value:.3g}: {when}{self.text}{forgiven}"


def reasons(scores: Scores, row: int) -> tuple[Reason, ...]:
    """Return one reason for every sub-score of a trajectory that is below 1.

    Args:
        scores: see `score`.
        row: the trajectory.
    """
    found = []
    for metric in Metric:
        value = float(scores.raw[row, metric])
        if value < 1.0:
            step, text = _EXPLAIN[metric](scores, row)
            seconds = None if step is None else round(step * STEP, 1)
            found.append(Reason(METRIC_NAMES[metric], value, bool(scores.human_filtered[metric]), seconds, text))
    return tuple(found)


def _track(scores: Scores, row: int, track: int) -> str:
    scoring_traffic = scores.scoring_traffic[row if len(scores.scoring_traffic) > 1 else 0]
    return f"{ObjectClass(scoring_traffic.classes[track]).name.lower()} {scoring_traffic.ids[track]}"


def _collision(scores: Scores, row: int) -> tuple[int, str]:
    _, step, track, kind = (int(value) for value in scores.sub_scores.collision[row])
    return step, f"hits {_track(scores, row, track)}: {KINDS[kind]}"


def _off_surface(scores: Scores, row: int) -> tuple[int, str]:
    step, corner = (int(value) for value in scores.sub_scores.off_surface[row])
    x, y = scores.states[row, step, :2]
    return step, f"{CORNERS[corner]} corner leaves the drivable surface, rear axle at ({x:.1f}, {y:.1f})"


def _wrong_way(scores: Scores, row: int) -> tuple[None, str]:
    return (
        None,
        f"drives {scores.sub_scores.wrong_way[row]:.1f} m within a second outside the route's lanes and intersections",
    )


def _light(scores: Scores, row: int) -> tuple[int, str]:
    step, light = (int(value) for value in scores.sub_scores.light[row])
    lights = scores.scoring_traffic[row if len(scores.scoring_traffic) > 1 else 0].lights
    return step, f"is in connector {lights.lane_ids[light]} while its light is red"


def _progress(scores: Scores, row: int) -> tuple[None, str]:
    made, best = scores.sub_scores.progress[row], scores.reference_sub_scores.progress[row]
    return None, f"makes {made:.1f} m along the route, the PDM-Closed reference {best:.1f} m"


def _ttc(scores: Scores, row: int) -> tuple[int, str]:
    step, track, ahead = (int(value) for value in scores.sub_scores.ttc[row])
    return step, f"would touch {_track(scores, row, track)} within {ahead * STEP:.1f} s"


def _lane(scores: Scores, row: int) -> tuple[int, str]:
    return int(scores.sub_scores.lane_left[row]), "has been more than 0.5 m off the centreline in 20 steps in a row"


def _comfort(scores: Scores, row: int) -> tuple[None, str]:
    broken = np.flatnonzero(~scores.sub_scores.comfort[row])
    return None, "exceeds the bounds of " + ", ".join(QUANTITIES[index] for index in broken)


_EXPLAIN = {
    Metric.NO_AT_FAULT_COLLISIONS: _collision,
    Metric.DRIVABLE_AREA_COMPLIANCE: _off_surface,
    Metric.DRIVING_DIRECTION_COMPLIANCE: _wrong_way,
    Metric.TRAFFIC_LIGHT_COMPLIANCE: _light,
    Metric.EGO_PROGRESS: _progress,
    Metric.TIME_TO_COLLISION_WITHIN_BOUND: _ttc,
    Metric.LANE_KEEPING: _lane,
    Metric.HISTORY_COMFORT: _comfort,
}
