"""What a trained planner promises of each of its proposals, beside what they are worth."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import spearmanr

from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.context.scene_context import Context, build_context
from swerve.eval.scoring.score import score
from swerve.eval.scoring.sub_scores import pdm_score
from swerve.planners.rap.inputs import inputs_of
from swerve.planners.rap.rap_planner import RapPlanner


@dataclass(frozen=True)
class Proposals:
    """A scene's proposals.

    Attributes:
        token: of the frame.
        case: that it belongs to.
        poses: x, y, heading in the ego frame, every `interval` seconds.
        interval: seconds.
        predicted: sub-scores that the network expects, columns as in `Metric`.
        true: those of the exact scorer, as in training: others drive as in the log.
    """

    token: str
    case: str
    poses: Float[np.ndarray, "n k 3"]
    interval: float
    predicted: Float[np.ndarray, "n 8"]
    true: Float[np.ndarray, "n 8"]

    @property
    def promised(self) -> Float[np.ndarray, "n"]:
        """Score of each proposal, as the network expects it."""
        return pdm_score(self.predicted)

    @property
    def worth(self) -> Float[np.ndarray, "n"]:
        """Score of each proposal."""
        return pdm_score(self.true)

    @property
    def chosen(self) -> int:
        """The one that the planner drives."""
        return int(self.promised.argmax())

    @property
    def best(self) -> int:
        """The one that is worth most; of several, the one that promises most."""
        return int(np.lexsort((self.promised, self.worth))[-1])

    @property
    def regret(self) -> float:
        """What is lost by not choosing the best."""
        return float(self.worth[self.best] - self.worth[self.chosen])

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of promise and worth; NaN where all promise, or are worth, the same."""
        if len(self.worth) < 2 or min(np.ptp(self.promised), np.ptp(self.worth)) < 1e-12:
            return float("nan")
        return float(spearmanr(self.promised, self.worth).statistic)


def proposals_in(frame: BenchmarkScene, case: SceneGroup, name: str, planner: RapPlanner) -> tuple[Proposals, Context]:
    """A planner's proposals in a frame of a benchmark, scored; and the frame's context.

    Raises:
        SwerveError: the frame cannot be scored, an image is missing, or a pose is not finite.
    """
    context = build_context(frame.viewpoint.scene, frame.token, frame.follow_up)
    config, device = planner.model.config, next(planner.model.parameters()).device
    inputs = inputs_of([observation_of(frame, context, planner, case.views)], config).to(device)
    with torch.inference_mode():
        output = planner.model(inputs)
        poses, predicted = (one[0].double().cpu().numpy() for one in (output.poses, output.logits.sigmoid()))
    true = score(context, poses, interval=config.interval).metrics
    return Proposals(frame.token, name, poses, config.interval, predicted, true), context


def proposals_on(benchmark: Benchmark, planner: RapPlanner, most: int, follow_ups: bool) -> Iterator[Proposals]:
    """The proposals in a benchmark's cases, one after the other.

    Args:
        benchmark: to take scenes of.
        planner: that proposes.
        most: cases at most, evenly over the benchmark.
        follow_ups: whether the cases' follow-up scenes are taken as well.

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
    """At most so many of the numbers 0 to count - 1, first and last among them, as even as they can be."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
