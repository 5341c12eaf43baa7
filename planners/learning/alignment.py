"""Raster-to-Real (R2R) alignment of features of photos and rasters."""

import copy
import math
from typing import Any, Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from swerve.planners.learning.layers import mlp
from swerve.planners.learning.model import ModelOutput
from swerve.planners.learning.model_config import Direction, ModelConfig
from swerve.planners.learning.neck import Neck
from swerve.planners.learning.reduction import averaged_over, summed
from swerve.planners.learning.sharding import whole
from swerve.planners.learning.training_batch import TrainingBatch

# Lower bound of a channel's variance, for constant channels.
_LEAST_SPREAD: Final = 1e-6


class EmaTeacher(nn.Module):
    """Exponential moving average of the neck, whose features are the targets of spatial alignment.

    The original's target is the trained neck itself with stop-gradient, which drifts during training.
    """

    def __init__(self, neck: Neck, decay: float) -> None:
        super().__init__()
        self.neck, self.decay = copy.deepcopy(neck).requires_grad_(False).eval(), decay

    @torch.no_grad()
    def update(self, neck: Neck) -> None:
        """Update the moving average."""
        for slow, quick in zip(self.neck.parameters(), neck.parameters(), strict=True):
            slow.lerp_(whole(quick.detach()), 1.0 - self.decay)

    @torch.no_grad()
    def targets(self, features: Float[Tensor, "*b f p q"]) -> Float[Tensor, "*b d p q"]:
        """Compute the target features from the backbone's features."""
        return self.neck.content(features.detach())


def neck_of(model: nn.Module) -> Neck | None:
    """Return a network's neck, whose features are aligned; None for networks without one."""
    found = getattr(model, "neck", None)
    return found if isinstance(found, Neck) else None


class DomainClassifier(nn.Module):
    """Classifier of photos and rasters by their mean features (Ganin et al., "DANN", 2016)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = mlp(config.dim, config.domain_classifier_dim, config.domain_classifier_dim, 1)

    def forward(self, pooled: Float[Tensor, "n d"], strength: float) -> Float[Tensor, "n"]:
        """Return logits of being a photo; gradients by the input are reversed and scaled by `strength`."""
        logits: Float[Tensor, "n"] = self.layers(reverse_gradient(pooled, strength))[:, 0].float()
        return logits


def spatial_alignment(
    output: ModelOutput, batch: TrainingBatch, teacher: EmaTeacher, direction: Direction
) -> Float[Tensor, ""]:
    """Compute the mean squared distance between features of paired images per patch, over the targets' variance.

    Gradients reach only the features to be aligned. Cameras without an image in either domain are left out; without
    pairs the loss is zero, with zero gradients.

    Every channel is normalised by its targets' standard deviation over the batch. The original's distance is not: it
    also decreases when features stop depending on the image, which happens with a trainable backbone (a small network's
    variance fell from 44 to 0.02, docs/learned_planners.md). So its weight has another scale here. Batch means all
    processes'.
    """
    assert output.features is not None
    assert output.content is not None
    real, raster = batch.pairs
    present = batch.inputs.present[real] & batch.inputs.present[raster]
    moves = {"real-to-raster": [(real, raster)], "raster-to-real": [(raster, real)]}
    chosen = moves.get(direction) or [*moves["real-to-raster"], *moves["raster-to-real"]]
    losses = []
    for moved, fixed in chosen:
        targets = teacher.targets(output.features[fixed]).float()
        distance = (output.content[moved].float() - targets) ** 2 / _spread(targets, present)[:, None, None]
        losses.append(averaged_over((distance.mean(dim=(2, 3, 4)) * present).sum(), present.sum()))
    return torch.stack(losses).mean()


def domain_alignment(
    output: ModelOutput, batch: TrainingBatch, classifier: DomainClassifier, direction: Direction, strength: float
) -> Float[Tensor, ""]:
    """Compute the classifier's cross entropy with equal weights of both domains.

    Where the batch (of all processes) has pairs, only paired views count: rasters of recovery and cross-agent
    viewpoints differ in content from photos, which features must not hide. Features of the fixed domain get no
    gradient. For a batch of a single domain the loss is zero, with zero gradients.
    """
    assert output.content is not None
    paired = batch.paired_row >= 0
    counted = torch.where(summed(paired.sum()) > 0, paired, torch.ones_like(paired))
    photograph = batch.is_photo
    pooled = pooled_content(output.content, batch.inputs.present)
    held = {"real-to-raster": ~photograph, "raster-to-real": photograph}.get(direction, torch.zeros_like(photograph))
    pooled = torch.where(held[:, None], pooled.detach(), pooled)
    losses = functional.binary_cross_entropy_with_logits(
        classifier(pooled, strength), photograph.float(), reduction="none"
    )
    shares = [(counted & domain).to(losses) for domain in (photograph, ~photograph)]
    means = [averaged_over((losses * share).sum(), share.sum()) for share in shares]
    both = torch.stack([summed(share.sum()) > 0 for share in shares]).all()
    return (means[0] + means[1]) / 2 * both


def reversal_strength(progress: float, largest: float) -> float:
    """Return the reversed gradient's scale at a training progress of 0 to 1 (Ganin et al., 2016, section 5.2.2)."""
    return largest * (2.0 / (1.0 + math.exp(-10.0 * progress)) - 1.0)


def pooled_content(content: Float[Tensor, "n c d p q"], present: Bool[Tensor, "n c"]) -> Float[Tensor, "n d"]:
    """Average the features over the patches of all available cameras."""
    weights = present.to(content.dtype) / present.sum(dim=1, keepdim=True).clamp(min=1)
    return (content.mean(dim=(3, 4)) * weights[..., None]).sum(dim=1)


def reverse_gradient(values: Float[Tensor, "n d"], strength: float) -> Float[Tensor, "n d"]:
    """Return the values unchanged; gradients through them are multiplied by minus `strength`."""
    same: Float[Tensor, "n d"] = _Reversal.apply(values, strength)  # type: ignore[no-untyped-call]  # no types
    return same


class _Reversal(torch.autograd.Function):
    """Gradient reversal, see reverse_gradient."""

    @staticmethod
    def forward(context: Any, values: Tensor, strength: float) -> Tensor:  # noqa: ANN401 torch's own
        context.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return -context.strength * gradient, None


def _spread(values: Float[Tensor, "n c d p q"], counted: Bool[Tensor, "n c"]) -> Float[Tensor, "d"]:
    """Compute the variance of each channel over all patches of the selected images of all processes; 1 without any."""
    weight = counted[..., None, None, None].to(values)
    count = summed(weight.sum() * values.shape[3] * values.shape[4])
    mean = summed((values * weight).sum(dim=(0, 1, 3, 4))) / count.clamp(min=1)
    squares = ((values - mean[:, None, None]) ** 2 * weight).sum(dim=(0, 1, 3, 4))
    variance = (summed(squares) / count.clamp(min=1)).clamp(min=_LEAST_SPREAD)
    return torch.where(count > 0, variance, torch.ones_like(variance))
