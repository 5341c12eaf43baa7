"""Choice of a proposal by its predicted sub-scores."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from swerve.eval.scoring.sub_scores import Metric
from swerve.eval.scoring.thresholds import HISTORY_COMFORT_WEIGHT, LANE_KEEPING_WEIGHT, PROGRESS_WEIGHT, TTC_WEIGHT
from swerve.planners.learning.model_config import ModelConfig

_WEIGHTS = (PROGRESS_WEIGHT, TTC_WEIGHT, LANE_KEEPING_WEIGHT, HISTORY_COMFORT_WEIGHT)
_SPLIT = int(Metric.EGO_PROGRESS)


def expected_score(metrics: Float[Tensor, "*b 8"]) -> Float[Tensor, "*b"]:
    """Compute the EPDMS without extended comfort from sub-scores: `scoring.sub_scores.pdm_score` in torch."""
    weights = metrics.new_tensor(_WEIGHTS)
    return metrics[..., :_SPLIT].prod(dim=-1) * (metrics[..., _SPLIT:] @ weights) / weights.sum()


def log_score(logits: Float[Tensor, "*b 8"], config: ModelConfig | None = None) -> Float[Tensor, "*b"]:
    """Compute the logarithm of the predicted EPDMS, differentiable and without underflow.

    Args:
        logits: logits of the sub-scores.
        config: exponents and weights of the sub-scores; those of EPDMS without it.
    """
    exponents = logits.new_tensor(config.selection_exponents if config else (1.0,) * _SPLIT)
    weights = logits.new_tensor(_WEIGHTS)
    if config:
        weights = weights * logits.new_tensor(config.selection_weights)
    multiplied = torch.nn.functional.logsigmoid(logits[..., :_SPLIT]) @ exponents
    averaged = logits[..., _SPLIT:].sigmoid() @ (weights / weights.sum().clamp(min=1e-6))
    return multiplied + averaged.clamp(min=1e-9).log()


def chosen_proposals(logits: Float[Tensor, "b n 8"], config: ModelConfig | None = None) -> Int[Tensor, "b"]:
    """Return the index of each sample's proposal with the highest predicted score.

    With the exponents and weights of EPDMS, this is the highest `expected_score`; ties go to the first.
    """
    neutral = config is None or {*config.selection_exponents, *config.selection_weights} == {1.0}
    found: Tensor = (expected_score(logits.sigmoid()) if neutral else log_score(logits, config)).argmax(dim=1)
    return found


def best_proposal(
    logits: Float[Tensor, "b n 8"], poses: Float[Tensor, "b n k 3"], config: ModelConfig | None = None
) -> Float[Tensor, "b k 3"]:
    """Select each sample's proposal with the highest predicted score."""
    return poses[torch.arange(len(poses), device=poses.device), chosen_proposals(logits, config)]
