"""Scores for training loops: torch tensors of proposals in, tensors of scores out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.score import ProgressReference, Scores, score
from swerve.eval.scoring.thresholds import POSE_INTERVAL
from swerve.eval.traffic.policies import Policy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TensorScores:
    """Scores on the device and with the type of the proposals; no gradients flow through them.

    Attributes:
        metrics: (b, n, 8), columns as in Metric.
        pdm_score: (b, n), EPDMS without extended comfort.
    """

    metrics: "Tensor"
    pdm_score: "Tensor"


def score_tensor(
    contexts: Sequence[Context],
    trajectories: "Tensor",
    *,
    policy: Policy = "log-replay",
    progress_reference: ProgressReference = "reference",
    human_filter: bool = True,
    interval: float = POSE_INTERVAL,
    threads: int = 1,
) -> TensorScores:
    """Score n proposals in each of b scenes.

    Args:
        contexts: the scenes.
        trajectories: (b, n, k, 3) poses relative to now, of any float type, on any device.
        policy: see `score`.
        progress_reference: see `score`.
        human_filter: see `score`.
        interval: see `score`.
        threads: number of scenes scored concurrently.

    Raises:
        ValueError: the batch does not have one entry per context.
        SwerveError: see `score`.
    """
    if trajectories.ndim != 4 or len(trajectories) != len(contexts):
        raise ValueError(f"{len(contexts)} contexts need ({len(contexts)}, n, k, 3), got {tuple(trajectories.shape)}")
    poses = trajectories.detach().cpu().double().numpy()

    def one(context: Context, plans: np.ndarray) -> Scores:
        return score(
            context,
            plans,
            policy=policy,
            progress_reference=progress_reference,
            human_filter=human_filter,
            interval=interval,
        )

    with ThreadPoolExecutor(threads) as pool:
        scored = list(pool.map(one, contexts, poses))
    metrics = np.stack([scores.metrics for scores in scored]) if scored else np.zeros((0, poses.shape[1], 8))
    totals = np.stack([scores.pdm_score for scores in scored]) if scored else np.zeros((0, poses.shape[1]))
    # `new_tensor` keeps the proposals' device and type, and needs no import of torch.
    return TensorScores(trajectories.detach().new_tensor(metrics), trajectories.detach().new_tensor(totals))
