"""Predicted and true scores of a planner's proposals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
import torch
from jaxtyping import Float

from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.score import score
from swerve.eval.scoring.sub_scores import pdm_score
from swerve.planners.learning.inputs import inputs_of
from swerve.planners.learning.learned_planner import LearnedPlanner
from swerve.planners.learning.precision import autocast
from swerve.planners.learning.selection import chosen_proposals


@dataclass(frozen=True)
class Proposals:
    """Proposals of a scene with scores.

    Attributes:
        token: token of the scene.
        scene_group: name of the scene group.
        poses: x, y, heading in the ego frame, every `interval` seconds.
        interval: seconds.
        predicted: sub-scores predicted by the network, columns as in `Metric`.
        true: sub-scores of the exact scorer, as in training: agents replay the log.
        chosen: index of the planner's chosen proposal.
    """

    token: str
    scene_group: str
    poses: Float[np.ndarray, "n k 3"]
    interval: float
    predicted: Float[np.ndarray, "n 8"]
    true: Float[np.ndarray, "n 8"]
    chosen: int

    @property
    def predicted_score(self) -> Float[np.ndarray, "n"]:
        """Predicted score of each proposal."""
        return pdm_score(self.predicted)

    @property
    def true_score(self) -> Float[np.ndarray, "n"]:
        """True score of each proposal."""
        return pdm_score(self.true)

    @property
    def best(self) -> int:
        """Index of the proposal with the highest true score; ties by predicted score."""
        return int(np.lexsort((self.predicted_score, self.true_score))[-1])

    @property
    def regret(self) -> float:
        """Regret: true score of the best minus that of the chosen proposal."""
        return float(self.true_score[self.best] - self.true_score[self.chosen])

    @property
    def rank_correlation(self) -> float:
        """Spearman's rank correlation of predicted and true scores; NaN if either is constant."""
        if len(self.true_score) < 2 or min(np.ptp(self.predicted_score), np.ptp(self.true_score)) < 1e-12:
            return float("nan")
        return float(scipy.stats.spearmanr(self.predicted_score, self.true_score).statistic)


def proposals_in(
    frame: BenchmarkScene, case: SceneGroup, name: str, planner: LearnedPlanner
) -> tuple[Proposals, Context]:
    """Compute and score a planner's proposals in a scene of a benchmark; also return the scene's context.

    Raises:
        SwerveError: the scene cannot be scored, an image is missing, or a pose is not finite.
    """
    context = frame.context(lane_following=False)
    config, device = planner.model.config, next(planner.model.parameters()).device
    inputs = inputs_of([observation_of(frame, context, planner, case.views)], config).to(device)
    with torch.inference_mode(), autocast(planner.precision, device):
        output = planner.model(inputs)
        chosen = int(chosen_proposals(output.logits, config)[0])
        poses, predicted = (one[0].double().cpu().numpy() for one in (output.poses, output.logits.sigmoid()))
    true = score(context, poses, interval=config.interval).metrics
    return Proposals(frame.token, name, poses, config.interval, predicted, true, chosen), context


def proposals_on(benchmark: Benchmark, planner: LearnedPlanner, most: int, follow_ups: bool) -> Iterator[Proposals]:
    """Yield the proposals in a benchmark's scene groups.

    Args:
        benchmark: benchmark with the scenes.
        planner: planner.
        most: maximum number of scene groups, evenly over the benchmark.
        follow_ups: whether follow-up scenes are included.

    Raises:
        SwerveError: see `proposals_in`.
    """
    names = [name for log in benchmark.logs for name in benchmark.scene_groups(log)]
    for row in spread_out(len(names), most):
        case = benchmark.scene_group(names[row])
        later = [now for now, _ in case.group.follow_ups] if follow_ups else []
        for token in (case.group.now, *later):
            yield proposals_in(case.scenes[token], case, names[row], planner)[0]


def spread_out(count: int, most: int) -> list[int]:
    """Return at most `most` indices of 0 to count - 1, evenly spaced, including first and last."""
    spread: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    return spread
