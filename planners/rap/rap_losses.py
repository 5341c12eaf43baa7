"""Training losses: imitation, sub-scores, alignment."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval.scoring.score import PreparedContext, score_prepared
from swerve.eval.scoring.sub_scores import Metric
from swerve.planners.rap.alignment import (
    DomainClassifier,
    EmaTeacher,
    global_alignment,
    reversal_strength,
    spatial_alignment,
)
from swerve.planners.rap.rap_batch import RapBatch
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.rap_model import RapOutput


@dataclass(frozen=True)
class RapLosses:
    """Losses of a step, before weighting.

    Attributes:
        imitation: imitation loss of the proposals nearest to the targets.
        score: cross entropy of the sub-scores.
        spatial: feature distance between paired images.
        domain: loss of the domain classifier; chance is log 2.
        total: weighted sum.
    """

    imitation: Float[Tensor, ""]
    score: Float[Tensor, ""]
    spatial: Float[Tensor, ""]
    domain: Float[Tensor, ""]
    total: Float[Tensor, ""]


def rap_losses(
    output: RapOutput,
    batch: RapBatch,
    config: RapConfig,
    teacher: EmaTeacher,
    classifier: DomainClassifier,
    progress: float,
    watch: Stopwatch,
    threads: int = 1,
) -> RapLosses:
    """Compute all losses of a batch; losses of weight zero are not computed and zero.

    Args:
        output: output of the network.
        batch: views with targets.
        config: config with the weights.
        teacher: moving average of the neck.
        classifier: domain classifier.
        progress: training progress, 0 to 1.
        watch: timer of "scoring", CPU time of threads that score while the other losses are computed, and "scorer":
            time that the step waits for them.
        threads: number of scenes scored in parallel.

    Raises:
        SwerveError: a proposal cannot be scored.
    """
    importance = batch.weight if config.importance_weights else torch.ones_like(batch.weight)
    weight = torch.where(batch.cross_agent, config.cross_agent_weight, 1.0) * importance
    score = spatial = domain = output.rounds.new_zeros(())
    yardsticks = batch.contexts if config.score_weight else ()
    with score_proposals(yardsticks, output.poses, config.interval, threads, watch) as targets:
        # Mixed training would compute sums, which are dot products, in half precision.
        with torch.autocast(output.rounds.device.type, enabled=False):
            imitation = imitation_loss(output.rounds, batch.targets, batch.valid, weight, config.round_decay)
        aligned = progress >= config.alignment_start
        if config.spatial_weight and aligned:
            spatial = spatial_alignment(output, batch, teacher, config.direction)
        if config.global_weight and aligned:
            strength = reversal_strength(progress, config.reversal_scale)
            domain = global_alignment(output, batch, classifier, config.direction, strength)
        if config.score_weight:
            with torch.autocast(output.rounds.device.type, enabled=False):
                weights = output.logits.new_tensor(config.metric_weights)
                score = score_loss(output.logits, *targets(), importance, weights)
    total = config.imitation_weight * imitation + config.score_weight * score
    total = total + config.spatial_weight * spatial + config.global_weight * domain
    return RapLosses(imitation, score, spatial, domain, total)


def imitation_loss(
    rounds: Float[Tensor, "r b n k 3"],
    targets: Float[Tensor, "b k 3"],
    valid: Bool[Tensor, "b k"],
    weight: Float[Tensor, "b"],
    decay: float,
) -> Float[Tensor, ""]:
    """Compute the winner-takes-all imitation loss: per round, the nearest proposal's |dx| + |dy| + |dheading| (m, rad).

    Distances are means over the known poses; samples without any do not count. The last round has weight 1, each one
    before it `decay` times the next.
    """
    distances = pose_distances(rounds, targets, valid).amin(dim=-1)
    counted = weight * valid.any(dim=1)
    powers = decay ** torch.arange(len(rounds) - 1, -1, -1, device=rounds.device, dtype=rounds.dtype)
    return (distances * counted).sum(dim=1) @ powers / counted.sum().clamp(min=1e-6)


def pose_distances(
    rounds: Float[Tensor, "r b n k 3"], targets: Float[Tensor, "b k 3"], valid: Bool[Tensor, "b k"]
) -> Float[Tensor, "r b n"]:
    """Compute the distance of every proposal to its target, over the known poses; zero where there is none."""
    offset = rounds - torch.where(valid[..., None], targets, 0.0)[:, None]
    turned = torch.remainder(offset[..., 2] + torch.pi, 2 * torch.pi) - torch.pi
    distance = (offset[..., :2].abs().sum(dim=-1) + turned.abs()) * valid[:, None]
    return distance.sum(dim=-1) / valid.sum(dim=1).clamp(min=1)[:, None]


@contextmanager
def score_proposals(
    yardsticks: Sequence[PreparedContext | None],
    poses: Float[Tensor, "b n k 3"],
    interval: float,
    threads: int,
    watch: Stopwatch,
) -> Iterator[Callable[[], tuple[Float[Tensor, "b n 8"], Bool[Tensor, "b"]]]]:
    """Score the batch's own proposals exactly, in threads that start immediately.

    The kernels release the GIL. The two domains of one sample share their context, and are scored in one call.

    Yields:
        Function that waits for sub-scores of all proposals, and a mask of samples with a context.

    Raises:
        SwerveError: a pose is not finite; raised when waiting for the result.
    """
    plans = poses.detach().double().cpu().numpy() if yardsticks else np.zeros((0, 0, 0, 3))
    rows_of: dict[int, tuple[PreparedContext, list[int]]] = {}
    for row, measure in enumerate(yardsticks):
        if measure is not None:
            rows_of.setdefault(id(measure), (measure, []))[1].append(row)
    found = np.zeros((*plans.shape[:2], len(Metric)), np.float32)

    def put(measure: PreparedContext, rows: list[int]) -> None:
        with watch.measure("scoring", time.thread_time):
            scores = score_prepared(measure, plans[rows].reshape(-1, *plans.shape[2:]), interval=interval)
            found[rows] = scores.metrics.reshape(len(rows), plans.shape[1], -1)

    with ThreadPoolExecutor(threads) as pool:
        pending = [pool.submit(put, *one) for one in rows_of.values()]

        def targets() -> tuple[Float[Tensor, "b n 8"], Bool[Tensor, "b"]]:
            with watch.measure("scorer"):
                for one in pending:
                    one.result()
            known = torch.tensor([measure is not None for measure in yardsticks], device=poses.device)
            return torch.as_tensor(found).to(poses.device), known

        yield targets


def score_loss(
    logits: Float[Tensor, "b n 8"],
    targets: Float[Tensor, "b n 8"],
    known: Bool[Tensor, "b"],
    importance: Float[Tensor, "b"],
    weights: Float[Tensor, "8"],
) -> Float[Tensor, ""]:
    """Compute the cross entropy of the sub-scores, mean over proposals and, by importance, over scored samples."""
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1) @ weights
    counted = importance * known
    return (losses * counted).sum() / (counted.sum().clamp(min=1e-6) * weights.sum().clamp(min=1e-6))
