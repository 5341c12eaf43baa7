"""What a training step minimises: imitation, sub-scores, alignment."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from swerve.data.stopwatch import Stopwatch
from swerve.eval.context import Context
from swerve.eval.judge import Metric
from swerve.eval.score import score
from swerve.planners.rap.alignment import (
    DomainClassifier,
    Teacher,
    global_alignment,
    reversal_strength,
    spatial_alignment,
)
from swerve.planners.rap.batch import RapBatch
from swerve.planners.rap.config import RapConfig
from swerve.planners.rap.model import RapOutput


@dataclass(frozen=True)
class RapLosses:
    """The losses of a step, not yet weighed.

    Attributes:
        imitation: of the proposals nearest to the targets.
        score: of the sub-scores.
        spatial: distance between paired looks.
        domain: the domain classifier's; chance is log 2.
        total: their weighted sum.
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
    teacher: Teacher,
    classifier: DomainClassifier,
    progress: float,
    watch: Stopwatch,
    threads: int = 1,
) -> RapLosses:
    """All losses of a batch; a weight of zero spares the work, and its loss is then zero.

    Args:
        output: of the network.
        batch: what it saw, and what it should have made of it.
        config: weights.
        teacher: the neck's slow copy.
        classifier: of domains.
        progress: of training, 0 to 1.
        watch: measures "scorer".
        threads: scenes scored at the same time.

    Raises:
        SwerveError: a proposal cannot be scored.
    """
    weight = torch.where(batch.cross_agent, config.cross_agent_weight, 1.0)
    score = spatial = domain = output.rounds.new_zeros(())
    # Mixed training would round their sums, which are products of vectors, to half precision.
    with torch.autocast(output.rounds.device.type, enabled=False):
        imitation = imitation_loss(output.rounds, batch.targets, batch.valid, weight, config.round_decay)
        if config.score_weight:
            targets, known = score_targets(batch.contexts, output.poses, config.interval, threads, watch)
            score = score_loss(output.logits, targets, known, output.logits.new_tensor(config.metric_weights))
    aligned = progress >= config.align_from
    if config.spatial_weight and aligned:
        spatial = spatial_alignment(output, batch, teacher, config.direction)
    if config.global_weight and aligned:
        strength = reversal_strength(progress, config.reversal_scale)
        domain = global_alignment(output, batch, classifier, config.direction, strength)
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
    """Winner takes all: of each round the proposal nearest to the target, |dx| + |dy| + |dheading| (m, rad).

    Distances are means over the poses that are known; a sample of which none is has no part. The last round weighs 1,
    each one before it `decay` times the next.
    """
    distances = pose_distances(rounds, targets, valid).amin(dim=-1)
    counted = weight * valid.any(dim=1)
    powers = decay ** torch.arange(len(rounds) - 1, -1, -1, device=rounds.device, dtype=rounds.dtype)
    return (distances * counted).sum(dim=1) @ powers / counted.sum().clamp(min=1e-6)


def pose_distances(
    rounds: Float[Tensor, "r b n k 3"], targets: Float[Tensor, "b k 3"], valid: Bool[Tensor, "b k"]
) -> Float[Tensor, "r b n"]:
    """Of every proposal to its target, over the known poses; zero where there is none."""
    offset = rounds - torch.where(valid[..., None], targets, 0.0)[:, None]
    turned = torch.remainder(offset[..., 2] + torch.pi, 2 * torch.pi) - torch.pi
    distance = (offset[..., :2].abs().sum(dim=-1) + turned.abs()) * valid[:, None]
    return distance.sum(dim=-1) / valid.sum(dim=1).clamp(min=1)[:, None]


def score_targets(
    contexts: Sequence[Context | None],
    poses: Float[Tensor, "b n k 3"],
    interval: float,
    threads: int,
    watch: Stopwatch,
) -> tuple[Float[Tensor, "b n 8"], Bool[Tensor, "b"]]:
    """The exact scorer's sub-scores of the batch's own proposals, and which samples have a context to be scored in.

    The looks of one sample share their context, and are scored in one call: what does not depend on the proposals (the
    reference, the human) is then simulated once. The time is measured as "scorer".

    Raises:
        SwerveError: a pose is not finite.
    """
    plans = poses.detach().double().cpu().numpy()
    rows_of: dict[int, tuple[Context, list[int]]] = {}
    for row, context in enumerate(contexts):
        if context is not None:
            rows_of.setdefault(id(context), (context, []))[1].append(row)
    found = np.zeros((*plans.shape[:2], len(Metric)), np.float32)

    def put(context: Context, rows: list[int]) -> None:
        scored = score(context, plans[rows].reshape(-1, *plans.shape[2:]), interval=interval)
        found[rows] = scored.metrics.reshape(len(rows), plans.shape[1], -1)

    with watch.measure("scorer"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda one: put(*one), rows_of.values()))
    known = torch.tensor([context is not None for context in contexts], device=poses.device)
    return torch.as_tensor(found).to(poses.device), known


def score_loss(
    logits: Float[Tensor, "b n 8"],
    targets: Float[Tensor, "b n 8"],
    known: Bool[Tensor, "b"],
    weights: Float[Tensor, "8"],
) -> Float[Tensor, ""]:
    """Cross entropy of the sub-scores, mean over proposals and samples that were scored."""
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1) @ weights
    return (losses * known).sum() / (known.sum().clamp(min=1) * weights.sum().clamp(min=1e-6))
