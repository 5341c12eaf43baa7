"""Training losses: imitation, sub-scores, ranking, alignment, and further ones of a model or of auxiliary heads."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from swerve.planners.learning.alignment import (
    DomainClassifier,
    EmaTeacher,
    domain_alignment,
    reversal_strength,
    spatial_alignment,
)
from swerve.planners.learning.model import ModelOutput
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.reduction import averaged_over
from swerve.planners.learning.selection import expected_score, log_score
from swerve.planners.learning.training_batch import TrainingBatch
from swerve.scenes import SwerveError

Targets = Callable[[], tuple[Float[Tensor, "b n 8"], Bool[Tensor, "b"]]]
# Other losses, and other columns of the training log.
_TAKEN = {
    "imitation",
    "score",
    "spatial",
    "domain",
    "ranking",
    "total",
    "agents",
    "drivable",
    "step",
    "lr",
    "grad_norm",
}
_TAKEN_PREFIX, _TAKEN_SUFFIX = "ade_", "_seconds"
# Pairs whose exact scores differ by less are not ranked.
_LEAST_DIFFERENCE = 0.01
# Proposals of a scene that are ranked against each other.
_RANKED = 128


def check_loss_names(names: Iterable[str]) -> None:
    """Check that losses of a model's own have names that no other column of the training log has.

    Raises:
        SwerveError: one has not.
    """
    for name in names:
        if name in _TAKEN or name.startswith(_TAKEN_PREFIX) or name.endswith(_TAKEN_SUFFIX):
            raise SwerveError(f"extra_losses: {name}: another column of the log has this name. Choose another")


@dataclass(frozen=True)
class Losses:
    """Losses of a step; all but the total are unweighted, see `ModelConfig.loss_weights`.

    Attributes:
        imitation: imitation loss of the proposals nearest to the targets.
        score: cross entropy of the sub-scores.
        spatial: feature distance between paired images.
        domain: loss of the domain classifier; chance is log 2.
        extra: further losses by name: those of the model and of auxiliary heads, and the ranking loss if it has weight.
        total: weighted sum.
    """

    imitation: Float[Tensor, ""]
    score: Float[Tensor, ""]
    spatial: Float[Tensor, ""]
    domain: Float[Tensor, ""]
    extra: Mapping[str, Float[Tensor, ""]]
    total: Float[Tensor, ""]

    @property
    def parts(self) -> dict[str, Float[Tensor, ""]]:
        """All losses by name, the total last."""
        plain = {name: getattr(self, name) for name in ("imitation", "score", "spatial", "domain")}
        return {**plain, **self.extra, "total": self.total}


def losses_of(
    output: ModelOutput,
    batch: TrainingBatch,
    config: ModelConfig,
    teacher: EmaTeacher | None,
    classifier: DomainClassifier | None,
    progress: float,
    watch: Stopwatch,
    threads: int = 1,
    own: Mapping[str, Float[Tensor, ""]] | None = None,
) -> Losses:
    """Compute all losses of a batch, as means over all processes' samples; losses of weight zero are zero.

    Args:
        output: output of the network.
        batch: views with targets.
        config: config with the weights.
        teacher: moving average of the neck; None without images.
        classifier: domain classifier; None without images.
        progress: training progress, 0 to 1.
        watch: timer of "scoring_cpu", CPU time of threads that score while the other losses are computed, and
            "scoring_wait", time that the step waits for them.
        threads: number of scenes scored in parallel.
        own: unweighted losses of the model (`PlannerModel.extra_losses`) and of auxiliary heads.

    Raises:
        SwerveError: a proposal cannot be scored.
    """
    importance = batch.weight if config.importance_weights else torch.ones_like(batch.weight)
    weight = torch.where(batch.cross_agent, config.cross_agent_weight, 1.0) * importance
    score = spatial = domain = output.refinements.new_zeros(())
    scored = config.score_weight or config.ranking_weight
    poses = output.poses if batch.anchor_scores is None else output.refinements[-1]
    with score_proposals(batch.contexts if scored else (), poses, config.interval, threads, watch) as targets:
        # Mixed training would compute sums, which are dot products, in half precision.
        with torch.autocast(output.refinements.device.type, enabled=False):
            imitation = imitation_loss(output.refinements, batch.targets, batch.valid, weight, config.refinement_decay)
        extra = dict(own or {})
        aligned = progress >= config.alignment_start
        if config.spatial_weight and aligned and teacher:
            spatial = spatial_alignment(output, batch, teacher, config.direction)
        if config.domain_weight and aligned and classifier:
            strength = reversal_strength(progress, config.reversal_scale)
            domain = domain_alignment(output, batch, classifier, config.direction, strength)
        if scored:
            with torch.autocast(output.refinements.device.type, enabled=False):
                exact, known = _with_anchors(batch, *targets())
                score = score_loss(
                    output.logits, exact, known, importance, output.logits.new_tensor(config.metric_weights)
                )
                if config.ranking_weight:
                    extra["ranking"] = ranking_loss(output.logits, exact, known, importance)
    shared = {"imitation": imitation, "score": score, "spatial": spatial, "domain": domain}
    total = weighted_sum({**shared, **extra}, config.loss_weights)
    return Losses(imitation, score, spatial, domain, extra, total)


def weighted_sum(losses: Mapping[str, Float[Tensor, ""]], weights: Mapping[str, float]) -> Float[Tensor, ""]:
    """Add up losses times their weights, in their order; a loss that has no weight counts once."""
    first, *others = [weights.get(name, 1.0) * loss for name, loss in losses.items()]
    return sum(others, first)


def _with_anchors(
    batch: TrainingBatch, exact: Float[Tensor, "b n 8"], known: Bool[Tensor, "b"]
) -> tuple[Float[Tensor, "b m 8"], Bool[Tensor, "b"]]:
    """Append the stored sub-scores of the fixed vocabulary, if any."""
    if batch.anchor_scores is None or batch.anchors_known is None:
        return exact, known
    return torch.cat([exact, batch.anchor_scores], dim=1), batch.anchors_known


def imitation_loss(
    refinements: Float[Tensor, "r b n k 3"],
    targets: Float[Tensor, "b k 3"],
    valid: Bool[Tensor, "b k"],
    weight: Float[Tensor, "b"],
    decay: float,
) -> Float[Tensor, ""]:
    """Compute the winner-takes-all imitation loss: the nearest proposal's |dx| + |dy| + |dheading| (m, rad).

    Distances are means over the known poses; samples without any do not count. The last refinement has weight 1, each
    one before it `decay` times the next. Without learned proposals it is zero.
    """
    if not refinements.shape[2]:
        return refinements.sum()
    distances = pose_distances(refinements, targets, valid).amin(dim=-1)
    counted = weight * valid.any(dim=1)
    powers = decay ** torch.arange(len(refinements) - 1, -1, -1, device=refinements.device, dtype=refinements.dtype)
    return averaged_over((distances * counted).sum(dim=1) @ powers, counted.sum())


def pose_distances(
    poses: Float[Tensor, "r b n k 3"], targets: Float[Tensor, "b k 3"], valid: Bool[Tensor, "b k"]
) -> Float[Tensor, "r b n"]:
    """Compute the distance of every proposal to its target, over the known poses; zero where there is none."""
    offset = poses - torch.where(valid[..., None], targets, 0.0)[:, None]
    turned = torch.remainder(offset[..., 2] + torch.pi, 2 * torch.pi) - torch.pi
    distance = (offset[..., :2].abs().sum(dim=-1) + turned.abs()) * valid[:, None]
    return distance.sum(dim=-1) / valid.sum(dim=1).clamp(min=1)[:, None]


@contextmanager
def score_proposals(
    contexts: Sequence[PreparedContext | None],
    poses: Float[Tensor, "b n k 3"],
    interval: float,
    threads: int,
    watch: Stopwatch,
) -> Iterator[Targets]:
    """Score the batch's own proposals exactly, in threads that start immediately.

    The kernels release the GIL. The two domains of one sample share their context, and are scored in one call.

    Yields:
        Function that waits for sub-scores of all proposals, and a mask of samples with a context.

    Raises:
        SwerveError: a pose is not finite; raised when waiting for the result.
    """
    plans = poses.detach().double().cpu().numpy() if contexts else np.zeros((0, 0, 0, 3))
    rows_of: dict[int, tuple[PreparedContext, list[int]]] = {}
    for row, context in enumerate(contexts):
        if context is not None and plans.shape[1]:
            rows_of.setdefault(id(context), (context, []))[1].append(row)
    found = np.zeros((*plans.shape[:2], len(Metric)), np.float32)

    def put(context: PreparedContext, rows: list[int]) -> None:
        with watch.measure("scoring_cpu", time.thread_time):
            scores = score_prepared(context, plans[rows].reshape(-1, *plans.shape[2:]), interval=interval)
            found[rows] = scores.metrics.reshape(len(rows), plans.shape[1], -1)

    with ThreadPoolExecutor(threads) as pool:
        pending = [pool.submit(put, *one) for one in rows_of.values()]

        def targets() -> tuple[Float[Tensor, "b n 8"], Bool[Tensor, "b"]]:
            with watch.measure("scoring_wait"):
                for one in pending:
                    one.result()
            known = torch.tensor([context is not None for context in contexts], device=poses.device)
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
    return averaged_over((losses * counted).sum(), counted.sum()) / weights.sum().clamp(min=1e-6)


def ranking_loss(
    logits: Float[Tensor, "b n 8"],
    targets: Float[Tensor, "b n 8"],
    known: Bool[Tensor, "b"],
    importance: Float[Tensor, "b"],
) -> Float[Tensor, ""]:
    """Compute the pairwise ranking loss within scenes: log(1 + exp(-(difference of predicted log scores))).

    Pairs count by the difference of their exact scores; of many proposals, a random choice is compared. Source: Burges
    et al., "Learning to rank using gradient descent", 2005 (RankNet).
    """
    rows = torch.randperm(logits.shape[1], device=logits.device)[:_RANKED]
    predicted, exact = log_score(logits[:, rows]), expected_score(targets[:, rows])
    better = exact[:, :, None] - exact[:, None]
    weight = torch.where(better > _LEAST_DIFFERENCE, better, 0.0)
    losses = functional.softplus(-(predicted[:, :, None] - predicted[:, None])) * weight
    losses = losses.sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1e-6)
    counted = importance * known
    return averaged_over((losses * counted).sum(), counted.sum())
