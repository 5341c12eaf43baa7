"""Evaluation of planners on one scene group: observations, plans, scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, call_observed
from swerve.eval.benchmark.evaluate.observations import observations_of
from swerve.eval.benchmark.evaluate.results import PlannerResult, SceneResults
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup, SceneViews
from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.aggregate import ScoredScenes
from swerve.eval.scoring.reasons import Reason, reasons
from swerve.eval.scoring.score import Scores, score
from swerve.eval.scoring.simulate import State
from swerve.eval.scoring.sub_scores import Metric
from swerve.eval.scoring.thresholds import STEPS
from swerve.eval.scoring.trajectories import planned_end
from swerve.eval.traffic.policy import Policy
from swerve.scenes.planning import Planner, Trajectory

# Scenes whose contexts and images are in memory at once, and a planner's largest batch.
_BATCH = 16
# Called before each stage with the current token and planner, and the completed share of the scene group.
ProgressCallback = Callable[[str, float], None]


def evaluate_group(
    scene_group: SceneGroup, planners: Mapping[str, Planner], policy: Policy, report: ProgressCallback | None = None
) -> list[PlannerResult]:
    """Run each planner in each scene of a scene group, and score its plans, see `evaluate_scenes`.

    Args:
        scene_group: the scene group.
        planners: by label.
        policy: traffic policy of the agents.
        report: progress callback.

    Raises:
        SwerveError: a scene cannot be scored, or a planner needs images that are not available.
    """
    scenes = [scene_group.scenes[token] for token in scene_group.group.tokens]
    results = evaluate_scenes(scenes, planners, policy, scene_group.views, report)
    return [PlannerResult(**vars(result), group=scene_group.group) for result in results]


def evaluate_scenes(
    scenes: Sequence[BenchmarkScene],
    planners: Mapping[str, Planner],
    policy: Policy,
    views: SceneViews | None = None,
    report: ProgressCallback | None = None,
) -> list[SceneResults]:
    """Run each planner in each scene, and score its plans.

    A planner that raises, or returns anything but a valid trajectory, fails in that scene: all sub-scores are 0, its
    planned end is its start, and extended comfort is 0 for both scenes of the pair.

    Args:
        scenes: one or more.
        planners: by label.
        policy: traffic policy of the agents.
        views: images of the scenes; None if there are none.
        report: progress callback.

    Raises:
        SwerveError: a scene cannot be scored, or a planner needs images that are not available.
    """
    report_progress, rows = report or (lambda token, share: None), list[list[_ScoredPlan]]()
    for first in range(0, len(scenes), _BATCH):
        part = scenes[first : first + _BATCH]
        report_progress(part[0].token, first / len(scenes))
        contexts = [benchmark_scene.context(policy == "lane-following") for benchmark_scene in part]
        before_call = partial(_report_planner, report_progress, part[0].token, first / len(scenes))
        for context, outputs in zip(
            contexts, _planner_outputs(part, contexts, planners, views, before_call), strict=True
        ):
            report_progress(context.token, len(rows) / len(scenes))
            rows.append(_scored(context, outputs, policy))
    columns = zip(planners, zip(*rows, strict=True), strict=True)
    return [_results(label, scenes, list(scored_plans)) for label, scored_plans in columns]


@dataclass(frozen=True)
class _ScoredPlan:
    """One planner's scored plan in one scene; fields as in `ScoredScenes` and `PlannerResult`, one row of each."""

    output: PlannerOutput
    time_us: int
    origin: Float[np.ndarray, "3"]
    metrics: Float[np.ndarray, "8"]
    raw: Float[np.ndarray, "8"]
    human_filtered: Bool[np.ndarray, "8"]
    states: Float[np.ndarray, "t 11"]
    end: Float[np.ndarray, "2"]
    reasons: tuple[Reason, ...]


def _report_planner(report_progress: ProgressCallback, token: str, share: float, label: str) -> None:
    """Report the planner's label before it is called: the last message if it ends the process."""
    report_progress(f"{token}, calling {label}", share)


