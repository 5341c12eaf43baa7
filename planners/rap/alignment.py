"""Raster-to-Real (R2R) alignment of features of photos and rasters."""

import copy
import math
from typing import Any, Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from swerve.planners.rap.layers import mlp
from swerve.planners.rap.neck import Neck
from swerve.planners.rap.rap_batch import RapBatch
from swerve.planners.rap.rap_config import Direction, RapConfig
from swerve.planners.rap.rap_model import RapOutput

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
            slow.lerp_(quick.detach(), 1.0 - self.decay)

    @torch.no_grad()
    def targets(self, features: Float[Tensor, "*b f p q"]) -> Float[Tensor, "*b d p q"]:
        """Compute the target features from the backbone's features."""
        return self.neck.content(features.detach())


class DomainClassifier(nn.Module):
    """Classifier of photos and rasters by their mean features (Ganin et al., "DANN", 2016)."""

    def __init__(self, config: RapConfig) -> None:
        super().__init__()
        self.layers = mlp(config.dim, config.classifier_hidden, config.classifier_hidden, 1)

    def forward(self, pooled: Float[Tensor, "n d"], strength: float) -> Float[Tensor, "n"]:
        """Return logits of being a photo; gradients by the input are reversed and scaled by `strength`."""
        logits: Float[Tensor, "n"] = self.layers(reverse_gradient(pooled, strength))[:, 0].float()
        return logits


def spatial_alignment(
    output: RapOutput, batch: RapBatch, teacher: EmaTeacher, direction: Direction
) -> Float[Tensor, ""]:
    """Compute the mean squared distance between features of paired images per patch, over the targets' variance.

    Gradients reach only the features to be aligned. Cameras without an image in either domain are left out; without
    pairs the loss is zero, with zero gradients.

    Every channel is normalised by its targets' standard deviation over the batch. The original's distance is not: it
    also decreases when features stop depending on the image, which happens with a trainable backbone (a small network's
    variance fell from 44 to 0.02, docs/ablation.md). So its weight has another scale here.
    """
    real, raster = batch.pairs
    present = batch.inputs.present[real] & batch.inputs.present[raster]
    moves = {"real-to-raster": [(real, raster)], "raster-to-real": [(raster, real)]}
    chosen = moves.get(direction) or [*moves["real-to-raster"], *moves["raster-to-real"]]
    losses = []
    for moved, fixed in chosen:
        targets = teacher.targets(output.features[fixed]).float()
        distance = (output.content[moved].float() - targets) ** 2 / _spread(targets, present)[:, None, None]
        losses.append(_mean_where(distance.mean(dim=(2, 3, 4)), present))
    return torch.stack(losses).mean()


def global_alignment(
    output: RapOutput, batch: RapBatch, classifier: DomainClassifier, direction: Direction, strength: float
) -> Float[Tensor, ""]:
    """Compute the classifier's cross entropy with equal weights of both domains.

    Where the batch has pairs, only paired views count: rasters of recovery and cross-agent viewpoints differ in content
    from photos, which features must not hide. Features of the fixed domain get no gradient. For a batch of a single
    domain the loss is zero, with zero gradients.
    """
    paired = batch.paired_row >= 0
    counted = paired if bool(paired.any()) else torch.ones_like(paired)
    photograph = batch.is_photo[counted]
    pooled = pooled_content(output.content[counted], batch.inputs.present[counted])
    if bool(photograph.all()) or not bool(photograph.any()):
        return 0.0 * (pooled.sum() + sum(parameter.sum() for parameter in classifier.parameters()))
    held = {"real-to-raster": ~photograph, "raster-to-real": photograph}.get(direction, torch.zeros_like(photograph))
    pooled = torch.where(held[:, None], pooled.detach(), pooled)
    losses = functional.binary_cross_entropy_with_logits(
        classifier(pooled, strength), photograph.float(), reduction="none"
    )
    return (losses[photograph].mean() + losses[~photograph].mean()) / 2


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
    """Compute the variance of each channel over all patches of the selected images; 1 without any."""
    chosen = values[counted]
    if not len(chosen):
        return values.new_ones(values.shape[2])
    return chosen.var(dim=(0, 2, 3), correction=0).clamp(min=_LEAST_SPREAD)


def _mean_where(values: Float[Tensor, "n c"], counted: Bool[Tensor, "n c"]) -> Float[Tensor, ""]:
    return (values * counted).sum() / counted.sum().clamp(min=1)
