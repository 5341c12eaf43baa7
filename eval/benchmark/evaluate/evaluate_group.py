"""Evaluation of planners on one scene group: observations, plans, scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from swerve.eval.benchmark.evaluate.call_planner import PlannerAnswer, call_planner
from swerve.eval.benchmark.evaluate.observations import observations_of
from swerve.eval.benchmark.evaluate.results import PlannerResult
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup, SceneViews
from swerve.eval.context.scene_context import Context, build_context
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
    case: SceneGroup, planners: Mapping[str, Planner], policy: Policy, report: ProgressCallback | None = None
) -> list[PlannerResult]:
    """Run each planner in each scene of a scene group, and score its plans.

    A planner that raises, or returns anything but a valid trajectory, fails in that scene: all sub-scores are 0, its
    planned end is its start, and extended comfort is 0 for both scenes of the pair.

    Args:
        case: the scene group.
        planners: by label.
        policy: traffic policy of the agents.
        report: progress callback.

    Raises:
        SwerveError: a scene cannot be scored, or a planner needs images that are not available.
    """
    tell = report or (lambda token, share: None)
    frames, rows = [case.frames[token] for token in case.group.tokens], list[list[_Verdict]]()
    for first in range(0, len(frames), _BATCH):
        part = frames[first : first + _BATCH]
        tell(part[0].token, first / len(frames))
        contexts = [build_context(frame.viewpoint.scene, frame.token, frame.follow_up) for frame in part]
        asking = partial(_tell_who, tell, part[0].token, first / len(frames))
        for context, answers in zip(contexts, _answers(part, contexts, planners, case.views, asking), strict=True):
            tell(context.token, len(rows) / len(frames))
            rows.append(_judged(context, answers, policy))
    columns = zip(planners, zip(*rows, strict=True), strict=True)
    return [_planner_case(label, case, list(verdicts)) for label, verdicts in columns]


@dataclass(frozen=True)
class _Verdict:
    """One planner's scored plan in one scene; fields as in `ScoredScenes` and `PlannerResult`, one row of each."""

    answer: PlannerAnswer
    time_us: int
    origin: Float[np.ndarray, "3"]
    metrics: Float[np.ndarray, "8"]
    raw: Float[np.ndarray, "8"]
    forgiven: Bool[np.ndarray, "8"]
    states: Float[np.ndarray, "t 11"]
    end: Float[np.ndarray, "2"]
    reasons: tuple[Reason, ...]


def _tell_who(tell: ProgressCallback, token: str, share: float, label: str) -> None:
    """Report the planner's label before it is called: the last message if it ends the process."""
    tell(f"{token}, calling {label}", share)


def _answers(
    frames: Sequence[BenchmarkScene],
    contexts: Sequence[Context],
    planners: Mapping[str, Planner],
    views: SceneViews | None,
    asking: Callable[[str], None],
) -> list[list[PlannerAnswer]]:
    """Call every planner on each scene; `asking` is called with a planner's label before it runs."""
    everybody, said = list(planners.values()), list[list[PlannerAnswer]]()
    told = [observations_of(frame, context, everybody, views) for frame, context in zip(frames, contexts, strict=True)]
    for (label, planner), own in zip(planners.items(), zip(*told, strict=True), strict=True):
        asking(label)
        said.append(call_planner(planner, list(own)))
    return [list(answers) for answers in zip(*said, strict=True)]


def _judged(context: Context, answers: Sequence[PlannerAnswer], policy: Policy) -> list[_Verdict]:
    """Score all plans of a scene; plans of equal length and interval in one call, row by row independently."""
    verdicts = [_failed(context, answer) for answer in answers]
    forms: dict[tuple[int, float], list[tuple[int, Trajectory]]] = {}
    for index, answer in enumerate(answers):
        if answer.plan is not None:
            form = len(answer.plan.poses), answer.plan.interval
            forms.setdefault(form, []).append((index, answer.plan))
    for (_, interval), plans in forms.items():
        scores = score(context, np.stack([plan.poses for _, plan in plans]), policy=policy, interval=interval)
        for row, (index, plan) in enumerate(plans):
            verdicts[index] = _verdict(context, answers[index], plan, scores, row)
    return verdicts


def _verdict(context: Context, answer: PlannerAnswer, plan: Trajectory, scores: Scores, row: int) -> _Verdict:
    return _Verdict(
        answer=answer,
        time_us=context.start_us,
        origin=context.ego[:3],
        metrics=scores.metrics[row],
        raw=scores.raw[row],
        forgiven=scores.forgiven,
        states=scores.states[row],
        end=planned_end(plan.poses, context.ego[:3], plan.interval),
        reasons=reasons(scores, row),
    )


def _failed(context: Context, answer: PlannerAnswer) -> _Verdict:
    """Return zero scores without the human filter, and an ego at rest. States are NaN, which differ from any plan's."""
    nothing = np.zeros(len(Metric))
    return _Verdict(
        answer=answer,
        time_us=context.start_us,
        origin=context.ego[:3],
        metrics=nothing,
        raw=nothing,
        forgiven=nothing.astype(bool),
        states=np.full((STEPS, len(State)), np.nan),
        end=context.ego[:2],
        reasons=(),
    )


def _planner_case(label: str, case: SceneGroup, verdicts: Sequence[_Verdict]) -> PlannerResult:
    origins = np.stack([verdict.origin for verdict in verdicts])
    frames = ScoredScenes(
        tokens=case.group.tokens,
        logs=(case.log,) * len(verdicts),
        times_us=np.array([verdict.time_us for verdict in verdicts], np.int64),
        metrics=np.stack([verdict.metrics for verdict in verdicts]),
        states=np.stack([verdict.states for verdict in verdicts]),
        starts=origins[:, :2],
        ends=np.stack([verdict.end for verdict in verdicts]),
    )
    return PlannerResult(
        planner=label,
        group=case.group,
        frames=frames,
        raw=np.stack([verdict.raw for verdict in verdicts]),
        forgiven=np.stack([verdict.forgiven for verdict in verdicts]),
        origins=origins,
        plans=tuple(verdict.answer.plan for verdict in verdicts),
        errors=tuple(verdict.answer.error for verdict in verdicts),
        seconds=np.array([verdict.answer.seconds for verdict in verdicts]),
        reasons=tuple(verdict.reasons for verdict in verdicts),
    )
