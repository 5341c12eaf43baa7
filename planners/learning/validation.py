"""Validation by pseudo-simulation during training, with the averaged weights on held-out logs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from swerve.data.dataset.targets import interpolate_poses_at
from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.evaluate_job import check_cameras
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.benchmark.evaluate.results import PlannerResult
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.scoring.aggregate import (
    COLUMNS,
    AggregatedScores,
    GroupTokens,
    SceneScores,
    aggregate_two_stage,
    pair_scores,
)
from swerve.eval.scoring.thresholds import POSE_INTERVAL, STEP, STEPS
from swerve.planners.learning.auxiliary import AuxiliaryHeads, bev_output, cell_overlaps
from swerve.planners.learning.bev_targets import bev_targets
from swerve.planners.learning.inputs import inputs_of
from swerve.planners.learning.learned_planner import LearnedPlanner
from swerve.planners.learning.precision import autocast
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory
from swerve.scenes.transforms import relative_poses

_LABEL = "trained"
_HORIZON = STEP * (STEPS - 1)


@dataclass(frozen=True)
class Validation:
    """Validation during training.

    Attributes:
        benchmark: benchmark of held-out logs.
        every: steps between validations; there is one after the last step as well.

    Raises:
        SwerveError: the number of steps is not positive.
    """

    benchmark: Benchmark
    every: int

    def __post_init__(self) -> None:
        if self.every < 1:
            raise SwerveError(f"validate-every is {self.every}, it must be 1 or more")


class _Judged(NamedTuple):
    """Scene group: index, tokens and scores; of its first stage, errors (m) of trajectories and overlaps of cells."""

    number: int
    group: GroupTokens
    scores: SceneScores
    errors: list[float]
    overlaps: dict[str, tuple[float, float]]


def validate(
    planner: LearnedPlanner,
    benchmark: Benchmark,
    rank: int = 0,
    world: int = 1,
    heads: AuxiliaryHeads | None = None,
) -> dict[str, float]:
    """Run `swerve evaluate` for the planner, in this process.

    Several processes share the scene groups, and all of them get the result (torch.distributed must be initialised). It
    does not depend on their number. No randomness is involved.

    Args:
        planner: planner with its own network, not trained meanwhile.
        benchmark: benchmark with the scene groups and its traffic policy.
        rank: rank of this process.
        world: world size.
        heads: auxiliary heads of the training, if any.

    Returns:
        `score` (EPDMS of both stages), `stage_one` and `stage_two` (their means, unweighted between the stages), and
        `ade`: mean distance in metres between plan and logged human up to 4 s, over the scenes of the first stage.
        With heads also their IoU in these scenes, see `cell_overlaps`.

    Raises:
        SwerveError: the benchmark lacks a camera or an image, or the planner fails.
    """
    names = [name for log in benchmark.logs for name in benchmark.scene_groups(log)]
    own = [
        _judged(number, benchmark.scene_group(names[number]), planner, benchmark, heads)
        for number in range(rank, len(names), world)
    ]
    judged = sorted(_gathered(own, world), key=lambda one: one.number)
    table = _weighed(judged)
    score = COLUMNS.index("score")
    errors = [error for one in judged for error in one.errors]
    return {
        "score": table.score,
        "stage_one": float(table.stage_one[score]),
        "stage_two": float(table.stage_two[score]),
        "ade": float(np.mean(errors)),
        **_ious([one.overlaps for one in judged]),
    }


def _ious(overlaps: Sequence[Mapping[str, tuple[float, float]]]) -> dict[str, float]:
    """Return the IoU of cells over all scene groups; 1 where neither has any."""
    sums = {name: np.sum([one[name] for one in overlaps], axis=0) for name in overlaps[0]}
    return {name: float(both / either) if either else 1.0 for name, (both, either) in sums.items()}


@torch.inference_mode()
def _overlaps(
    case: SceneGroup, planner: LearnedPlanner, heads: AuxiliaryHeads | None
) -> dict[str, tuple[float, float]]:
    """Count the cells of the heads' predictions in the scenes of the first stage."""
    if heads is None:
        return {}
    scenes = [scene for scene in case.scenes.values() if not scene.follow_up]
    contexts = [scene.context(lane_following=False) for scene in scenes]
    pairs = zip(scenes, contexts, strict=True)
    observations = [observation_of(scene, context, planner, case.views) for scene, context in pairs]
    device = next(heads.parameters()).device
    inputs = inputs_of(observations, planner.model.config).to(device)
    with autocast(planner.precision, device):
        found = bev_output(heads, planner.model(inputs).placed, inputs)
    agents, drivable, _ = (torch.as_tensor(one, device=device) for one in bev_targets(contexts))
    overlaps = cell_overlaps(found, agents, drivable.float(), found.seen.float())
    return {name: (float(both), float(either)) for name, (both, either) in overlaps.items()}


