"""Replay of recorded plans: scores a plan again to locate the causes of its sub-scores."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import shapely
from jaxtyping import Float

from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.context.scene_context import Context
from swerve.eval.report.ranking import SceneRow
from swerve.eval.scoring.reasons import Reason, reasons
from swerve.eval.scoring.score import Scores, score
from swerve.eval.scoring.sub_scores import METRIC_NAMES, Metric
from swerve.eval.scoring.thresholds import AXLE_TO_CENTER, HALF_LENGTH, HALF_WIDTH
from swerve.eval.scoring.trajectories import to_world
from swerve.eval.traffic.policy import Policy
from swerve.eval.traffic.traffic import ScoringTraffic
from swerve.scenes.tracks import box_footprints

# Longer names of tracks are digests, which are truncated.
_LONGEST = 20


@dataclass(frozen=True)
class Event:
    """Cause and location of a sub-score below 1.

    Attributes:
        reason: the cause.
        place: position (world); None if it concerns the whole plan.
        step: time in steps of 0.1 s; None likewise.
        track: row of the other agent involved; None if there is none.
        track_step: step of that agent's box: with time to collision, that of the predicted contact.
        text: description for people: long ids are truncated, and coordinates left out.
    """

    reason: Reason
    place: Float[np.ndarray, "2"] | None = None
    step: int | None = None
    track: int | None = None
    track_step: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Replay:
    """A scored scene. All poses are (x, y, heading) of the rear axle in world coordinates.

    Attributes:
        benchmark_scene: the scene.
        row: the recorded result.
        context: scoring context of the scene.
        plan: planned poses; empty if the planner failed.
        path: simulated poses every 0.1 s; empty if the planner failed.
        scoring_traffic: the other agents around the simulated ego; if the planner failed, as in the log.
        events: causes of sub-scores below 1.
    """

    benchmark_scene: BenchmarkScene
    row: SceneRow
    context: Context
    plan: Float[np.ndarray, "k 3"]
    path: Float[np.ndarray, "t 3"]
    scoring_traffic: ScoringTraffic
    events: tuple[Event, ...]

    @property
    def numbered(self) -> dict[int, Event]:
        """Return the events with a position, by their number in the image."""
        return dict(enumerate((event for event in self.events if event.place is not None), 1))


def replay(benchmark_scene: BenchmarkScene, row: SceneRow, context: Context, policy: Policy) -> Replay:
    """Score the recorded plan again.

    Args:
        benchmark_scene: the scene.
        row: the recorded result of the planner in it.
        context: scoring context of the scene.
        policy: traffic policy of the evaluation.
    """
    nowhere = np.zeros((0, 3))
    if row.failed:
        scoring_traffic = ScoringTraffic.of(context.traffic, context.lights)
        return Replay(benchmark_scene, row, context, nowhere, nowhere, scoring_traffic, ())
    scores = score(context, row.plan[None], policy=policy, interval=row.interval)
    plan, path = to_world(row.plan, context.ego[:3]), scores.states[0, :, :3]
    events = tuple(_event(scores, reason) for reason in reasons(scores, 0))
    return Replay(benchmark_scene, row, context, plan, path, scores.scoring_traffic[0], events)


def _event(scores: Scores, reason: Reason) -> Event:
    place_of = _PLACES.get(Metric(METRIC_NAMES.index(reason.metric)))
    event = Event(reason) if place_of is None else place_of(scores, reason)
    text = reason.text.partition(", rear axle at")[0]
    if event.track is not None:
        name = scores.scoring_traffic[0].ids[event.track]
        text = text.replace(name, name if len(name) <= _LONGEST else name[:8])
    return replace(event, text=text)


def _collision(scores: Scores, reason: Reason) -> Event:
    _, step, track, _ = (int(value) for value in scores.sub_scores.collision[0])
    other = footprint_of(scores.scoring_traffic[0].boxes[step, track])
    return Event(reason, _contact(ego_footprints(scores.states[0, step : step + 1])[0], other), step, track, step)


def _ttc(scores: Scores, reason: Reason) -> Event:
    step, track, ahead = (int(value) for value in scores.sub_scores.ttc[0])
    contact = min(step + ahead, len(scores.states[0]) - 1)
    return Event(reason, _front(scores, step), step, track, contact)


def _off_surface(scores: Scores, reason: Reason) -> Event:
    step, corner = (int(value) for value in scores.sub_scores.off_surface[0])
    return Event(reason, ego_footprints(scores.states[0, step : step + 1])[0, corner], step)


def _light(scores: Scores, reason: Reason) -> Event:
    step = int(scores.sub_scores.light[0, 0])
    return Event(reason, _front(scores, step), step)


def _lane(scores: Scores, reason: Reason) -> Event:
    step = int(scores.sub_scores.lane_left[0])
    return Event(reason, scores.states[0, step, :2], step)


_PLACES: dict[Metric, Callable[[Scores, Reason], Event]] = {
    Metric.NO_AT_FAULT_COLLISIONS: _collision,
    Metric.DRIVABLE_AREA_COMPLIANCE: _off_surface,
    Metric.TRAFFIC_LIGHT_COMPLIANCE: _light,
    Metric.TIME_TO_COLLISION_WITHIN_BOUND: _ttc,
    Metric.LANE_KEEPING: _lane,
}


def ego_footprints(poses: Float[np.ndarray, "t c"]) -> Float[np.ndarray, "t 4 2"]:
    """Return the corners of the scored vehicle (front left, rear left, rear right, front right) at rear-axle poses."""
    direction = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], axis=1)
    size = np.broadcast_to([2 * HALF_LENGTH, 2 * HALF_WIDTH], (len(poses), 2))
    return box_footprints(poses[:, :2] + AXLE_TO_CENTER * direction, poses[:, 2], size)


def footprint_of(box: Float[np.ndarray, "6"]) -> Float[np.ndarray, "4 2"]:
    """Return the corners of a box (x, y, cos, sin, half length, half width)."""
    return box_footprints(box[:2], np.asarray(np.arctan2(box[3], box[2])), 2 * box[4:])


def _front(scores: Scores, step: int) -> Float[np.ndarray, "2"]:
    """Return the centre of the simulated vehicle's front bumper."""
    corners = ego_footprints(scores.states[0, step : step + 1])[0]
    front: Float[np.ndarray, "2"] = (corners[0] + corners[3]) / 2
    return front


def _contact(one: Float[np.ndarray, "4 2"], other: Float[np.ndarray, "4 2"]) -> Float[np.ndarray, "2"]:
    """Return the centroid of the intersection of two boxes that touch."""
    middle = shapely.Polygon(one).intersection(shapely.Polygon(other)).centroid
    if middle.is_empty:  # they touch within rounding only
        touching: Float[np.ndarray, "2"] = (one.mean(axis=0) + other.mean(axis=0)) / 2
        return touching
    return np.array([middle.x, middle.y])
