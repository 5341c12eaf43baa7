"""Open-loop evaluation of all planners on one scene group, for pseudo-simulation and one-stage measures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from swerve.eval.benchmark.evaluate.evaluate_group import ProgressCallback, evaluate_group
from swerve.eval.benchmark.evaluate.results import PlannerResult
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.aggregate import COLUMNS, GroupTokens, pair_scores
from swerve.eval.scoring.pdms import pdms
from swerve.eval.scoring.thresholds import POSE_INTERVAL
from swerve.eval.scoring.trajectories import to_world
from swerve.eval.study.measures import displacement_errors, open_loop_scores
from swerve.eval.traffic.policy import Policy
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner, Trajectory
from swerve.scenes.randomness import keyed_generator
from swerve.scenes.transforms import wrap_angle

_COMFORT = COLUMNS.index("two_frame_extended_comfort")
_SECONDS = POSE_INTERVAL * np.arange(1, 9)


@dataclass(frozen=True)
class FramesPart:
    """The open-loop part of a StudyRecord; attributes as there."""

    stage_one: Float[np.ndarray, "p 2 8"]
    stage_one_raw: Float[np.ndarray, "p 2 8"]
    comfort_one: Float[np.ndarray, "p"]
    stage_two: Float[np.ndarray, "p k 2 8"]
    comfort_two: Float[np.ndarray, "p k"]
    ends: Float[np.ndarray, "p 2 4"]
    starts: Float[np.ndarray, "k 2 4"]
    open_loop: Float[np.ndarray, "p 4"]
    errors: tuple[str, ...]


def study_frames(
    scene_group: SceneGroup, planners: Mapping[str, Planner], policy: Policy, report: ProgressCallback | None = None
) -> FramesPart:
    """Run every planner on every scene of a scene group, and score the plans.

    Args:
        scene_group: the scene group.
        planners: by label.
        policy: traffic policy of the agents.
        report: progress callback.

    Raises:
        SwerveError: a scene cannot be scored, or a planner needs images that are not available.
    """
    evaluated = evaluate_group(scene_group, planners, policy, report)
    count = len(scene_group.group.pairs)
    metrics = np.stack([one.scenes.metrics.reshape(count, 2, -1) for one in evaluated])
    raw = np.stack([one.raw[:2] for one in evaluated])
    # Both scenes of a pair have the same comfort.
    scored = [pair_scores(one.scenes, [scene_group.group]).values for one in evaluated]
    comfort = np.stack([values[:, _COMFORT].reshape(count, 2)[:, 0] for values in scored])
    now = scene_group.scenes[scene_group.group.now]
    context = now.context(lane_following=False)
    return FramesPart(
        stage_one=metrics[:, 0],
        stage_one_raw=raw,
        comfort_one=comfort[:, 0],
        stage_two=metrics[:, 1:],
        comfort_two=comfort[:, 1:],
        ends=np.stack([_ends(one) for one in evaluated]),
        starts=starts_of(scene_group),
        open_loop=_open_loop(context, [one.plans[0] for one in evaluated]),
        errors=tuple(next(filter(None, one.errors), "") for one in evaluated),
    )


def starts_of(scene_group: SceneGroup) -> Float[np.ndarray, "k 2 4"]:
    """Return the starts of a scene group's follow-up scenes: rear axle (x, y), heading, longitudinal speed; world."""
    egos = [[scene_group.scenes[token].viewpoint.ego for token in pair] for pair in scene_group.group.follow_ups]
    rows = [
        [(*ego.positions[-1, :2], ego.headings[-1], np.hypot(*ego.velocity[-1, :2])) for ego in pair] for pair in egos
    ]
    return np.array(rows, dtype=float).reshape(len(rows), 2, 4)


def subsample_follow_ups(scene_group: SceneGroup, density: float, seed: int) -> SceneGroup:
    """Select a random share of a scene group's follow-up pairs, rounded, at least one; the same for the same seed.

    Raises:
        SwerveError: the share is not above 0 and at most 1.
    """
    if not 0.0 < density <= 1.0:
        raise SwerveError(f"density: {density:g} must be above 0 and at most 1")
    group = scene_group.group
    count = max(round(density * len(group.follow_ups)), 1)
    order = keyed_generator(seed, "density", group.now).permutation(len(group.follow_ups))
    kept = tuple(group.follow_ups[row] for row in sorted(order[:count]))
    return replace(scene_group, group=GroupTokens(group.now, group.before, kept))


def half_seconds(plan: Trajectory) -> Float[np.ndarray, "8 3"]:
    """Interpolate the plan's poses linearly at 0.5, 1, ..., 4 s."""
    seconds = plan.interval * np.arange(len(plan.poses) + 1)
    poses = np.concatenate([np.zeros((1, 3)), plan.poses])
    poses[:, 2] = np.unwrap(poses[:, 2])
    between = np.stack([np.interp(_SECONDS, seconds, column) for column in poses.T], axis=1)
    between[:, 2] = wrap_angle(between[:, 2])
    return between


def _ends(evaluated: PlannerResult) -> Float[np.ndarray, "2 4"]:
    """Return the ends of the plans of stage one; without a plan, the start at rest."""
    rows = []
    for row, plan in enumerate(evaluated.plans[:2]):
        origin = evaluated.origins[row]
        poses = np.zeros((8, 3)) if plan is None else half_seconds(plan)
        speed = np.hypot(*(poses[-1, :2] - poses[-2, :2])) / POSE_INTERVAL
        rows.append((*evaluated.scenes.ends[row], to_world(poses[-1], origin)[2], speed))
    return np.array(rows, dtype=float)


def _open_loop(context: Context, plans: Sequence[Trajectory | None]) -> Float[np.ndarray, "p 4"]:
    """Return columns as in measures.OPEN_LOOP; planners without a plan are excluded later."""
    if context.human is None:
        raise SwerveError(f"scene {context.token}: a study needs the human's trajectory, and this scene has none")
    made, values = [row for row, plan in enumerate(plans) if plan is not None], np.zeros((len(plans), 4))
    if made:
        poses = np.stack([half_seconds(plan) for plan in plans if plan is not None])
        errors = displacement_errors(poses, context.human)
        values[made] = np.column_stack([*errors, open_loop_scores(poses, context.human), pdms(context, poses).score])
    return values
