"""Groups of parameters with their own learning rates and weight decays."""

from typing import Any

from torch import nn

from swerve.planners.learning.train_options import TrainingOptions

_BACKBONE = "backbone."


def parameter_groups(module: nn.Module, options: TrainingOptions) -> list[dict[str, Any]]:
    """Return the trained parameters as groups of an optimizer, in a fixed order.

    A group's `lr_multiplier` is its learning rate over that of the step: `backbone_lr_multiplier` for the backbone,
    else 1. With `decay_matrices_only`, parameters of one dimension (norms, biases) have no weight decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, one in module.named_parameters():
        if one.requires_grad:
            rate = options.backbone_lr_multiplier if _BACKBONE in name else 1.0
            decay = 0.0 if options.decay_matrices_only and one.ndim < 2 else options.weight_decay
            groups.setdefault((rate, decay), []).append(one)
    return [
        {"params": members, "lr_multiplier": rate, "weight_decay": decay} for (rate, decay), members in groups.items()
    ]
