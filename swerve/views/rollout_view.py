"""3D view of a rollout that `swerve drive` stored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from swerve.eval.closed_loop.rollout_image import MULTIPLIED
from swerve.eval.closed_loop.rollout_record import RecordedReason, RolloutRecord, load_rollout
from swerve.scenes import Log
from swerve.scenes.transforms import pose_from_yaw, transform_points
from swerve.views.log_view import LIFT, log_view
from swerve.viz.scene_view import Curve, Marker3D, Path3D, SceneView3D

_HUMAN, _DRIVEN, _PLAN, _EVENT = (255, 255, 255), (255, 150, 60), (92, 214, 163), (255, 93, 108)


def rollout_view(path: Path) -> SceneView3D:
    """Describe a stored rollout.

    Raises:
        SwerveError: the file is none, damaged, or of another version.
    """
    return view_of_rollout(load_rollout(path), path.name)


def view_of_rollout(record: RolloutRecord, source: str) -> SceneView3D:
    """Describe a rollout: the driven path among the simulated agents, every plan, and what cost the score.

    Args:
        record: the rollout.
        source: text that names where it is from.
    """
    log = record.log
    plain = log_view(log, source, worst_step(record))
    lost = "; ".join(_reason_text(reason) for reason in record.reasons) or "nothing lost"
    text = (
        f"{source}: score {record.score:.3f}: {record.error or lost}. Orange: driven. White: the human. Green: the "
        "plan of the moment. Red: where a sub-score was lost."
    )
    driven = [replace(one, name="driven path", group="driven path", color=_DRIVEN) for one in plain.paths[:1]]
    return replace(
        plain,
        title=f"{record.planner} in {log.name}, scene {record.token}",
        text=text,
        paths=(*driven, *_human_path(record), *plan_paths(record), *plain.paths[1:]),
        markers=event_markers(record),
        curves=(*score_curves(record), *plain.curves),
    )


def worst_step(record: RolloutRecord) -> int:
    """Return the step of the first event that made the score 0; else the last."""
    known = [reason for reason in record.reasons if reason.value == 0.0 and reason.seconds is not None]
    fatal = [reason.seconds for reason in known if reason.metric in MULTIPLIED and reason.seconds is not None]
    return _step_at(record, min(fatal)) if fatal else len(record.log.times_us) - 1


def _step_at(record: RolloutRecord, seconds: float) -> int:
    times = (record.log.times_us - record.log.times_us[0]) * 1e-6
    return int(np.abs(times - seconds).argmin())


def _human_path(record: RolloutRecord) -> tuple[Path3D, ...]:
    if len(record.human) < 2:
        return ()
    points = on_ground(record.log, record.human[:, :2])
    return (Path3D("human's path", "human's path", points, _HUMAN, 0.12, {"path": "the human's"}),)


def on_ground(log: Log, points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 3"]:
    """Return points a little above the ground of a log's map, or above the ego's ground without one."""
    ground = None if log.road_map is None else log.road_map.ground
    heights = np.full(len(points), log.ego.positions[0, 2]) if ground is None else ground.at(points)
    return np.column_stack([points, heights + LIFT])


def plan_paths(record: RolloutRecord) -> list[Path3D]:
    """Return the plans, each shown until the next one."""
    starts = [_step_at(record, plan.seconds) for plan in record.plans]
    ends = [*(start - 1 for start in starts[1:]), len(record.log.times_us) - 1]
    found = []
    for number, (plan, start, end) in enumerate(zip(record.plans, starts, ends, strict=True)):
        pose = pose_from_yaw(record.log.ego.positions[start], float(record.log.ego.headings[start]))
        flat = np.concatenate([np.zeros((1, 3)), np.column_stack([plan.poses[:, :2], np.zeros(len(plan.poses))])])
        points = on_ground(record.log, transform_points(pose, flat)[:, :2]) + np.array([0.0, 0.0, 0.08])
        facts = {"plan": f"at {plan.seconds:.1f} s", "length": f"{plan.interval * len(plan.poses):.1f} s"}
        found.append(Path3D(f"plan {number}", "plans", points, _PLAN, 0.2, facts, (start, max(end, start))))
    return found


def event_markers(record: RolloutRecord) -> tuple[Marker3D, ...]:
    """Return where the ego was when a sub-score was lost."""
    found, vehicle = [], record.log.vehicle
    for number, reason in enumerate(record.reasons):
        if reason.seconds is None:
            continue
        step = _step_at(record, reason.seconds)
        pose = record.log.ego.world_from_ego[step]
        center = (pose @ np.array([vehicle.rear_axle_to_center, 0.0, 0.2, 1.0]))[:3]
        size = np.array([vehicle.length + 0.6, vehicle.width + 0.6, 0.4])
        facts = {"event": reason.metric.replace("_", " "), "sub-score": f"{reason.value:.2f}", "what": reason.text}
        heading = float(record.log.ego.headings[step])
        found.append(Marker3D(f"event {number}", "events", center, heading, size, _EVENT, facts))
    return tuple(found)


def score_curves(record: RolloutRecord) -> tuple[Curve, ...]:
    """Return sub-scores that were lost at some moment: 1 until then, their value from then on."""
    steps, found = len(record.log.times_us), dict[str, Float[np.ndarray, "t"]]()
    for reason in record.reasons:
        if reason.seconds is not None:
            values = found.setdefault(reason.metric, np.ones(steps))
            values[_step_at(record, reason.seconds) :] = reason.value
    return tuple(Curve(name.replace("_", " "), values) for name, values in found.items())


def _reason_text(reason: RecordedReason) -> str:
    return reason.text if reason.seconds is None else f"{reason.seconds:.1f} s: {reason.text}"