def require_held_out(benchmark: Benchmark, learned: Collection[str], planner: LearnedPlanner) -> None:
    """Check that a benchmark is held out and has the planner's cameras; to be called before training.

    Args:
        benchmark: benchmark for validation.
        learned: names of the training logs.
        planner: planner with the required cameras.

    Raises:
        SwerveError: a log is in both, or the benchmark lacks a camera.
    """
    if shared := sorted(set(benchmark.logs) & set(learned)):
        raise SwerveError(
            f"log {shared[0]} of the benchmark is in the training set, too: validation would be meaningless. Build a "
            "benchmark of other logs"
        )
    check_cameras(benchmark, [planner])


def _judged(
    number: int, case: SceneGroup, planner: LearnedPlanner, benchmark: Benchmark, heads: AuxiliaryHeads | None
) -> _Judged:
    """Evaluate a scene group.

    Raises:
        SwerveError: the planner fails; a score of 0 would hide its fault.
    """
    (evaluated,) = evaluate_group(case, {_LABEL: planner}, benchmark.traffic)
    for token, error in zip(evaluated.group.tokens, evaluated.errors, strict=True):
        if error:
            raise SwerveError(f"validation: the planner fails in scene {token}: {error.splitlines()[-1]}")
    scores, overlaps = pair_scores(evaluated.scenes, [case.group]), _overlaps(case, planner, heads)
    return _Judged(number, case.group, scores, _errors(case, evaluated), overlaps)


def _gathered(own: list[_Judged], world: int) -> list[_Judged]:
    """Gather the scene groups of all processes."""
    if world < 2:
        return own
    everybodys: list[list[_Judged]] = [[] for _ in range(world)]
    torch.distributed.all_gather_object(everybodys, own)
    return [one for part in everybodys for one in part]


def _weighed(judged: Sequence[_Judged]) -> AggregatedScores:
    parts = [one.scores for one in judged]
    scores = SceneScores(
        tuple(token for part in parts for token in part.tokens),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "starts", "ends")),
    )
    return aggregate_two_stage(scores, [one.group for one in judged])


def _errors(case: SceneGroup, evaluated: PlannerResult) -> list[float]:
    plans = zip(evaluated.group.tokens, evaluated.plans, strict=True)
    frames = [(case.scenes[token], plan) for token, plan in plans if plan is not None]
    return [_off(frame, plan) for frame, plan in frames if not frame.follow_up]


def _off(frame: BenchmarkScene, plan: Trajectory) -> float:
    """Compute the mean distance of the plan's poses up to 4 s to the logged human's at the same times."""
    viewpoint, scene = frame.viewpoint, frame.viewpoint.scene
    seconds = plan.interval * np.arange(1, len(plan.poses) + 1)
    seconds = seconds[seconds <= _HORIZON + POSE_INTERVAL / 100]
    poses, _ = interpolate_poses_at(
        scene.times_us[scene.history + 1 :], viewpoint.human, scene.times_us[scene.history], seconds
    )
    driven = relative_poses(viewpoint.world_from_ego, poses)
    return float(np.linalg.norm(plan.poses[: len(seconds), :2] - driven[:, :2], axis=1).mean())
