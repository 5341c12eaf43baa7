"""A planner's frame told again: scored once more, to see where in it, and with whom, things went wrong."""

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
from swerve.eval.traffic.traffic_world import World
from swerve.scenes.tracks import box_footprints

# Longer names of tracks are digests, of which a few letters will do.
_LONGEST = 20


@dataclass(frozen=True)
class Event:
    """Why a sub-score is below 1, and where.

    Attributes:
        reason: what happened.
        place: where (world); None where it is about the whole plan.
        step: when, in steps of 0.1 s; None likewise.
        track: row of the world of the other who took part; None where nobody did.
        track_step: the other's moment: with time to collision, that of the contact to be.
        text: what happened, for people: names that only machines tell apart are cut short, and coordinates left out.
    """

    reason: Reason
    place: Float[np.ndarray, "2"] | None = None
    step: int | None = None
    track: int | None = None
    track_step: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Replay:
    """A frame as the scorer saw it. All poses are (x, y, heading) of the rear axle in world coordinates.

    Attributes:
        frame: the scene.
        row: what was recorded.
        context: the scene, ready to score.
        plan: where the planner wanted to be; empty where it failed.
        path: where the simulated car was, every 0.1 s; empty where the planner failed.
        world: the others, as they drove beside that car; where the planner failed, as in the log.
        events: why sub-scores are below 1.
    """

    frame: BenchmarkScene
    row: SceneRow
    context: Context
    plan: Float[np.ndarray, "k 3"]
    path: Float[np.ndarray, "t 3"]
    world: World
    events: tuple[Event, ...]

    @property
    def numbered(self) -> dict[int, Event]:
        """Events that have a place, by the number that they carry in the picture."""
        return dict(enumerate((event for event in self.events if event.place is not None), 1))


def replay(frame: BenchmarkScene, row: SceneRow, context: Context, policy: Policy) -> Replay:
    """Scores the recorded plan once more.

    Args:
        frame: the scene.
        row: what was recorded of the planner in it.
        context: the same scene, ready to score.
        policy: how the others drove in the evaluation.
    """
    nowhere = np.zeros((0, 3))
    if row.failed:
        world = World.of(context.traffic, context.lights)
        return Replay(frame, row, context, nowhere, nowhere, world, ())
    scores = score(context, row.plan[None], policy=policy, interval=row.interval)
    plan, path = to_world(row.plan, context.ego[:3]), scores.states[0, :, :3]
    events = tuple(_event(scores, reason) for reason in reasons(scores, 0))
    return Replay(frame, row, context, plan, path, scores.worlds[0], events)


def _event(scores: Scores, reason: Reason) -> Event:
    place_of = _PLACES.get(Metric(METRIC_NAMES.index(reason.metric)))
    event = Event(reason) if place_of is None else place_of(scores, reason)
    text = reason.text.partition(", rear axle at")[0]
    if event.track is not None:
        name = scores.worlds[0].ids[event.track]
        text = text.replace(name, name if len(name) <= _LONGEST else name[:8])
    return replace(event, text=text)


def _collision(scores: Scores, reason: Reason) -> Event:
    _, step, track, _ = (int(value) for value in scores.judgement.collision[0])
    other = footprint_of(scores.worlds[0].boxes[step, track])
    return Event(reason, _contact(ego_footprints(scores.states[0, step : step + 1])[0], other), step, track, step)


def _ttc(scores: Scores, reason: Reason) -> Event:
    step, track, ahead = (int(value) for value in scores.judgement.ttc[0])
    contact = min(step + ahead, len(scores.states[0]) - 1)
    return Event(reason, _front(scores, step), step, track, contact)


def _off_surface(scores: Scores, reason: Reason) -> Event:
    step, corner = (int(value) for value in scores.judgement.off_surface[0])
    return Event(reason, ego_footprints(scores.states[0, step : step + 1])[0, corner], step)


def _light(scores: Scores, reason: Reason) -> Event:
    step = int(scores.judgement.light[0, 0])
    return Event(reason, _front(scores, step), step)


def _lane(scores: Scores, reason: Reason) -> Event:
    step = int(scores.judgement.lane_left[0])
    return Event(reason, scores.states[0, step, :2], step)


_PLACES: dict[Metric, Callable[[Scores, Reason], Event]] = {
    Metric.NO_AT_FAULT_COLLISIONS: _collision,
    Metric.DRIVABLE_AREA_COMPLIANCE: _off_surface,
    Metric.TRAFFIC_LIGHT_COMPLIANCE: _light,
    Metric.TIME_TO_COLLISION_WITHIN_BOUND: _ttc,
    Metric.LANE_KEEPING: _lane,
}


def ego_footprints(poses: Float[np.ndarray, "t c"]) -> Float[np.ndarray, "t 4 2"]:
    """Corners of the scored car (front left, rear left, rear right, front right) at rear-axle poses (x, y, heading)."""
    direction = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], axis=1)
    size = np.broadcast_to([2 * HALF_LENGTH, 2 * HALF_WIDTH], (len(poses), 2))
    return box_footprints(poses[:, :2] + AXLE_TO_CENTER * direction, poses[:, 2], size)


def footprint_of(box: Float[np.ndarray, "6"]) -> Float[np.ndarray, "4 2"]:
    """Corners of a box (x, y, cos, sin, half length, half width)."""
    return box_footprints(box[:2], np.asarray(np.arctan2(box[3], box[2])), 2 * box[4:])


def _front(scores: Scores, step: int) -> Float[np.ndarray, "2"]:
    """The middle of the simulated car's front bumper."""
    corners = ego_footprints(scores.states[0, step : step + 1])[0]
    return (corners[0] + corners[3]) / 2


def _contact(one: Float[np.ndarray, "4 2"], other: Float[np.ndarray, "4 2"]) -> Float[np.ndarray, "2"]:
    """The middle of what two boxes share; they touch."""
    middle = shapely.Polygon(one).intersection(shapely.Polygon(other)).centroid
    if middle.is_empty:  # they touch within rounding alone
        return (one.mean(axis=0) + other.mean(axis=0)) / 2
    return np.array([middle.x, middle.y])
