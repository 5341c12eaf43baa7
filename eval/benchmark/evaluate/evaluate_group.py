"""Planners on one case: observations out, plans in, scores."""

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

# Frames whose contexts and images are in memory at once, and the most that a planner gets in a batch.
_BATCH = 16
# Called with where it is, a frame's token and who is asked, before it goes on, and the share of the case that is done.
ProgressCallback = Callable[[str, float], None]


def evaluate_group(
    case: SceneGroup, planners: Mapping[str, Planner], policy: Policy, report: ProgressCallback | None = None
) -> list[PlannerResult]:
    """What each planner does in each frame of a case, and what it is worth.

    A planner that raises, or gives anything but a trajectory that can be driven, fails in that frame: all sub-scores
    are 0, for its weights it ends where it started, and extended comfort is 0 for both frames of the pair.

    Args:
        case: the frames.
        planners: by label.
        policy: how the others drive.
        report: is told how it goes.

    Raises:
        SwerveError: a frame cannot be scored, or a planner wants images that nobody has.
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
    """One planner's plan in one frame; fields as in `ScoredScenes` and `PlannerResult`, one row of each."""

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
    """Before a planner is asked: if it ends the process, this is the last that is heard of it."""
    tell(f"{token}, when {label} was asked", share)


def _answers(
    frames: Sequence[BenchmarkScene],
    contexts: Sequence[Context],
    planners: Mapping[str, Planner],
    views: SceneViews | None,
    asking: Callable[[str], None],
) -> list[list[PlannerAnswer]]:
    """For each frame, every planner's answer; before a planner is asked, `asking` is told its label."""
    everybody, said = list(planners.values()), list[list[PlannerAnswer]]()
    told = [observations_of(frame, context, everybody, views) for frame, context in zip(frames, contexts, strict=True)]
    for (label, planner), own in zip(planners.items(), zip(*told, strict=True), strict=True):
        asking(label)
        said.append(call_planner(planner, list(own)))
    return [list(answers) for answers in zip(*said, strict=True)]


def _judged(context: Context, answers: Sequence[PlannerAnswer], policy: Policy) -> list[_Verdict]:
    """The verdicts on all plans of a frame. Plans of one form are scored in one call; a row does not see the others."""
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
    """Nothing is forgiven, and it stays where it is. States are NaN, which differ from any other plan's."""
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