def _planner_outputs(
    scenes: Sequence[BenchmarkScene],
    contexts: Sequence[Context],
    planners: Mapping[str, Planner],
    views: SceneViews | None,
    before_call: Callable[[str], None],
) -> list[list[PlannerOutput]]:
    """Call every planner on each scene; `before_call` is called with a planner's label before it runs."""
    all_planners, returned = list(planners.values()), list[list[PlannerOutput]]()
    observations = [
        observations_of(benchmark_scene, context, all_planners, views)
        for benchmark_scene, context in zip(scenes, contexts, strict=True)
    ]
    for (label, planner), own in zip(planners.items(), zip(*observations, strict=True), strict=True):
        before_call(label)
        returned.append(call_observed(planner, own))
    return [list(outputs) for outputs in zip(*returned, strict=True)]


def _scored(context: Context, outputs: Sequence[PlannerOutput], policy: Policy) -> list[_ScoredPlan]:
    """Score all plans of a scene; plans of equal length and interval in one call, row by row independently."""
    scored_plans = [_failed(context, output) for output in outputs]
    forms: dict[tuple[int, float], list[tuple[int, Trajectory]]] = {}
    for index, output in enumerate(outputs):
        if output.plan is not None:
            form = len(output.plan.poses), output.plan.interval
            forms.setdefault(form, []).append((index, output.plan))
    for (_, interval), plans in forms.items():
        scores = score(context, np.stack([plan.poses for _, plan in plans]), policy=policy, interval=interval)
        for row, (index, plan) in enumerate(plans):
            scored_plans[index] = _scored_plan(context, outputs[index], plan, scores, row)
    return scored_plans


def _scored_plan(context: Context, output: PlannerOutput, plan: Trajectory, scores: Scores, row: int) -> _ScoredPlan:
    return _ScoredPlan(
        output=output,
        time_us=context.start_us,
        origin=context.ego[:3],
        metrics=scores.metrics[row],
        raw=scores.raw[row],
        human_filtered=scores.human_filtered,
        states=scores.states[row],
        end=planned_end(plan.poses, context.ego[:3], plan.interval),
        reasons=reasons(scores, row),
    )


def _failed(context: Context, output: PlannerOutput) -> _ScoredPlan:
    """Return zero scores without the human filter, and an ego at rest. States are NaN, which differ from any plan's."""
    nothing = np.zeros(len(Metric))
    return _ScoredPlan(
        output=output,
        time_us=context.start_us,
        origin=context.ego[:3],
        metrics=nothing,
        raw=nothing,
        human_filtered=nothing.astype(bool),
        states=np.full((STEPS, len(State)), np.nan),
        end=context.ego[:2],
        reasons=(),
    )


def _results(
    label: str, benchmark_scenes: Sequence[BenchmarkScene], scored_plans: Sequence[_ScoredPlan]
) -> SceneResults:
    origins = np.stack([scored_plan.origin for scored_plan in scored_plans])
    scenes = ScoredScenes(
        tokens=tuple(one.token for one in benchmark_scenes),
        logs=tuple(one.viewpoint.scene.log.name for one in benchmark_scenes),
        times_us=np.array([scored_plan.time_us for scored_plan in scored_plans], np.int64),
        metrics=np.stack([scored_plan.metrics for scored_plan in scored_plans]),
        states=np.stack([scored_plan.states for scored_plan in scored_plans]),
        starts=origins[:, :2],
        ends=np.stack([scored_plan.end for scored_plan in scored_plans]),
    )
    return SceneResults(
        planner=label,
        scenes=scenes,
        raw=np.stack([scored_plan.raw for scored_plan in scored_plans]),
        human_filtered=np.stack([scored_plan.human_filtered for scored_plan in scored_plans]),
        origins=origins,
        plans=tuple(scored_plan.output.plan for scored_plan in scored_plans),
        errors=tuple(scored_plan.output.error for scored_plan in scored_plans),
        seconds=np.array([scored_plan.output.seconds for scored_plan in scored_plans]),
        reasons=tuple(scored_plan.reasons for scored_plan in scored_plans),
    )
